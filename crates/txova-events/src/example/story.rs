//! The events of a ride as envelopes: when each happened, which service said it, which one was its cause. It must never
//! know what is in them.

use super::seed::Numbers;
use super::{Example, Ride, events};
use crate::{Envelope, RawEnvelope, Time};

/// What is told of an event beside its payload.
struct Told {
    at: Time,
    /// The type of the event it followed from; `None` where a person began it.
    cause: Option<&'static str>,
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn told(ride: &Ride, event_type: &str) -> Told {
    let days_before = |days: i64| ride.after(-days * DAY_MS);
    let behind =
        |time: Time, seconds: i64| Time::from_unix_ms(time.unix_ms() + seconds * 1000).unwrap_or(time);
    let over = ride.completed_at();
    let (at, cause) = match event_type {
        "user.registered" => (days_before(90), None),
        "user.verified" => (days_before(89), None),
        "user.profile_updated" => (days_before(30), None),
        "driver.application_submitted" => (days_before(199), None),
        "driver.documents_submitted" => (days_before(198), None),
        "driver.rejected" => (days_before(190), None),
        "driver.approved" => (days_before(180), None),
        "driver.went_online" => (ride.after(-600_000), None),
        "ride.requested" => (ride.requested_at, None),
        "ride.driver_assigned" => (ride.assigned_at(), Some("ride.requested")),
        "driver.location_updated" => (behind(ride.assigned_at(), 30), Some("ride.driver_assigned")),
        "ride.driver_arrived" => (ride.arrived_at(), Some("ride.driver_assigned")),
        "ride.cancelled" => (behind(ride.arrived_at(), 60), Some("ride.driver_arrived")),
        "ride.started" => (ride.started_at(), Some("ride.driver_arrived")),
        "safety.trip_shared" => (behind(ride.started_at(), 45), None),
        "safety.emergency_triggered" => (behind(ride.started_at(), 60), None),
        "ride.completed" => (over, Some("ride.started")),
        "payment.initiated" => (behind(over, 2), Some("ride.completed")),
        "payment.failed" => (behind(over, 9), Some("payment.initiated")),
        "payment.completed" => (behind(over, 11), Some("payment.initiated")),
        "ride.rated" => (behind(over, 90), Some("ride.completed")),
        "safety.incident_reported" => (behind(over, 600), None),
        "payment.refunded" => (behind(over, 3600), None),
        "driver.went_offline" => (behind(over, 7200), None),
        "payout.requested" => (behind(over, 7300), None),
        "payout.completed" => (behind(over, 7400), Some("payout.requested")),
        "user.suspended" => (behind(over, 86_400), None),
        "user.deleted" => (behind(over, 30 * 86_400), None),
        _ => (over, None),
    };
    Told { at, cause }
}

/// The service that says events of this type.
fn source(event_type: &str) -> String {
    match crate::topics::domain(event_type) {
        "payout" => "payment-service".to_owned(),
        domain => format!("{domain}-service"),
    }
}

impl Ride {
    /// The event with its envelope: id, time, source, correlation and cause as they would be on this ride. All events of
    /// a ride's chain carry the id of its `ride.requested` as correlation id.
    ///
    /// ```
    /// use txova_events::example::Ride;
    /// use txova_events::{PaymentInitiated, RideCompleted};
    ///
    /// let ride = Ride::seeded(7);
    /// let (completed, payment) = (ride.envelope::<RideCompleted>(), ride.envelope::<PaymentInitiated>());
    /// assert_eq!(payment.causation_id, Some(completed.id));
    /// assert_eq!(payment.correlation_id, completed.correlation_id);
    /// ```
    pub fn envelope<E: Example>(&self) -> Envelope<E> {
        let Told { at, cause } = told(self, E::TYPE);
        let id = self.event_id(E::TYPE);
        Envelope {
            correlation_id: if cause.is_some() { self.event_id("ride.requested") } else { id.clone() },
            causation_id: cause.map(|cause| self.event_id(cause)),
            id,
            event_type: E::TYPE.to_owned(),
            version: E::VERSION.to_owned(),
            source: source(E::TYPE),
            timestamp: at,
            actor: None,
            payload: E::example(self),
        }
    }

    /// The id of this ride's event of a type: a UUID of version 7 of the moment it happened.
    fn event_id(&self, event_type: &str) -> String {
        Numbers::new(self.seed, event_type).uuid(told(self, event_type).at.unix_ms()).to_string()
    }

    /// A ride that goes well, in order: from the request over the driver's way, start and end to the payment and the
    /// rating. Each names its cause, and all are ready to be published as they are.
    pub fn life(&self) -> Vec<RawEnvelope> {
        let mut life = self.events();
        let well = |event: &RawEnvelope| {
            matches!(
                &*event.event_type,
                "ride.requested"
                    | "ride.driver_assigned"
                    | "driver.location_updated"
                    | "ride.driver_arrived"
                    | "ride.started"
                    | "ride.completed"
                    | "payment.initiated"
                    | "payment.completed"
                    | "ride.rated"
            )
        };
        life.retain(well);
        life.sort_by_key(|event| event.timestamp);
        life
    }

    /// One of each of the 28 events, in the catalogue's order. They do not all happen on one ride: it is completed and
    /// cancelled, paid and unpaid.
    pub fn events(&self) -> Vec<RawEnvelope> {
        events::all(self)
    }

    /// The event of a type; `None` for one that is not among the 28.
    pub fn event(&self, event_type: &str) -> Option<RawEnvelope> {
        self.events().into_iter().find(|event| event.event_type == event_type)
    }
}
