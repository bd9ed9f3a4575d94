//! The record's bytes as they are.

use bytes::Bytes;
use txova_events::RawEnvelope;

use super::{FromEvent, Incoming};
use crate::outcome::HandlerError;
use crate::record::Record;

/// The record as it was read, byte for byte. The record's bytes are not copied; the envelope owns its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Raw {
    /// The record.
    pub record: Record,
    /// The envelope, with its payload's bytes as they came and the fields this version does not know.
    pub envelope: RawEnvelope,
}

impl Raw {
    /// The value's bytes: a whole envelope.
    pub fn bytes(&self) -> &Bytes {
        static NONE: Bytes = Bytes::new();
        self.record.value.as_ref().unwrap_or(&NONE)
    }
}

impl FromEvent for Raw {
    fn from_event(incoming: &Incoming<'_>) -> Result<Self, HandlerError> {
        Ok(Self { record: incoming.record().clone(), envelope: incoming.envelope.clone().into_owned() })
    }
}
