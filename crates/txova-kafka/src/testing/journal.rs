//! Notes what handlers were given and how they ended. It stands between driver and handlers and must never change what
//! either sees.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use txova_events::EnvelopeRef;

use super::Cluster;
use crate::attempt::{Attempt, Dispatch};
use crate::outcome::{BatchOutcome, ErrorClass, Failure, HandlerId, Outcome};
use crate::record::{Record, TopicPartition};

/// One time a handler was given a record.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HandlerRun {
    /// The handler's name; `-` where there is none for this record.
    pub handler: Arc<str>,
    /// The group it ran in.
    pub group: Arc<str>,
    /// Where the record was read.
    pub partition: TopicPartition,
    /// Its offset there.
    pub offset: i64,
    /// Its key as text; `None` where there is none.
    pub key: Option<String>,
    /// The event's type; empty where the record is no event.
    pub event_type: String,
    /// Which try it was: 1 for the first.
    pub attempt: u32,
    /// Which batch it was part of; `None` where the handler takes one record at a time. Batches count from 0.
    pub batch: Option<usize>,
    /// When it began: time since the harness was made, on tokio's clock.
    pub at: Duration,
    /// How it ended.
    pub end: HandlerEnd,
}

/// How a handler ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum HandlerEnd {
    /// It has not.
    Running,
    /// It said ok.
    Ok,
    /// It said no, or the record could not be given to it.
    Failed {
        /// What that means for the record.
        class: ErrorClass,
        /// Why.
        message: String,
    },
    /// It panicked, with this text.
    Panicked(String),
    /// It took longer than `processing_timeout_ms`.
    TimedOut,
    /// It was part of a batch that did not begin, because one of its records cannot be read, and comes again without that
    /// one; or its handler is held back.
    NotReached,
    /// It was cut off: its partition was taken away, or its app closed or crashed.
    CutOff,
}

impl fmt::Display for HandlerEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => f.write_str("still running"),
            Self::Ok => f.write_str("ok"),
            Self::Failed { class, message } => write!(f, "{class}: {message}"),
            Self::Panicked(text) => write!(f, "panicked: {text}"),
            Self::TimedOut => f.write_str("timed out"),
            Self::NotReached => f.write_str("not reached"),
            Self::CutOff => f.write_str("cut off"),
        }
    }
}

/// `+1.000 s charge(ride.completed) on txova.rides.v1-0@3, attempt 2: transient: no answer`
impl fmt::Display for HandlerRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { handler, partition, offset, event_type, attempt, batch, at, end, .. } = self;
        let event_type = if event_type.is_empty() { "no event" } else { event_type };
        write!(f, "+{:.3} s {handler}({event_type}) on {partition}@{offset}", at.as_secs_f64())?;
        if *attempt > 1 {
            write!(f, ", attempt {attempt}")?;
        }
        if let Some(batch) = batch {
            write!(f, ", batch {batch}")?;
        }
        write!(f, ": {end}")
    }
}

impl From<&Outcome> for HandlerEnd {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Handled(_) => Self::Ok,
            Outcome::Failed(failure) => failure.as_ref().into(),
            Outcome::Held(_) | Outcome::NotRun => Self::NotReached,
        }
    }
}

impl From<&Failure> for HandlerEnd {
    fn from(failure: &Failure) -> Self {
        Self::Failed { class: failure.class, message: failure.message.clone() }
    }
}

/// All runs of a harness, in the order in which they began.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    began: Instant,
    runs: Arc<Mutex<Vec<HandlerRun>>>,
    /// Those who wait for a change here wait for one there.
    cluster: Cluster,
}

