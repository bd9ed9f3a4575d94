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

use super::super::{Delivery, DeliveryCallback, NotTaken, Producer, Trouble, Undelivered, Written};
use super::config::{Settings, refused};
use super::deliveries::Deliveries;
use super::lone::Lone;
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
    deliveries: Arc<Deliveries<Handed>>,
    brokers: String,
    /// Only where records wait for others.
    lone: Option<Lone>,
}

impl fmt::Debug for LibrdkafkaProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LibrdkafkaProducer").field("brokers", &self.brokers).finish_non_exhaustive()
    }
}

impl LibrdkafkaProducer {
    pub(super) fn new(settings: &Settings) -> Result<Self, ClientError> {
        let config = settings.producer();
        let mut producer = Self::open(&config, settings)?;
        let linger =
            config.get("linger.ms").and_then(|linger| linger.parse().ok()).map(Duration::from_millis);
        let lone =
            linger.filter(|linger| !linger.is_zero()).map(|linger| Lone::start(&producer.client, linger));
        producer.lone = lone.transpose()?;
        Ok(producer)
    }

    /// One with properties of its own.
    pub(super) fn open(config: &ClientConfig, settings: &Settings) -> Result<Self, ClientError> {
        let is_idempotent = config.get("enable.idempotence") == Some("true");
        let is_encrypted = config.get("security.protocol").is_some_and(|protocol| protocol.contains("ssl"));
        let deliveries = Arc::new(Deliveries::default());
        let answers = Answers {
            is_idempotent,
            is_encrypted,
            deliveries: Arc::clone(&deliveries),
            sent_again: SentAgain::default(),
            last_trouble: Mutex::default(),
        };
        let client: Client = config.create_with_context(answers).map_err(refused)?;
        let (client, dropped) = (Arc::new(client), Arc::new(AtomicBool::new(false)));
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
        Ok(Self { client, dropped, deliveries, brokers: settings.bootstrap.clone(), lone: None })
    }
}

impl LibrdkafkaProducer {
    fn not_taken(&self, error: &KafkaError, record: &OutgoingRecord) -> ClientError {
        let code = errors::code_of(error).unwrap_or(RDKafkaErrorCode::Fail);
        if code == RDKafkaErrorCode::Fatal
            && let Some((code, reason)) = self.client.client().fatal_error()
        {
            let message = format!("{}: the producer has failed for good: {reason}", record.topic);
            return ClientError::new(errors::kind_of(code), message);
        }
        errors::delivery(&record.topic, record.partition.unwrap_or(-1), code, Written::No).error
    }

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
    fn send(&self, record: &OutgoingRecord, done: DeliveryCallback) -> Result<(), NotTaken> {
        if let Err(error) = check(record) {
            return Err(NotTaken { error, done });
        }
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: value.as_deref() });
        }
        let (number, is_lone) = self.deliveries.open(Handed { done, since: Instant::now() });
        let mut native = BaseRecord::with_opaque_to(&record.topic, number).headers(headers);
        native.partition = record.partition;
        native.key = record.key.as_deref();
        native.payload = record.value.as_deref();
        native.timestamp = record.timestamp_ms;
        let sent = self.client.send(native).map_err(|(error, _)| {
            let error = self.not_taken(&error, record);
            let (handed, _) =
                self.deliveries.close(number).expect("invariant: what was not taken has no answer");
            NotTaken { error, done: handed.done }
        });
        if let Some(lone) = self.lone.as_ref().filter(|_| is_lone) {
            lone.send_now();
        }
        sent
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
    let asking = Asking { client, brokers, began: Instant::now(), timeout };
    let metadata =
        |topic: Option<&str>| asking.patiently(topic, |slice| client.client().fetch_metadata(topic, slice));
    let mut leaders = Vec::new();
    for topic in topics {
        for found in metadata(Some(topic))?.topics() {
            metadata_calls::check(found)?;
            for partition in found.partitions() {
                if !leaders.contains(&partition.leader()) {
                    leaders.push(partition.leader());
                    asking.patiently(Some(topic), |slice| {
                        client.client().fetch_watermarks(topic, partition.id(), slice)
                    })?;
                }
            }
        }
    }
    // librdkafka asks for the producer id every half second, or when metadata comes in while a broker is connected:
    // the first of these starts it, and the second comes back behind its answer.
    for _ in 0..2 {
        metadata(topics.first().map(String::as_str))?;
    }
    Ok(())
}

/// Questions with one time limit.
struct Asking<'a> {
    client: &'a Client,
    brokers: &'a str,
    began: Instant,
    timeout: Duration,
}

/// How often is looked whether waiting is in vain.
const SLICE: Duration = Duration::from_millis(500);

