//! Events kept in memory, in order: looked up, compared with what was expected, replayed. It must never know the cluster
//! they came from, nor change what it holds.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use txova_events::{Envelope, Event, InvalidEvent, Origin, RawEnvelope, Time, ToRecord};

use super::fail;
use crate::record::{OutgoingRecord, Record, TopicPartition};

/// The `source` of events that a test appends or publishes itself.
pub(super) const SOURCE: &str = "test";

/// Events in the order in which they were published or appended.
///
/// ```
/// use txova_events::example::{Example, Ride};
/// use txova_events::{RideCompleted, RideRequested};
/// use txova_kafka::testing::EventStore;
///
/// # fn main() -> Result<(), txova_events::InvalidEvent> {
/// let ride = Ride::seeded(1);
/// let mut store = EventStore::new();
/// for event in ride.life() {
///     store.append(&event)?;
/// }
/// store.append(&RideRequested::example(&Ride::seeded(2)))?;
///
/// assert_eq!(store.by_type("ride.requested").len(), 2);
/// assert_eq!(store.by_key(ride.ride_id).by_type("ride.completed").len(), 1);
/// assert_eq!(store.by_correlation(&ride.life()[0].correlation_id).len(), 9);
/// assert_eq!(store.only::<RideCompleted>().payload.fare, ride.fare);
/// # Ok(())
/// # }
/// ```
///
/// A lookup gives another store, so lookups chain. What services published comes as one
/// ([`Harness::published`](super::Harness::published)); one is replayed into apps with
/// [`Harness::replay`](super::Harness::replay), and compared with what a test expects by
/// [`assert_exactly`](Self::assert_exactly) and its sisters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventStore {
    events: Vec<StoredEvent>,
}

/// One record of an [`EventStore`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoredEvent {
    /// The topic.
    pub topic: Arc<str>,
    /// Partition and offset, where it was published.
    pub place: Option<(i32, i64)>,
    /// The record's key; `None` is a null key.
    pub key: Option<Bytes>,
    /// The record's value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers, in order.
    pub headers: Vec<(Cow<'static, str>, Option<Bytes>)>,
    /// The event, where the record is one.
    pub envelope: Option<RawEnvelope>,
}

impl EventStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an event as it would be published: checked, with topic, key and headers. One that is not in an envelope
    /// yet gets one from the source `test`.
    ///
    /// # Errors
    /// An event that breaks a publisher's rule.
    pub fn append<E: ToRecord + ?Sized>(&mut self, event: &E) -> Result<&StoredEvent, InvalidEvent> {
        let origin = Origin { source: SOURCE, context: None, now: Time::now() };
        let record = event.to_record(&origin)?;
        let headers =
            record.headers().map(|(name, value)| (name.into(), Some(Bytes::copy_from_slice(value))));
        Ok(self.push(StoredEvent {
            topic: record.topic.as_str().into(),
            place: None,
            headers: headers.into(),
            envelope: RawEnvelope::decode(&record.value).ok(),
            key: Some(record.key.into()),
            value: Some(record.value.into()),
        }))
    }

    fn push(&mut self, event: StoredEvent) -> &StoredEvent {
        self.events.push(event);
        self.events.last().expect("invariant: one was pushed")
    }

    /// The events with this key, such as a ride's id.
    pub fn by_key(&self, key: impl fmt::Display) -> Self {
        let key = key.to_string();
        self.only_where(|event| event.key.as_deref() == Some(key.as_bytes()))
    }

    /// The events of this type, `domain.action`.
    pub fn by_type(&self, event_type: &str) -> Self {
        self.only_where(|event| event.event_type() == event_type)
    }

    /// The events of this correlation id: what one cause set off.
    pub fn by_correlation(&self, correlation_id: impl fmt::Display) -> Self {
        let id = correlation_id.to_string();
        self.only_where(|event| event.envelope.as_ref().is_some_and(|envelope| envelope.correlation_id == id))
    }

    /// The events that this service published.
    pub fn by_source(&self, service: &str) -> Self {
        self.only_where(|event| event.envelope.as_ref().is_some_and(|envelope| envelope.source == service))
    }

    fn only_where(&self, holds: impl Fn(&StoredEvent) -> bool) -> Self {
        self.events.iter().filter(|event| holds(event)).cloned().collect()
    }

    /// The events of a type, read.
    ///
    /// # Panics
    /// Where one of this type cannot be read.
    #[track_caller]
    pub fn of<E: Event>(&self) -> Vec<Envelope<E>> {
        let of_type = self.events.iter().filter(|event| event.event_type() == E::TYPE);
        of_type.map(|event| event.read().unwrap_or_else(|why| fail(&why))).collect()
    }

    /// The one event of a type, read.
    ///
    /// # Panics
    /// Where there is none or more than one, with the list of all; where it cannot be read.
    #[track_caller]
    pub fn only<E: Event>(&self) -> Envelope<E> {
        let mut of_type = self.of::<E>();
        match (of_type.pop(), of_type.len()) {
            (Some(event), 0) => event,
            (_, others) => {
                let found = if others == 0 { 0 } else { others + 1 };
                fail(&format!("expected one {}, found {found} among\n{self}", E::TYPE))
            }
        }
    }
}

