//! A running app from outside: close it, ask how it is. Every call is bounded in time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::client_error::ClientError;
use crate::driver::{Control, Picture};
use crate::engine::Status;
use crate::pulse::Pulse;

/// How long an app may take to answer before it counts as not answering.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// What closing may take beyond its own limit: the last commit and leaving the group.
const CLOSE_GRACE: Duration = Duration::from_secs(10);

/// A handle on an [`App`](super::App). Cheap to clone; dropping it closes nothing.
#[derive(Clone, Debug)]
pub struct AppHandle {
    group: Arc<str>,
    control: mpsc::UnboundedSender<Control>,
    ended: watch::Receiver<bool>,
    pulse: Pulse,
}

/// How an app is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AppStatus {
    /// What it has in hand.
    pub engine: Status,
    /// What the client last had trouble with, while that is not over.
    pub trouble: Option<ClientError>,
    /// Assignments so far; none yet means that the group has not let it in.
    pub assignments: u64,
    /// Whether it is closing.
    pub closing: bool,
}

impl AppHandle {
    pub(super) fn new(
        group: Arc<str>,
        control: mpsc::UnboundedSender<Control>,
        ended: watch::Receiver<bool>,
        pulse: Pulse,
    ) -> Self {
        Self { group, control, ended, pulse }
    }

    /// How long ago the thread that polls the client last turned; `None` before it has begun. It waits for no handler and
    /// no broker: where it stands still for long, only a restart helps.
    pub fn polled_ago(&self) -> Option<Duration> {
        self.pulse.age()
    }

    /// Whether `run` has ended.
    pub fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// The app's consumer group.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Closes the app: nothing more starts, what runs may end within `deadline`, what is settled is committed. `run`
    /// returns the report. A second call can only make it sooner. Does not wait.
    pub fn begin_close(&self, deadline: Duration) {
        let _ = self.control.send(Control::Close(deadline));
    }

    /// As [`begin_close`](Self::begin_close), and waits until `run` has ended. False when it had not within `deadline`
    /// and ten seconds: a handler blocks its thread.
    ///
    /// # Cancellation
    /// Dropping the future ends the waiting, not the closing.
    pub async fn close(&self, deadline: Duration) -> bool {
        self.begin_close(deadline);
        let mut ended = self.ended.clone();
        matches!(timeout(deadline + CLOSE_GRACE, ended.wait_for(|ended| *ended)).await, Ok(Ok(_)))
    }

    /// How the app is; `None` when it does not run or does not answer within two seconds.
    pub async fn status(&self) -> Option<AppStatus> {
        let Picture { engine, trouble, assignments, closing, .. } = self.picture().await?;
        Some(AppStatus { engine, trouble, assignments, closing })
    }

    pub(super) async fn picture(&self) -> Option<Picture> {
        let (reply, answer) = oneshot::channel();
        self.control.send(Control::Status(reply)).ok()?;
        timeout(ANSWER_TIMEOUT, answer).await.ok()?.ok()
    }
}
