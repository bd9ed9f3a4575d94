//! `dlq.jsonl`: dead letters as Go writes and reads them.

use txova_events::partition::Partitioner;
use txova_events::{DeadLetter, RawEnvelope, Time};

use crate::differences::{self, LETTER_CASE, MERGED, NO_TEXT};
use crate::events::partitions;
use crate::lines::{Line, Report, as_go_copies, bytes_of, read, same, same_bytes};
use crate::reader::{as_go_writes, class_of};

#[test]
fn dead_letters_are_written_and_read_alike() {
    let mut report = Report::default();
    for line in read("dlq.jsonl") {
        let outcome = match line.text("kind") {
            "write" => write(&line),
            "encode" => encode(&line),
            "read" => read_one(&line),
            kind => Err(format!("unknown kind {kind}")),
        };
        report.line(&line.at, outcome);
    }
    report.close("dlq.jsonl", &[LETTER_CASE, MERGED, NO_TEXT]);
}

fn write(line: &Line) -> Result<Option<&'static str>, String> {
    let given = &line.json["given"];
    let envelope = bytes_of(given, "envelope");
    if line.text("result") == "refused" {
        // Go writes no letter without an envelope; ours keeps the raw bytes, which a Go replayer passes over
        return same("envelope", envelope, None).map(|()| None);
    }
    let value = line.bytes("value").expect("a value");
    let go = DeadLetter::decode(&value).map_err(|error| error.to_string())?;
    let error = bytes_of(given, "error").unwrap_or_default();
    let no_text = std::str::from_utf8(&error).is_err();
    let mut letter = DeadLetter::new(
        given["original_topic"].as_str().expect("a topic"),
        i32::try_from(given["original_partition"].as_i64().expect("a partition")).expect("of 32 bits"),
        given["original_offset"].as_i64().expect("an offset"),
        // what Go's handler says of an event that failed without an error is its own affair
        if given["has_error"] == false || no_text { go.error_message.clone() } else { text(&error) },
        Time::ZERO,
    );
    letter.attempt_count = given["attempt_count"].as_i64().expect("a count");
    (letter.first_failure, letter.last_failure) = (go.first_failure, go.last_failure); // fixed by hand in the vector
    letter.envelope =
        Some(RawEnvelope::decode(&envelope.expect("an envelope")).map_err(|error| error.to_string())?);

    let record = letter.to_record();
    same("topic", record.topic.as_str(), line.text("topic"))?;
    same("key", record.key.as_str(), line.text("key"))?;
    for (hash, partitioner) in [("fnv1a", Partitioner::Fnv1a), ("murmur2", Partitioner::Murmur2)] {
        partitions(&line.json[format!("partition_{hash}")], partitioner, record.key.as_bytes())?;
    }
    let headers = line.json["headers"].as_array().expect("a list of headers");
    same("headers", record.headers.len(), headers.len())?;
    for ((name, ours), go) in record.headers.iter().zip(headers) {
        same("header", Some(*name), go["key"].as_str())?;
        let go = bytes_of(go, "value").unwrap_or_default();
        if std::str::from_utf8(&go).is_ok() {
            same_bytes(name, ours, &go)?;
        }
    }
    if no_text {
        let plain = text(&value).replace("\\ufffd", "\u{fffd}");
        return same_bytes("value", &as_go_copies(&record.value), plain.as_bytes()).map(|()| Some(NO_TEXT));
    }
    same_bytes("value", &as_go_copies(&record.value), &value).map(|()| None)
}

fn encode(line: &Line) -> Result<Option<&'static str>, String> {
    let value = line.bytes("value").expect("a value");
    let letter = DeadLetter::decode(&value).map_err(|error| error.to_string())?;
    same_bytes("value", &letter.encode(), &value).map(|()| None)
}

fn read_one(line: &Line) -> Result<Option<&'static str>, String> {
    let input = line.bytes("input").unwrap_or_default();
    match (line.text("result"), DeadLetter::decode(&input)) {
        ("skipped", Err(error)) => same("class", class_of(error.kind()), line.text("class")).map(|()| None),
        ("skipped", Ok(letter)) if line.text("class") == "no_envelope" => {
            same("has an envelope", letter.envelope.is_some(), false).map(|()| None)
        }
        ("replayed", Err(error)) => match differences::of_refusal(Some(error.kind()), error.reason(), &input)
        {
            Some(class) => Ok(Some(class)),
            None => Err(format!("Go accepts, ours: {error}")),
        },
        ("replayed", Ok(letter)) => {
            let envelope = letter.envelope.as_ref().ok_or("there is no envelope")?;
            same_bytes("envelope", &as_go_writes(envelope), &line.bytes("envelope").expect("an envelope"))?;

            let mut known = DeadLetter::new(
                &letter.original_topic,
                letter.original_partition,
                letter.original_offset,
                letter.error_message.as_str(),
                letter.last_failure,
            );
            known.attempt_count = letter.attempt_count;
            known.first_failure = letter.first_failure;
            known.envelope =
                Some(RawEnvelope::decode(&as_go_writes(envelope)).map_err(|error| error.to_string())?);
            same_bytes("message", &known.encode(), &line.bytes("message").expect("a message"))?;

            let again =
                DeadLetter::decode(&letter.encode()).map_err(|error| format!("written again: {error}"))?;
            let mut expected = letter.clone();
            if let Some(envelope) = &mut expected.envelope {
                envelope.payload.get_or_insert_with(|| b"null".into()); // as Go writes a missing one
            }
            same("written and read again", again, expected).map(|()| None)
        }
        (go, ours) => Err(format!("Go: {go}, ours: {ours:?}")),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
