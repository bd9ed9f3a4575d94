//! The buffer between callers and the client: places bounded in records and bytes, given out in the order they were
//! asked for, and records handed to the client in that same order. It must never know events or settings' names.
//!
//! A record is *waiting* (no place yet), *ready* (has its place, and with it its turn), or *handed over* (the client
//! has it). One thread at a time hands over, outside the lock, whoever it is: the caller that found the way free, or
//! the client's thread that brought an answer. So the order of places is the order of the log, the lock is never held
//! across a call, and a client that answers on the spot does no harm.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tracing::Span;

use self::in_flight::InFlight;
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

/// This part of a full buffer must be free before those who wait get places. Answers come, so it will be.
const ROOM_SHARE: usize = 64;

pub(super) struct Buffer {
    limits: Limits,
    state: Mutex<State>,
    /// Answers on their way to those who wait for them; their places are free already.
    telling: AtomicUsize,
    /// Set under the lock. From then on somebody waits until nothing is left.
    is_closed: AtomicBool,
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
    is_handing_over: bool,
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
            telling: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
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
        let span = span::of(&mut record);
        let offered = match self.check(&record) {
            Ok(()) => self.offer(record, answer, span.clone()),
            Err(error) => Err(error),
        };
        let waited = match offered {
            Ok(None) => Ok(()),
            Ok(Some((mut wait, place))) => {
                match tokio::time::timeout(self.limits.max_block, &mut wait.granted).await {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(_)) => Err(PublishError::closed(Some(place))),
                    Err(_) if wait.withdraw() => Err(self.full(place)),
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
        span: Span,
    ) -> Result<Option<(Wait, Place)>, PublishError> {
        let (size_bytes, since) = (record.size_bytes(), Instant::now());
        let mut state = self.lock();
        if self.is_closed.load(Ordering::SeqCst) {
            return Err(PublishError::closed(Some(place_of(&record))));
        }
        let pass = state.breaker.admit(since);
        let pass = pass.map_err(|retry_after| PublishError::circuit_open(place_of(&record), retry_after))?;
        let placed = Placed { record, size_bytes, since, pass, span, answer };
        if state.waiting.is_empty() && state.fits(self.limits, size_bytes) {
            state.take_place(placed);
            let first = state.begin_turn();
            drop(state);
            self.take_turn(first);
            return Ok(None);
        }
        let (ticket, place) = (state.next_ticket, place_of(&placed.record));
        state.next_ticket += 1;
        let (sender, granted) = oneshot::channel();
        state.waiting.insert(ticket, Waiting { placed, granted: sender });
        state.gauge();
        Ok(Some((Wait { buffer: Arc::clone(self), ticket, granted }, place)))
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
        let first = self.lock().begin_turn();
        self.take_turn(first);
    }

    /// A turn that begins with this record.
    fn take_turn(self: &Arc<Self>, mut next: Option<Placed>) {
        if next.is_none() {
            return;
        }
        let mut turn = Turn { buffer: self, handed_over: 0, is_over: false };
        let producer = self.producer.upgrade();
        while let Some(placed) = next {
            self.hand_over(producer.as_deref(), placed);
            next = turn.next();
        }
    }

    fn hand_over(self: &Arc<Self>, producer: Option<&dyn Producer>, placed: Placed) {
        let Placed { record, size_bytes, since, pass, span, answer } = placed;
        let topic = Arc::clone(&record.topic);
        let in_flight =
            InFlight { buffer: Arc::clone(self), topic, size_bytes, since, pass, span, answer: Some(answer) };
        let Some(producer) = producer else {
            in_flight.end(Verdict::Unknown, Err(PublishError::closed(Some(place_of(&record)))));
            return;
        };
        let done = move |answer: Result<Delivery, Undelivered>| in_flight.answered(answer);
        if let Err(not_taken) = producer.send(&record, Box::new(done)) {
            not_taken.tell(&record);
        }
    }

    /// Counts an answer, then gives its place back and passes it on; [`told`](Self::told) follows. True where something
    /// is ready then.
    fn answered(&self, ended: &Ended<'_>) -> bool {
        let mut state = self.lock();
        self.telling.fetch_add(1, Ordering::SeqCst);
        state.handed_over -= 1;
        state.records -= 1;
        state.bytes -= ended.size_bytes;
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
        let is_ready = !state.ready.is_empty();
        drop(state);
        if has_opened {
            tracing::warn!(
                error = ended.error.map(tracing::field::display),
                "the circuit is open: events are refused until a probe gets through"
            );
        } else if before != after {
            tracing::info!(state = %after, "the circuit was {before}");
        }
        is_ready
    }

    /// The answer has reached whoever waits for it.
    fn told(self: &Arc<Self>, is_ready: bool) {
        let is_last = self.telling.fetch_sub(1, Ordering::SeqCst) == 1;
        if is_last && self.is_closed.load(Ordering::SeqCst) && self.is_idle(&self.lock()) {
            self.idle.notify_waiters();
            self.idle_for_threads.notify_all();
        }
        // Where somebody is at it, it is theirs; where they leave it, a later answer finds it.
        if is_ready {
            self.hand_over_ready();
        }
    }

    fn is_idle(&self, state: &State) -> bool {
        state.records == 0 && self.telling.load(Ordering::SeqCst) == 0
    }

    /// Takes nothing more; whoever waits for a place gets [`PublishErrorKind::Closed`]. Answers what was counted so far.
    pub(super) fn close(&self) -> PublisherStats {
        let waiting = {
            let mut state = self.lock();
            self.is_closed.store(true, Ordering::SeqCst);
            std::mem::take(&mut state.waiting)
        };
        drop(waiting);
        self.stats()
    }

    /// Waits until everything is answered, and the answers have been told. For a buffer that is closed.
    pub(super) async fn idle(&self) {
        loop {
            let mut told = std::pin::pin!(self.idle.notified());
            told.as_mut().enable();
            if self.is_idle(&self.lock()) {
                return;
            }
            told.await;
        }
    }

    /// As [`idle`](Self::idle), for a thread. False where the time was over first.
    pub(super) fn block_until_idle(&self, timeout: Duration) -> bool {
        let state = self.lock();
        let waited = self.idle_for_threads.wait_timeout_while(state, timeout, |state| !self.is_idle(state));
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
            is_closed: self.is_closed.load(Ordering::SeqCst),
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
            is_handing_over: false,
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

    fn take_place(&mut self, placed: Placed) {
        self.records += 1;
        self.bytes += placed.size_bytes;
        self.ready.push_back(placed);
        self.gauge();
    }

    /// The first of what is ready, where nobody is handing over; who gets it has the turn.
    fn begin_turn(&mut self) -> Option<Placed> {
        if self.is_handing_over {
            return None;
        }
        let first = self.next_ready();
        self.is_handing_over = first.is_some();
        first
    }

    fn next_ready(&mut self) -> Option<Placed> {
        let placed = self.ready.pop_front()?;
        self.handed_over += 1;
        Some(placed)
    }

    /// First come, first served: a large record at the head is waited for, not overtaken. A full buffer first gets a little
    /// room, so that a caller who fills it is woken now and then and not for each record.
    fn grant(&mut self, limits: Limits) {
        let (some_records, some_bytes) = (limits.records / ROOM_SHARE, limits.bytes / ROOM_SHARE);
        if self.records + some_records > limits.records || self.bytes + some_bytes > limits.bytes {
            return;
        }
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

/// Somebody's turn to hand over. A panic of the client ends it, too.
struct Turn<'a> {
    buffer: &'a Buffer,
    handed_over: usize,
    is_over: bool,
}

impl Turn<'_> {
    /// The next record; `None` where the turn is over.
    fn next(&mut self) -> Option<Placed> {
        self.handed_over += 1;
        let mut state = self.buffer.lock();
        // What is left goes on with the next answer. Where none is to come it is still ours.
        let is_enough = self.handed_over >= TURN_RECORDS && state.handed_over > 0;
        let next = if is_enough { None } else { state.next_ready() };
        state.is_handing_over = next.is_some();
        self.is_over = next.is_none();
        next
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.buffer.lock().is_handing_over = false;
        }
    }
}

pub(super) fn place_of(record: &OutgoingRecord) -> Place {
    Place { topic: Arc::clone(&record.topic), key: record.key.clone() }
}
