//! Reads dead letters, Go's and ours.

use std::borrow::Cow;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Cut, DeadLetter};
use crate::envelope::{EnvelopeRef, decode_value, member_name, read_text, read_time, replace_object};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::json::{self, Member};
use crate::values::Time;

const NAMES: &[&str] = &[
    "original_topic",
    "original_partition",
    "original_offset",
    "error_message",
    "attempt_count",
    "first_failure",
    "last_failure",
    "envelope",
    "original_key",
    "original_key_base64",
    "raw_body",
    "error_class",
    "error_chain",
    "backtrace",
    "handler",
    "consumer_group",
    "original_timestamp",
    "original_headers",
    "service",
    "instance",
    "library_version",
    "redrive_count",
    "cut",
    "fingerprint",
];

/// A header's name and value.
type Header = (String, Option<Vec<u8>>);

pub(super) fn decode(bytes: &[u8]) -> Result<DeadLetter, DecodeError> {
    decode_members(bytes).or_else(|error| {
        if error.kind() != DecodeErrorKind::Syntax {
            json::check(bytes)?;
        }
        Err(error)
    })
}

fn decode_members(bytes: &[u8]) -> Result<DeadLetter, DecodeError> {
    let mut letter = DeadLetter::new("", 0, 0, "", Time::ZERO);
    let Some(members) = json::members(bytes) else {
        return match json::single(bytes)? {
            b"null" => Ok(letter),
            _ => Err(DecodeError::new(DecodeErrorKind::Type, "", "no dead letter: expected an object")),
        };
    };
    for member in members {
        let member = member?;
        let name = member_name(&member, NAMES)?;
        let name = name.as_ref();
        match name {
            "original_topic" => own_text(&mut letter.original_topic, &member, name)?,
            "original_partition" => whole(&mut letter.original_partition, &member, name)?,
            "original_offset" => whole(&mut letter.original_offset, &member, name)?,
            "error_message" => own_text(&mut letter.error_message, &member, name)?,
            "attempt_count" => whole(&mut letter.attempt_count, &member, name)?,
            "first_failure" => {
                letter.first_failure = read_time(&member, name)?.unwrap_or(letter.first_failure)
            }
            "last_failure" => letter.last_failure = read_time(&member, name)?.unwrap_or(letter.last_failure),
            "envelope" => {
                let envelope = match member.value {
                    b"null" => None,
                    value => Some(decode_value(value).map_err(|error| error.inside(name))?),
                };
                let envelope = envelope.map(EnvelopeRef::into_owned);
                letter.envelope = replace_object(letter.envelope.take(), envelope, name)?;
            }
            "original_key" => letter.original_key = optional_text(&member, name)?.map(String::into_bytes),
            "original_key_base64" => letter.original_key = bytes_of(&member, name)?,
            "raw_body" => letter.raw_body = bytes_of(&member, name)?,
            "error_class" => letter.error_class = optional_text(&member, name)?,
            "error_chain" => letter.error_chain = list(&member, name, |item| optional_text(item, name))?,
            "backtrace" => letter.backtrace = optional_text(&member, name)?,
            "handler" => letter.handler = optional_text(&member, name)?,
            "consumer_group" => letter.consumer_group = optional_text(&member, name)?,
            "original_timestamp" => letter.original_timestamp = read_time(&member, name)?,
            "original_headers" => letter.original_headers = list(&member, name, |item| header(item, name))?,
            "service" => letter.service = optional_text(&member, name)?,
            "instance" => letter.instance = optional_text(&member, name)?,
            "library_version" => letter.library_version = optional_text(&member, name)?,
            "redrive_count" => whole(&mut letter.redrive_count, &member, name)?,
            "cut" => letter.cut = cut(&member, name)?,
            "fingerprint" => letter.fingerprint = optional_text(&member, name)?,
            _ => letter.unknown.push((Cow::Owned(member.name.to_vec()), Cow::Owned(member.value.to_vec()))),
        }
    }
    Ok(letter)
}

fn type_error(field: &str, expected: &str) -> DecodeError {
    DecodeError::new(DecodeErrorKind::Type, field, format!("expected {expected}"))
}

fn own_text(into: &mut String, member: &Member<'_>, field: &str) -> Result<(), DecodeError> {
    let mut text = Cow::Owned(std::mem::take(into));
    read_text(&mut text, member, field)?;
    *into = text.into_owned();
    Ok(())
}

fn optional_text(member: &Member<'_>, field: &str) -> Result<Option<String>, DecodeError> {
    if member.value == b"null" {
        return Ok(None);
    }
    json::text(member.value).map(|text| Some(text.into_owned())).ok_or_else(|| type_error(field, "a text"))
}

/// Reads a whole number that fits; `null` leaves it as it is.
fn whole<N: FromStr>(into: &mut N, member: &Member<'_>, field: &str) -> Result<(), DecodeError> {
    if member.value != b"null" {
        let bits = 8 * size_of::<N>();
        let number = std::str::from_utf8(member.value).ok().and_then(|digits| digits.parse().ok());
        *into = number.ok_or_else(|| type_error(field, &format!("a whole number of {bits} bits")))?;
    }
    Ok(())
}

fn bytes_of(member: &Member<'_>, field: &str) -> Result<Option<Vec<u8>>, DecodeError> {
    let Some(text) = optional_text(member, field)? else { return Ok(None) };
    match STANDARD.decode(text) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) => Err(DecodeError::new(DecodeErrorKind::Base64, field, format!("is no base64: {error}"))),
    }
}

/// Reads a list's elements; `null` is an empty list, and elements that read as `None` are left out.
fn list<T>(
    member: &Member<'_>,
    field: &str,
    mut element: impl FnMut(&Member<'_>) -> Result<Option<T>, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    if member.value == b"null" {
        return Ok(Vec::new());
    }
    let elements = json::elements(member.value).ok_or_else(|| type_error(field, "a list"))?;
    let mut read = Vec::new();
    for value in elements {
        read.extend(element(&Member { name: member.name, value: value? })?);
    }
    Ok(read)
}

fn header(item: &Member<'_>, field: &str) -> Result<Option<Header>, DecodeError> {
    let members = json::members(item.value).ok_or_else(|| type_error(field, "objects with key and value"))?;
    let (mut key, mut value) = (String::new(), None);
    for member in members {
        let member = member?;
        match member_name(&member, &["key", "value", "value_base64"])?.as_ref() {
            "key" => own_text(&mut key, &member, &format!("{field}.key"))?,
            "value" => value = optional_text(&member, &format!("{field}.value"))?.map(String::into_bytes),
            "value_base64" => value = bytes_of(&member, &format!("{field}.value_base64"))?,
            _ => {}
        }
    }
    Ok(Some((key, value)))
}

fn cut(member: &Member<'_>, field: &str) -> Result<Option<Cut>, DecodeError> {
    if member.value == b"null" {
        return Ok(None);
    }
    let mut cut = Cut::default();
    for member in json::members(member.value).ok_or_else(|| type_error(field, "an object"))? {
        let member = member?;
        let name = json::unescaped(member.name);
        let path = format!("{field}.{name}");
        match name.as_ref() {
            "fields" => cut.fields = list(&member, &path, |item| optional_text(item, &path))?,
            "body_bytes" => whole(&mut cut.body_bytes, &member, &path)?,
            "body_sha256" => own_text(&mut cut.body_sha256, &member, &path)?,
            "event_id" => own_text(&mut cut.event_id, &member, &path)?,
            "event_type" => own_text(&mut cut.event_type, &member, &path)?,
            _ => {}
        }
    }
    Ok(Some(cut))
}
