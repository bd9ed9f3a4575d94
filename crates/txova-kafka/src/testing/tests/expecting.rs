//! A failure shows what was expected and what was published as one list.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

fn published() -> EventStore {
    let ride = Ride::seeded(1);
    let mut store = EventStore::new();
    store.append(&ride.envelope::<RideRequested>()).unwrap();
    store.append(&ride.envelope::<RideCompleted>()).unwrap();
    store.append(&ride.envelope::<PaymentInitiated>()).unwrap();
    store
}

fn failure(assertion: impl FnOnce()) -> String {
    *catch_unwind(AssertUnwindSafe(assertion)).unwrap_err().downcast::<String>().unwrap()
}

#[test]
fn a_failure_is_a_diff_with_the_reason_at_the_event_that_was_meant() {
    let ride = Ride::seeded(1);
    let text = failure(|| {
        published().assert_exactly([
            expect::<RideRequested>().key(ride.ride_id),
            expect::<PaymentInitiated>()
                .payload("free of charge", |it: &PaymentInitiated| it.amount.centavos() == 0),
            expect::<RideRated>(),
        ]);
    });
    let (ride_id, payment_id) = (ride.ride_id, ride.payment_id);
    let payment = serde_json::to_string(&PaymentInitiated::example(&ride)).unwrap();
    let expected = format!(
        "the events are not those expected:
    ride.requested, key {ride_id}, txova.rides.v1
  - payment.initiated, free of charge
  - ride.rated
  + ride.completed, key {ride_id}, txova.rides.v1
  + payment.initiated, key {payment_id}, txova.payments.v1
      not free of charge: {payment}"
    );
    assert_eq!(text, expected);
}

#[test]
fn each_matcher_fails_on_what_it_is_about_and_says_what_it_found() {
    let completed = Ride::seeded(1).envelope::<RideCompleted>();
    let one: EventStore = published().iter().skip(1).take(1).cloned().collect();
    let right = || {
        expect::<RideCompleted>()
            .key(completed.payload.ride_id)
            .correlation(&completed.correlation_id)
            .caused_by(completed.causation_id.as_deref().unwrap())
            .source("ride-service")
            .topic(topics::RIDES)
            .header("event_type", "ride.completed")
            .payload_is(&completed.payload)
    };
    one.assert_exactly([right()]);
    let cheaper = completed.payload.clone().with(|ride| ride.fare = txova_events::Money::ZERO);
    for (wrong, reason) in [
        (right().key("x"), "key is "),
        (right().correlation("x"), "correlation is "),
        (right().caused_by("x"), "caused by is "),
        (right().source("x"), "source is ride-service, expected x"),
        (right().topic("x"), "topic is txova.rides.v1, expected x"),
        (right().header("event_type", "x"), "event_type is ride.completed, expected x"),
        (right().header("tenant", "x"), "tenant is absent, expected x"),
        (right().payload_is(&cheaper), "payload is {"),
        (right().payload("long", |ride: &RideCompleted| ride.duration_mins > 10_000), "not long: {"),
    ] {
        let text = failure(|| one.assert_exactly([wrong]));
        assert!(text.contains(reason), "{reason} in {text}");
    }
}

#[test]
fn in_order_passes_over_others_and_not_over_the_order() {
    published().assert_in_order([expect::<RideRequested>(), expect::<PaymentInitiated>()]);
    let text = failure(|| {
        published().assert_in_order([expect::<PaymentInitiated>(), expect::<RideRequested>()]);
    });
    assert!(text.contains("in this order"), "{text}");
}

#[test]
fn none_and_nothing_fail_with_what_is_there() {
    published().assert_none(expect::<RideRated>());
    let text = failure(|| published().assert_none(expect::<RideCompleted>()));
    assert!(text.contains("but found\n    ride.completed, key "), "{text}");
    EventStore::new().assert_exactly([]);
    assert!(failure(|| published().assert_exactly([])).contains("  + ride.requested"));
}
