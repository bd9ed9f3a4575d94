//! `normalize.jsonl`: phone numbers, addresses, ids, words, event types, groups.

use std::fmt::Display;
use std::str::FromStr;

use txova_events::topics::{self, SERVICES};
use txova_events::*;

use crate::lines::{Line, Report, read, same};

#[test]
fn every_text_gets_its_normal_form_or_gos_refusal() {
    let mut report = Report::default();
    for line in read("normalize.jsonl") {
        report.line(&line.at, check(&line).map(|()| None));
    }
    report.close("normalize.jsonl", &[]);
}

fn check(line: &Line) -> Result<(), String> {
    match line.text("kind") {
        "phone" => parsed::<Phone>(line, |error| match error {
            PhoneError::Digits { .. } => "phone",
            PhoneError::Prefix { .. } => "phone_prefix",
        }),
        "email" => parsed::<Email>(line, |_| "email"),
        "uuid" => parsed::<UserId>(line, |_| "uuid"),
        "user_type" => parsed::<UserType>(line, |_| "enum"),
        "document_type" => parsed::<DocumentType>(line, |_| "enum"),
        "service_type" => parsed::<ServiceType>(line, |_| "enum"),
        "cancellation_reason" => parsed::<CancellationReason>(line, |_| "enum"),
        "payment_method" => parsed::<PaymentMethod>(line, |_| "enum"),
        "emergency_type" => parsed::<EmergencyType>(line, |_| "enum"),
        "incident_severity" => parsed::<IncidentSeverity>(line, |_| "enum"),
        "event_type" => event_type(line),
        "consumer_group" => {
            let service = line.text("input");
            same("group", topics::consumer_group(service).as_str(), line.text("output"))?;
            same("known", SERVICES.contains(&service), line.json["known"] == true)
        }
        kind => Err(format!("unknown kind {kind}")),
    }
}

fn parsed<T: FromStr + Display>(line: &Line, class: impl Fn(&T::Err) -> &'static str) -> Result<(), String> {
    // bytes that are no UTF-8 reach a parser of texts as a reader of JSON hands them over
    let input = String::from_utf8_lossy(&line.bytes("input").expect("an input")).into_owned();
    match (line.text("result"), input.parse::<T>()) {
        ("accept", Ok(value)) => same("output", value.to_string().as_str(), line.text("output")),
        ("reject", Err(error)) => same("class", class(&error), line.text("class")),
        (go, ours) => Err(format!("Go: {go}, ours: {:?}", ours.map(|value| value.to_string()).ok())),
    }
}

fn event_type(line: &Line) -> Result<(), String> {
    let event_type = line.text("input");
    let topic = topics::go_topic_for_event_type(event_type);
    same("known", topics::catalogue_entry(event_type).is_some(), line.json["known"] == true)?;
    same("domain", topics::domain(event_type), line.text("domain"))?;
    same("action", topics::action(event_type), line.text("action"))?;
    same("topic", topic.unwrap_or_default(), line.text("topic"))?;
    same("dlq", topic.map(topics::dlq_topic).unwrap_or_default().as_str(), line.text("dlq_topic"))?;
    same("key field", topic.and_then(topics::key_field).unwrap_or_default(), line.text("key_field"))
}
