//! The buffer between callers and the client: places bounded in records and bytes, given out in the order they were
//! asked for, and records handed to the client in that same order. It must never know events or settings' names.
//!
//! A record is *waiting* (no place yet), *ready* (has its place, and with it its turn), or *handed over* (the client
//! has it). One thread at a time hands over, outside the lock, whoever it is: the caller that found the way free, or
//! the client's thread that brought an answer. So the order of places is the order of the log, the lock is never held
//! across a call, and a client that answers on the spot does no harm.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tracing::Span;

use self::in_flight::{InFlight, take};
use self::wait::Wait;
use super::answer::Answer;
use super::breaker::{Breaker, Pass, Rules, Verdict};
use super::error::{Place, PublishError, PublishErrorKind};
use super::health::{BufferFill, PublisherHealth, Seen, is_away};
use super::histogram::Histogram;
use super::metrics::Metrics;
use super::refused::Letters;
use super::{PublisherStats, health, span};
use crate::record::OutgoingRecord;
use crate::transport::{Delivery, Producer, Undelivered};

mod in_flight;
mod wait;

/// Records that one turn hands over at most, so that no caller works for all the others forever.
const TURN_RECORDS: usize = 256;

pub(super) struct Buffer {
    limits: Limits,
    state: Mutex<State>,
    /// Told whenever nothing is left unanswered.
    idle: Notify,
    idle_for_threads: Condvar,
    latencies: Histogram,
    /// Weak: an answer must not be the last to hold the client, for it would end the client on the client's thread.
    producer: Weak<dyn Producer>,
    letters: Option<Letters>,
}

/// Bounds of a [`Buffer`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub records: usize,
    pub bytes: usize,
    pub record_bytes: usize,
    pub max_block: Duration,
}

struct State {
    /// Places taken: ready and handed over.
    records: usize,
    bytes: usize,
    next_ticket: u64,
    waiting: BTreeMap<u64, Waiting>,
    ready: VecDeque<Placed>,
    handed_over: usize,
    /// Answers on their way to those who wait for them; their places are free already.
    telling: usize,
    is_handing_over: bool,
    is_closed: bool,
    published: u64,
    failed: u64,
    refused: u64,
    breaker: Breaker,
    last_error: Option<Seen>,
    /// The last that says the cluster is away.
    last_away: Option<Instant>,
    /// When a broker last answered a health check.
    last_asked: Option<Instant>,
    metrics: Metrics,
}

struct Waiting {
    placed: Placed,
    granted: oneshot::Sender<()>,
}

/// A record with its place.
struct Placed {
    record: OutgoingRecord,
    size_bytes: usize,
    since: Instant,
    pass: Pass,
    span: Span,
    answer: Answer,
}

impl Buffer {
    pub(super) fn new(
        limits: Limits,
        breaker: Option<Rules>,
        letters: Option<Letters>,
        metrics: Metrics,
        producer: Weak<dyn Producer>,
    ) -> Self {
        Self {
            limits,
            state: Mutex::new(State::new(breaker, metrics)),
            letters,
            idle: Notify::new(),
            idle_for_threads: Condvar::new(),
            latencies: Histogram::new(),
            producer,
        }
    }

    /// Refuses a record that could never be sent.
    pub(super) fn check(&self, record: &OutgoingRecord) -> Result<(), PublishError> {
        let (size, limit) = (record.size_bytes(), self.limits.record_bytes);
        if size > limit { Err(PublishError::too_large(place_of(record), size, limit)) } else { Ok(()) }
    }

