//! Runs handlers: caught when they panic, ended when they take too long, aborted when their result is no longer wanted.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio::time::error::Elapsed;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::attempt::{Attempt, Dispatch};
use crate::engine::{Start, Ticket};
use crate::outcome::{ErrorClass, Failure, HandlerId, Outcome};
use crate::record::Record;

use super::Done;
use super::mutation::{Mutation, broken};

/// A first poll longer than this is work that belongs in a task of its own.
const LONG_POLL: Duration = Duration::from_micros(200);
/// So many records go straight to tasks after the first long poll, before one is tried in place again; twice as many
/// after each further one, so that handlers that block a thread hardly ever block this one.
const SPAWNED_AFTER_LONG_POLL: u32 = 64;
const MOST_SPAWNED_AFTER_LONG_POLL: u32 = 1 << 20;

pub(super) struct Handlers {
    dispatch: Arc<dyn Dispatch>,
    timeout: Duration,
    done: mpsc::UnboundedSender<Done>,
    running: HashMap<Ticket, AbortHandle>,
    spawn_next: u32,
    spawn_after_long_poll: u32,
}

impl Handlers {
    pub(super) fn new(
        dispatch: Arc<dyn Dispatch>,
        timeout: Duration,
        done: mpsc::UnboundedSender<Done>,
    ) -> Self {
        Self {
            dispatch,
            timeout,
            done,
            running: HashMap::new(),
            spawn_next: 0,
            spawn_after_long_poll: SPAWNED_AFTER_LONG_POLL,
        }
    }

    /// Begins a handler. Most do not wait for anything, so it is polled once in place; its outcome comes back here when
    /// that was all, and by way of a task when it was not.
    pub(super) fn start(
        &mut self,
        start: Start<Record>,
        group: &Arc<str>,
        cancelled: CancellationToken,
    ) -> Option<Outcome> {
        let ticket = start.ticket;
        let deadline = tokio::time::Instant::now() + self.timeout;
        let attempt = Attempt {
            partition: start.partition,
            record: start.record,
            group: group.clone(),
            number: start.attempt,
            first_failure: start.first_failure_ms.and_then(unix_ms),
            deadline,
            cancelled,
        };
        let name = Named::new(self.dispatch.clone(), &attempt);
        let mut handler = AssertUnwindSafe(dispatching(self.dispatch.clone(), attempt)).catch_unwind();
        if self.spawn_next == 0 {
            let began = Instant::now();
            let polled = Pin::new(&mut handler).poll_unpin(&mut Context::from_waker(Waker::noop()));
            if began.elapsed() > LONG_POLL {
                self.spawn_next = self.spawn_after_long_poll;
                self.spawn_after_long_poll = (self.spawn_next * 2).min(MOST_SPAWNED_AFTER_LONG_POLL);
            }
            if let Poll::Ready(result) = polled {
                return Some(name.outcome(result.map_err(Some)));
            }
        } else {
            self.spawn_next -= 1;
        }
        let (timeout, done) = (self.timeout, self.done.clone());
        let late = Duration::from_secs(if broken(Mutation::NeverTimesOut) { 86_400 } else { 0 });
        let task = tokio::spawn(async move {
            let result = tokio::time::timeout_at(deadline + late, handler).await;
            let _ = done.send(Done::Handler(ticket, name.outcome_within(ended(result), timeout)));
        });
        self.running.insert(ticket, task.abort_handle());
        None
    }

    pub(super) fn ended(&mut self, ticket: Ticket) {
        self.running.remove(&ticket);
    }

    /// Ends a handler at its next await.
    pub(super) fn cancel(&mut self, ticket: Ticket) {
        if let Some(task) = self.running.remove(&ticket) {
            task.abort();
        }
    }

    pub(super) fn cancel_all(&mut self) {
        for (_, task) in self.running.drain() {
            task.abort();
        }
    }
}

impl Drop for Handlers {
    fn drop(&mut self) {
        self.cancel_all();
    }
}

/// Runs a handler where no engine is: caught, and ended at the attempt's deadline (`limit` from its start, for the
/// message) or when the future is dropped.
pub(crate) async fn guarded(dispatch: Arc<dyn Dispatch>, attempt: Attempt, limit: Duration) -> Outcome {
    let deadline = attempt.deadline;
    let name = Named::new(dispatch.clone(), &attempt);
    let handler = AssertUnwindSafe(dispatching(dispatch, attempt)).catch_unwind();
    name.outcome_within(ended(tokio::time::timeout_at(deadline, handler).await), limit)
}

/// What the dispatch does before its first await is inside it, too.
fn dispatching(dispatch: Arc<dyn Dispatch>, attempt: Attempt) -> BoxFuture<'static, Outcome> {
    async move { dispatch.dispatch(attempt).await }.boxed()
}

/// `Err(None)` is a handler that took too long.
fn ended(result: Result<Result<Outcome, Panic>, Elapsed>) -> Result<Outcome, Option<Panic>> {
    result.map_or(Err(None), |result| result.map_err(Some))
}

type Panic = Box<dyn std::any::Any + Send>;

/// What it takes to name a failure, looked up only when there is one.
struct Named {
    dispatch: Arc<dyn Dispatch>,
    record: Record,
    place: (crate::record::TopicPartition, i64, u32),
}

impl Named {
    fn new(dispatch: Arc<dyn Dispatch>, attempt: &Attempt) -> Self {
        let place = (attempt.partition.clone(), attempt.record.offset, attempt.number);
        Self { dispatch, record: attempt.record.clone(), place }
    }

    fn outcome(&self, result: Result<Outcome, Option<Panic>>) -> Outcome {
        self.outcome_within(result, Duration::ZERO)
    }

    /// `Err(None)` is a handler that took longer than `limit`.
    fn outcome_within(&self, result: Result<Outcome, Option<Panic>>, limit: Duration) -> Outcome {
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(Some(_)) if broken(Mutation::PanicsAreFine) => Outcome::Handled(HandlerId(0)),
            Err(Some(panic)) => self.transient(format!("the handler panicked: {}", panic_text(&*panic))),
            Err(None) => self.transient(format!("the handler took longer than {} ms", limit.as_millis())),
        };
        if let Outcome::Failed(failure) = &outcome {
            let (partition, offset, attempt) = &self.place;
            if failure.class == ErrorClass::Skip {
                debug!(%partition, offset, handler = %failure.handler, reason = %failure.message, "skipped");
            } else {
                warn!(%partition, offset, attempt, handler = %failure.handler, class = %failure.class,
                    error = %failure.message, "a handler failed");
            }
        }
        outcome
    }

    fn transient(&self, message: String) -> Outcome {
        let (by, handler) = self.dispatch.handler_for(&self.record);
        Outcome::Failed(Box::new(Failure {
            class: ErrorClass::Transient,
            retry_after: None,
            by,
            handler,
            message,
            chain: Vec::new(),
        }))
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

fn unix_ms(ms: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok()
}
