//! Runs handlers: caught when they panic, ended when they take too long, aborted when their result is no longer wanted.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::FutureExt;

use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio::time::error::Elapsed;
use tokio_util::sync::CancellationToken;

use crate::attempt::{Attempt, Dispatch};
use crate::engine::{Start, Ticket};
use crate::extract::Outgoing;
use crate::metrics::HandlerMetrics;
use crate::outcome::{BatchOutcome, HandlerId, Outcome};
use crate::record::Record;

use super::Done;
use super::in_place::InPlace;
use super::mutation::{Mutation, broken};
use super::named::{Named, Panic, Ran};

pub(super) struct Handlers {
    dispatch: Arc<dyn Dispatch>,
    timeout: Duration,
    metrics: Option<Arc<HandlerMetrics>>,
    done: mpsc::UnboundedSender<Done>,
    /// A batch under the ticket of its first record.
    running: HashMap<Ticket, AbortHandle>,
    in_place: InPlace,
}

impl Handlers {
    pub(super) fn new(
        dispatch: Arc<dyn Dispatch>,
        timeout: Duration,
        done: mpsc::UnboundedSender<Done>,
    ) -> Self {
        Self { dispatch, timeout, metrics: None, done, running: HashMap::new(), in_place: InPlace::new() }
    }

    pub(super) fn measure(&mut self, metrics: Arc<HandlerMetrics>) {
        self.metrics = Some(metrics);
    }

    /// Begins a handler. Most do not wait for anything, so it is polled once in place; its outcome comes back here when
    /// that was all, and by way of a task when it was not. With it comes the moment when that is decided, where the next one begins.
    pub(super) fn start(
        &mut self,
        start: Start<Record>,
        outgoing: Option<Outgoing>,
        group: &Arc<str>,
        cancelled: CancellationToken,
        began: Instant,
    ) -> (Option<Outcome>, Instant) {
        let ticket = start.ticket;
        let deadline = began + self.timeout;
        let is_in_place = self.in_place.is_next();
        let before_it_begins = (!is_in_place).then(|| cancelled.clone());
        let attempt = attempt(start, outgoing, group, deadline, cancelled);
        let name = Named::new(self.dispatch.clone(), &attempt);
        let mut handler = AssertUnwindSafe(self.dispatch.dispatch(attempt)).catch_unwind();
        let mut ended = began;
        if is_in_place {
            let polled = Pin::new(&mut handler).poll_unpin(&mut Context::from_waker(Waker::noop()));
            ended = Instant::now();
            let took = ended.saturating_duration_since(began);
            self.in_place.polled(took);
            if let Poll::Ready(result) = polled {
                let outcome = name.outcome(result.map_err(Some), self.timeout);
                self.metrics.iter().for_each(|metrics| metrics.ran(took, &outcome));
                return (Some(outcome), ended);
            }
        }
        let (timeout, metrics, done) = (self.timeout, self.metrics.clone(), self.done.clone());
        let task = tokio::spawn(async move {
            if before_it_begins.is_some_and(|cancelled| cancelled.is_cancelled()) {
                let _ = done.send(Done::Handler(ticket, Outcome::NotRun));
                return;
            }
            let result = tokio::time::timeout_at(late(deadline), handler).await;
            let outcome = name.outcome(caught(result), timeout);
            metrics.iter().for_each(|metrics| metrics.ran(began.elapsed(), &outcome));
            let _ = done.send(Done::Handler(ticket, outcome));
        });
        self.running.insert(ticket, task.abort_handle());
        (None, ended)
    }

    /// Begins a handler over a batch. It is likely to wait for something, and goes straight to a task.
    pub(super) fn start_batch(
        &mut self,
        starts: Vec<(Start<Record>, Option<Outgoing>)>,
        group: &Arc<str>,
        cancelled: &CancellationToken,
    ) {
        let tickets: Vec<Ticket> = starts.iter().map(|(start, _)| start.ticket).collect();
        let began = Instant::now();
        let deadline = began + self.timeout;
        let each = |(start, outgoing)| attempt(start, outgoing, group, deadline, cancelled.clone());
        let attempts: Vec<Attempt> = starts.into_iter().map(each).collect();
        let (Some(first), Some(&ticket)) = (attempts.first(), tickets.first()) else { return };
        let name = Named::new(self.dispatch.clone(), first);
        let offsets: Vec<i64> = attempts.iter().map(|attempt| attempt.record.offset).collect();
        let (dispatch, timeout) = (self.dispatch.clone(), self.timeout);
        let (metrics, done) = (self.metrics.clone(), self.done.clone());
        let cancelled = cancelled.clone();
        let handler = async move {
            match cancelled.is_cancelled() {
                true => BatchOutcome::NotRun(Vec::new()), // the task came too late to begin
                false => dispatch.dispatch_batch(attempts).await,
            }
        };
        let handler = AssertUnwindSafe(handler).catch_unwind();
        let task = tokio::spawn(async move {
            let result = tokio::time::timeout_at(late(deadline), handler).await;
            let outcome = name.batch_outcome(caught(result), timeout, &offsets);
            metrics.iter().for_each(|metrics| metrics.ran_batch(began.elapsed(), &outcome, offsets.len()));
            let _ = done.send(Done::Batch(tickets, outcome));
        });
        self.running.insert(ticket, task.abort_handle());
    }

