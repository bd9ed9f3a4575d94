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
    topics: Arc<[Arc<str>]>,
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
    /// Keys whose records follow dead letters (`consumer.follow_dead_letters`).
    pub followed_keys: usize,
}

/// A topic that the app does not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the app does not read the topic `{topic}`; it reads {}", known.join(", "))]
#[non_exhaustive]
pub struct UnknownTopic {
    /// The topic.
    pub topic: String,
    /// Those that it reads.
    pub known: Vec<String>,
}

impl AppHandle {
    pub(super) fn new(
        group: Arc<str>,
        topics: Arc<[Arc<str>]>,
        control: mpsc::UnboundedSender<Control>,
        ended: watch::Receiver<bool>,
        pulse: Pulse,
    ) -> Self {
        Self { group, topics, control, ended, pulse }
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

    /// Starts nothing more until [`resume`](Self::resume): no record, no retry that is due, no probe, also of partitions
    /// that come later. What runs goes on to its end; dead letters are written, commits are made, the app stays in its
    /// group and can be closed. Fetching pauses too, so lag grows. Does not wait: a [`status`](Self::status) asked
    /// afterwards tells when it is so. Before `run` it makes an app that starts paused.
    ///
    /// A pause is the process's own: it lasts through rebalances, and ends with the run. Other members of the group go on.
    ///
    /// ```no_run
    /// # async fn main_(app: txova_kafka::AppHandle) -> Result<(), txova_kafka::UnknownTopic> {
    /// app.pause_topic("txova.payments.v1")?; // while the provider is repaired
    /// let paused = app.status().await.map(|status| status.engine.paused);
    /// println!("{paused:?}");
    /// app.resume_topic("txova.payments.v1")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn pause(&self) {
        let _ = self.control.send(Control::Pause(None));
    }

    /// Ends [`pause`](Self::pause). Topics that are paused by themselves stay so.
    pub fn resume(&self) {
        let _ = self.control.send(Control::Resume(None));
    }

    /// As [`pause`](Self::pause), of one topic.
    ///
    /// # Errors
    /// The app does not read the topic.
    pub fn pause_topic(&self, topic: &str) -> Result<(), UnknownTopic> {
        let topic = self.topic(topic)?;
        let _ = self.control.send(Control::Pause(Some(topic)));
        Ok(())
    }

    /// Ends [`pause_topic`](Self::pause_topic) of the same topic. A pause of the whole app stays.
    ///
    /// # Errors
    /// The app does not read the topic.
    pub fn resume_topic(&self, topic: &str) -> Result<(), UnknownTopic> {
        let topic = self.topic(topic)?;
        let _ = self.control.send(Control::Resume(Some(topic)));
        Ok(())
    }

    fn topic(&self, topic: &str) -> Result<Arc<str>, UnknownTopic> {
        let known = self.topics.iter().find(|known| ***known == *topic).cloned();
        known.ok_or_else(|| UnknownTopic {
            topic: topic.to_owned(),
            known: self.topics.iter().map(ToString::to_string).collect(),
        })
    }

    /// How the app is; `None` when it does not run or does not answer within two seconds.
    pub async fn status(&self) -> Option<AppStatus> {
        let Picture { engine, trouble, assignments, closing, followed: (followed_keys, _), .. } =
            self.picture().await?;
        Some(AppStatus { engine, trouble, assignments, closing, followed_keys })
    }

    pub(super) async fn picture(&self) -> Option<Picture> {
        let (reply, answer) = oneshot::channel();
        self.control.send(Control::Status(reply)).ok()?;
        timeout(ANSWER_TIMEOUT, answer).await.ok()?.ok()
    }
}
