//! What is known of an event beside its payload: what the envelope says, and where and how it was read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use txova_events::{Actor, Time};

use super::{FromEvent, Incoming};
use crate::outcome::HandlerError;

/// What the envelope and the record say of an event beside its payload.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Meta {
    /// The event's id: the same at every delivery, so fit to tell a repeated one.
    pub event_id: String,
    /// `domain.action`.
    pub event_type: String,
    /// The version its producer wrote, `major.minor`.
    pub version: String,
    /// The service that produced it.
    pub source: String,
    /// When the event was made; [`Time::ZERO`] where its producer left it out.
    pub timestamp: Time,
    /// The id shared by everything that one cause set off.
    pub correlation_id: String,
    /// The event that caused this one.
    pub causation_id: Option<String>,
    /// Who caused it.
    pub actor: Option<Actor>,
    /// The topic it was read from.
    pub topic: Arc<str>,
    /// The partition of the topic.
    pub partition: i32,
    /// The offset in the partition.
    pub offset: i64,
    /// The record's key; `None` is a null key.
    pub key: Option<Bytes>,
    /// When the record was written, as the producer or the broker stamped it.
    pub record_timestamp: Option<Time>,
    /// The consumer group that handles it here.
    pub group: Arc<str>,
    /// How old the record was when this member received it: what it waited in the log. The same for all its tries here,
    /// never less than nothing where clocks differ, and `None` where the record has no timestamp or is replayed.
    pub lag_at_receipt: Option<Duration>,
    /// Which try this is: 1 for the first.
    pub attempt: u32,
    /// When the first try failed; `None` at the first.
    pub first_failure: Option<Time>,
}

impl Meta {
    /// The key as text; `None` where there is none or it is no UTF-8.
    pub fn key_text(&self) -> Option<&str> {
        std::str::from_utf8(self.key.as_deref()?).ok()
    }
}

impl FromEvent for Meta {
    fn from_event(incoming: &Incoming<'_>) -> Result<Self, HandlerError> {
        let (attempt, envelope) = (incoming.attempt, incoming.envelope);
        let record = &attempt.record;
        Ok(Self {
            event_id: envelope.id.to_string(),
            event_type: envelope.event_type.to_string(),
            version: envelope.version.to_string(),
            source: envelope.source.to_string(),
            timestamp: envelope.timestamp,
            correlation_id: envelope.correlation_id.to_string(),
            causation_id: envelope.causation_id.as_ref().map(|id| id.to_string()),
            actor: envelope.actor.clone(),
            topic: Arc::clone(&attempt.partition.topic),
            partition: attempt.partition.partition,
            offset: record.offset,
            key: record.key.clone(),
            record_timestamp: record.timestamp_ms.and_then(Time::from_unix_ms),
            group: Arc::clone(&attempt.group),
            lag_at_receipt: attempt.received_ms.zip(record.timestamp_ms).map(|(received, written)| {
                Duration::from_millis(received.saturating_sub(written).try_into().unwrap_or(0))
            }),
            attempt: attempt.number,
            first_failure: attempt.first_failure.and_then(Time::from_datetime),
        })
    }
}
