//! From what a person wrote to a record that keeps the contract, or to what is wrong with it. It must never send anything.

use serde_json::{Map, Value as Json};
use txova_events::topics::{self, CATALOGUE};
use txova_events::{EnvelopeRef, EventId, EventRecord, Origin, RawEnvelope, Time, ToRecord};

use super::input::Value;
use crate::failure::Failure;
use crate::nearest::did_you_mean;

/// A record that may be published, and where it came from.
#[derive(Debug)]
pub(super) struct Prepared {
    pub file: String,
    pub line: usize,
    pub record: EventRecord,
}

/// What is filled in where an envelope leaves it out.
#[derive(Clone, Debug)]
pub(super) struct Filling {
    /// The objects are payloads of this type.
    pub event_type: Option<String>,
    pub source: String,
}

impl Filling {
    pub(super) fn check(&self) -> Result<(), Failure> {
        match &self.event_type {
            Some(event_type) if topics::catalogue_entry(event_type).is_none() => {
                Err(Failure::Usage(format!("--type {}", unknown_type(event_type))))
            }
            _ => Ok(()),
        }
    }
}

/// The record of an envelope, or of a payload where the filling names its type. What an envelope leaves out (id, version,
/// source, timestamp, correlation id) is filled in.
pub(super) fn prepare(
    value: Value<'_>,
    filling: &Filling,
    take_unknown: bool,
) -> Result<EventRecord, String> {
    let Value { line, text } = value;
    let object: Map<String, Json> = serde_json::from_str(text)
        .map_err(|error| format!("expected a JSON object: {}", plain(&error, line)))?;
    let envelope = match &filling.event_type {
        Some(event_type) => {
            let mut envelope = RawEnvelope::default();
            envelope.event_type = event_type.clone().into();
            envelope.set_payload(text.as_bytes().to_vec()).map_err(|error| error.to_string())?;
            envelope
        }
        None => RawEnvelope::decode(text.as_bytes()).map_err(|error| error.to_string())?,
    };
    let mut envelope = envelope;
    fill(&mut envelope, filling);
    if topics::catalogue_entry(&envelope.event_type).is_none() {
        return Err(match &*envelope.event_type {
            "" => "field `type`: is missing; payloads alone need --type".to_owned(),
            event_type => format!("field `type`: {}", unknown_type(event_type)),
        });
    }
    if !take_unknown {
        unknown_fields(&object, &envelope, filling.event_type.is_some())?;
    }
    envelope.check_contract().map_err(|error| format!("field `{}`: {}", error.field, error.reason))?;
    envelope.to_record(&Origin::now(&filling.source)).map_err(|error| error.to_string())
}

fn fill(envelope: &mut EnvelopeRef<'static>, filling: &Filling) {
    if envelope.id.is_empty() {
        envelope.id = EventId::new().to_string().into();
    }
    if envelope.version.is_empty()
        && let Some(entry) = topics::catalogue_entry(&envelope.event_type)
    {
        envelope.version = entry.version.into();
    }
    if envelope.source.is_empty() {
        envelope.source = filling.source.clone().into();
    }
    if envelope.timestamp.is_zero() {
        envelope.timestamp = Time::now();
    }
    if envelope.correlation_id.is_empty() {
        envelope.correlation_id = envelope.id.clone();
    }
}

fn unknown_type(event_type: &str) -> String {
    let hint = did_you_mean(event_type, CATALOGUE.map(|entry| entry.event_type));
    format!("{event_type:?} is none of the platform's events{hint}")
}

/// A field nobody knows is most often one that is misspelt.
fn unknown_fields(
    object: &Map<String, Json>,
    envelope: &EnvelopeRef<'_>,
    is_payload: bool,
) -> Result<(), String> {
    const ENVELOPE: [&str; 9] = [
        "id",
        "type",
        "version",
        "source",
        "timestamp",
        "correlation_id",
        "causation_id",
        "actor",
        "payload",
    ];
    let told = |path: &str, name: &str, known: &[&str]| {
        let hint = did_you_mean(name, known.iter().copied());
        Err(format!("field `{path}{name}`: the contract has no such field{hint}; --unknown-fields takes it"))
    };
    if let Some((name, _)) = envelope.unknown_fields().next() {
        return told("", &name, &ENVELOPE);
    }
    let fields = topics::catalogue_entry(&envelope.event_type).map(|entry| entry.fields).unwrap_or_default();
    let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
    let payload = if is_payload { Some(object) } else { object.get("payload").and_then(Json::as_object) };
    match payload.into_iter().flatten().find(|(name, _)| !known.contains(&name.as_str())) {
        Some((name, _)) => told(if is_payload { "" } else { "payload." }, name, &known),
        None => Ok(()),
    }
}