impl StoredEvent {
    pub(super) fn published(partition: &TopicPartition, record: &Record) -> Self {
        Self {
            topic: partition.topic.clone(),
            place: Some((partition.partition, record.offset)),
            key: record.key.clone(),
            value: record.value.clone(),
            headers: record
                .headers
                .iter()
                .map(|(name, value)| (name.to_owned().into(), value.map(Bytes::copy_from_slice)))
                .collect(),
            envelope: record.value.as_deref().and_then(|value| RawEnvelope::decode(value).ok()),
        }
    }

    pub(super) fn outgoing(&self) -> OutgoingRecord {
        OutgoingRecord {
            topic: self.topic.clone(),
            key: self.key.clone(),
            value: self.value.clone(),
            headers: self.headers.clone(),
            ..OutgoingRecord::default()
        }
    }

    /// The event's type; empty where the record is no event.
    pub fn event_type(&self) -> &str {
        self.envelope.as_ref().map_or("", |envelope| &envelope.event_type)
    }

    /// The event's id; empty where the record is no event.
    pub fn event_id(&self) -> &str {
        self.envelope.as_ref().map_or("", |envelope| &envelope.id)
    }

    /// The key as text; empty where there is none.
    pub fn key_text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.key.as_deref().unwrap_or_default())
    }

    /// The last header of that name as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().rev().find(|(other, _)| other == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    /// The event with its payload; in words why it cannot be read.
    pub(super) fn read<E: Event>(&self) -> Result<Envelope<E>, String> {
        let Some(value) = &self.value else { return Err(format!("{self}: a tombstone")) };
        let envelope =
            txova_events::EnvelopeRef::decode(value).map_err(|error| format!("{self}: {error}"))?;
        let payload = envelope.decode_payload().map_err(|error| format!("{self}: {error}"))?;
        Ok(Envelope {
            id: envelope.id.into_owned(),
            event_type: envelope.event_type.into_owned(),
            version: envelope.version.into_owned(),
            source: envelope.source.into_owned(),
            timestamp: envelope.timestamp,
            correlation_id: envelope.correlation_id.into_owned(),
            causation_id: envelope.causation_id.map(|id| id.into_owned()),
            actor: envelope.actor,
            payload,
        })
    }
}

impl Deref for EventStore {
    type Target = [StoredEvent];

    fn deref(&self) -> &[StoredEvent] {
        &self.events
    }
}

impl FromIterator<StoredEvent> for EventStore {
    fn from_iter<I: IntoIterator<Item = StoredEvent>>(events: I) -> Self {
        Self { events: events.into_iter().collect() }
    }
}

/// `ride.completed, key 0199…, txova.rides.v1-2@0`
impl fmt::Display for StoredEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event_type = if self.envelope.is_some() { self.event_type() } else { "no event" };
        write!(f, "{event_type}, key {}, {}", self.key_text(), self.topic)?;
        match self.place {
            Some((partition, offset)) => write!(f, "-{partition}@{offset}"),
            None => Ok(()),
        }
    }
}

/// One line for each event.
impl fmt::Display for EventStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.events.is_empty() {
            return f.write_str("    (nothing)");
        }
        for (index, event) in self.events.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "    {event}")?;
        }
        Ok(())
    }
}
