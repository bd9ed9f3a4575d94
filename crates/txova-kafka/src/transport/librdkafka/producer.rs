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

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use super::super::{Delivery, DeliveryCallback, Producer};
use super::config::{Settings, refused};
use super::deliveries::{Deliveries, Open};
use super::errors::Written;
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
        let client: Client = config.create_with_context(Answers::default()).map_err(refused)?;
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
        let pending = Box::new(Mutex::new(Pending { done, _open: self.deliveries.open() }));
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
            errors::delivery(&record.topic, record.partition.unwrap_or(-1), code, Written::No)
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
        let heard = client.context().last_error().map(|reason| format!("; {reason}")).unwrap_or_default();
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

/// A record that has no answer yet.
pub(super) struct Pending {
    done: DeliveryCallback,
    _open: Open,
}

/// Calls back with the answers.
#[derive(Debug, Default)]
pub(super) struct Answers {
    last_error: Mutex<Option<String>>,
}

impl Answers {
    fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Answers {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(target: "txova_kafka::client", %error, "{reason}");
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
    }
}

impl ProducerContext for Answers {
    type DeliveryOpaque = Box<Mutex<Pending>>;

    fn delivery(&self, result: &DeliveryResult<'_>, pending: Self::DeliveryOpaque) {
        let Pending { done, _open } = pending.into_inner().unwrap_or_else(PoisonError::into_inner);
        let answer = match result {
            Ok(message) => Ok(Delivery { partition: message.partition(), offset: message.offset() }),
            Err((error, message)) => {
                let code = errors::code_of(error).unwrap_or(RDKafkaErrorCode::Fail);
                let written = raw::written(message);
                Err(errors::delivery(message.topic(), message.partition(), code, written))
            }
        };
        // A panic here would end the thread, and with it every other answer.
        if catch_unwind(AssertUnwindSafe(|| done(answer))).is_err() {
            tracing::error!(target: "txova_kafka::client", "a delivery callback panicked");
        }
    }
}
