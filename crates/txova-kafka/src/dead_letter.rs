//! Writes down what could not be handled: the record as it came, where it came from, and why. It must never decide
//! whether a record is given up; the engine does, and counts it settled only once the broker has the letter.

pub(crate) mod audit;
mod cut;
pub(crate) mod desk;
mod entry;
mod instance;
pub(crate) mod list;
pub(crate) mod resolutions;
mod select;
#[cfg(test)]
mod tests;
mod topics;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tracing::warn;
use txova_events::values::Time;
use txova_events::{DeadLetter, RawEnvelope, dlq::redrive};

use crate::client_error::{ClientError, ClientErrorKind};
use crate::driver::{DeadLetters, Letter, Letters};
use crate::engine::DeadLetterOrder;
use crate::kafka::Kafka;
use crate::record::{Headers, OutgoingRecord, Record};
use crate::trace::{self, Sending};
use crate::transport::Producer;

pub use self::audit::AuditRecord;
pub(crate) use self::cut::sha256;
pub(crate) use self::cut::{SMALLEST_BYTES, record_within};
pub use self::entry::{DeadLetterEntry, EntryPlace, EntryPlaceError, Resolution, ResolutionState};
pub(crate) use self::entry::{first_offset, offset_at, origin_of};
pub use self::resolutions::Claim;
pub(crate) use self::resolutions::decisions_end;
pub use self::select::Selection;

pub(crate) const LIBRARY_VERSION: &str = concat!("txova-kafka ", env!("CARGO_PKG_VERSION"));

/// Writes the dead letters of one group.
pub(crate) struct DeadLetterWriter {
    producer: Arc<dyn Producer>,
    service: Arc<str>,
    group: Arc<str>,
    /// The largest record.
    budget_bytes: usize,
}

/// A batch of one record has this much around key, value and headers, by the broker's count.
pub(crate) const BATCH_OVERHEAD_BYTES: usize = 512;

impl DeadLetterWriter {
    pub(crate) fn connect(kafka: &Kafka, service: Arc<str>, group: Arc<str>) -> Result<Self, ClientError> {
        let budget_bytes = kafka.config.publisher.max_message_bytes.saturating_sub(BATCH_OVERHEAD_BYTES);
        Ok(Self { producer: kafka.transport.producer()?, service, group, budget_bytes })
    }

    /// The client it writes with.
    pub(crate) fn producer(&self) -> Arc<dyn Producer> {
        self.producer.clone()
    }

    fn letter(&self, order: DeadLetterOrder<Record>) -> DeadLetter {
        let DeadLetterOrder {
            partition, record, failure, attempts, first_failure_ms, last_failure_ms, ..
        } = order;
        let envelope = record.value.as_deref().and_then(|value| RawEnvelope::decode(value).ok());
        let mut letter = DeadLetter::new(
            &partition.topic,
            partition.partition,
            record.offset,
            failure.message,
            time_of(last_failure_ms),
        );
        letter.attempt_count = i64::from(attempts);
        letter.first_failure = time_of(first_failure_ms);
        letter.original_key = record.key.as_deref().map(<[u8]>::to_vec);
        // An envelope with blanks, or in another order, is written otherwise than it came.
        let is_kept = |value: &&[u8]| envelope.as_ref().is_some_and(|envelope| envelope.encode() == *value);
        letter.raw_body = record.value.as_deref().filter(|value| !is_kept(value)).map(<[u8]>::to_vec);
        letter.envelope = envelope;
        letter.error_class = Some(failure.class.to_string());
        letter.error_chain = failure.chain;
        letter.backtrace = failure.backtrace.map(String::from);
        letter.handler = Some(failure.handler.to_string());
        letter.consumer_group = Some(self.group.to_string());
        letter.original_timestamp = record.timestamp_ms.and_then(Time::from_unix_ms);
        letter.original_headers =
            record.headers.iter().map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec))).collect();
        letter.service = Some(self.service.to_string());
        letter.instance = Some(instance::name().to_owned());
        letter.library_version = Some(LIBRARY_VERSION.to_owned());
        letter.redrive_count = redrives(&record.headers);
        letter.note_fingerprint();
        letter
    }
}

