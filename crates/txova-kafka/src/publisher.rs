//! Writes events, in order, and says of each what became of it. It must never know the client underneath, nor which
//! events there are.
//!
//! Every way to publish ends in the same buffer: bounded in records and bytes, first come first served. The order in
//! which events get their place in it is their order in the log, for each key.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use txova_events::ToRecord;

use self::answer::Answer;
pub use self::answer::PublishHandle;
pub use self::breaker::BreakerState;
use self::buffer::Buffer;
pub use self::connect::ConnectError;
pub(crate) use self::connect::connect;
pub use self::error::{PublishError, PublishErrorKind, Written};
pub(crate) use self::event::prepare;
pub use self::health::{BufferFill, HealthEvent, PublisherHealth};
pub use self::stats::{CloseReport, PublisherStats};
pub use self::typed::EventPublisher;
use crate::client_error::ClientError;
use crate::record::OutgoingRecord;
use crate::transport::{Delivery, Producer};

mod answer;
mod breaker;
mod buffer;
mod connect;
mod error;
mod event;
mod health;
mod histogram;
mod metrics;
mod refused;
mod span;
mod stats;
#[cfg(test)]
mod tests;
mod typed;

/// Publishes events. A clone is the same publisher: one connection, one buffer, one order.
///
/// ```
/// use txova_kafka::{OutgoingRecord, testing::Cluster};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let publisher = Cluster::new().kafka().publisher("ride-service")?;
/// let record = OutgoingRecord { topic: "notes".into(), value: Some("hello".into()), ..Default::default() };
/// let published = publisher.publish_record(record).await?;
/// assert_eq!((&*published.topic, published.offset), ("notes", 0));
/// # Ok(())
/// # }
/// ```
///
/// | | comes back | with |
/// |---|---|---|
/// | [`publish`](Self::publish) | when the broker has the event | where it was written |
/// | [`enqueue`](Self::enqueue) | when the event has its place, and with it its turn | a handle of the rest |
/// | [`publish_async`](Self::publish_async) | when the event has its place | nothing; a callback gets the rest |
/// | [`publish_batch`](Self::publish_batch) | when the broker has answered for each | an answer for each |
///
/// Topic, key and headers come from the event. Published inside a handler, an event inherits the correlation id, the
/// handled event as its cause, and the trace, from the [`Context`](crate::Context) of the moment of the call.
///
/// # Order
/// Calls that come one after the other, each awaited at least until its event has its place, are written in that order
/// for each key. Where an event fails for good, those behind it are written all the same.
///
/// # Cancellation
/// A future that is dropped before its event has a place was never called; one that is dropped later takes nothing
/// back: the event is sent and counted in [`stats`](Self::stats).
///
/// # Dropping
/// Dropping the last clone never blocks. What has its place is still sent for as long as the process lives, and a
/// warning says how much that is: [`close`](Self::close) is how to know.
#[derive(Clone)]
pub struct Publisher {
    shared: Arc<Shared>,
}

struct Shared {
    buffer: Arc<Buffer>,
    producer: Option<Arc<dyn Producer>>,
    source: Arc<str>,
    /// How long a record's fate can take.
    patience: Duration,
    /// Whose places a service's start fetches.
    expected_topics: Mutex<BTreeSet<String>>,
}

/// Where an event was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset in it; -1 with `acks` `none`, where nobody tells.
    pub offset: i64,
    /// Whether the log may have the event twice: where a record ran out of time
    /// ([`TimedOut`](PublishErrorKind::TimedOut)) while this one was being sent again, its broker could not tell that it
    /// had it. Readers tell by the event's id.
    pub maybe_twice: bool,
}

impl Published {
    fn new(topic: Arc<str>, delivery: Delivery) -> Self {
        let Delivery { partition, offset, maybe_twice } = delivery;
        Self { topic, partition, offset, maybe_twice }
    }
}

impl Publisher {
    /// Publishes an event and waits for the broker's acknowledgement.
    ///
    /// # Errors
    /// See [`PublishErrorKind`]; [`PublishError::written`] says whether the event may be in the log all the same.
    ///
    /// # Cancellation
    /// See [`Publisher`]. The event and the context are read at the call, the place is asked for at the first poll.
    pub fn publish<E: ToRecord + ?Sized>(
        &self,
        event: &E,
    ) -> impl Future<Output = Result<Published, PublishError>> + Send {
        let record = self.record_of(event);
        async move { self.enqueue_record(record?).await?.await }
    }

