//! `reader.jsonl`: what Go accepts is accepted and means the same, what it refuses is refused.

use txova_events::topics::go_topic_for_event_type;
use txova_events::{Actor, DecodeErrorKind, EnvelopeRef, InvalidEvent, RawEnvelope};

use crate::differences::{self, EMPTY_EMAIL, LETTER_CASE, MERGED, ODD_TIMES};
use crate::lines::{Line, Report, as_go_copies, read, same, same_bytes};
use crate::typed::{Payload, with_event};

#[test]
fn every_input_gets_gos_verdict() {
    let mut report = Report::default();
    for line in read("reader.jsonl") {
        let outcome = match line.text("kind") {
            "envelope" => envelope(&line),
            "payload" => payload(&line),
            kind => Err(format!("unknown kind {kind}")),
        };
        report.line(&line.at, outcome);
    }
    report.close("reader.jsonl", &[EMPTY_EMAIL, LETTER_CASE, MERGED, ODD_TIMES]);
}

fn envelope(line: &Line) -> Result<Option<&'static str>, String> {
    let input = line.bytes("input").unwrap_or_default();
    let ours = EnvelopeRef::decode(&input);
    match (line.text("decode"), ours) {
        ("reject", Err(error)) => {
            same("class", class_of(error.kind()), line.text("class"))?;
            Ok(None)
        }
        ("accept", Err(error)) => match differences::of_refusal(Some(error.kind()), error.reason(), &input) {
            Some(class) => Ok(Some(class)),
            None => Err(format!("Go accepts, ours: {error}")),
        },
        ("accept", Ok(envelope)) => accepted(line, &envelope).map(|()| None),
        (go, ours) => Err(format!("Go: {go}, ours: {ours:?}")),
    }
}

fn accepted(line: &Line, envelope: &EnvelopeRef<'_>) -> Result<(), String> {
    same_bytes(
        "payload",
        envelope.payload.as_deref().unwrap_or_default(),
        &line.bytes("payload").unwrap_or_default(),
    )?;
    same_bytes("result", &as_go_writes(envelope), &line.bytes("result").unwrap_or_default())?;

    let again = envelope.encode();
    let again = EnvelopeRef::decode(&again).map_err(|error| format!("what was written again: {error}"))?;
    let mut expected = envelope.clone();
    expected.payload.get_or_insert_with(|| b"null".into()); // as Go writes a missing one
    same("written and read again", again, expected)?;

    same(
        "rule broken",
        envelope.validate().err().map_or("ok".to_owned(), |error| rule(&error)),
        line.text("validate").to_owned(),
    )?;
    let topic = go_topic_for_event_type(&envelope.event_type);
    same("topic", topic.unwrap_or_default(), line.text("topic"))?;
    let publish = match (topic, envelope.validate()) {
        (None, _) => "no_topic",
        (_, Err(_)) => "invalid_envelope",
        _ => "ok",
    };
    same("publish", publish, line.text("publish"))
}

/// What Go keeps of an envelope: known fields, and the payload without its blanks.
pub(crate) fn as_go_writes(envelope: &EnvelopeRef<'_>) -> Vec<u8> {
    let mut known = RawEnvelope::default();
    known.id = envelope.id.clone().into_owned().into();
    known.event_type = envelope.event_type.clone().into_owned().into();
    known.version = envelope.version.clone().into_owned().into();
    known.source = envelope.source.clone().into_owned().into();
    known.timestamp = envelope.timestamp;
    known.correlation_id = envelope.correlation_id.clone().into_owned().into();
    known.causation_id = envelope.causation_id.clone().map(|id| id.into_owned().into());
    known.actor = envelope.actor.clone().map(|actor| Actor::new(actor.id, actor.kind));
    known.payload = envelope.payload.clone().map(|payload| payload.into_owned().into());
    as_go_copies(&known.encode())
}

fn payload(line: &Line) -> Result<Option<&'static str>, String> {
    let input = line.bytes("input").unwrap_or_default();
    let ours = with_event(line.text("event_type"), Payload(&input)).expect("one of the 28");
    match (line.text("decode"), ours) {
        ("reject", Err(_)) => Ok(None),
        ("accept", Err(error)) => match differences::of_refusal(None, &error.reason, &input) {
            Some(class) => Ok(Some(class)),
            None => Err(format!("Go accepts, ours: {error}")),
        },
        ("accept", Ok(written)) => {
            differences::of_payload(&written, &line.bytes("result").unwrap_or_default())
        }
        (go, ours) => Err(format!(
            "Go: {go}, ours: {:?}",
            ours.map(|written| String::from_utf8_lossy(&written).into_owned())
        )),
    }
}

pub(crate) fn class_of(kind: DecodeErrorKind) -> &'static str {
    match kind {
        DecodeErrorKind::Syntax => "syntax",
        DecodeErrorKind::Type => "type",
        DecodeErrorKind::Time => "time",
        DecodeErrorKind::Id => "uuid",
        _ => "another class than Go has",
    }
}

fn rule(error: &InvalidEvent) -> String {
    if error.field == "version" && !error.reason.contains("is empty") {
        return "version_invalid".to_owned();
    }
    format!("{}_required", error.field)
}
