//! Envelopes as they came, payload unread. They must never lose a byte of what they hold.

use std::borrow::Cow;

use super::read::{self, Unknown, write_unknown};
use super::{Actor, Envelope, Head, RawEnvelope};
use crate::error::{DecodeError, InvalidEvent, PayloadError};
use crate::event::Event;
use crate::values::Time;
use crate::{json, topics};

/// An envelope that borrows from the bytes it was read from: what a consumer looks at for every record.
///
/// Reading is one pass that allocates nothing for what services really write. It asks for no more than Go's reader
/// does: a missing field is empty. A publisher's rules are [`EnvelopeRef::validate`].
///
/// ```
/// use txova_events::{EnvelopeRef, RideRated};
///
/// let bytes = br#"{"id":"e1","type":"ride.rated","version":"1.0","source":"ride-service",
///     "timestamp":"2026-04-12T19:24:40Z","correlation_id":"c1",
///     "payload":{"ride_id":"1badcdae-43a0-4406-8c2b-5b76332ff894","rating":2,"rated_by":"driver"}}"#;
/// let envelope = EnvelopeRef::decode(bytes)?;
/// assert_eq!(envelope.event_type, "ride.rated");
/// assert_eq!(envelope.key().as_deref(), Some("1badcdae-43a0-4406-8c2b-5b76332ff894"));
///
/// let rated: RideRated = envelope.decode_payload()?;
/// assert_eq!(rated.rating.get(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct EnvelopeRef<'a> {
    /// The event's id; any text.
    pub id: Cow<'a, str>,
    /// The event's type, `domain.action`; any text.
    pub event_type: Cow<'a, str>,
    /// The version of the payload's schema.
    pub version: Cow<'a, str>,
    /// The service that published it.
    pub source: Cow<'a, str>,
    /// When it was made; [`Time::ZERO`] where it is missing.
    pub timestamp: Time,
    /// What all events of one cause have in common.
    pub correlation_id: Cow<'a, str>,
    /// The id of the event that caused this one.
    pub causation_id: Option<Cow<'a, str>>,
    /// Who caused it.
    pub actor: Option<Actor>,
    /// The payload's bytes as they came, any JSON (strings may even hold bytes that are no UTF-8); `None` where it is
    /// missing, which `null` is not.
    pub payload: Option<Cow<'a, [u8]>>,
    pub(super) unknown: Unknown<'a>,
}

impl Default for EnvelopeRef<'_> {
    fn default() -> Self {
        Self {
            id: Cow::default(),
            event_type: Cow::default(),
            version: Cow::default(),
            source: Cow::default(),
            timestamp: Time::ZERO,
            correlation_id: Cow::default(),
            causation_id: None,
            actor: None,
            payload: None,
            unknown: Vec::new(),
        }
    }
}

