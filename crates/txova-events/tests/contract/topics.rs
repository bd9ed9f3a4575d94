//! Topics, their keys and how they are laid out, as the contract has them.

use txova_events::topics::*;

#[test]
fn the_profiles_are_those_of_the_contract() {
    const DAY_MS: i64 = 86_400_000;
    let production = TopicProfile::production();
    assert_eq!((production.partitions, production.replication, production.retention_ms), (12, 3, 7 * DAY_MS));
    let development = TopicProfile::development();
    assert_eq!((development.partitions, development.replication, development.retention_ms), (3, 1, DAY_MS));
}

#[test]
fn each_topic_has_its_domains_and_its_key() {
    let table = [
        ("txova.users.v1", "user.registered", ["user_id"].as_slice()),
        ("txova.drivers.v1", "driver.approved", &["driver_id"]),
        ("txova.locations.v1", "driver.location_updated", &["driver_id"]),
        ("txova.rides.v1", "ride.requested", &["ride_id"]),
        ("txova.payments.v1", "payment.completed", &["payment_id", "payout_id"]),
        ("txova.safety.v1", "safety.emergency_triggered", &["incident_id", "ride_id"]),
    ];
    assert_eq!(ALL.as_slice(), table.map(|(topic, ..)| topic));
    for (topic, event_type, keys) in table {
        assert_eq!(topic_for_event_type(event_type), Some(topic), "{event_type}");
        assert_eq!(key_fields(topic), keys, "{topic}");
        assert_eq!(dlq_topic(topic), format!("{topic}.dlq"));
    }
    assert_eq!(topic_for_event_type("payout.requested"), Some(PAYMENTS));
    assert_eq!(topic_for_event_type("weather.changed"), None);
    assert_eq!(accepted_topics("driver.location_updated"), [LOCATIONS, DRIVERS]);
}

#[test]
fn every_event_of_the_catalogue_goes_to_its_topic_under_a_key_of_that_topic() {
    assert_eq!(CATALOGUE.len(), 28);
    for entry in CATALOGUE {
        assert_eq!(topic_for_event_type(entry.event_type), Some(entry.topic), "{}", entry.event_type);
        assert!(key_fields(entry.topic).contains(&entry.key_field), "{}", entry.event_type);
    }
    let types: std::collections::BTreeSet<_> = CATALOGUE.iter().map(|entry| entry.event_type).collect();
    assert_eq!(types.len(), 28, "no type is there twice");
}

#[test]
fn the_known_services_have_their_groups() {
    let groups = SERVICES.map(consumer_group).join(" ");
    assert_eq!(
        groups,
        "user-service-group driver-service-group ride-service-group payment-service-group \
         notification-service-group safety-service-group operations-service-group analytics-service-group"
    );
}
