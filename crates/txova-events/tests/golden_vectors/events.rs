//! `events.jsonl`: what Go publishes is read with the same meaning and written with the same bytes.

use serde_json::Value;
use txova_events::partition::{Partitioner, fnv1a, murmur2};
use txova_events::topics::{
    accepted_topics, catalogue_entry, go_topic_for_event_type, key_field, key_fields,
};
use txova_events::{EnvelopeRef, EventRecord};

use crate::differences::{self, EMPTY_EMAIL, NO_TEXT, UNPUBLISHED};
use crate::lines::{Line, Report, bytes_of, read, same, same_bytes};
use crate::typed::{Whole, with_event};

#[test]
fn every_event_a_go_service_publishes_is_read_and_written_alike() {
    let mut report = Report::default();
    for line in read("events.jsonl") {
        report.line(&line.at, check(&line));
    }
    report.close("events.jsonl", &[EMPTY_EMAIL, NO_TEXT, UNPUBLISHED]);
}

fn check(line: &Line) -> Result<Option<&'static str>, String> {
    let value = line.bytes("value").expect("a value");
    let envelope = EnvelopeRef::decode(&value).map_err(|error| error.to_string())?;
    let mut class = None;

    let event_type = line.text("event_type");
    same("type", envelope.event_type.as_ref(), event_type)?;
    envelope.validate().map_err(|error| error.to_string())?;
    let raw = envelope.encode();
    if raw != value {
        let plain = String::from_utf8_lossy(&value).replace("\\ufffd", "\u{fffd}");
        same_bytes("value", &raw, plain.as_bytes())?;
        class = Some(NO_TEXT);
    }

    let topic = line.text("topic");
    if !accepted_topics(event_type).contains(&topic) {
        return Err(format!("not accepted from {topic}"));
    }
    if line.text("topic_chosen_by") == "library" {
        same("topic", go_topic_for_event_type(event_type), Some(topic))?;
    }
    let field = line.text("key_field");
    match line.text("key_chosen_by") {
        "caller" => {}
        by => {
            if by == "library" {
                same("key field", key_field(topic), Some(field))?;
            }
            same("key field of the convention", key_fields(topic).contains(&field), true)?;
            if let Some(entry) = catalogue_entry(event_type) {
                same("key field of the catalogue", entry.key_field, field)?;
            }
            same("key", envelope.key().as_deref(), Some(line.text("key")))?;
        }
    }
    let key = line.text("key");
    for (hash, partitioner) in [("fnv1a", Partitioner::Fnv1a), ("murmur2", Partitioner::Murmur2)] {
        partitions(&line.json[format!("partition_{hash}")], partitioner, key.as_bytes())?;
    }
    if !key.is_empty() {
        let record = envelope.record_for(topic, key).map_err(|error| error.to_string())?;
        headers(&record, &line.json["headers"])?;
    }

    match (line.text("typed"), with_event(event_type, Whole(&envelope))) {
        ("untyped", None) | ("rejected", Some(Err(_))) => {}
        ("same", Some(Ok((written, published)))) => {
            class = differences::of_payload(&written, &value)?.or(class);
            match published {
                Ok(record) => {
                    same_bytes("published value", &record.value, &written)?;
                    headers(&record, &line.json["headers"])?;
                    if line.text("key_chosen_by") != "caller" {
                        same("published key", record.key.as_str(), line.text("key"))?;
                    }
                }
                Err(error) if ["zeros", "unset", "rating"].iter().any(|hole| error.reason.contains(hole)) => {
                    class = Some(UNPUBLISHED);
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        ("differs", Some(Ok(_))) => {}
        (go, ours) => return Err(format!("typed: ours {ours:?}, Go's {go}")),
    }
    Ok(class)
}

fn headers(record: &EventRecord, go: &Value) -> Result<(), String> {
    let go: Vec<(&str, Vec<u8>)> = go
        .as_array()
        .expect("a list of headers")
        .iter()
        .map(|header| (header["key"].as_str().expect("a key"), bytes_of(header, "value").unwrap_or_default()))
        .collect();
    let ours: Vec<(&str, Vec<u8>)> = record.headers().map(|(name, value)| (name, value.to_vec())).into();
    // Go's headers are the bytes it was given, ours are texts
    let texts = |headers: Vec<(&str, Vec<u8>)>| -> Vec<(String, String)> {
        headers
            .into_iter()
            .map(|(name, value)| {
                let text = value.utf8_chunks().fold(String::new(), |text, chunk| {
                    text + chunk.valid() + &"\u{fffd}".repeat(chunk.invalid().len())
                });
                (name.to_owned(), text)
            })
            .collect()
    };
    same("headers", texts(ours), texts(go))
}

/// `{"12": n, "3": n}`
pub(crate) fn partitions(go: &Value, partitioner: Partitioner, key: &[u8]) -> Result<(), String> {
    for (count, partition) in go.as_object().expect("partitions by count") {
        let ours = partitioner.partition(key, count.parse().expect("a count"));
        same(&format!("{partitioner:?} among {count}"), Some(u64::from(ours)), partition.as_u64())?;
    }
    Ok(())
}

#[test]
fn every_key_lies_where_go_and_java_put_it() {
    let mut report = Report::default();
    for line in read("partitions.jsonl") {
        let key = line.bytes("key").expect("a key");
        let outcome = same("fnv1a", Some(u64::from(fnv1a(&key))), line.json["fnv1a"].as_u64())
            .and_then(|()| same("murmur2", Some(i64::from(murmur2(&key))), line.json["murmur2"].as_i64()))
            .and_then(|()| partitions(&line.json["partition_fnv1a"], Partitioner::Fnv1a, &key))
            .and_then(|()| partitions(&line.json["partition_murmur2"], Partitioner::Murmur2, &key));
        report.line(&line.at, outcome.map(|()| None));
    }
    report.close("partitions.jsonl", &[]);
}