impl Journal {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self { began: Instant::now(), runs: Arc::default(), cluster }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn runs(&self) -> Vec<HandlerRun> {
        self.lock().clone()
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&[HandlerRun]) -> T) -> T {
        look(&self.lock())
    }

    /// What runs handlers, and notes it here.
    pub(super) fn around(&self, handlers: Arc<dyn Dispatch>) -> Arc<dyn Dispatch> {
        Arc::new(Noted { handlers, journal: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<HandlerRun>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes runs that begin together.
    fn begin(&self, attempts: &[Attempt], handlers: &dyn Dispatch, is_batch: bool) -> Open {
        let at = self.elapsed();
        let mut all = self.lock();
        let last = || all.iter().filter_map(|run| run.batch).max();
        let batch = is_batch.then(|| last().map_or(0, |last| last + 1));
        let first = all.len();
        all.extend(attempts.iter().map(|attempt| HandlerRun {
            handler: handlers.handler_for(&attempt.record).1,
            group: attempt.group.clone(),
            partition: attempt.partition.clone(),
            offset: attempt.record.offset,
            key: attempt.record.key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned()),
            event_type: event_type(&attempt.record),
            attempt: attempt.number,
            batch,
            at,
            end: HandlerEnd::Running,
        }));
        let runs = first..all.len();
        drop(all);
        let deadline = attempts.iter().map(|attempt| attempt.deadline).min().unwrap_or_else(Instant::now);
        self.cluster.nudge();
        Open { journal: self.clone(), runs, deadline }
    }
}

fn event_type(record: &Record) -> String {
    let envelope = record.value.as_deref().and_then(|value| EnvelopeRef::decode(value).ok());
    envelope.map(|envelope| envelope.event_type.into_owned()).unwrap_or_default()
}

struct Noted {
    handlers: Arc<dyn Dispatch>,
    journal: Journal,
}

impl Dispatch for Noted {
    fn dispatch(&self, attempt: Attempt) -> BoxFuture<'static, Outcome> {
        let (handlers, journal) = (self.handlers.clone(), self.journal.clone());
        async move {
            let open = journal.begin(std::slice::from_ref(&attempt), &*handlers, false);
            let outcome = open.caught(async move { handlers.dispatch(attempt).await }).await;
            open.end_all(&(&outcome).into());
            outcome
        }
        .boxed()
    }

    fn dispatch_batch(&self, attempts: Vec<Attempt>) -> BoxFuture<'static, BatchOutcome> {
        let (handlers, journal) = (self.handlers.clone(), self.journal.clone());
        async move {
            let open = journal.begin(&attempts, &*handlers, true);
            let outcome = open.caught(async move { handlers.dispatch_batch(attempts).await }).await;
            match &outcome {
                BatchOutcome::Whole(outcome) => open.end_all(&outcome.into()),
                BatchOutcome::Parts { failed, .. } => {
                    failed.iter().for_each(|(index, failure)| open.end(*index, failure.as_ref().into()));
                    open.end_all(&HandlerEnd::Ok);
                }
                BatchOutcome::NotRun(_) => open.end_all(&HandlerEnd::NotReached),
            }
            outcome
        }
        .boxed()
    }

    fn batch_of(&self, record: &Record) -> Option<u32> {
        self.handlers.batch_of(record)
    }

    fn handler_for(&self, record: &Record) -> (Option<HandlerId>, Arc<str>) {
        self.handlers.handler_for(record)
    }
}

/// Runs that have begun together. Those that have no end when it is dropped were ended from outside.
struct Open {
    journal: Journal,
    runs: Range<usize>,
    deadline: Instant,
}

impl Open {
    /// Runs the handler and notes a panic, which goes on.
    async fn caught<T>(&self, run: impl Future<Output = T>) -> T {
        match AssertUnwindSafe(run).catch_unwind().await {
            Ok(outcome) => outcome,
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().copied();
                let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
                self.end_all(&HandlerEnd::Panicked(text.unwrap_or("no text").to_owned()));
                resume_unwind(panic)
            }
        }
    }

    /// The first end that is said of a run stays.
    fn end(&self, index: usize, end: HandlerEnd) {
        if let Some(run) = self.journal.lock().get_mut(self.runs.start + index)
            && run.end == HandlerEnd::Running
        {
            run.end = end;
        }
    }

    fn end_all(&self, end: &HandlerEnd) {
        (0..self.runs.len()).for_each(|index| self.end(index, end.clone()));
        self.journal.cluster.nudge();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let late = Instant::now() >= self.deadline;
        self.end_all(if late { &HandlerEnd::TimedOut } else { &HandlerEnd::CutOff });
    }
}
