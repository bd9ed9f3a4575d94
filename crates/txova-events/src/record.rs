//! Events as records: topic, key, headers, value. It must never know a client.

use std::mem::take;

use crate::envelope::{Envelope, EnvelopeRef, EventContext, Head, RawEnvelope};
use crate::error::InvalidEvent;
use crate::event::Event;
use crate::ids::EventId;
use crate::topics;
use crate::values::Time;

/// Where a new event comes from: what a publisher knows and the event itself does not.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The publishing service's name.
    pub source: &'a str,
    /// What the event goes on with; `None` begins a chain.
    pub context: Option<&'a EventContext>,
    /// The time that a new event is stamped with.
    pub now: Time,
}

impl<'a> Origin<'a> {
    /// A service that begins a chain now.
    pub fn now(source: &'a str) -> Self {
        Self { source, context: None, now: Time::now() }
    }
}

/// An event as the record it is published as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// The event's type.
    pub event_type: String,
    /// The topic.
    pub topic: String,
    /// The key, never empty.
    pub key: String,
    /// The event's id.
    pub event_id: String,
    /// The event's correlation id.
    pub correlation_id: String,
    /// The value: the envelope's bytes.
    pub value: Vec<u8>,
}

/// In the contract's order.
const HEADERS: [&str; 3] = ["event_type", "event_id", "correlation_id"];

impl EventRecord {
    /// The headers every record of an event has, in the contract's order.
    pub fn headers(&self) -> [(&'static str, &[u8]); 3] {
        let [event_type, event_id, correlation_id] = HEADERS;
        [
            (event_type, self.event_type.as_bytes()),
            (event_id, self.event_id.as_bytes()),
            (correlation_id, self.correlation_id.as_bytes()),
        ]
    }

    /// Takes them out, for who keeps them: nothing is copied.
    pub fn take_headers(&mut self) -> [(&'static str, String); 3] {
        let [event_type, event_id, correlation_id] = HEADERS;
        [
            (event_type, take(&mut self.event_type)),
            (event_id, take(&mut self.event_id)),
            (correlation_id, take(&mut self.correlation_id)),
        ]
    }

    fn new(head: &Head<'_>, topic: &str, key: String, value: Vec<u8>) -> Result<Self, InvalidEvent> {
        if key.is_empty() {
            return Err(head.invalid("key", "is empty: an event with no key has no order"));
        }
        Ok(Self {
            event_type: head.event_type.to_owned(),
            topic: topic.to_owned(),
            key,
            event_id: head.id.to_owned(),
            correlation_id: head.correlation_id.to_owned(),
            value,
        })
    }
}

/// What can be published: an event, or an envelope with one.
///
/// - An [`Event`] is put into a new envelope: a new id of UUID version 7, the origin's source and time, correlation id,
///   causation id and actor of the origin's context. Where there is no context its correlation id is its own id: an
///   event that begins a chain gives the chain its name.
/// - An [`Envelope`], an [`EnvelopeRef`] and a [`RawEnvelope`] are published as they are; the origin is not looked at.
///   A raw one goes to its type's topic under the key that its payload holds; where there is none (a type that is not
///   the platform's, a payload without the field), use [`EnvelopeRef::record_for`].
///
/// An event that breaks a publisher's rule is refused, and the error names the field.
///
/// ```
/// use txova_events::{Origin, RideId, RideRated, Rating, RatedBy, ToRecord};
///
/// let ride_id = RideId::new();
/// let rated = RideRated { ride_id, rating: Rating::new(5)?, rated_by: RatedBy::Rider, review: None };
/// let record = rated.to_record(&Origin::now("ride-service"))?;
/// assert_eq!((record.topic.as_str(), record.key), ("txova.rides.v1", ride_id.to_string()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ToRecord {
    /// The record to publish.
    fn to_record(&self, origin: &Origin<'_>) -> Result<EventRecord, InvalidEvent>;
}

impl<E: Event> ToRecord for E {
    fn to_record(&self, origin: &Origin<'_>) -> Result<EventRecord, InvalidEvent> {
        let id = EventId::new().to_string();
        let context = origin.context;
        let head = Head {
            id: &id,
            event_type: E::TYPE,
            version: E::VERSION,
            source: origin.source,
            timestamp: origin.now,
            correlation_id: context.map_or(&id, |context| &context.correlation_id),
            causation_id: context.and_then(|context| context.causation_id.as_deref()),
            actor: context.and_then(|context| context.actor.as_ref()),
        };
        record_of(&head, self)
    }
}

impl<E: Event> ToRecord for Envelope<E> {
    fn to_record(&self, _: &Origin<'_>) -> Result<EventRecord, InvalidEvent> {
        record_of(&self.head(), &self.payload)
    }
}

fn record_of<E: Event>(head: &Head<'_>, event: &E) -> Result<EventRecord, InvalidEvent> {
    head.validate()?;
    event.validate().map_err(|broken| head.invalid(&format!("payload.{}", broken.field), broken.reason))?;
    EventRecord::new(head, E::TOPIC, event.key(), crate::envelope::encode(head, event)?)
}

impl ToRecord for EnvelopeRef<'_> {
    fn to_record(&self, _: &Origin<'_>) -> Result<EventRecord, InvalidEvent> {
        self.validate()?;
        let head = self.head();
        let Some(topic) = topics::topic_for_event_type(&self.event_type) else {
            return Err(head.invalid("type", "is of no domain of the platform, so its topic is not known"));
        };
        let Some(key) = self.key() else {
            let fields = match topics::catalogue_entry(&self.event_type) {
                Some(entry) => entry.key_field.to_owned(),
                None => topics::key_fields(topic).join(" or "),
            };
            return Err(head.invalid(&format!("payload.{fields}"), "is missing, expected the record's key"));
        };
        self.record_for(topic, key)
    }
}

impl ToRecord for RawEnvelope {
    fn to_record(&self, origin: &Origin<'_>) -> Result<EventRecord, InvalidEvent> {
        EnvelopeRef::to_record(self, origin)
    }
}

impl EnvelopeRef<'_> {
    /// The record to publish on a topic and under a key that the caller knows.
    pub fn record_for(&self, topic: &str, key: impl Into<String>) -> Result<EventRecord, InvalidEvent> {
        self.validate()?;
        EventRecord::new(&self.head(), topic, key.into(), self.encode())
    }
}
