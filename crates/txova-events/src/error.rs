//! What can be wrong with bytes that were read, and with events that were to be written. Knows no format's details.

use std::fmt;

/// Which kind of rule bytes have broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// No JSON: cut, trailing data, a byte order mark, nothing at all, nesting beyond 10,000.
    Syntax,
    /// Another JSON type than the field has, or a number that does not fit.
    Type,
    /// A text that is no RFC 3339 time.
    Time,
    /// A text that is no UUID.
    Id,
    /// A name that means a field only when letter case is ignored, or an object that appears twice. See the crate's
    /// table of deliberate differences.
    Name,
    /// A text that is no base64.
    Base64,
}

/// Why bytes are no envelope or no dead letter: the place, and what was expected there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    kind: DecodeErrorKind,
    field: String,
    reason: String,
}

impl DecodeError {
    pub(crate) fn new(kind: DecodeErrorKind, field: &str, reason: impl Into<String>) -> Self {
        Self { kind, field: field.to_owned(), reason: reason.into() }
    }

    pub(crate) fn inside(mut self, outer: &str) -> Self {
        self.field = if self.field.is_empty() { outer.to_owned() } else { format!("{outer}.{}", self.field) };
        self
    }

    /// The kind of rule that was broken.
    pub fn kind(&self) -> DecodeErrorKind {
        self.kind
    }

    /// The field, as a path (`actor.id`); empty where the whole of the bytes is meant.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What was found and what was expected, without the field.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => f.write_str(&self.reason),
            field => write!(f, "field `{field}`: {}", self.reason),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Why a payload is not the event its envelope says it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("payload of {event_type}: {reason}")]
pub struct PayloadError {
    /// The event type it was read as.
    pub event_type: String,
    /// The field, what was found and what was expected.
    pub reason: String,
}

/// Why an event must not be published: the first rule it breaks, with the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {event_type:?} cannot be published: field `{field}`: {reason}")]
pub struct InvalidEvent {
    /// The event's type; may be empty, where that is the mistake.
    pub event_type: String,
    /// The field, as a path from the envelope (`version`, `payload.rating`).
    pub field: String,
    /// What was found and what was expected.
    pub reason: String,
}

/// A field that breaks a publisher's rule, as [`Event::validate`](crate::Event::validate) reports it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}`: {reason}")]
pub struct InvalidField {
    /// The payload's field.
    pub field: String,
    /// What was found and what was expected.
    pub reason: String,
}

impl InvalidField {
    /// A broken rule of `field`.
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}
