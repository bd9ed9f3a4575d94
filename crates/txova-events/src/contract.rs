//! Whether any envelope is what the contract says of its type. It must never change one, nor decide where it goes.

use crate::envelope::{Envelope, EnvelopeRef};
use crate::error::InvalidEvent;
use crate::event::Event;
use crate::events::*;
use crate::json;
use crate::shape::Field;
use crate::topics::{self, CatalogueEntry};

/// Reads a payload as an event and looks at that event's rules.
type Check = fn(&EnvelopeRef<'_>, &CatalogueEntry) -> Result<(), InvalidEvent>;

macro_rules! checks {
    ($($name:ident)*) => { [$(($name::TYPE, check_as::<$name> as Check)),*] };
}

const CHECKS: [(&str, Check); topics::CATALOGUE.len()] = checks! {
    UserRegistered UserVerified UserProfileUpdated UserSuspended UserDeleted
    DriverApplicationSubmitted DriverDocumentsSubmitted DriverApproved DriverRejected DriverWentOnline
    DriverWentOffline DriverLocationUpdated
    RideRequested RideDriverAssigned RideDriverArrived RideStarted RideCompleted RideCancelled RideRated
    PaymentInitiated PaymentCompleted PaymentFailed PaymentRefunded PayoutRequested PayoutCompleted
    SafetyEmergencyTriggered SafetyIncidentReported SafetyTripShared
};

impl EnvelopeRef<'_> {
    /// All that the contract says of this event: it is one of the 28, it keeps a publisher's rules, its payload reads as
    /// its type says, and no field is missing. For tools that publish what a person wrote; a service publishes typed
    /// events, which cannot break most of it.
    ///
    /// ```
    /// use txova_events::EnvelopeRef;
    ///
    /// let bytes = br#"{"id":"e1","type":"ride.rated","version":"1.0","source":"ride-service",
    ///     "timestamp":"2026-04-12T19:24:40Z","correlation_id":"c1",
    ///     "payload":{"ride_id":"1badcdae-43a0-4406-8c2b-5b76332ff894","rated_by":"driver"}}"#;
    /// let error = EnvelopeRef::decode(bytes)?.check_contract().unwrap_err();
    /// assert_eq!((&*error.field, &*error.reason), ("payload.rating", "is missing, expected: integer, 1 to 5"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check_contract(&self) -> Result<(), InvalidEvent> {
        let head = self.head();
        head.validate()?;
        let (Some(entry), Some((_, check))) = (
            topics::catalogue_entry(&self.event_type),
            CHECKS.iter().find(|(event_type, _)| *event_type == self.event_type),
        ) else {
            return Err(
                head.invalid("type", format!("{:?} is none of the platform's events", self.event_type))
            );
        };
        check(self, entry)
    }
}