    /// The handler a record would get.
    pub(super) fn handler_for(&self, record: &Record) -> (Option<HandlerId>, Arc<str>) {
        self.dispatch.handler_for(record)
    }

    /// Whose batches the record goes with.
    pub(super) fn batch_of(&self, record: &Record) -> Option<u32> {
        self.dispatch.batch_of(record)
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
    let handler = AssertUnwindSafe(dispatch.dispatch(attempt)).catch_unwind();
    name.outcome(caught(tokio::time::timeout_at(deadline, handler).await), limit)
}

fn attempt(
    start: Start<Record>,
    outgoing: Option<Outgoing>,
    group: &Arc<str>,
    deadline: Instant,
    cancelled: CancellationToken,
) -> Attempt {
    Attempt {
        partition: start.partition,
        record: start.record,
        group: group.clone(),
        number: start.attempt,
        first_failure: start.first_failure_ms.and_then(unix_ms),
        received_ms: Some(start.taken_ms),
        deadline,
        cancelled,
        outgoing,
        held: start.held.filter(|_| !broken(Mutation::RunsTheHeld)),
    }
}

fn late(deadline: Instant) -> Instant {
    deadline + Duration::from_secs(if broken(Mutation::NeverTimesOut) { 86_400 } else { 0 })
}

/// `Err(None)` is a run that took too long.
fn caught<T>(result: Result<Result<T, Panic>, Elapsed>) -> Ran<T> {
    result.map_or(Err(None), |result| result.map_err(Some))
}

fn unix_ms(ms: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::BoxFuture;

    use super::super::clock::Clock;
    use super::*;
    use crate::engine::{Action, Engine, Incoming, Settings};
    use crate::record::TopicPartition;
    use crate::transport::Assignment;

    /// Blocks its thread, so that the next one is not tried in place.
    #[derive(Default)]
    struct Blocking(Arc<AtomicUsize>);

    impl Dispatch for Blocking {
        fn dispatch(&self, _: Attempt) -> BoxFuture<'static, Outcome> {
            let begun = Arc::clone(&self.0);
            Box::pin(async move {
                begun.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
                Outcome::Handled(HandlerId(0))
            })
        }

        fn dispatch_batch(&self, _: Vec<Attempt>) -> BoxFuture<'static, BatchOutcome> {
            unreachable!("nothing goes in batches here")
        }

        fn batch_of(&self, _: &Record) -> Option<u32> {
            None
        }

        fn handler_for(&self, _: &Record) -> (Option<HandlerId>, Arc<str>) {
            (Some(HandlerId(0)), "blocking".into())
        }
    }

    /// What an engine starts, where it has so many records of a partition.
    fn starts(records: i64) -> Vec<Start<Record>> {
        let (rides, now) = (TopicPartition::new("rides", 0), Clock::start().now());
        let mut engine = Engine::new(Settings::default());
        engine.assigned(1, vec![Assignment { partition: rides.clone(), committed: None }], now);
        for offset in 0..records {
            let record = Record::copy_from(offset, None, None, None, std::iter::empty());
            let key_hash = Some(offset as u64);
            engine.offer(&rides, 1, Incoming { offset, key_hash, bytes: 0, batch: None, record }, now);
        }
        let start = |action| match action {
            Action::Start(start) => Some(start),
            _ => None,
        };
        std::iter::from_fn(|| engine.next_action(now)).filter_map(start).collect()
    }

    #[tokio::test]
    async fn epoch_a_handler_whose_turn_comes_when_its_partition_is_gone_never_begins() {
        let (sender, mut done) = mpsc::unbounded_channel();
        let (dispatch, group) = (Arc::new(Blocking::default()), Arc::from("group"));
        let mut handlers = Handlers::new(dispatch.clone(), Duration::from_secs(60), sender);
        let (assignment, starts) = (CancellationToken::new(), starts(2));
        let late = starts[1].ticket;
        let mut begun = starts.into_iter().map(|start| {
            let started = handlers.start(start, None, &group, assignment.clone(), Instant::now());
            started.0
        });
        assert_eq!(begun.next(), Some(Some(Outcome::Handled(HandlerId(0)))));
        assert_eq!(begun.next(), Some(None), "it waits for its turn");
        assignment.cancel();
        let Some(Done::Handler(ticket, outcome)) = done.recv().await else { panic!("a handler has ended") };
        assert_eq!((ticket, outcome), (late, Outcome::NotRun));
        assert_eq!(dispatch.0.load(Ordering::Relaxed), 1);
    }
}
