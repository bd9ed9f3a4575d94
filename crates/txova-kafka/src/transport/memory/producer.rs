//! The producer: a queue for each partition, written in order by one task. It must never reorder or forget what it took.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::faults::ProduceFault;
use super::signal::Signal;
use super::state::{Shared, State};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::{OutgoingRecord, TopicPartition};
use crate::transport::{Delivery, DeliveryCallback, NotTaken, Producer, Undelivered, Written};

pub(super) struct MemoryProducer {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
}

/// What was handed over, and the signal that it changed.
pub(super) struct Queue {
    inner: Mutex<Inner>,
    changed: Signal,
}

#[derive(Default)]
struct Inner {
    waiting: BTreeMap<TopicPartition, VecDeque<Waiting>>,
    handed_over: u64,
    unanswered: BTreeSet<u64>,
    closed: bool,
}

struct Waiting {
    number: u64,
    record: OutgoingRecord,
    deadline: Instant,
    done: DeliveryCallback,
}

/// A record's answer, called when no lock is held.
struct Answer {
    number: u64,
    done: DeliveryCallback,
    result: Result<Delivery, Undelivered>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records handed over that have no answer yet.
    pub(super) fn unanswered(&self) -> usize {
        self.lock().unanswered.len()
    }

    fn update<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let answer = change(&mut self.lock());
        self.changed.raise();
        answer
    }
}

impl MemoryProducer {
    /// Opens a producer whose task runs on `runtime`.
    pub(super) fn open(shared: Arc<Shared>, runtime: &tokio::runtime::Handle) -> Self {
        let queue = Arc::new(Queue { inner: Mutex::default(), changed: Signal::default() });
        shared.add_producer(&queue);
        runtime.spawn(write(shared.clone(), queue.clone()));
        Self { shared, queue }
    }
}

impl Producer for MemoryProducer {
    fn send(&self, record: &OutgoingRecord, done: DeliveryCallback) -> Result<(), NotTaken> {
        let (place, capacity, timeout) = {
            let mut state = self.shared.lock();
            match state.place(record) {
                Ok(place) => (place, state.settings.queue_capacity, state.settings.delivery_timeout),
                Err(error) => return Err(NotTaken { error, done }),
            }
        };
        let record = record.clone();
        self.queue.update(|queue| {
            if queue.unanswered.len() >= capacity {
                let text = format!("{capacity} records wait for their answer already");
                return Err(NotTaken { error: ClientError::new(ClientErrorKind::QueueFull, text), done });
            }
            let number = queue.handed_over;
            queue.handed_over += 1;
            queue.unanswered.insert(number);
            let deadline = Instant::now() + timeout;
            queue.waiting.entry(place).or_default().push_back(Waiting { number, record, deadline, done });
            Ok(())
        })
    }

    fn flush(&self, timeout: Duration) -> BoxFuture<'static, Result<(), ClientError>> {
        let queue = self.queue.clone();
        let before = queue.lock().handed_over;
        Box::pin(async move {
            let mut changes = queue.changed.changes();
            let answered = async {
                while queue.lock().unanswered.first().is_some_and(|first| *first < before) {
                    changes.changed().await;
                }
            };
            tokio::time::timeout(timeout, answered).await.map_err(|_| {
                let left = queue.lock().unanswered.range(..before).count();
                let text = format!("flush: {left} records had no answer in {} ms", timeout.as_millis());
                ClientError::new(ClientErrorKind::TimedOut, text)
            })
        })
    }

    fn log_ends(
        &self,
        partitions: Vec<TopicPartition>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Vec<i64>, ClientError>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            shared.broker(timeout, "log ends").await?;
            let state = shared.lock();
            partitions.iter().map(|partition| Ok(state.log(partition)?.end())).collect()
        })
    }

    fn warm_up(&self, topics: Vec<String>, timeout: Duration) -> BoxFuture<'static, Result<(), ClientError>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            shared.broker(timeout, "warm-up").await?;
            shared.update(|state| topics.iter().try_for_each(|topic| state.topic(topic).map(|_| ())))
        })
    }
}

