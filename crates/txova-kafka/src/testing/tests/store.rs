//! Events are kept, looked up and replayed as they are.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_one_service_published_is_replayed_into_another_app_as_it_was() {
    let first = Harness::new();
    first.start(payment_app(&first).handle(charge).build().unwrap()).await;
    (0..5).for_each(|seed| drop(first.publish(&completed(seed))));
    first.settle().await;
    let published = first.published().by_type("payment.initiated");

    let second = Harness::new();
    let bank = second.kafka().app("bank").state(second.publisher("bank")).handle(pay).build().unwrap();
    second.start(bank).await;
    let replayed = second.replay(&published);
    assert_eq!(second.settle().await.handled(), 5);
    for (before, after) in published.iter().zip(replayed.iter()) {
        assert_eq!((&before.key, &before.value, &before.headers), (&after.key, &after.value, &after.headers));
    }
    let caused: Vec<_> =
        second.published().of::<PaymentCompleted>().into_iter().map(|it| it.causation_id).collect();
    let causes: Vec<_> = published.iter().map(|event| Some(event.event_id().to_owned())).collect();
    assert_eq!(caused, causes);
}

#[test]
fn lookups_chain_and_keep_the_order() {
    let mut store = EventStore::new();
    for seed in 0..3 {
        for event in Ride::seeded(seed).life() {
            store.append(&event).unwrap();
        }
    }
    assert_eq!(store.len(), 27);
    let ride = Ride::seeded(1);
    let of_ride = store.by_key(ride.ride_id);
    let types: Vec<_> = of_ride.iter().map(StoredEvent::event_type).collect();
    let expected = ["requested", "driver_assigned", "driver_arrived", "started", "completed", "rated"]
        .map(|it| format!("ride.{it}"));
    assert_eq!(types, expected);
    assert_eq!(of_ride.by_source("ride-service"), of_ride);
    assert_eq!(store.by_correlation(ride.life()[0].id.as_ref()).len(), 9);
    assert_eq!(store.by_correlation(ride.life()[0].id.as_ref()).by_type("payment.completed").len(), 1);
    assert!(store.by_key("nobody").is_empty());
}

#[test]
fn an_event_no_publisher_would_take_is_not_stored() {
    let mut store = EventStore::new();
    let nil = completed(1).with(|ride| ride.ride_id = txova_events::RideId::nil());
    let error = store.append(&nil).unwrap_err();
    assert!(error.to_string().contains("ride_id"), "{error}");
    assert!(store.is_empty());
}

#[test]
#[should_panic(expected = "expected one ride.rated, found 0 among\n    ride.completed, key ")]
fn the_only_event_of_a_type_that_is_not_there_fails_with_what_is() {
    let mut store = EventStore::new();
    store.append(&completed(1)).unwrap();
    store.only::<RideRated>();
}
