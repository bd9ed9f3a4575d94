//! The record's bytes as they are.

use bytes::Bytes;

use super::{FromEvent, Incoming};
use crate::outcome::HandlerError;
use crate::record::Record;

/// The record as it was read, byte for byte. Copies nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// The record.
    pub record: Record,
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
        Ok(Self { record: incoming.record().clone() })
    }
}