impl Letters for DeadLetterWriter {
    fn letter(&self, order: DeadLetterOrder<Record>) -> Box<dyn Letter> {
        let sending = trace::dead_lettering(&order.partition, &order.record, &self.group);
        let letter = self.letter(order);
        let record = Kept::record_within(&letter, &sending, self.budget_bytes);
        Box::new(Kept { letter, sending, record })
    }
}

/// A letter that waits for a transaction.
struct Kept {
    letter: DeadLetter,
    /// Its span ends with it.
    sending: Sending,
    record: Arc<OutgoingRecord>,
}

impl Kept {
    fn record_within(letter: &DeadLetter, sending: &Sending, budget_bytes: usize) -> Arc<OutgoingRecord> {
        let mut record = record_within(letter, budget_bytes);
        sending.mark(&mut record);
        Arc::new(record)
    }
}

impl Letter for Kept {
    fn record(&self) -> Arc<OutgoingRecord> {
        self.record.clone()
    }

    fn shrink(&mut self) {
        let size_bytes = self.record.size_bytes();
        if size_bytes > SMALLEST_BYTES {
            self.record = Self::record_within(&self.letter, &self.sending, size_bytes / 2);
        }
    }
}

impl DeadLetters for DeadLetterWriter {
    fn write(&self, order: DeadLetterOrder<Record>) -> BoxFuture<'static, Result<(), ClientError>> {
        let sending = trace::dead_lettering(&order.partition, &order.record, &self.group);
        let letter = self.letter(order);
        let producer = self.producer.clone();
        let mut record = record_within(&letter, self.budget_bytes);
        sending.mark(&mut record);
        let mut size_bytes = record.size_bytes();
        let mut answer = acknowledged(producer.as_ref(), record);
        async move {
            loop {
                match answer.await {
                    // A topic's own limit is not known here.
                    Err(error) if error.kind == ClientErrorKind::TooLarge && size_bytes > SMALLEST_BYTES => {
                        let mut record = record_within(&letter, size_bytes / 2);
                        sending.mark(&mut record);
                        warn!(topic = %record.topic, size_bytes, cut_bytes = record.size_bytes(), %error,
                            "a dead letter is too large for its topic, and is cut");
                        size_bytes /= 2;
                        answer = acknowledged(producer.as_ref(), record);
                    }
                    answer => {
                        sending.answered(answer.is_ok());
                        return answer;
                    }
                }
            }
        }
        .boxed()
    }
}

/// How often a record was sent back to its topic.
pub(crate) fn redrives(headers: &Headers) -> u32 {
    headers.text(redrive::COUNT).and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// A letter as the record it is written as.
pub(crate) fn outgoing(letter: &DeadLetter) -> OutgoingRecord {
    let record = letter.to_record();
    let headers = record.headers.into_iter();
    OutgoingRecord {
        topic: record.topic.into(),
        key: Some(record.key.into()),
        value: Some(record.value.into()),
        headers: headers.map(|(name, value)| (name.into(), Some(Bytes::from(value)))).collect(),
        ..OutgoingRecord::default()
    }
}

/// Sends a record and waits for the broker's answer.
pub(crate) fn acknowledged(
    producer: &dyn Producer,
    record: OutgoingRecord,
) -> BoxFuture<'static, Result<(), ClientError>> {
    let (reply, answer) = oneshot::channel();
    let sent = producer.send(
        &record,
        Box::new(move |result| {
            let _ = reply.send(result.map_err(|undelivered| undelivered.error));
        }),
    );
    async move {
        sent.map_err(|not_taken| not_taken.error)?;
        let ended = || ClientError::new(ClientErrorKind::Closed, "the producer ended before it answered");
        answer.await.unwrap_or_else(|_| Err(ended())).map(|_| ())
    }
    .boxed()
}

fn time_of(unix_ms: i64) -> Time {
    Time::from_unix_ms(unix_ms).unwrap_or_else(Time::now) // no clock of this engine tells a year beyond 9999
}