/// With its place in the file, and not in the value.
fn plain(error: &serde_json::Error, line: usize) -> String {
    let text = error.to_string();
    let words = text.split(" at line ").next().unwrap_or(&text).to_owned();
    format!("{words}, at line {} column {}", line + error.line().saturating_sub(1), error.column())
}

#[cfg(test)]
mod tests {
    use txova_events::example::Ride;

    use super::*;

    fn filling(event_type: Option<&str>) -> Filling {
        Filling { event_type: event_type.map(str::to_owned), source: "somebody".to_owned() }
    }

    fn prepared(text: &str, filling: &Filling, take_unknown: bool) -> Result<EventRecord, String> {
        prepare(Value { line: 4, text }, filling, take_unknown)
    }

    fn rated() -> RawEnvelope {
        Ride::seeded(3).event("ride.rated").unwrap()
    }

    #[test]
    fn a_whole_envelope_goes_out_byte_for_byte() {
        for event in Ride::seeded(9).events() {
            let text = String::from_utf8(event.encode()).unwrap();
            let record = prepared(&text, &filling(None), false).unwrap();
            assert_eq!(record.value, text.as_bytes());
            assert_eq!((record.event_id.as_str(), Some(record.key)), (&*event.id, event.key()));
        }
    }

    #[test]
    fn what_is_left_out_is_filled_in_and_a_payload_alone_is_enough_with_its_type() {
        let payload = String::from_utf8(rated().payload_bytes().to_vec()).unwrap();
        let short = format!(r#"{{"type":"ride.rated","payload":{payload}}}"#);
        for record in
            [prepared(&short, &filling(None), false), prepared(&payload, &filling(Some("ride.rated")), false)]
        {
            let record = record.unwrap();
            let envelope = EnvelopeRef::decode(&record.value).unwrap();
            assert_eq!((&*envelope.version, &*envelope.source), ("1.0", "somebody"));
            assert_eq!(envelope.correlation_id, envelope.id);
            assert!(!envelope.timestamp.is_zero() && envelope.id.len() == 36);
        }
    }

    #[test]
    fn mistakes_are_told_with_their_field() {
        let edited = |edit: fn(&mut Map<String, Json>)| {
            let mut object: Map<String, Json> = serde_json::from_slice(&rated().encode()).unwrap();
            edit(&mut object);
            let text = serde_json::to_string(&object).unwrap();
            prepared(&text, &filling(None), false).unwrap_err()
        };
        let payload = |object: &mut Map<String, Json>, name: &str, value: Json| {
            object["payload"].as_object_mut().unwrap().insert(name.to_owned(), value);
        };
        for (edit, told) in [
            (
                (|object| drop(object.insert("type".into(), "ride.rate".into())))
                    as fn(&mut Map<String, Json>),
                "field `type`: \"ride.rate\" is none of the platform's events (did you mean ride.rated?)",
            ),
            (|object| drop(object.remove("type")), "field `type`: is missing; payloads alone need --type"),
            (
                |object| drop(object.insert("casuation_id".into(), "x".into())),
                "field `casuation_id`: the contract has no such field (did you mean causation_id?); --unknown-fields takes it",
            ),
            (
                |object| drop(object.insert("timestamp".into(), "today".into())),
                "field `timestamp`: \"today\" is no time",
            ),
        ] {
            assert!(edited(edit).starts_with(told), "{}", edited(edit));
        }
        let mut object: Map<String, Json> = serde_json::from_slice(&rated().encode()).unwrap();
        payload(&mut object, "rateing", 5.into());
        let text = serde_json::to_string(&object).unwrap();
        let told = prepared(&text, &filling(None), false).unwrap_err();
        assert!(
            told.starts_with(
                "field `payload.rateing`: the contract has no such field (did you mean rating?)"
            )
        );
        assert!(prepared(&text, &filling(None), true).is_ok(), "with the word it is kept");
        payload(&mut object, "rating", 6.into());
        let text = serde_json::to_string(&object).unwrap();
        assert!(prepared(&text, &filling(None), true).unwrap_err().starts_with("field `payload.rating`: "));
        assert_eq!(
            prepared("[]", &filling(None), false).unwrap_err().split(':').next(),
            Some("expected a JSON object")
        );
    }
}
