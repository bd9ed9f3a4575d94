//! Goal: what is drawn from a ride could be real, agrees with itself and is the same each time.
//! Method: many rides, looked at field by field.

use std::collections::HashSet;

use super::*;
use crate::topics::CATALOGUE;
use crate::*;

fn rides() -> impl Iterator<Item = Ride> {
    (0..200).map(Ride::seeded)
}

const SEVEN: &str = r#"{"id":"019bbe5f-7d93-71fc-b369-669284b8a97a","type":"ride.completed","version":"1.0","source":"ride-service","timestamp":"2026-01-14T21:18:07.763Z","correlation_id":"019bbe39-57f3-7fc5-9472-914b8ab3f9d3","causation_id":"019bbe45-db13-755c-ba4f-548a5a9a7eab","payload":{"ride_id":"019bbe39-57f3-75a2-ba17-e44f99a5e2f3","end_time":"2026-01-14T21:18:07.763Z","distance_km":9.2,"duration_mins":28,"fare":39000}}"#;

#[test]
fn there_is_an_example_of_each_event_of_the_catalogue_and_each_may_be_published() {
    for ride in rides() {
        let events = ride.events();
        let types: Vec<_> = events.iter().map(|event| event.event_type.to_string()).collect();
        assert_eq!(types, CATALOGUE.map(|entry| entry.event_type));
        for event in events {
            let record =
                event.to_record(&Origin::now("nobody")).unwrap_or_else(|e| panic!("{}: {e}", ride.seed));
            assert_eq!(record.event_id, event.id);
        }
    }
}

#[test]
fn a_seed_gives_the_same_bytes_and_another_seed_other_ids() {
    let bytes = |seed| Ride::seeded(seed).events().iter().map(|event| event.encode()).collect::<Vec<_>>();
    let mut ids = HashSet::new();
    for seed in 0..100 {
        assert_eq!(bytes(seed), bytes(seed), "seed {seed}");
        let ride = Ride::seeded(seed);
        for id in [ride.ride_id.to_string(), ride.payment_id.to_string(), ride.rider_id.to_string()] {
            assert!(ids.insert(id), "seed {seed}");
        }
        for event in ride.events() {
            assert!(ids.insert(event.id.to_string()), "seed {seed}: {}", event.event_type);
        }
    }
}

#[test]
fn the_example_of_seed_seven_stays_what_it_is() {
    let completed = String::from_utf8(Ride::seeded(7).event("ride.completed").unwrap().encode()).unwrap();
    assert_eq!(completed, SEVEN);
}

#[test]
fn a_ride_lies_in_maputo_and_takes_and_costs_what_its_way_does() {
    for ride in rides() {
        let seed = ride.seed;
        for place in [ride.pickup, ride.dropoff] {
            assert!((-26.0..-25.8).contains(&place.latitude()), "seed {seed}: {place}");
            assert!((32.4..32.7).contains(&place.longitude()), "seed {seed}: {place}");
        }
        let straight = maputo::straight_km(ride.pickup, ride.dropoff);
        let km = ride.distance.get();
        assert!(km >= straight && km < straight * 1.5 + 0.6, "seed {seed}: {km} km for {straight}");
        let speed = km * 60.0 / ride.duration_mins as f64;
        assert!((5.0..=36.0).contains(&speed), "seed {seed}: {speed} km/h");
        let longer = maputo::fare(ride.service_type, km + 1.0, ride.duration_mins);
        assert!(ride.fare.centavos() > 0 && ride.fare < longer, "seed {seed}: {}", ride.fare);
        let phone = ride.rider_phone.to_string();
        assert!(phone.starts_with("+2588") && phone.len() == 13, "seed {seed}: {phone}");
    }
}

#[test]
fn a_rides_life_is_told_in_order_of_one_ride_with_each_cause_before_its_effect() {
    for ride in rides() {
        let life = ride.life();
        assert_eq!(life.len(), 9);
        let mut told: Vec<String> = Vec::new();
        for (before, event) in life.iter().zip(life.iter().skip(1)) {
            assert!(before.timestamp < event.timestamp, "seed {}: {}", ride.seed, event.event_type);
        }
        for event in &life {
            assert_eq!(event.correlation_id, life[0].id, "seed {}: {}", ride.seed, event.event_type);
            let cause = event.causation_id.as_deref();
            assert!(cause.is_none_or(|cause| told.iter().any(|id| id == cause)), "seed {}", ride.seed);
            told.push(event.id.to_string());
        }
        let of = |event_type: &str| life.iter().find(|event| event.event_type == event_type).unwrap();
        let completed: RideCompleted = of("ride.completed").decode_payload().unwrap();
        let payment: PaymentInitiated = of("payment.initiated").decode_payload().unwrap();
        assert_eq!((payment.ride_id, payment.amount), (completed.ride_id, completed.fare));
        assert_eq!(completed.end_time, of("ride.completed").timestamp);
    }
}
