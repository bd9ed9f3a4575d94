//! An app as a part of a service.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::{Checked, Checking, Closer, Component, Doing, HealthChecker, Initializer, Named};
use crate::app::{App, AppHandle, AppStatus, RunError};
use crate::engine::{CloseReport, HeldHandler, PartitionStatus, Paused, Stuck};

/// Of the time for closing, what the last commit and leaving the group may need; a quarter where that is less.
const LEAVING: Duration = Duration::from_secs(5);

/// An app that runs as a part of a [`Lifecycle`](super::Lifecycle), on a task of its own. Starting it does not wait for the
/// group or a broker: that is what health checks are for. Dropped while it runs, it ends as [`App::run`] does when dropped.
pub struct AppService {
    name: Arc<str>,
    handle: AppHandle,
    app: Mutex<Option<App>>,
    run: Mutex<JoinSet<()>>,
    result: watch::Sender<Option<RunResult>>,
}

/// The thread that polls waits for nothing longer than this.
const STANDS_STILL: Duration = Duration::from_secs(30);
const SILENT: &str = "it does not run, or does not answer";

type RunResult = Result<CloseReport, RunError>;

impl App {
    /// This app as a part of a service. Its name is that of its group.
    pub fn into_service(self) -> AppService {
        let (name, handle) = (self.group().into(), self.handle());
        let (app, run) = (Mutex::new(Some(self)), Mutex::default());
        AppService { name, handle, app, run, result: watch::Sender::new(None) }
    }
}

impl AppService {
    /// For asking how the app is, from elsewhere.
    pub fn handle(&self) -> AppHandle {
        self.handle.clone()
    }

    async fn result(&self) -> RunResult {
        let mut results = self.result.subscribe();
        match results.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(result)) => result.clone(),
            _ => Ok(CloseReport::default()), // the sender is `self`
        }
    }
}

impl Named for AppService {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Initializer for AppService {
    fn init(&self, _: Instant) -> Doing<'_> {
        let app = self.app.lock().unwrap_or_else(PoisonError::into_inner).take();
        Box::pin(async move {
            let app = app.ok_or("it was started before")?;
            let (name, result) = (app.service.to_string(), self.result.clone());
            let run = AssertUnwindSafe(app.run()).catch_unwind();
            self.run.lock().unwrap_or_else(PoisonError::into_inner).spawn(async move {
                let ended = match run.await {
                    Ok(ended) => ended,
                    Err(_) => Err(RunError::panicked(name)),
                };
                result.send_replace(Some(ended));
            });
            Ok(())
        })
    }
}

impl Closer for AppService {
    fn close(&self, deadline: Instant) -> Doing<'_> {
        Box::pin(async move {
            if self.result.borrow().is_some() {
                return Ok(()); // it has ended, and said so
            }
            let left = deadline.saturating_duration_since(Instant::now());
            self.handle.begin_close(left.saturating_sub(LEAVING.min(left / 4)));
            let Ok(result) = timeout_at(deadline, self.result()).await else {
                return Err("a handler blocks its thread, or a broker does not answer".into());
            };
            match result {
                Ok(report) if report.abandoned.is_empty() && report.commit_error.is_none() => Ok(()),
                Ok(report) => Err(report.to_string().into()),
                Err(error) => Err(error.into()),
            }
        })
    }
}

impl Component for AppService {
    fn ended(&self) -> Doing<'_> {
        Box::pin(async move { self.result().await.map(drop).map_err(Into::into) })
    }
}

impl HealthChecker for AppService {
    fn check(&self, deadline: Instant) -> Checking<'_> {
        self.handle.check(deadline)
    }

    fn check_live(&self, deadline: Instant) -> Checking<'_> {
        self.handle.check_live(deadline)
    }
}

impl Named for AppHandle {
    fn name(&self) -> &str {
        self.group()
    }
}