    /// Gives an event its place in the buffer and comes back; the handle is a future of the broker's acknowledgement.
    ///
    /// ```no_run
    /// # use txova_kafka::publisher::{Publisher, PublishError};
    /// # use txova_kafka::OutgoingRecord;
    /// # async fn example(publisher: &Publisher, first: OutgoingRecord, second: OutgoingRecord) -> Result<(), PublishError> {
    /// let first = publisher.enqueue_record(first).await?;
    /// let second = publisher.enqueue_record(second).await?; // behind the first, whatever comes
    /// first.await?;
    /// second.await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What keeps the event from a place: [`InvalidEvent`](PublishErrorKind::InvalidEvent),
    /// [`TooLarge`](PublishErrorKind::TooLarge), [`BufferFull`](PublishErrorKind::BufferFull),
    /// [`CircuitOpen`](PublishErrorKind::CircuitOpen), [`Closed`](PublishErrorKind::Closed). It was certainly not
    /// written then.
    ///
    /// # Cancellation
    /// See [`Publisher`].
    pub fn enqueue<E: ToRecord + ?Sized>(
        &self,
        event: &E,
    ) -> impl Future<Output = Result<PublishHandle, PublishError>> + Send {
        let record = self.record_of(event);
        async move { self.enqueue_record(record?).await }
    }

    /// Gives an event its place in the buffer and comes back; `callback` gets the broker's answer, exactly once.
    ///
    /// It runs on the client's thread: what takes long there holds up every other answer.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue); `callback` is not called then.
    ///
    /// # Cancellation
    /// See [`Publisher`].
    pub fn publish_async<E: ToRecord + ?Sized>(
        &self,
        event: &E,
        callback: impl FnOnce(Result<Published, PublishError>) + Send + 'static,
    ) -> impl Future<Output = Result<(), PublishError>> + Send {
        let record = self.record_of(event);
        async move { self.shared.buffer.place(record?, Answer::Callback(Box::new(callback))).await }
    }

    /// Publishes events, in order, and answers for each, in the same order.
    ///
    /// All are looked at before one is sent: where one is invalid or too large none is, and the others answer
    /// [`NotSent`](PublishErrorKind::NotSent). Where one gets no place those behind it are not sent either, so that a
    /// key's events are not written with a gap that a second call would fill out of order.
    ///
    /// # Cancellation
    /// Those that have their place are sent, those behind are not.
    pub fn publish_batch<'e, E: ToRecord + ?Sized + 'e>(
        &self,
        events: impl IntoIterator<Item = &'e E>,
    ) -> impl Future<Output = Vec<Result<Published, PublishError>>> + Send {
        let records: Vec<_> = events.into_iter().map(|event| self.record_of(event)).collect();
        async move { self.send_batch(records).await }
    }

    /// Publishes a record as it is, for tools and for what is no event, and waits for the acknowledgement.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    ///
    /// # Cancellation
    /// See [`Publisher`].
    pub async fn publish_record(&self, record: OutgoingRecord) -> Result<Published, PublishError> {
        self.enqueue_record(record).await?.await
    }

    /// As [`enqueue`](Self::enqueue), for a record as it is.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    ///
    /// # Cancellation
    /// See [`Publisher`].
    pub async fn enqueue_record(&self, record: OutgoingRecord) -> Result<PublishHandle, PublishError> {
        let (answer, handle) = PublishHandle::new();
        self.shared.buffer.place(record, answer).await?;
        Ok(handle)
    }

