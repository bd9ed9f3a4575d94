//! Any value is read as it was written.

use std::fmt::Debug;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use txova_events::*;

use crate::strategies::*;

/// Writes and reads an event in every way there is.
fn round_trip<E: Event + PartialEq + Debug>(event: E) -> Result<(), TestCaseError> {
    let payload = encode_payload(&event)?;
    prop_assert_eq!(&decode_payload::<E>(&payload)?, &event);
    prop_assert_eq!(&serde_json::from_slice::<E>(&payload)?, &event);
    prop_assert_eq!(&serde_json::from_value::<E>(serde_json::from_slice(&payload)?)?, &event);

    let context = EventContext::new("c").with_actor(Actor::user(UserId::new()));
    let origin = Origin { source: "a-service", context: Some(&context), now: Time::now() };
    let record = event.to_record(&origin)?;
    prop_assert_eq!(record.topic.as_str(), E::TOPIC);

    let read = EnvelopeRef::decode(&record.value)?;
    prop_assert_eq!(read.key(), Some(event.key()));
    let envelope = read.typed::<E>()?;
    prop_assert_eq!(envelope.encode()?, read.encode());
    prop_assert_eq!(envelope.payload, event);
    prop_assert_eq!(read.encode(), record.value);
    Ok(())
}

macro_rules! events {
    ($($test:ident $event:ident { $($field:ident: $strategy:expr),* })*) => {
        proptest! {
            $(#[test]
            fn $test(event in ($($strategy,)*).prop_map(|($($field,)*)| $event { $($field),* })) {
                round_trip(event)?;
            })*
        }
    };
}

events! {
    user_registered UserRegistered {
        user_id: id(), phone: option::of(phone()), user_type: word(UserType::ALL), email: option::of(email()),
        name: optional_text()
    }
    user_verified UserVerified { user_id: id(), verification_type: open_word("phone") }
    user_profile_updated UserProfileUpdated { user_id: id(), changed_fields: vec(text(), 0..4).prop_map(List::from) }
    user_suspended UserSuspended { user_id: id(), reason: text(), suspended_by: option::of(id()) }
    user_deleted UserDeleted { user_id: id(), deletion_type: open_word("inactivity") }
    driver_application_submitted DriverApplicationSubmitted { driver_id: id(), user_id: id() }
    driver_documents_submitted DriverDocumentsSubmitted {
        driver_id: id(), document_types: vec(word(DocumentType::ALL), 0..4).prop_map(List::from)
    }
    driver_approved DriverApproved { driver_id: id(), approved_by: id() }
    driver_rejected DriverRejected { driver_id: id(), reason: text(), rejected_by: id() }
    driver_went_online DriverWentOnline { driver_id: id(), location: location(), vehicle_id: id() }
    driver_went_offline DriverWentOffline { driver_id: id(), reason: open_word("low_battery") }
    driver_location_updated DriverLocationUpdated {
        driver_id: id(), location: location(), heading: measure(Heading::new), speed: measure(Speed::new)
    }
    ride_requested RideRequested {
        ride_id: id(), rider_id: id(), pickup: location(), dropoff: location(), service_type: word(ServiceType::ALL)
    }
    ride_driver_assigned RideDriverAssigned {
        ride_id: id(), driver_id: id(), vehicle_id: id(), eta_minutes: any::<i64>()
    }
    ride_driver_arrived RideDriverArrived { ride_id: id(), arrival_time: time_value() }
    ride_started RideStarted { ride_id: id(), start_time: time_value(), start_location: location() }
    ride_completed RideCompleted {
        ride_id: id(), end_time: time_value(), distance_km: measure(DistanceKm::new), duration_mins: any::<i64>(),
        fare: money()
    }
    ride_cancelled RideCancelled {
        ride_id: id(), cancelled_by: open_word("system"), reason: word(CancellationReason::ALL),
        cancellation_fee: money()
    }
    ride_rated RideRated {
        ride_id: id(), rating: (1..=5i64).prop_map(|stars| Rating::new(stars).unwrap()), rated_by: open_word("rider"),
        review: optional_text()
    }
    payment_initiated PaymentInitiated {
        payment_id: id(), ride_id: id(), amount: money(), method: word(PaymentMethod::ALL)
    }
    payment_completed PaymentCompleted { payment_id: id(), transaction_ref: text() }
    payment_failed PaymentFailed { payment_id: id(), error_code: text(), error_message: text() }
    payment_refunded PaymentRefunded { payment_id: id(), refund_amount: money(), reason: text() }
    payout_requested PayoutRequested { payout_id: id(), driver_id: id(), amount: money() }
    payout_completed PayoutCompleted { payout_id: id(), transaction_ref: text() }
    safety_emergency_triggered SafetyEmergencyTriggered {
        ride_id: id(), user_id: id(), location: location(), emergency_type: word(EmergencyType::ALL)
    }
    safety_incident_reported SafetyIncidentReported {
        incident_id: id(), reporter_id: id(), ride_id: id(), severity: word(IncidentSeverity::ALL)
    }
    safety_trip_shared SafetyTripShared { ride_id: id(), shared_with_phone: option::of(phone()) }
}

