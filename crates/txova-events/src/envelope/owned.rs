//! The raw envelope that owns its bytes: what is kept of a record, in a dead letter for one.

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};

use super::EnvelopeRef;
use crate::error::DecodeError;

/// An [`EnvelopeRef`] that owns all it holds, and is used as one.
///
/// Written again, the payload is byte for byte what it was, and fields that this version of the contract does not know
/// are still there, at any depth.
///
/// ```
/// use txova_events::RawEnvelope;
///
/// let bytes = br#"{"id":"e1","type":"ride.rated","payload":{ "tip" : 5.00 },"region":{"code":"MZ"}}"#;
/// let envelope = RawEnvelope::decode(bytes)?;
/// let written = String::from_utf8(envelope.encode())?;
/// assert!(written.ends_with(r#""payload":{ "tip" : 5.00 },"region":{"code":"MZ"}}"#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawEnvelope(EnvelopeRef<'static>);

impl RawEnvelope {
    /// Reads an envelope from a record's value. The error names the field; it never panics.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        EnvelopeRef::decode(bytes).map(EnvelopeRef::into_owned)
    }

    /// The payload's bytes; `null` where it is missing.
    pub fn payload_bytes(&self) -> &[u8] {
        self.0.payload.as_deref().unwrap_or(b"null")
    }

    /// Puts another payload in: exactly one JSON value.
    pub fn set_payload(&mut self, payload: Vec<u8>) -> Result<(), DecodeError> {
        crate::json::check(&payload).map_err(|error| error.inside("payload"))?;
        self.0.payload = Some(Cow::Owned(payload));
        Ok(())
    }
}

impl From<EnvelopeRef<'static>> for RawEnvelope {
    fn from(envelope: EnvelopeRef<'static>) -> Self {
        Self(envelope)
    }
}

impl Deref for RawEnvelope {
    type Target = EnvelopeRef<'static>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for RawEnvelope {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}
