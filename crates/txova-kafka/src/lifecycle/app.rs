//! An app as a part of a service.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::{Closer, Component, Doing, Initializer, Named};
use crate::app::{App, AppHandle, RunError};
use crate::engine::CloseReport;

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
                let ended = run.await.unwrap_or_else(|_| Err(RunError::panicked(name)));
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

impl fmt::Debug for AppService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AppService").field(&self.name).finish()
    }
}
