//! The producer: hands records over without waiting, and calls back with the broker's answer from its own thread.
//!
//! Dropping it loses nothing that was handed over: its thread goes on until every record is answered, which
//! `delivery.timeout.ms` bounds, and only then drops the client (which would purge what is left). A process that ends
//! before that ends the thread too: flush first.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use super::super::{Delivery, DeliveryCallback, Producer, Trouble, Undelivered, Written};
use super::config::{Settings, refused};
use super::deliveries::{Deliveries, Open};
use super::sent_again::SentAgain;
use super::{context, errors, metadata_calls, own_thread, raw};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::{OutgoingRecord, TopicPartition};

/// How long the thread waits for the next answer: the longest a dropped producer's thread lingers, too.
const POLL: Duration = Duration::from_millis(100);
/// How long a dropped producer's records are waited for; librdkafka answers each within `delivery.timeout.ms`, five
/// minutes by default.
const LINGER: Duration = Duration::from_secs(330);

pub(super) type Client = BaseProducer<Answers>;

/// See the module.
pub(super) struct LibrdkafkaProducer {
    client: Arc<Client>,
    dropped: Arc<AtomicBool>,
    deliveries: Arc<Deliveries>,
    brokers: String,
}

impl fmt::Debug for LibrdkafkaProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LibrdkafkaProducer").field("brokers", &self.brokers).finish_non_exhaustive()
    }
}

impl LibrdkafkaProducer {
    pub(super) fn new(settings: &Settings) -> Result<Self, ClientError> {
        Self::open(&settings.producer(), settings)
    }

    /// One with properties of its own.
    pub(super) fn open(config: &ClientConfig, settings: &Settings) -> Result<Self, ClientError> {
        let is_idempotent = config.get("enable.idempotence") == Some("true");
        let answers = Answers { is_idempotent, ..Answers::default() };
        let client: Client = config.create_with_context(answers).map_err(refused)?;
        let (client, dropped) = (Arc::new(client), Arc::new(AtomicBool::new(false)));
        let deliveries = Arc::new(Deliveries::default());
        let (polled, ended, open) = (Arc::clone(&client), Arc::clone(&dropped), Arc::clone(&deliveries));
        own_thread::start("txova-kafka-produce", move || {
            while !ended.load(Ordering::SeqCst) {
                polled.poll(POLL);
            }
            let deadline = Instant::now() + LINGER;
            while open.count() > 0 && Instant::now() < deadline {
                polled.poll(POLL);
            }
        })?;
        Ok(Self { client, dropped, deliveries, brokers: settings.bootstrap.clone() })
    }
}

impl LibrdkafkaProducer {
    /// The client underneath.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }
}

impl Drop for LibrdkafkaProducer {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::SeqCst);
    }
}

impl Producer for LibrdkafkaProducer {
    fn send(&self, record: OutgoingRecord, done: DeliveryCallback) -> Result<(), ClientError> {
        check(&record)?;
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: value.as_deref() });
        }
        let since = Instant::now();
        let pending = Box::new(Mutex::new(Pending { done, since, _open: self.deliveries.open() }));
        let mut native = BaseRecord::with_opaque_to(&record.topic, pending).headers(headers);
        native.partition = record.partition;
        native.key = record.key.as_deref();
        native.payload = record.value.as_deref();
        native.timestamp = record.timestamp_ms;
        self.client.send(native).map_err(|(error, _)| {
            let code = errors::code_of(&error).unwrap_or(RDKafkaErrorCode::Fail);
            if code == RDKafkaErrorCode::Fatal
                && let Some((code, reason)) = self.client.client().fatal_error()
            {
                let message = format!("{}: the producer has failed for good: {reason}", record.topic);
                return ClientError::new(errors::kind_of(code), message);
            }
            errors::delivery(&record.topic, record.partition.unwrap_or(-1), code, Written::No).error
        })
    }

    fn flush(&self, timeout: Duration) -> BoxFuture<'static, Result<(), ClientError>> {
        let (answered, deliveries) = (self.deliveries.answered(), Arc::clone(&self.deliveries));
        async move {
            tokio::time::timeout(timeout, answered).await.map_err(|_| {
                let message = format!("{} records have no answer after {timeout:?}", deliveries.count());
                ClientError::new(ClientErrorKind::TimedOut, message)
            })
        }
        .boxed()
    }

    fn log_ends(
        &self,
        partitions: Vec<TopicPartition>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Vec<i64>, ClientError>> {
        let (client, deadline) = (Arc::clone(&self.client), Instant::now() + timeout);
        own_thread::call("txova-kafka-log-ends", move || {
            let end = |partition: &TopicPartition| {
                let left = deadline.saturating_duration_since(Instant::now());
                let ends = client.client().fetch_watermarks(&partition.topic, partition.partition, left);
                ends.map(|(_, end)| end).map_err(|error| errors::at(partition, &error))
            };
            partitions.iter().map(end).collect()
        })
        .boxed()
    }

    fn warm_up(&self, topics: Vec<String>, timeout: Duration) -> BoxFuture<'static, Result<(), ClientError>> {
        let (client, brokers) = (Arc::clone(&self.client), self.brokers.clone());
        own_thread::call("txova-kafka-warm-up", move || warm_up(&client, &brokers, &topics, timeout)).boxed()
    }

    fn last_trouble(&self) -> Option<Trouble> {
        self.client.context().last_trouble()
    }
}

