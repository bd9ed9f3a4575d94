//! Reads an envelope's bytes. It must never know payloads: their bytes are kept as they came.

use std::borrow::Cow;

use super::Actor;
use super::raw::EnvelopeRef;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::json::{self, Member};
use crate::values::Time;

/// Members nobody here knows, name (between its quotes) and value as they stood in the bytes.
pub(crate) type Unknown<'a> = Vec<(Cow<'a, [u8]>, Cow<'a, [u8]>)>;

const NAMES: &[&str] =
    &["id", "type", "version", "source", "timestamp", "correlation_id", "causation_id", "actor", "payload"];

/// Reads an envelope; broken syntax anywhere is reported before anything else.
pub(super) fn decode(bytes: &[u8]) -> Result<EnvelopeRef<'_>, DecodeError> {
    decode_value(bytes).or_else(|error| {
        if error.kind() != DecodeErrorKind::Syntax {
            json::check(bytes)?;
        }
        Err(error)
    })
}

/// Reads the one value that `value` is.
pub(crate) fn decode_value(value: &[u8]) -> Result<EnvelopeRef<'_>, DecodeError> {
    let mut envelope = EnvelopeRef::default();
    let Some(members) = json::members(value) else {
        return match json::single(value)? {
            b"null" => Ok(envelope),
            _ => Err(DecodeError::new(DecodeErrorKind::Type, "", "no envelope: expected an object")),
        };
    };
    for member in members {
        let member = member?;
        let name = member_name(&member, NAMES)?;
        match name.as_ref() {
            "id" => read_text(&mut envelope.id, &member, "id")?,
            "type" => read_text(&mut envelope.event_type, &member, "type")?,
            "version" => read_text(&mut envelope.version, &member, "version")?,
            "source" => read_text(&mut envelope.source, &member, "source")?,
            "correlation_id" => read_text(&mut envelope.correlation_id, &member, "correlation_id")?,
            "causation_id" => {
                let mut causation_id = envelope.causation_id.take().unwrap_or_default();
                read_text(&mut causation_id, &member, "causation_id")?;
                envelope.causation_id = (!causation_id.is_empty()).then_some(causation_id);
            }
            "timestamp" => {
                envelope.timestamp = read_time(&member, "timestamp")?.unwrap_or(envelope.timestamp)
            }
            "actor" => {
                let actor = Actor::decode(member.value).map_err(|error| error.inside("actor"))?;
                envelope.actor = replace_object(envelope.actor.take(), actor, "actor")?;
            }
            "payload" => envelope.payload = Some(Cow::Borrowed(member.value)),
            _ => envelope.unknown.push((Cow::Borrowed(member.name), Cow::Borrowed(member.value))),
        }
    }
    Ok(envelope)
}

/// A member's name, refused where it is one of `known` but for its letter case: ignored, it would read as missing.
pub(crate) fn member_name<'a>(member: &Member<'a>, known: &[&str]) -> Result<Cow<'a, str>, DecodeError> {
    let given = json::unescaped(member.name);
    if known.contains(&given.as_ref()) {
        return Ok(given);
    }
    match known.iter().find(|name| json::folds_to(&given, name)) {
        None => Ok(given),
        Some(name) => {
            let reason = format!("names are matched exactly, expected `{name}`");
            Err(DecodeError::new(DecodeErrorKind::Name, &given, reason))
        }
    }
}

/// The later of two values of one name; Go would mix two objects into one, which is refused.
pub(crate) fn replace_object<T>(
    before: Option<T>,
    now: Option<T>,
    field: &str,
) -> Result<Option<T>, DecodeError> {
    if before.is_some() && now.is_some() {
        return Err(DecodeError::new(DecodeErrorKind::Name, field, "is there twice, expected one object"));
    }
    Ok(now)
}

/// Reads a text into `field`; `null` leaves it as it is.
pub(crate) fn read_text<'a>(
    into: &mut Cow<'a, str>,
    member: &Member<'a>,
    field: &str,
) -> Result<(), DecodeError> {
    if member.value != b"null" {
        *into = json::text(member.value)
            .ok_or_else(|| DecodeError::new(DecodeErrorKind::Type, field, "is no text, expected one"))?;
    }
    Ok(())
}

/// Reads a time; `None` for `null`.
pub(crate) fn read_time(member: &Member<'_>, field: &str) -> Result<Option<Time>, DecodeError> {
    match member.value {
        b"null" => Ok(None),
        // as it stands: a time has no escapes
        [b'"', inner @ .., b'"'] => match String::from_utf8_lossy(inner).parse::<Time>() {
            Ok(time) => Ok(Some(time)),
            Err(error) => Err(DecodeError::new(DecodeErrorKind::Time, field, error.to_string())),
        },
        _ => Err(DecodeError::new(
            DecodeErrorKind::Time,
            field,
            "is no text, expected a time as RFC 3339 text",
        )),
    }
}

/// Writes members behind others of their object.
pub(crate) fn write_unknown(out: &mut Vec<u8>, unknown: &Unknown<'_>) {
    for (name, value) in unknown {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name);
        out.extend_from_slice(b"\":");
        out.extend_from_slice(value);
    }
}
