//! Keeps a record that the cluster refused for good on its topic's dead-letter topic, with the reason. It must never
//! keep one that may be in the log, or that a later try could write.

use std::sync::{Arc, Weak};

use txova_events::topics::DLQ_SUFFIX;
use txova_events::{DeadLetter, RawEnvelope, Time};

use crate::client_error::{ClientError, ClientErrorKind};
use crate::dead_letter::{LIBRARY_VERSION, SMALLEST_BYTES, record_within};
use crate::transport::{Delivery, Producer, Undelivered, Written};

/// What a letter of a publisher is written with.
#[derive(Clone, Debug)]
pub(super) struct Letters {
    pub service: Arc<str>,
    pub budget_bytes: usize,
}

/// Where a letter was written, or why not.
type Told = Box<dyn FnOnce(Result<(Arc<str>, Delivery), ClientError>) + Send>;

impl Letters {
    /// The letter for a record that the cluster will never take: too large, invalid, or for a topic that is not there.
    /// Whoever is not allowed to write is told, and no more: permissions change, and the caller still has the event.
    pub(super) fn letter(&self, undelivered: &mut Undelivered) -> Option<DeadLetter> {
        use ClientErrorKind::{InvalidRecord, TooLarge, UnknownTopic};
        let error = &undelivered.error;
        if !matches!(error.kind, InvalidRecord | TooLarge | UnknownTopic)
            || undelivered.written != Written::No
        {
            return None;
        }
        let record = undelivered.record.take().filter(|record| !record.topic.ends_with(DLQ_SUFFIX))?;
        let now = Time::now();
        // It has no place in its topic, and -1 is how Kafka says so.
        let mut letter = DeadLetter::new(&record.topic, -1, -1, &*error.message, now);
        let envelope = record.value.as_deref().and_then(|value| RawEnvelope::decode(value).ok());
        let is_kept = |value: &&[u8]| envelope.as_ref().is_some_and(|envelope| envelope.encode() == *value);
        letter.raw_body = record.value.as_deref().filter(|value| !is_kept(value)).map(<[u8]>::to_vec);
        letter.envelope = envelope;
        letter.attempt_count = 1;
        letter.original_key = record.key.as_deref().map(<[u8]>::to_vec);
        letter.original_timestamp = record.timestamp_ms.and_then(Time::from_unix_ms);
        let headers = record.headers.into_iter();
        letter.original_headers =
            headers.map(|(name, value)| (name.into_owned(), value.map(|value| value.to_vec()))).collect();
        letter.error_class = Some("refused".to_owned());
        letter.service = Some(self.service.to_string());
        letter.library_version = Some(LIBRARY_VERSION.to_owned());
        Some(letter)
    }

    /// Sends the letter; cut in half as often as its topic finds it too large.
    pub(super) fn send(&self, producer: Weak<dyn Producer>, letter: DeadLetter, told: Told) {
        send(producer, letter, self.budget_bytes, told);
    }
}

fn send(producer: Weak<dyn Producer>, letter: DeadLetter, budget_bytes: usize, told: Told) {
    let Some(client) = producer.upgrade() else {
        return told(Err(ClientError::new(ClientErrorKind::Closed, "the publisher is gone")));
    };
    let record = record_within(&letter, budget_bytes);
    let (topic, size_bytes) = (record.topic.clone(), record.size_bytes());
    let sent = client.send(
        &record,
        Box::new(move |result| match result {
            Ok(delivery) => told(Ok((topic, delivery))),
            Err(Undelivered { error, .. })
                if error.kind == ClientErrorKind::TooLarge && size_bytes > SMALLEST_BYTES =>
            {
                send(producer, letter, size_bytes / 2, told);
            }
            Err(Undelivered { error, .. }) => told(Err(error)),
        }),
    );
    if let Err(not_taken) = sent {
        not_taken.tell(&record);
    }
}