    /// Gives the record its place, waiting for one up to `max_block`; its answer comes through `answer`. An error here
    /// means that it was certainly not written and `answer` gets nothing.
    ///
    /// # Cancellation
    /// The place in the queue is taken at the first poll. Dropped before it has its place, the record was never
    /// there; afterwards it is sent whatever happens here.
    pub(super) async fn place(
        self: &Arc<Self>,
        mut record: OutgoingRecord,
        answer: Answer,
    ) -> Result<(), PublishError> {
        let (place, span) = (place_of(&record), span::of(&mut record));
        let offered = match self.check(&record) {
            Ok(()) => self.offer(record, answer, &place, span.clone()),
            Err(error) => Err(error),
        };
        let waited = match offered {
            Ok(None) => Ok(()),
            Ok(Some(mut wait)) => {
                match tokio::time::timeout(self.limits.max_block, &mut wait.granted).await {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(_)) => Err(PublishError::closed(Some(place.clone()))),
                    Err(_) if wait.withdraw() => Err(self.full(place.clone())),
                    Err(_) => Ok(()), // The place came at the last moment.
                }
            }
            Err(error) => Err(error),
        };
        waited.inspect_err(|error| {
            span::failed(&span, error.kind());
            self.refuse(error);
        })
    }

    /// Takes a place, or a place in the queue for one.
    fn offer(
        self: &Arc<Self>,
        record: OutgoingRecord,
        answer: Answer,
        place: &Place,
        span: Span,
    ) -> Result<Option<Wait>, PublishError> {
        let (size_bytes, since) = (record.size_bytes(), Instant::now());
        let mut state = self.lock();
        if state.is_closed {
            return Err(PublishError::closed(Some(place.clone())));
        }
        let pass = state.breaker.admit(since);
        let pass = pass.map_err(|retry_after| PublishError::circuit_open(place.clone(), retry_after))?;
        let placed = Placed { record, size_bytes, since, pass, span, answer };
        if state.waiting.is_empty() && state.fits(self.limits, size_bytes) {
            state.take_place(placed);
            drop(state);
            self.hand_over_ready();
            return Ok(None);
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let (sender, granted) = oneshot::channel();
        state.waiting.insert(ticket, Waiting { placed, granted: sender });
        state.gauge();
        Ok(Some(Wait { buffer: Arc::clone(self), ticket, granted }))
    }

    fn full(&self, place: Place) -> PublishError {
        let (records, bytes) = {
            let state = self.lock();
            (state.records, state.bytes)
        };
        let Limits { records: most, bytes: most_bytes, max_block, .. } = self.limits;
        let message = format!(
            "no place in the buffer within {} ms (publisher.max_block_ms): {records} of {most} records and {bytes} of \
             {most_bytes} bytes are waiting for their acknowledgement",
            max_block.as_millis(),
        );
        PublishError::unwritten(PublishErrorKind::BufferFull, Some(place), message)
    }

    /// Hands over what is ready, unless somebody is at it already.
    fn hand_over_ready(self: &Arc<Self>) {
        loop {
            {
                let mut state = self.lock();
                if state.is_handing_over || state.ready.is_empty() {
                    return;
                }
                state.is_handing_over = true;
            }
            let turn = Turn(self);
            let producer = self.producer.upgrade();
            let mut handed_over = 0;
            while handed_over < TURN_RECORDS
                && let Some(placed) = self.next_ready()
            {
                self.hand_over(producer.as_deref(), placed);
                handed_over += 1;
            }
            drop(producer);
            drop(turn);
            // What is left goes on with the next answer. Where none is to come, or something arrived while the turn
            // ended, it is still ours.
            if handed_over == TURN_RECORDS && self.lock().handed_over > 0 {
                return;
            }
        }
    }

    fn next_ready(&self) -> Option<Placed> {
        let mut state = self.lock();
        let placed = state.ready.pop_front()?;
        state.handed_over += 1;
        Some(placed)
    }

    fn hand_over(self: &Arc<Self>, producer: Option<&dyn Producer>, placed: Placed) {
        let Placed { record, size_bytes, since, pass, span, answer } = placed;
        let pending = Some((place_of(&record), answer));
        let in_flight = InFlight { buffer: Arc::clone(self), size_bytes, since, pass, span, pending };
        let Some(producer) = producer else {
            in_flight.end(Verdict::Unknown, |place| Err(PublishError::closed(Some(place))));
            return;
        };
        // Two hold it: the client until it answers, and we until it has taken the record.
        let ours = Arc::new(Mutex::new(Some(in_flight)));
        let clients = Arc::clone(&ours);
        let taken = producer.send(
            record,
            Box::new(move |answer: Result<Delivery, Undelivered>| {
                if let Some(in_flight) = take(&clients) {
                    in_flight.answered(answer);
                }
            }),
        );
        if let Err(error) = taken
            && let Some(in_flight) = take(&ours)
        {
            in_flight.end(Verdict::Unknown, |place| Err(PublishError::not_taken(place, size_bytes, error)));
        }
    }

    /// Counts an answer, then gives its place back and passes it on; [`told`](Self::told) follows.
    fn answered(&self, ended: &Ended<'_>) {
        let mut state = self.lock();
        state.handed_over -= 1;
        state.records -= 1;
        state.bytes -= ended.size_bytes;
        state.telling += 1;
        match ended.error {
            None => {
                state.published += 1;
                state.metrics.published(ended.topic, ended.now - ended.since);
            }
            Some(error) => {
                state.failed += 1;
                state.failed(ended.topic, error, ended.now);
                if error.dead_letter().is_some() {
                    state.metrics.dead_letter(ended.topic);
                }
            }
        }
        let (before, opened) = (state.breaker.state(), state.breaker.times_opened());
        state.breaker.end(ended.pass, ended.since, ended.verdict, ended.now);
        let (after, has_opened) = (state.breaker.state(), state.breaker.times_opened() > opened);
        state.grant(self.limits);
        state.gauge();
        drop(state);
        if has_opened {
            tracing::warn!(
                error = ended.error.map(tracing::field::display),
                "the circuit is open: events are refused until a probe gets through"
            );
        } else if before != after {
            tracing::info!(state = %after, "the circuit was {before}");
        }
    }

    /// The answer has reached whoever waits for it.
    fn told(self: &Arc<Self>) {
        let is_idle = {
            let mut state = self.lock();
            state.telling -= 1;
            state.is_idle()
        };
        if is_idle {
            self.idle.notify_waiters();
            self.idle_for_threads.notify_all();
        }
        self.hand_over_ready();
    }

    /// Takes nothing more; whoever waits for a place gets [`PublishErrorKind::Closed`]. Answers what was counted so far.
    pub(super) fn close(&self) -> PublisherStats {
        let waiting = {
            let mut state = self.lock();
            state.is_closed = true;
            std::mem::take(&mut state.waiting)
        };
        drop(waiting);
        self.stats()
    }

    /// Waits until everything is answered, and the answers have been told.
    pub(super) async fn idle(&self) {
        loop {
            let mut told = std::pin::pin!(self.idle.notified());
            told.as_mut().enable();
            if self.lock().is_idle() {
                return;
            }
            told.await;
        }
    }

    /// As [`idle`](Self::idle), for a thread. False where the time was over first.
    pub(super) fn block_until_idle(&self, timeout: Duration) -> bool {
        let state = self.lock();
        let waited = self.idle_for_threads.wait_timeout_while(state, timeout, |state| !state.is_idle());
        let (state, result) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(state);
        !result.timed_out()
    }

    /// Counts an event that never got a place.
    pub(super) fn refuse(&self, error: &PublishError) {
        let mut state = self.lock();
        state.refused += 1;
        state.failed(&error.topic_name(), error, Instant::now());
        state.gauge();
    }

    /// A broker has answered a question, or not.
    pub(super) fn asked(&self, is_answered: bool) {
        let (mut state, now) = (self.lock(), Instant::now());
        if is_answered {
            state.last_asked = Some(now);
        } else {
            state.last_away = Some(now);
        }
    }

    pub(super) fn health(&self) -> PublisherHealth {
        let trouble = self.producer.upgrade().and_then(|producer| producer.last_trouble());
        let state = self.lock();
        let answered = state.breaker.last_answered().max(state.last_asked);
        // A single broker's trouble is none of the cluster's.
        let away = trouble.as_ref().filter(|trouble| trouble.is_everywhere || trouble.is_shut_out());
        let away = away.map(|trouble| trouble.at);
        let away = away.max(state.last_away);
        PublisherHealth {
            is_reachable: (answered.is_some() || away.is_some()).then_some(answered >= away),
            last_answer: answered.map(health::wall),
            last_trouble: trouble.map(|trouble| Seen { at: trouble.at, message: trouble.message }.told()),
            last_error: state.last_error.clone().map(Seen::told),
            breaker: state.breaker.state(),
            buffer: BufferFill {
                records: state.records,
                records_limit: self.limits.records,
                bytes: state.bytes,
                bytes_limit: self.limits.bytes,
                waiting: state.waiting.len(),
            },
            is_closed: state.is_closed,
        }
    }

    pub(super) fn stats(&self) -> PublisherStats {
        let quantiles = self.latencies.quantiles([0.5, 0.99]);
        let state = self.lock();
        PublisherStats {
            published: state.published,
            failed: state.failed,
            refused: state.refused,
            in_flight: state.records,
            in_flight_bytes: state.bytes,
            waiting: state.waiting.len(),
            latency_p50_us: quantiles.map(|[half, _]| half),
            latency_p99_us: quantiles.map(|[_, nearly_all]| nearly_all),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing inside the lock can panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record that was handed over and is over.
struct Ended<'a> {
    topic: &'a Arc<str>,
    size_bytes: usize,
    pass: Pass,
    verdict: Verdict,
    since: Instant,
    now: Instant,
    /// `None` where it was acknowledged.
    error: Option<&'a PublishError>,
}

impl State {
    fn new(breaker: Option<Rules>, metrics: Metrics) -> Self {
        Self {
            records: 0,
            bytes: 0,
            next_ticket: 0,
            waiting: BTreeMap::new(),
            ready: VecDeque::new(),
            handed_over: 0,
            telling: 0,
            is_handing_over: false,
            is_closed: false,
            published: 0,
            failed: 0,
            refused: 0,
            breaker: Breaker::new(breaker),
            last_error: None,
            last_away: None,
            last_asked: None,
            metrics,
        }
    }

    fn failed(&mut self, topic: &Arc<str>, error: &PublishError, now: Instant) {
        self.metrics.failed(topic, error.kind(), error.written());
        // What stands behind another's failure, or a closed door, says nothing new.
        if !matches!(error.kind(), PublishErrorKind::NotSent | PublishErrorKind::CircuitOpen) {
            self.last_error = Some(Seen::of(error, now));
        }
        if is_away(error.kind()) {
            self.last_away = Some(now);
        }
    }

    fn gauge(&self) {
        self.metrics.buffer(self.records, self.bytes, self.waiting.len());
        self.metrics.breaker(self.breaker.state(), self.breaker.times_opened());
    }

    fn fits(&self, limits: Limits, size_bytes: usize) -> bool {
        self.records < limits.records && self.bytes + size_bytes <= limits.bytes
    }

    fn is_idle(&self) -> bool {
        self.records == 0 && self.telling == 0
    }

    fn take_place(&mut self, placed: Placed) {
        self.records += 1;
        self.bytes += placed.size_bytes;
        self.ready.push_back(placed);
        self.gauge();
    }

    /// First come, first served: a large record at the head is waited for, not overtaken.
    fn grant(&mut self, limits: Limits) {
        while let Some(first) = self.waiting.first_entry() {
            if self.records >= limits.records || self.bytes + first.get().placed.size_bytes > limits.bytes {
                return;
            }
            let waiting = first.remove();
            self.take_place(waiting.placed);
            waiting.granted.send(()).ok();
        }
    }
}

/// Somebody's turn to hand over; ends when dropped, a panic of the client included.
struct Turn<'a>(&'a Buffer);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().is_handing_over = false;
    }
}

pub(super) fn place_of(record: &OutgoingRecord) -> Place {
    Place { topic: Arc::clone(&record.topic), key: record.key.clone() }
}