fn check_as<E: Event>(envelope: &EnvelopeRef<'_>, entry: &CatalogueEntry) -> Result<(), InvalidEvent> {
    let head = envelope.head();
    let payload = envelope.payload.as_deref().unwrap_or_default();
    let Some(members) = json::members(payload) else {
        return Err(head.invalid("payload", "is missing, expected an object"));
    };
    // Read first: a name in the wrong letter case is refused as such, and not as one that is missing.
    let typed: Envelope<E> = envelope.typed().map_err(|error| head.invalid("payload", error.reason))?;
    let given: Vec<_> = members.flatten().map(|member| json::unescaped(member.name)).collect();
    let is_there = |field: &Field| field.is_optional || given.iter().any(|given| given == field.name);
    match entry.fields.iter().find(|field| !is_there(field)) {
        Some(field) => {
            let reason = format!("is missing, expected: {}", field.shape);
            Err(head.invalid(&format!("payload.{}", field.name), reason))
        }
        None => typed.validate(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::Ride;
    use crate::{RawEnvelope, Shape};

    fn refused(event: &RawEnvelope) -> (String, String) {
        let error = event.check_contract().unwrap_err();
        (error.field, error.reason)
    }

    #[test]
    fn every_event_of_the_catalogue_is_checked_by_its_own_type() {
        let types: Vec<_> = CHECKS.iter().map(|(event_type, _)| *event_type).collect();
        assert_eq!(types, topics::CATALOGUE.map(|entry| entry.event_type));
        for seed in 0..50 {
            for event in Ride::seeded(seed).events() {
                event.check_contract().unwrap();
            }
        }
    }

    #[test]
    fn the_catalogues_fields_are_those_of_the_payloads_in_their_order_and_shape() {
        for event in (1..20).flat_map(|seed| Ride::seeded(seed).events()) {
            let entry = topics::catalogue_entry(&event.event_type).unwrap();
            let members: Vec<_> = json::members(event.payload_bytes()).unwrap().flatten().collect();
            let names: Vec<_> = members.iter().map(|member| json::unescaped(member.name)).collect();
            let is_written =
                |field: &&Field| !field.is_optional || names.iter().any(|name| name == field.name);
            let fields: Vec<_> = entry.fields.iter().filter(is_written).collect();
            let known: Vec<_> = fields.iter().map(|field| field.name).collect();
            assert_eq!(names, known, "{}", entry.event_type);
            for (member, field) in members.iter().zip(fields) {
                let begins = match field.shape {
                    Shape::Integer | Shape::Centavos | Shape::Rating | Shape::Number(_) => "0123456789-",
                    Shape::Location => "{",
                    Shape::List(_) => "[",
                    _ => "\"",
                };
                let first = char::from(member.value[0]);
                assert!(begins.contains(first), "{} of {}: {first}", field.name, entry.event_type);
                if let (Shape::Word { words, .. }, Some(word)) = (field.shape, json::text(member.value)) {
                    assert!(words.contains(&&*word), "{word}");
                }
                assert!(!field.about.is_empty() && field.about.trim() == field.about);
            }
            assert!(known.contains(&entry.key_field), "{}", entry.event_type);
        }
    }

    #[test]
    fn an_optional_field_may_be_missing_and_any_other_may_not() {
        for event in Ride::seeded(2).events() {
            let entry = topics::catalogue_entry(&event.event_type).unwrap();
            for field in entry.fields {
                let mut object: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_slice(event.payload_bytes()).unwrap();
                object.remove(field.name);
                let mut without = event.clone();
                without.set_payload(serde_json::to_vec(&object).unwrap()).unwrap();
                let told = without.check_contract();
                assert_eq!(told.is_ok(), field.is_optional, "{} of {}", field.name, entry.event_type);
                if let Err(error) = told {
                    assert_eq!(error.field, format!("payload.{}", field.name));
                }
            }
        }
    }

    #[test]
    fn what_breaks_the_contract_is_told_with_its_field() {
        let event = Ride::seeded(3).event("ride.rated").unwrap();
        let mut unknown = event.clone();
        unknown.event_type = "ride.exploded".into();
        assert_eq!(refused(&unknown).0, "type");

        for (payload, field, word) in [
            ("null", "payload", "expected an object"),
            ("[]", "payload", "expected an object"),
            (r#"{"ride_id":"x"}"#, "payload", "field `ride_id`"),
            (r#"{"Ride_id":"1badcdae-43a0-4406-8c2b-5b76332ff894"}"#, "payload", "matched exactly"),
            ("{}", "payload.ride_id", "is missing, expected: UUID"),
            (
                r#"{"ride_id":"1badcdae-43a0-4406-8c2b-5b76332ff894","rating":6,"rated_by":"driver"}"#,
                "payload.rating",
                "6",
            ),
        ] {
            let mut wrong = event.clone();
            wrong.set_payload(payload.into()).unwrap();
            let (told, reason) = refused(&wrong);
            assert!(told == field && reason.contains(word), "{payload}: {told}: {reason}");
        }
    }
}