impl Drop for MemoryProducer {
    fn drop(&mut self) {
        self.queue.update(|queue| queue.closed = true);
    }
}

/// Writes what waits, until the producer is dropped.
async fn write(shared: Arc<Shared>, queue: Arc<Queue>) {
    let mut cluster = shared.changes();
    let mut changes = queue.changed.changes();
    loop {
        cluster.hear();
        changes.hear();
        let (answers, closed, next_deadline) = {
            let mut inner = queue.lock();
            let answers = step(&mut inner, &mut shared.lock());
            let next = inner.waiting.values().filter_map(|waiting| Some(waiting.front()?.deadline)).min();
            (answers, inner.closed, next)
        };
        if !answers.is_empty() {
            // Readers learn of the new records before the writer's callbacks run, as with a broker.
            shared.update(|_| ());
            let latency = shared.lock().settings.latency;
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            for Answer { number, done, result } in answers {
                done(result);
                queue.update(|queue| queue.unanswered.remove(&number));
            }
            continue;
        }
        if closed {
            return;
        }
        let expired = async {
            match next_deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = changes.changed() => {}
            () = cluster.changed() => {}
            () = expired => {}
        }
    }
}

/// Takes what can be answered now: written, refused, too late, or purged because the producer is gone.
fn step(queue: &mut Inner, state: &mut State) -> Vec<Answer> {
    let mut answers = Vec::new();
    let now = Instant::now();
    for (place, waiting) in &mut queue.waiting {
        while let Some(first) = waiting.front() {
            let trouble = state.trouble.get(&*place.topic);
            let away = state.broker_away || trouble.is_some_and(|trouble| trouble.down);
            let error = |written, kind, why: &str| {
                let error = ClientError::new(kind, format!("record for {place}: {why}"));
                Err(Undelivered {
                    error,
                    written,
                    is_taken: true,
                    maybe_twice: false,
                    key: None,
                    record: None,
                })
            };
            let result = if queue.closed {
                error(Written::No, ClientErrorKind::Closed, "the producer was dropped before it was written")
            } else if away && now >= first.deadline {
                error(Written::No, ClientErrorKind::TimedOutNotWritten, "no broker took it in time")
            } else if away {
                break;
            } else {
                let trouble = state.trouble.get_mut(&*place.topic);
                match trouble.and_then(|trouble| trouble.produce_faults.pop_front()) {
                    Some(ProduceFault::Refused(kind)) => error(Written::No, kind, "refused by a script"),
                    Some(ProduceFault::WrittenButTimedOut) => {
                        let kind = ClientErrorKind::TimedOutMaybeWritten;
                        let written = state.append(place, &first.record).map_err(unwritten);
                        written.and_then(|_| error(Written::Maybe, kind, "no answer in time (by a script)"))
                    }
                    None => state.append(place, &first.record).map_err(unwritten),
                }
            };
            if let Some(Waiting { number, record, done, .. }) = waiting.pop_front() {
                let result = result.map_err(|undelivered| with_record(undelivered, record));
                answers.push(Answer { number, done, result });
            }
        }
    }
    queue.waiting.retain(|_, waiting| !waiting.is_empty());
    answers
}

fn unwritten(error: ClientError) -> Undelivered {
    Undelivered { error, written: Written::No, is_taken: true, maybe_twice: false, key: None, record: None }
}

/// As librdkafka does: what is refused for good comes back.
fn with_record(undelivered: Undelivered, record: OutgoingRecord) -> Undelivered {
    use ClientErrorKind::{Authorization, InvalidRecord, TooLarge, UnknownTopic};
    let is_refused = undelivered.written == Written::No
        && matches!(undelivered.error.kind, Authorization | InvalidRecord | TooLarge | UnknownTopic);
    let key = record.key.clone();
    Undelivered { key, record: is_refused.then(|| Box::new(record)), ..undelivered }
}