impl HealthChecker for AppHandle {
    /// It is ready while the group lets it in and nothing is stuck (`consumer.stuck_after_ms`). What an operator has paused, and a handler
    /// that is held back until something of it is stuck, are notices and no reasons not to be ready: a restart or fewer
    /// members would not change it.
    fn check(&self, deadline: Instant) -> Checking<'_> {
        Box::pin(async move {
            let Ok(Some(status)) = timeout_at(deadline, self.status()).await else {
                return Checked::failed(SILENT);
            };
            match problem(&status) {
                Some(problem) => Checked::failed(problem),
                None => Checked::well(),
            }
            .noting(notice(&status))
            .with(details(&status))
        })
    }

    /// It is alive while its client is polled, whatever brokers and handlers do; where nothing polls, as in memory, while
    /// it answers.
    fn check_live(&self, deadline: Instant) -> Checking<'_> {
        Box::pin(async move {
            match self.polled_ago().filter(|_| !self.has_ended()) {
                Some(ago) if ago < STANDS_STILL => return Checked::well(),
                Some(ago) => {
                    return Checked::failed(format!("its client was not polled for {} s", ago.as_secs()));
                }
                None => {}
            }
            match timeout_at(deadline, self.status()).await {
                Ok(Some(_)) => Checked::well(),
                _ => Checked::failed(SILENT),
            }
        })
    }
}

fn problem(status: &AppStatus) -> Option<String> {
    let partitions = &status.engine.partitions;
    let trouble = status.trouble.as_ref().map(|trouble| format!(": {trouble}")).unwrap_or_default();
    if status.closing {
        Some("it is closing".to_owned())
    } else if status.assignments == 0 {
        Some(format!("the group has not let it in yet{trouble}"))
    } else if partitions.is_empty() && status.trouble.is_some() {
        Some(format!("it has lost its partitions{trouble}"))
    } else {
        let stuck = &status.engine.stuck;
        let others = stuck.len().saturating_sub(1);
        let others = if others > 0 { format!(" (and {others} other partitions)") } else { String::new() };
        stuck.first().map(|stuck| format!("{stuck}{others}"))
    }
}

/// What is no problem and good to know: what an operator has paused, and handlers held back.
fn notice(status: &AppStatus) -> Option<String> {
    let paused = status.engine.paused.iter().map(|Paused { topic, since }| {
        let what = topic.as_deref().unwrap_or("everything");
        format!("{what} is paused by an operator for {} s", since.as_secs())
    });
    let held = status.engine.held_handlers.iter().map(|held| {
        let HeldHandler { handler, since, records, last_error, .. } = held;
        let since = since.as_secs();
        format!(
            "the handler {handler} is held back for {since} s, {records} records wait for it: {last_error}"
        )
    });
    let notices: Vec<String> = paused.chain(held).collect();
    (!notices.is_empty()).then(|| notices.join("; "))
}

/// All that is known of a record but its key: the answer is for whoever may ask, and a key may be a person's.
fn told(stuck: &Stuck) -> serde_json::Value {
    let ms = |duration: Duration| duration.as_millis() as u64;
    json!({
        "partition": stuck.partition.to_string(),
        "offset": stuck.offset,
        "state": format!("{:?}", stuck.state),
        "since_ms": ms(stuck.since),
        "taken_ms": ms(stuck.taken),
        "begun_ms": stuck.begun.map(ms),
        "attempts": stuck.attempts,
        "first_failure_ms": stuck.first_failure_ms,
        "handler": stuck.handler.as_deref(),
        "last_error": stuck.last_error,
        "next_in_ms": stuck.next_in.map(ms),
        "dead_letter_error": stuck.dead_letter_error,
    })
}

fn held(held: &HeldHandler) -> serde_json::Value {
    json!({
        "handler": &*held.handler,
        "since_ms": held.since.as_millis() as u64,
        "records": held.records,
        "failed_probes": held.failed_probes,
        "last_error": held.last_error,
    })
}

fn details(status: &AppStatus) -> serde_json::Value {
    let partition = |partition: &PartitionStatus| {
        json!({
            "partition": partition.partition.to_string(),
            "position": partition.position,
            "committed": partition.committed,
            "in_flight": partition.in_flight_records,
            "paused": partition.paused,
            "paused_by_operator": partition.paused_by_operator,
            "oldest": partition.oldest.as_ref().map(told),
        })
    };
    json!({
        "running": status.engine.running,
        "throttled": status.engine.is_throttled,
        "in_flight": status.engine.in_flight_records,
        "stuck": status.engine.stuck.iter().map(told).collect::<Vec<_>>(),
        "held_handlers": status.engine.held_handlers.iter().map(held).collect::<Vec<_>>(),
        "trouble": status.trouble.as_ref().map(ToString::to_string),
        "partitions": status.engine.partitions.iter().map(partition).collect::<Vec<_>>(),
    })
}

impl fmt::Debug for AppService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AppService").field(&self.name).finish()
    }
}
