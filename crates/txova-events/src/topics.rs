//! Which events go where, under which key, and how their topics are laid out. It must never know payloads.

use crate::shape::{Described, Field};

/// The topic of `user.*`.
pub const USERS: &str = "txova.users.v1";
/// The topic of `driver.*`, but for locations.
pub const DRIVERS: &str = "txova.drivers.v1";
/// The topic of `driver.location_updated`.
pub const LOCATIONS: &str = "txova.locations.v1";
/// The topic of `ride.*`.
pub const RIDES: &str = "txova.rides.v1";
/// The topic of `payment.*` and `payout.*`.
pub const PAYMENTS: &str = "txova.payments.v1";
/// The topic of `safety.*`.
pub const SAFETY: &str = "txova.safety.v1";

/// The six topics.
pub const ALL: [&str; 6] = [USERS, DRIVERS, LOCATIONS, RIDES, PAYMENTS, SAFETY];

/// What a dead-letter topic's name ends with.
pub const DLQ_SUFFIX: &str = ".dlq";

/// The dead-letter topic of `topic`.
///
/// ```
/// assert_eq!(txova_events::topics::dlq_topic("txova.rides.v1"), "txova.rides.v1.dlq");
/// ```
pub fn dlq_topic(topic: &str) -> String {
    format!("{topic}{DLQ_SUFFIX}")
}

/// The domain of an event type: what is before its first dot, all of it where there is none.
pub fn domain(event_type: &str) -> &str {
    event_type.split_once('.').map_or(event_type, |(domain, _)| domain)
}

/// The action of an event type: what is behind its first dot, nothing where there is none.
pub fn action(event_type: &str) -> &str {
    event_type.split_once('.').map_or("", |(_, action)| action)
}

/// The topic this library publishes an event type to; `None` for a domain that is not the platform's.
///
/// An unknown action goes to its domain's topic.
pub fn topic_for_event_type(event_type: &str) -> Option<&'static str> {
    if event_type == "driver.location_updated" {
        Some(LOCATIONS)
    } else {
        go_topic_for_event_type(event_type)
    }
}

/// The topic a Go service publishes an event type to: as [`topic_for_event_type`], but for
/// `driver.location_updated`, which they send to the drivers' topic with everything else of its domain.
pub fn go_topic_for_event_type(event_type: &str) -> Option<&'static str> {
    match domain(event_type) {
        "user" => Some(USERS),
        "driver" => Some(DRIVERS),
        "ride" => Some(RIDES),
        "payment" | "payout" => Some(PAYMENTS),
        "safety" => Some(SAFETY),
        _ => None,
    }
}

/// The topics a consumer must accept an event type from, ours first. None for a domain that is not the platform's.
///
/// ```
/// use txova_events::topics::{DRIVERS, LOCATIONS, RIDES, accepted_topics};
///
/// assert_eq!(accepted_topics("ride.rated"), [RIDES]);
/// assert_eq!(accepted_topics("driver.location_updated"), [LOCATIONS, DRIVERS]);
/// ```
pub fn accepted_topics(event_type: &str) -> Vec<&'static str> {
    let mut topics: Vec<_> = topic_for_event_type(event_type).into_iter().collect();
    topics.extend(go_topic_for_event_type(event_type).filter(|go| !topics.contains(go)));
    topics
}

/// The payload field that the Go library names as a topic's key; `None` for a topic that is not the platform's.
pub fn key_field(topic: &str) -> Option<&'static str> {
    key_fields(topic).first().copied()
}

/// The payload fields that may be a topic's key; the first one a payload has is its key.
pub fn key_fields(topic: &str) -> &'static [&'static str] {
    match topic {
        USERS => &["user_id"],
        DRIVERS | LOCATIONS => &["driver_id"],
        RIDES => &["ride_id"],
        PAYMENTS => &["payment_id", "payout_id"],
        SAFETY => &["incident_id", "ride_id"],
        _ => &[],
    }
}

/// How a topic is laid out on a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TopicProfile {
    /// Partitions of the topic.
    pub partitions: i32,
    /// Copies of each partition.
    pub replication: i16,
    /// How long records are kept, in milliseconds.
    pub retention_ms: i64,
}

impl TopicProfile {
    /// 12 partitions, three copies, a week.
    pub const fn production() -> Self {
        Self { partitions: 12, replication: 3, retention_ms: 7 * 24 * 60 * 60 * 1000 }
    }

    /// 3 partitions, one copy, a day.
    pub const fn development() -> Self {
        Self { partitions: 3, replication: 1, retention_ms: 24 * 60 * 60 * 1000 }
    }
}

/// The services that consume the platform's events today.
pub const SERVICES: [&str; 8] = [
    "user-service",
    "driver-service",
    "ride-service",
    "payment-service",
    "notification-service",
    "safety-service",
    "operations-service",
    "analytics-service",
];

/// The consumer group of a service, known or not.
///
/// ```
/// assert_eq!(txova_events::topics::consumer_group("ride-service"), "ride-service-group");
/// ```
pub fn consumer_group(service: &str) -> String {
    format!("{service}-group")
}

/// What the catalogue says of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CatalogueEntry {
    /// The event's type.
    pub event_type: &'static str,
    /// The topic this library publishes it to.
    pub topic: &'static str,
    /// The version of its payload's schema.
    pub version: &'static str,
    /// The payload field that is its key.
    pub key_field: &'static str,
    /// What has happened.
    pub about: &'static str,
    /// The payload's fields, in the order they are written in.
    pub fields: &'static [Field],
}

const fn entry<E: Described>() -> CatalogueEntry {
    CatalogueEntry {
        event_type: E::TYPE,
        topic: E::TOPIC,
        version: E::VERSION,
        key_field: E::KEY_FIELD,
        about: E::ABOUT,
        fields: E::FIELDS,
    }
}

/// The 28 events of the platform.
pub const CATALOGUE: [CatalogueEntry; 28] = {
    use crate::events::*;
    [
        entry::<UserRegistered>(),
        entry::<UserVerified>(),
        entry::<UserProfileUpdated>(),
        entry::<UserSuspended>(),
        entry::<UserDeleted>(),
        entry::<DriverApplicationSubmitted>(),
        entry::<DriverDocumentsSubmitted>(),
        entry::<DriverApproved>(),
        entry::<DriverRejected>(),
        entry::<DriverWentOnline>(),
        entry::<DriverWentOffline>(),
        entry::<DriverLocationUpdated>(),
        entry::<RideRequested>(),
        entry::<RideDriverAssigned>(),
        entry::<RideDriverArrived>(),
        entry::<RideStarted>(),
        entry::<RideCompleted>(),
        entry::<RideCancelled>(),
        entry::<RideRated>(),
        entry::<PaymentInitiated>(),
        entry::<PaymentCompleted>(),
        entry::<PaymentFailed>(),
        entry::<PaymentRefunded>(),
        entry::<PayoutRequested>(),
        entry::<PayoutCompleted>(),
        entry::<SafetyEmergencyTriggered>(),
        entry::<SafetyIncidentReported>(),
        entry::<SafetyTripShared>(),
    ]
};

/// The catalogue's entry for an event type; `None` for one that is not among the 28.
pub fn catalogue_entry(event_type: &str) -> Option<&'static CatalogueEntry> {
    CATALOGUE.iter().find(|entry| entry.event_type == event_type)
}