    /// Names topics this service writes to. Its start ([`Initializer`](crate::lifecycle::Initializer)) fetches their places
    /// then, so that the first event of each waits for nothing; one that is not there ends the start with an error.
    ///
    /// ```
    /// use txova_events::{Event, RideCompleted};
    /// use txova_kafka::testing::Cluster;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let publisher = Cluster::new().kafka().publisher("ride-service")?;
    /// publisher.expect_topics([RideCompleted::TOPIC]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn expect_topics<T: Into<String>>(&self, topics: impl IntoIterator<Item = T>) {
        self.lock_expected_topics().extend(topics.into_iter().map(Into::into));
    }

    pub(crate) fn expected_topics(&self) -> Vec<String> {
        self.lock_expected_topics().iter().cloned().collect()
    }

    fn lock_expected_topics(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.shared.expected_topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects and fetches what the first event would wait for, some 400 ms: the topics' places and the producer's id.
    ///
    /// # Errors
    /// What the client says, a broker that is not there within `timeout` with its address.
    ///
    /// # Cancellation
    /// Leaves nothing behind.
    pub async fn warm_up<T: Into<String>>(
        &self,
        topics: impl IntoIterator<Item = T>,
        timeout: Duration,
    ) -> Result<(), ClientError> {
        let topics = topics.into_iter().map(Into::into).collect();
        match &self.shared.producer {
            Some(producer) => producer.warm_up(topics, timeout).await,
            None => Ok(()),
        }
    }

    /// How the publisher is, as far as it has seen: whether the brokers answer, whether the circuit is open, how full
    /// the buffer is, what went wrong last. Asks nobody.
    ///
    /// ```
    /// use txova_kafka::testing::Cluster;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let publisher = Cluster::new().kafka().publisher("ride-service")?;
    /// assert_eq!(publisher.health().is_reachable, None);
    /// let health = publisher.check_health(std::time::Duration::from_secs(2)).await;
    /// assert!(health.is_ready() && health.is_reachable == Some(true));
    /// # Ok(())
    /// # }
    /// ```
    pub fn health(&self) -> PublisherHealth {
        self.shared.buffer.health()
    }

    /// As [`health`](Self::health), after a question to a broker: for a publisher that may have been idle for long.
    ///
    /// # Cancellation
    /// Leaves nothing behind.
    pub async fn check_health(&self, timeout: Duration) -> PublisherHealth {
        if let Some(producer) = &self.shared.producer {
            let answered = producer.ask(timeout).await;
            self.shared.buffer.asked(answered.is_ok());
        }
        self.health()
    }

    /// What was published so far and what is under way.
    pub fn stats(&self) -> PublisherStats {
        self.shared.buffer.stats()
    }

    /// The name of the service that publishes: the `source` of its events.
    pub fn source(&self) -> &str {
        &self.shared.source
    }

    /// Takes no more events and waits until all that have their place are answered, at most until `deadline` has passed.
    ///
    /// From the call on every other, on any clone, gives [`Closed`](PublishErrorKind::Closed); so do those that wait
    /// for a place. What is unanswered at the deadline is still tried while a clone lives.
    ///
    /// # Cancellation
    /// The publisher stays closed; a second call waits for what is left.
    pub async fn close(&self, deadline: Duration) -> CloseReport {
        let buffer = &self.shared.buffer;
        let before = buffer.close();
        let answered = async {
            if let Some(producer) = &self.shared.producer
                && let Err(error) = producer.flush(deadline).await
            {
                tracing::debug!(%error, "flushing did not end by itself");
            }
            buffer.idle().await;
        };
        tokio::time::timeout(deadline, answered).await.ok();
        let report = CloseReport::between(&before, &buffer.stats());
        if report.is_clean() {
            tracing::info!(source = %self.shared.source, %report, "the publisher is closed");
        } else {
            tracing::warn!(source = %self.shared.source, %report, "the publisher is closed");
        }
        report
    }

    async fn send_batch(
        &self,
        records: Vec<Result<OutgoingRecord, PublishError>>,
    ) -> Vec<Result<Published, PublishError>> {
        let buffer = &self.shared.buffer;
        let checked: Vec<_> = records
            .into_iter()
            .map(|record| {
                record.and_then(|record| match buffer.check(&record) {
                    Ok(()) => Ok(record),
                    Err(error) => {
                        buffer.refuse(&error);
                        Err(error)
                    }
                })
            })
            .collect();
        let mut culprit = checked.iter().position(Result::is_err);
        let mut handles = Vec::with_capacity(checked.len());
        for (index, record) in checked.into_iter().enumerate() {
            let handle = match (record, culprit) {
                (Ok(record), None) => {
                    self.enqueue_record(record).await.inspect_err(|_| culprit = Some(index))
                }
                (Ok(record), Some(culprit)) => {
                    let error = not_sent(&record, culprit);
                    buffer.refuse(&error);
                    Err(error)
                }
                (Err(error), _) => Err(error),
            };
            handles.push(handle);
        }
        let mut answers = Vec::with_capacity(handles.len());
        for handle in handles {
            answers.push(match handle {
                Ok(handle) => handle.await,
                Err(error) => Err(error),
            });
        }
        answers
    }
}

fn not_sent(record: &OutgoingRecord, culprit: usize) -> PublishError {
    let message = format!("not sent: event {culprit} of the batch (from 0) could not be");
    PublishError::unwritten(PublishErrorKind::NotSent, Some(buffer::place_of(record)), message)
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("source", &self.shared.source)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let Some(producer) = self.producer.take() else { return };
        let in_flight = self.buffer.close().in_flight;
        if in_flight == 0 {
            return;
        }
        tracing::warn!(
            source = %self.source,
            in_flight,
            "a publisher was dropped before its events were acknowledged; close() waits for them"
        );
        let (buffer, patience) = (Arc::clone(&self.buffer), self.patience);
        let wait = move || {
            if !buffer.block_until_idle(patience) {
                let left = buffer.stats().in_flight;
                tracing::error!(left, "events of a dropped publisher were never acknowledged");
            }
            drop(producer);
        };
        if let Err(error) = std::thread::Builder::new().name("publisher-drop".to_owned()).spawn(wait) {
            tracing::error!(%error, in_flight, "nobody waits for the events of a dropped publisher");
        }
    }
}
