//! From a question to the checks' answers, all at once and each within its time. It must never wait for a check that hangs.

use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::CHECK_TIMEOUT;
use crate::lifecycle::{Checked, HealthChecker};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Live,
    Ready,
    Everything,
}

#[derive(Serialize)]
struct Body {
    status: &'static str,
    checks: Vec<One>,
}

#[derive(Serialize)]
struct One {
    name: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<serde_json::Value>,
}

pub(super) async fn answer(checks: Arc<[Arc<dyn HealthChecker>]>, question: Question) -> Response {
    let asked = checks.iter().map(|check| ask(Arc::clone(check), question));
    let checks: Vec<One> = join_all(asked).await;
    let all_well = checks.iter().all(|check| check.problem.is_none());
    let code = if all_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = Body { status: status(all_well), checks };
    match serde_json::to_string(&body) {
        Ok(body) => (code, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(), // names and numbers can always be written
    }
}

/// On a task of its own: a check that panics has failed, and one that blocks its thread is left behind.
async fn ask(check: Arc<dyn HealthChecker>, question: Question) -> One {
    let (name, deadline) = (check.name().to_owned(), Instant::now() + CHECK_TIMEOUT);
    let mut task = JoinSet::new();
    task.spawn(async move {
        match question {
            Question::Live => check.check_live(deadline).await,
            Question::Ready | Question::Everything => check.check(deadline).await,
        }
    });
    let Checked { problem, notice, details } = match timeout_at(deadline, task.join_next()).await {
        Ok(Some(Ok(checked))) => checked,
        Ok(_) => Checked::failed("the check panicked"),
        Err(_) => Checked::failed(format!("no answer within {} s", CHECK_TIMEOUT.as_secs())),
    };
    let details = details.filter(|_| question == Question::Everything);
    One { name, status: status(problem.is_none()), problem, notice, details }
}

fn status(is_well: bool) -> &'static str {
    if is_well { "ok" } else { "failed" }
}
