//! An envelope without its payload: the rules all envelopes share, and how they are written.

use super::Actor;
use crate::error::InvalidEvent;
use crate::json::write_text;
use crate::values::Time;

/// Every field but the payload, borrowed from whatever envelope there is.
pub(crate) struct Head<'a> {
    pub id: &'a str,
    pub event_type: &'a str,
    pub version: &'a str,
    pub source: &'a str,
    pub timestamp: Time,
    pub correlation_id: &'a str,
    pub causation_id: Option<&'a str>,
    pub actor: Option<&'a Actor>,
}

impl Head<'_> {
    /// A publisher's rules, in Go's order.
    pub(crate) fn validate(&self) -> Result<(), InvalidEvent> {
        self.required("id", self.id)?;
        self.required("type", self.event_type)?;
        self.required("version", self.version)?;
        if !is_version(self.version) {
            let reason = format!("{:?} is no version, expected two numbers like 1.0", self.version);
            return Err(self.invalid("version", reason));
        }
        self.required("source", self.source)?;
        if self.timestamp.is_zero() {
            return Err(self.invalid("timestamp", "is missing, expected the time of the event"));
        }
        self.required("correlation_id", self.correlation_id)
    }

    fn required(&self, field: &str, text: &str) -> Result<(), InvalidEvent> {
        if text.is_empty() { Err(self.invalid(field, "is empty, expected a text")) } else { Ok(()) }
    }

    pub(crate) fn invalid(&self, field: &str, reason: impl Into<String>) -> InvalidEvent {
        InvalidEvent {
            event_type: self.event_type.to_owned(),
            field: field.to_owned(),
            reason: reason.into(),
        }
    }

    /// Writes all up to the payload's value, which comes next.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let field = |out: &mut Vec<u8>, name: &str, text: &str| {
            out.extend_from_slice(name.as_bytes());
            write_text(out, text);
        };
        field(out, "{\"id\":", self.id);
        field(out, ",\"type\":", self.event_type);
        field(out, ",\"version\":", self.version);
        field(out, ",\"source\":", self.source);
        field(out, ",\"timestamp\":", &self.timestamp.to_string());
        field(out, ",\"correlation_id\":", self.correlation_id);
        if let Some(causation_id) = self.causation_id.filter(|id| !id.is_empty()) {
            field(out, ",\"causation_id\":", causation_id);
        }
        if let Some(actor) = self.actor {
            out.extend_from_slice(b",\"actor\":");
            actor.write(out);
        }
        out.extend_from_slice(b",\"payload\":");
    }
}

/// `^[0-9]+\.[0-9]+$`
fn is_version(text: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.').is_some_and(|(major, minor)| number(major) && number(minor))
}