impl Asking<'_> {
    /// Asks until there is an answer, the time is over, or the brokers do not let us in: that does not change by itself,
    /// and librdkafka would go on trying in silence.
    fn patiently<T>(
        &self,
        topic: Option<&str>,
        question: impl Fn(Duration) -> Result<T, KafkaError>,
    ) -> Result<T, ClientError> {
        loop {
            let left = self.timeout.saturating_sub(self.began.elapsed());
            let error = match question(left.min(SLICE)) {
                Ok(answer) => return Ok(answer),
                Err(error) => errors::at(topic.unwrap_or(self.brokers), &error),
            };
            let trouble =
                self.client.context().last_trouble().filter(|trouble| trouble.at.into_std() >= self.began);
            let is_waiting = matches!(error.kind, ClientErrorKind::Unreachable | ClientErrorKind::TimedOut);
            let is_shut_out = trouble.as_ref().is_some_and(Trouble::is_shut_out);
            if is_waiting && !is_shut_out && self.began.elapsed() < self.timeout {
                continue;
            }
            let kind = trouble.as_ref().filter(|_| is_shut_out).map_or(error.kind, |trouble| trouble.kind);
            let heard = trouble.map(|trouble| format!("; {}", trouble.message)).unwrap_or_default();
            return Err(ClientError::new(
                kind,
                format!("{} (brokers {}{heard})", error.message, self.brokers),
            ));
        }
    }
}

/// The record as it was handed over, but for the partition it was bound for.
fn copy(message: &BorrowedMessage<'_>) -> OutgoingRecord {
    OutgoingRecord {
        topic: message.topic().into(),
        partition: None,
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map(Bytes::copy_from_slice),
        headers: raw::headers(message)
            .map(|(name, value)| (name.into_owned().into(), value.map(Bytes::copy_from_slice)))
            .collect(),
        timestamp_ms: message.timestamp().to_millis(),
    }
}

/// What is kept of a record that has no answer yet: the client is given its number.
struct Handed {
    done: DeliveryCallback,
    since: Instant,
}

/// Calls back with the answers.
#[derive(Debug)]
pub(super) struct Answers {
    is_idempotent: bool,
    is_encrypted: bool,
    deliveries: Arc<Deliveries<Handed>>,
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
        let mut undelivered = errors::delivery(topic, partition, code, written);
        let is_timeout = matches!(
            undelivered.error.kind,
            ClientErrorKind::TimedOutNotWritten | ClientErrorKind::TimedOutMaybeWritten
        );
        // "Timed out" alone sends nobody to the wrong password.
        if let Some(trouble) =
            self.last_trouble().filter(|trouble| is_timeout && trouble.at.into_std() >= since)
        {
            undelivered.error.message += &format!("; {}", trouble.message);
        }
        let is_refused = written == Written::No && errors::is_refusal(undelivered.error.kind);
        let key = message.key().map(Bytes::copy_from_slice);
        let maybe_twice =
            written == Written::Maybe && self.sent_again.is_renewed_since(since, topic, partition);
        let record = is_refused.then(|| Box::new(copy(message)));
        Undelivered { key, record, maybe_twice, ..undelivered }
    }

    fn set_trouble(&self, code: RDKafkaErrorCode, said: ClientError) {
        let mut last = self.last_trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let at = tokio::time::Instant::now();
        // "All brokers are down" names none and no reason; what was said of the last of them does.
        let before = last.take().filter(|_| code == RDKafkaErrorCode::AllBrokersDown);
        *last = Some(Trouble {
            at,
            kind: before.as_ref().map_or(said.kind, |before| before.kind),
            is_everywhere: before.is_some() || code == RDKafkaErrorCode::AllBrokersDown,
            message: before.map_or(said.message, |before| before.message),
        });
    }

    fn last_trouble(&self) -> Option<Trouble> {
        self.last_trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Answers {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.sent_again.hear(facility, message);
        if facility == "FAIL" {
            self.set_trouble(
                RDKafkaErrorCode::BrokerTransportFailure,
                errors::failed(message, self.is_encrypted),
            );
        }
        context::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(target: "txova_kafka::client", %error, "{reason}");
        if let Some(code) = errors::code_of(&error) {
            self.set_trouble(code, errors::event(code, reason));
        }
    }
}

impl ProducerContext for Answers {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let Some((Handed { done, since }, _ending)) = self.deliveries.close(number) else {
            tracing::error!(target: "txova_kafka::client", number, "an answer for a record that has none to come");
            return;
        };
        let answer = match result {
            Ok(message) => {
                let (partition, offset) = (message.partition(), message.offset());
                let maybe_twice = self.sent_again.is_renewed_since(since, message.topic(), partition);
                Ok(Delivery { partition, offset, maybe_twice })
            }
            Err((error, message)) => Err(self.undelivered(error, message, since)),
        };
        // A panic here would end the thread, and with it every other answer.
        if catch_unwind(AssertUnwindSafe(|| done(answer))).is_err() {
            tracing::error!(target: "txova_kafka::client", "a delivery callback panicked");
        }
    }
}