proptest! {
    #[test]
    fn a_raw_envelope_survives_with_payload_and_unknown_fields_byte_for_byte(envelope in raw_envelope()) {
        let again = RawEnvelope::decode(&envelope.encode())?;
        prop_assert_eq!(&again, &envelope);
        prop_assert_eq!(again.encode(), envelope.encode());
    }

    #[test]
    fn another_json_library_reads_the_same_texts(given in text()) {
        let mut envelope = RawEnvelope::default();
        envelope.source = given.clone().into();
        let bytes = envelope.encode();
        prop_assert!(!bytes.iter().any(|byte| matches!(byte, b'<' | b'>' | b'&' | 0..0x20)));
        let value: serde_json::Value = serde_json::from_slice(&bytes)?;
        prop_assert_eq!(value["source"].as_str(), Some(given.as_str()));
    }

    #[test]
    fn a_time_keeps_its_nanoseconds_and_its_offset(time in time_value()) {
        let again: Time = time.to_string().parse()?;
        prop_assert_eq!(again, time);
        prop_assert_eq!(again.datetime().offset(), time.datetime().offset());
        prop_assert_eq!(again.to_string(), time.to_string());
    }

    #[test]
    fn a_number_keeps_every_bit(number in number()) {
        let distance_km = DistanceKm::new(number)?;
        let event = RideCompleted {
            ride_id: RideId::new(), end_time: Time::now(), distance_km, duration_mins: 1, fare: Money::ZERO,
        };
        let again: RideCompleted = decode_payload(&encode_payload(&event)?)?;
        prop_assert_eq!(again.distance_km.get().to_bits(), number.to_bits());
    }

    #[test]
    fn an_email_and_a_phone_are_their_own_normal_form(email in email(), phone in phone()) {
        prop_assert_eq!(email.to_string().parse::<Email>()?, email);
        prop_assert_eq!(phone.to_string().parse::<Phone>()?, phone);
    }

    #[test]
    fn a_dead_letter_survives_whatever_it_holds(
        place in (text(), any::<i32>(), any::<i64>(), text(), any::<i64>(), time_value(), time_value()),
        envelope in option::of(raw_envelope()),
        bodies in (option::of(vec(any::<u8>(), 0..40)), option::of(vec(any::<u8>(), 0..40))),
        headers in vec((text(), option::of(vec(any::<u8>(), 0..9))), 0..4),
        words in (option::of(text()), vec(text(), 0..3), option::of(text()), option::of(text()), option::of(text())),
        rest in (option::of(time_value()), option::of(text()), any::<u32>()),
    ) {
        let (topic, partition, offset, error_message, attempt_count, first_failure, last_failure) = place;
        let mut letter = DeadLetter::new(&topic, partition, offset, error_message, last_failure);
        letter.attempt_count = attempt_count;
        letter.first_failure = first_failure;
        letter.envelope = envelope;
        (letter.original_key, letter.raw_body) = bodies;
        letter.original_headers = headers;
        (letter.error_class, letter.error_chain, letter.handler, letter.consumer_group, letter.service) = words;
        (letter.original_timestamp, letter.library_version, letter.redrive_count) = rest;
        let bytes = letter.encode();
        prop_assert_eq!(&DeadLetter::decode(&bytes)?, &letter);
        let value: serde_json::Value = serde_json::from_slice(&bytes)?;
        prop_assert_eq!(value["original_topic"].as_str(), Some(topic.as_str()));
    }

    #[test]
    fn money_never_wraps(a in any::<i64>(), b in any::<i64>()) {
        let sum = Money::from_centavos(a).checked_add(Money::from_centavos(b));
        prop_assert_eq!(sum.map(|sum| i128::from(sum.centavos())).unwrap_or(i128::from(a) + i128::from(b)), i128::from(a) + i128::from(b));
        prop_assert_eq!(sum.is_none(), i64::try_from(i128::from(a) + i128::from(b)).is_err());
    }
}
