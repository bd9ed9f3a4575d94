//! From a dead letter back to the attempt it is about. It must never know resolutions or handlers.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use txova_events::dlq::{Cut, redrive};
use txova_events::{DeadLetter, EnvelopeRef, Time, topics};

use crate::attempt::Attempt;
use crate::dead_letter::{EntryPlace, sha256};
use crate::record::{Record, TopicPartition};

use super::Transform;

/// A record without all of these would be another record.
const RECORD_FIELDS: [&str; 2] = ["original_key", "original_headers"];

/// A letter that was picked, with its place.
pub(super) struct Picked {
    pub place: EntryPlace,
    pub letter: DeadLetter,
}

impl Picked {
    /// The number of the attempt that a replay is.
    pub(super) fn number(&self) -> u32 {
        u32::try_from(self.letter.attempt_count.max(0)).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// What the letter had no room for, where it does not hold the whole record.
    pub(super) fn missing(&self) -> Option<&Cut> {
        let letter = &self.letter;
        let is_another = |cut: &&Cut| cut.fields.iter().any(|field| RECORD_FIELDS.contains(&field.as_str()));
        letter.cut.as_ref().filter(|cut| letter.lacks_body() || is_another(cut))
    }

    /// The record as it was; why not, where the letter is about none.
    pub(super) fn record(&self) -> Result<Record, String> {
        let letter = &self.letter;
        let body = letter.body();
        if body.is_none() && letter.consumer_group.is_none() {
            return Err("the letter holds no record: its envelope is null and it has no raw body".to_owned());
        }
        // Go services do not keep the key; the platform's rule tells it.
        let key = match (&letter.original_key, &letter.envelope) {
            (Some(key), _) => Some(key.clone()),
            (None, Some(envelope)) if letter.consumer_group.is_none() => {
                envelope.key().map(String::into_bytes)
            }
            (None, _) => None,
        };
        let headers = letter.original_headers.iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_deref()));
        Ok(Record {
            offset: letter.original_offset,
            timestamp_ms: letter.original_timestamp.map(Time::unix_ms),
            key: key.map(Bytes::from),
            value: body.map(Bytes::from),
            headers: headers.collect(),
        })
    }

    /// The topic of the record.
    pub(super) fn topic(&self) -> &str {
        match self.letter.original_topic.as_str() {
            "" => self.place.topic.strip_suffix(topics::DLQ_SUFFIX).unwrap_or(&self.place.topic),
            topic => topic,
        }
    }

    /// The record with its payload changed, and headers that say so.
    pub(super) fn changed(&self, record: Record, transform: Option<&Transform>) -> Result<Record, String> {
        let Some(transform) = transform else { return Ok(record) };
        let value = record.value.as_deref().unwrap_or_default();
        let mut envelope = EnvelopeRef::decode(value).map_err(|error| {
            format!("it is no event, and only an event's payload can be changed: {error}")
        })?;
        let payload = transform(&self.letter, envelope.payload.as_deref().unwrap_or(b"null"))?;
        serde_json::from_slice::<serde::de::IgnoredAny>(&payload)
            .map_err(|error| format!("the changed payload is no JSON: {error}"))?;
        if envelope.payload.as_deref() == Some(&*payload) {
            return Ok(record);
        }
        envelope.payload = Some(payload.into());
        let changed = envelope.encode();
        let hashes = [(redrive::ORIGINAL_SHA256, sha256(value)), (redrive::CHANGED_SHA256, sha256(&changed))];
        let kept = record.headers.iter().filter(|(name, _)| hashes.iter().all(|(hash, _)| hash != name));
        let added = hashes.iter().map(|(name, hash)| (*name, Some(hash.as_bytes())));
        let headers: Vec<_> = kept.chain(added).collect();
        let (offset, at, key) = (record.offset, record.timestamp_ms, record.key.as_deref());
        Ok(Record::copy_from(offset, at, key, Some(&changed), headers))
    }

    /// A record on its way to `group`'s handlers.
    pub(super) fn attempt(&self, record: Record, group: Arc<str>, deadline: Instant) -> Attempt {
        let letter = &self.letter;
        Attempt {
            partition: TopicPartition::new(self.topic(), letter.original_partition),
            record,
            group,
            number: self.number(),
            first_failure: (!letter.first_failure.is_zero()).then(|| letter.first_failure.datetime()),
            received_ms: None,
            deadline,
            cancelled: CancellationToken::new(),
            outgoing: None,
            held: None,
        }
    }
}