/// What librdkafka would change or misread without a word.
fn check(record: &OutgoingRecord) -> Result<(), ClientError> {
    let invalid = |what: String| {
        let message = format!("{}: {what}; it was not written", record.topic);
        Err(ClientError::new(ClientErrorKind::InvalidRecord, message))
    };
    if let Some(timestamp) = record.timestamp_ms.filter(|timestamp| *timestamp <= 0) {
        return invalid(format!("a timestamp of {timestamp} ms: expected one after 1970-01-01T00:00:00Z"));
    }
    if let Some(partition) = record.partition.filter(|partition| *partition < 0) {
        return invalid(format!("partition {partition}: expected 0 or more"));
    }
    if record.topic.is_empty() || record.topic.contains('\0') {
        return invalid("the topic's name is empty or holds a zero byte".to_owned());
    }
    if let Some((name, _)) = record.headers.iter().find(|(name, _)| name.contains('\0')) {
        return invalid(format!("the header {name:?} holds a zero byte"));
    }
    Ok(())
}

/// Metadata of each topic, then a question to each of its leaders, which connects to them, then the producer id.
fn warm_up(client: &Client, brokers: &str, topics: &[String], timeout: Duration) -> Result<(), ClientError> {
    let deadline = Instant::now() + timeout;
    let left = || deadline.saturating_duration_since(Instant::now());
    let at = |place: &str, error: &KafkaError| {
        let error = errors::at(place, error);
        let heard = client
            .context()
            .last_trouble()
            .map(|trouble| format!("; {}", trouble.message))
            .unwrap_or_default();
        ClientError::new(error.kind, format!("{} (brokers {brokers}{heard})", error.message))
    };
    let mut leaders = Vec::new();
    for topic in topics {
        let metadata =
            client.client().fetch_metadata(Some(topic), left()).map_err(|error| at(topic, &error))?;
        for found in metadata.topics() {
            metadata_calls::check(found)?;
            for partition in found.partitions() {
                if !leaders.contains(&partition.leader()) {
                    leaders.push(partition.leader());
                    client
                        .client()
                        .fetch_watermarks(topic, partition.id(), left())
                        .map_err(|error| at(topic, &error))?;
                }
            }
        }
    }
    // librdkafka asks for the producer id every half second, or when metadata comes in while a broker is connected:
    // the first of these starts it, and the second comes back behind its answer.
    for _ in 0..2 {
        let topic = topics.first().map(String::as_str);
        client
            .client()
            .fetch_metadata(topic, left())
            .map_err(|error| at(topic.unwrap_or(brokers), &error))?;
    }
    Ok(())
}

/// The record as it was handed over, but for the partition it was bound for.
fn copy(message: &BorrowedMessage<'_>) -> OutgoingRecord {
    let headers = raw::headers(message).into_iter();
    OutgoingRecord {
        topic: message.topic().into(),
        partition: None,
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map(Bytes::copy_from_slice),
        headers: headers
            .map(|(name, value)| (name.into_owned(), value.map(Bytes::copy_from_slice)))
            .collect(),
        timestamp_ms: message.timestamp().to_millis(),
    }
}

/// A record that has no answer yet.
pub(super) struct Pending {
    done: DeliveryCallback,
    since: Instant,
    _open: Open,
}

/// Calls back with the answers.
#[derive(Debug, Default)]
pub(super) struct Answers {
    is_idempotent: bool,
    sent_again: SentAgain,
    last_trouble: Mutex<Option<Trouble>>,
}

impl Answers {
    fn undelivered(&self, error: &KafkaError, message: &BorrowedMessage<'_>, since: Instant) -> Undelivered {
        let code = errors::code_of(error).unwrap_or(RDKafkaErrorCode::Fail);
        let (topic, partition) = (message.topic(), message.partition());
        // See `sent_again.rs`; a producer that is not idempotent does not say.
        let was_sent = || !self.is_idempotent || self.sent_again.is_since(since, topic, partition);
        let written = match raw::written(message) {
            Written::No if !errors::is_refusal(errors::kind_of(code)) && was_sent() => Written::Maybe,
            written => written,
        };
        let undelivered = errors::delivery(topic, partition, code, written);
        let is_refused = written == Written::No && errors::is_refusal(undelivered.error.kind);
        Undelivered { record: is_refused.then(|| Box::new(copy(message))), ..undelivered }
    }

    fn last_trouble(&self) -> Option<Trouble> {
        self.last_trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Answers {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.sent_again.hear(facility, message);
        context::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(target: "txova_kafka::client", %error, "{reason}");
        let kind = errors::code_of(&error).map(errors::kind_of);
        let is_down = errors::code_of(&error) == Some(RDKafkaErrorCode::AllBrokersDown);
        let is_shut_out = matches!(kind, Some(ClientErrorKind::Authentication | ClientErrorKind::Tls));
        let mut last = self.last_trouble.lock().unwrap_or_else(PoisonError::into_inner);
        // "All brokers are down" names none; what was said of the last of them does.
        let before = last.take().map(|trouble| trouble.message).filter(|_| is_down);
        *last = Some(Trouble {
            at: tokio::time::Instant::now(),
            message: before.unwrap_or_else(|| reason.to_owned()),
            is_everywhere: is_down || is_shut_out,
        });
    }
}

impl ProducerContext for Answers {
    type DeliveryOpaque = Box<Mutex<Pending>>;

    fn delivery(&self, result: &DeliveryResult<'_>, pending: Self::DeliveryOpaque) {
        let Pending { done, since, _open } = pending.into_inner().unwrap_or_else(PoisonError::into_inner);
        let answer = match result {
            Ok(message) => Ok(Delivery { partition: message.partition(), offset: message.offset() }),
            Err((error, message)) => Err(self.undelivered(error, message, since)),
        };
        // A panic here would end the thread, and with it every other answer.
        if catch_unwind(AssertUnwindSafe(|| done(answer))).is_err() {
            tracing::error!(target: "txova_kafka::client", "a delivery callback panicked");
        }
    }
}