impl<'a> EnvelopeRef<'a> {
    /// Reads an envelope from a record's value. The error names the field; it never panics.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        read::decode(bytes)
    }

    /// The payload as an event. The envelope's type is not looked at: see [`EnvelopeRef::typed`].
    pub fn decode_payload<E: Event>(&self) -> Result<E, PayloadError> {
        match &self.payload {
            Some(payload) => decode_payload(payload),
            None => Err(payload_error::<E>("is missing")),
        }
    }

    /// The whole envelope with its payload as an event, where it is of that event's type. Unknown fields stay behind.
    pub fn typed<E: Event>(&self) -> Result<Envelope<E>, PayloadError> {
        if self.event_type != E::TYPE {
            return Err(payload_error::<E>(format!("the envelope is of type {:?}", self.event_type)));
        }
        Ok(Envelope {
            payload: self.decode_payload()?,
            id: self.id.clone().into_owned(),
            event_type: self.event_type.clone().into_owned(),
            version: self.version.clone().into_owned(),
            source: self.source.clone().into_owned(),
            timestamp: self.timestamp,
            correlation_id: self.correlation_id.clone().into_owned(),
            causation_id: self.causation_id.clone().map(Cow::into_owned),
            actor: self.actor.clone(),
        })
    }

    /// The partition key: the payload's field for this event type (for an unknown action, its topic's), in the normal
    /// form of a UUID where it is one. `None` where the payload has none or the type is not the platform's.
    pub fn key(&self) -> Option<String> {
        let fields = match topics::catalogue_entry(&self.event_type) {
            Some(entry) => &[entry.key_field],
            None => topics::key_fields(topics::topic_for_event_type(&self.event_type)?),
        };
        let payload = self.payload.as_deref()?;
        fields.iter().find_map(|field| payload_text(payload, field)).filter(|key| !key.is_empty()).map(
            |key| match crate::ids::parse_uuid(&key) {
                Ok(uuid) => uuid.to_string(),
                Err(_) => key.into_owned(),
            },
        )
    }

    /// A publisher's rules; the error names the first field that breaks one.
    pub fn validate(&self) -> Result<(), InvalidEvent> {
        let head = self.head();
        head.validate()?;
        if self.payload.is_none() { Err(head.invalid("payload", "is missing")) } else { Ok(()) }
    }

    /// The envelope's bytes: known fields in the contract's order, the payload byte for byte, unknown fields behind.
    pub fn encode(&self) -> Vec<u8> {
        let payload = self.payload.as_deref().unwrap_or(b"null");
        let mut out = Vec::with_capacity(payload.len() + 320);
        self.head().write(&mut out);
        out.extend_from_slice(payload);
        write_unknown(&mut out, &self.unknown);
        out.push(b'}');
        out
    }

    /// The names and values of the fields that this version of the contract does not know, as they came.
    pub fn unknown_fields(&self) -> impl Iterator<Item = (Cow<'_, str>, &[u8])> {
        self.unknown.iter().map(|(name, value)| (json::unescaped(name), value.as_ref()))
    }

    /// The same envelope, owning all it holds.
    pub fn into_owned(self) -> RawEnvelope {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        let own_bytes = |bytes: Cow<'_, [u8]>| Cow::Owned(bytes.into_owned());
        RawEnvelope::from(EnvelopeRef {
            id: own(self.id),
            event_type: own(self.event_type),
            version: own(self.version),
            source: own(self.source),
            timestamp: self.timestamp,
            correlation_id: own(self.correlation_id),
            causation_id: self.causation_id.map(own),
            actor: self.actor,
            payload: self.payload.map(own_bytes),
            unknown: self
                .unknown
                .into_iter()
                .map(|(name, value)| (own_bytes(name), own_bytes(value)))
                .collect(),
        })
    }

    pub(crate) fn head(&self) -> Head<'_> {
        Head {
            id: &self.id,
            event_type: &self.event_type,
            version: &self.version,
            source: &self.source,
            timestamp: self.timestamp,
            correlation_id: &self.correlation_id,
            causation_id: self.causation_id.as_deref(),
            actor: self.actor.as_ref(),
        }
    }
}

/// Reads a payload's bytes as an event.
///
/// What is no Unicode text in it (bytes that are no UTF-8, halves of surrogate pairs) reads as U+FFFD.
pub fn decode_payload<E: Event>(payload: &[u8]) -> Result<E, PayloadError> {
    let event = serde_json::from_slice(payload).or_else(|error| {
        let mended = json::check(payload).ok().and_then(|()| json::mended(payload));
        match mended {
            Some(mended) => serde_json::from_slice(&mended).map_err(payload_error::<E>),
            None => Err(payload_error::<E>(error)),
        }
    })?;
    match escaped_id(payload) {
        Some(field) => Err(payload_error::<E>(format!("field `{field}`: an id is written without escapes"))),
        None => Ok(event),
    }
}

/// An event's payload as it is written: JSON as Go spells it. The event's rules are not looked at; the only error is a
/// payload whose own serialisation fails.
pub fn encode_payload<E: Event>(event: &E) -> Result<Vec<u8>, PayloadError> {
    let mut out = Vec::with_capacity(256);
    json::append(&mut out, event).map_err(payload_error::<E>)?;
    Ok(out)
}

/// The first field of a payload that is a UUID but for JSON escapes in it, which the contract forbids: serde hands out
/// texts without their escapes.
fn escaped_id(payload: &[u8]) -> Option<Cow<'_, str>> {
    if !payload.contains(&b'\\') {
        return None;
    }
    let escaped_uuid = |value: &[u8]| {
        value.contains(&b'\\') && json::text(value).is_some_and(|text| crate::ids::parse_uuid(&text).is_ok())
    };
    json::members(payload)?
        .flatten()
        .find(|member| escaped_uuid(member.value))
        .map(|member| json::unescaped(member.name))
}

fn payload_error<E: Event>(reason: impl ToString) -> PayloadError {
    PayloadError { event_type: E::TYPE.to_owned(), reason: reason.to_string() }
}

/// A text field of a payload; the last one of that name.
fn payload_text<'a>(payload: &'a [u8], field: &str) -> Option<Cow<'a, str>> {
    let mut found = None;
    for member in json::members(payload)? {
        let member = member.ok()?;
        if json::unescaped(member.name) == field {
            found = json::text(member.value);
        }
    }
    found
}
