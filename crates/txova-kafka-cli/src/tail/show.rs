//! One record, for people or machines. What comes from a topic may be anything: nothing of it reaches the terminal but
//! text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde_json::value::RawValue;
use txova_events::{EnvelopeRef, Time};
use txova_kafka::{Record, TopicPartition};

use crate::events::indented;
use crate::output::{Output, cut};

/// How records are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A line each, as wide as the terminal.
    Line,
    /// Over several lines, all of it.
    Pretty,
    /// A JSON object each.
    Json,
}

/// The record's lines, with their ends.
pub(super) fn record(partition: &TopicPartition, record: &Record, form: Form, output: &Output) -> String {
    match form {
        Form::Json => json(partition, record),
        Form::Line => line(partition, record, output),
        Form::Pretty => pretty(partition, record, output),
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<Time>,
    key: Option<String>,
    headers: Vec<(&'a str, Option<String>)>,
    /// The value, where it is JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a RawValue>,
    /// The value, where it is anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

fn json(partition: &TopicPartition, record: &Record) -> String {
    let value = record.value.as_deref();
    let as_json: Option<&RawValue> = value.and_then(|value| serde_json::from_slice(value).ok());
    let shown = Shown {
        topic: &partition.topic,
        partition: partition.partition,
        offset: record.offset,
        timestamp: record.timestamp_ms.and_then(Time::from_unix_ms),
        key: record.key.as_deref().map(text),
        headers: record.headers.iter().map(|(name, value)| (name, value.map(text))).collect(),
        value: as_json,
        value_base64: value.filter(|_| as_json.is_none()).map(|value| BASE64.encode(value)),
    };
    // What is in it can be written: texts, numbers and JSON that was read.
    let mut line = serde_json::to_string(&shown).unwrap_or_default();
    // A value may have come over several lines.
    line.retain(|char| char != '\n' && char != '\r');
    line.push('\n');
    line
}

fn line(partition: &TopicPartition, record: &Record, output: &Output) -> String {
    let paint = output.paint;
    let value = record.value.as_deref().unwrap_or_default();
    let (what, payload) = match EnvelopeRef::decode(value) {
        Ok(envelope) if !envelope.event_type.is_empty() => {
            let payload = envelope.payload.as_deref().map(text).unwrap_or_default();
            (envelope.event_type.into_owned(), payload)
        }
        _ => ("–".to_owned(), text(value)),
    };
    let key = record.key.as_deref().map_or_else(|| "–".to_owned(), text);
    let head = [when(record), place(partition, record), what, plain(&key)];
    let used: usize = head.iter().map(|part| part.chars().count() + 2).sum();
    let room = output.width.map_or(usize::MAX, |width| width.saturating_sub(used).max(10));
    let [when, place, what, key] = head;
    let payload = cut(&plain(&payload), room);
    format!("{}  {}  {}  {key}  {}\n", paint.faint(when), paint.faint(place), paint.bold(what), payload)
}

fn pretty(partition: &TopicPartition, record: &Record, output: &Output) -> String {
    let paint = output.paint;
    let value = record.value.as_deref();
    let what =
        EnvelopeRef::decode(value.unwrap_or_default()).ok().map(|envelope| envelope.event_type.into_owned());
    let what = what.filter(|what| !what.is_empty()).unwrap_or_else(|| "no event".to_owned());
    let mut shown = format!("{}  {}  {}\n", paint.bold(what), place(partition, record), when(record));
    if let Some(key) = record.key.as_deref() {
        shown += &format!("{} {}\n", paint.faint("key:"), plain(&text(key)));
    }
    for (name, value) in record.headers.iter() {
        let value = value.map_or_else(|| "(none)".to_owned(), text);
        shown += &format!("{} {}\n", paint.faint(format!("{}:", plain(name))), plain(&value));
    }
    shown += &match value {
        None => paint.faint("(a tombstone: no value)"),
        Some(value) if serde_json::from_slice::<&RawValue>(value).is_ok() => indented(&plain(&text(value))),
        Some(value) => plain(&text(value)),
    };
    shown + "\n\n"
}

fn place(partition: &TopicPartition, record: &Record) -> String {
    format!("{partition}@{}", record.offset)
}

/// The record's own time, to the millisecond.
fn when(record: &Record) -> String {
    let time = record.timestamp_ms.and_then(Time::from_unix_ms);
    time.map_or_else(|| "no time".to_owned(), |time| time.to_string())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Without what would move the cursor.
fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use txova_events::example::Ride;

    use super::*;
    use crate::paint::Paint;

    fn output(width: Option<usize>) -> Output {
        Output { json: false, paint: Paint { on: false }, is_live: false, width }
    }

    fn shown(value: &[u8], form: Form, width: Option<usize>) -> String {
        let headers = [("event_type", Some(&b"x"[..])), ("empty", None)];
        let record = Record::copy_from(7, Some(1_795_507_200_500), Some(b"k\x1b1"), Some(value), headers);
        super::record(&TopicPartition::new("txova.rides.v1", 2), &record, form, &output(width))
    }

    #[test]
    fn a_line_has_time_place_type_key_and_as_much_of_the_payload_as_fits() {
        let value = Ride::seeded(1).event("ride.rated").unwrap().encode();
        let line = shown(&value, Form::Line, Some(100));
        assert!(
            line.starts_with("2026-11-24T08:00:00.5Z  txova.rides.v1-2@7  ride.rated  k 1  {\"ride_id\""),
            "{line}"
        );
        assert!(line.ends_with("…\n") && line.chars().count() <= 101, "{line}");
        assert!(
            shown(&value, Form::Line, None).ends_with("}\n"),
            "nothing is cut where there is no terminal"
        );
    }

    #[test]
    fn bytes_that_are_no_event_are_shown_and_cannot_move_the_cursor() {
        for form in [Form::Line, Form::Pretty] {
            let shown = shown(b"\x1b[2Jnonsense\xff", form, Some(80));
            assert!(!shown.contains('\x1b') && shown.contains("nonsense\u{fffd}"), "{shown}");
        }
    }

    #[test]
    fn json_keeps_the_value_byte_for_byte_on_one_line_and_other_bytes_in_base64() {
        let line = shown(b"{\"a\":1.50}", Form::Json, None);
        assert!(line.contains(r#""value":{"a":1.50}"#) && line.ends_with("}\n"), "{line}");
        assert!(line.contains(r#""headers":[["event_type","x"],["empty",null]]"#), "{line}");
        let line = shown(b"\xff\x00", Form::Json, None);
        assert!(line.contains(r#""value_base64":"/wA=""#), "{line}");
        assert_eq!(shown(b"{\n\"a\":\n1}", Form::Json, None).lines().count(), 1);
    }
}
