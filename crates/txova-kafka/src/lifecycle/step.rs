//! One step of one part, on a task of its own: a panic is caught, a hang is left behind. It must never outlast its
//! deadline by more than the grace.

use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::BoxError;
use super::report::Ended;

/// What a step that keeps its deadline may need to come back.
const GRACE: Duration = Duration::from_millis(500);

/// Runs `step` until it is done, at most until `deadline` and the grace. Dropped, it ends the step at its next await.
pub(super) async fn within<F>(deadline: Instant, step: F) -> Ended
where
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let mut task = JoinSet::new(); // which ends what is in it when it is dropped
    task.spawn(step);
    match timeout_at(deadline + GRACE, task.join_next()).await {
        Ok(Some(Ok(result))) => ended(result),
        Ok(Some(Err(error))) => panicked(error),
        Ok(None) | Err(_) => Ended::TimedOut,
    }
}

pub(super) fn ended(result: Result<(), BoxError>) -> Ended {
    match result {
        Ok(()) => Ended::Well,
        Err(error) => Ended::Failed(with_causes(&*error)),
    }
}

pub(super) fn panicked(error: JoinError) -> Ended {
    let Ok(panic) = error.try_into_panic() else { return Ended::CutShort };
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Ended::Panicked(text.unwrap_or("no text").to_owned())
}

fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    for _ in 0..16 {
        let Some(error) = cause else { break };
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}
