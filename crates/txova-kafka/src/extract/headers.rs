//! The record's headers as an argument.

use super::{FromEvent, Incoming};
use crate::outcome::HandlerError;
use crate::record::Headers;

/// The record's headers. Copies no bytes.
impl FromEvent for Headers {
    fn from_event(incoming: &Incoming<'_>) -> Result<Self, HandlerError> {
        Ok(incoming.headers().clone())
    }
}
