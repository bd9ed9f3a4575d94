//! Goal: a service that takes batches over the real client keeps what a service of single events does: nothing lost, order
//! for a key, one dead letter for one bad record, commits that hold across a restart.
//! Method: librdkafka's mock cluster over TCP, and the cluster that TXOVA_KAFKA_BROKERS names where it is set.
#![allow(clippy::unwrap_used, missing_docs)] // a test says what it expects by failing

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use txova_events::{DriverId, Envelope, EventId, RideDriverAssigned, RideId, VehicleId};
use txova_kafka::config::{ConsumerConfig, KafkaConfig};
use txova_kafka::testing::MockKafka;
use txova_kafka::{
    App, BatchError, Batching, Event, HandlerError, Kafka, Meta, NewTopic, OutgoingRecord, State,
};

const WAIT: Duration = Duration::from_secs(60);
const RIDES: i64 = 30;
const EVENTS: i64 = 50;
/// Named as failed by the handler.
const REFUSED: i64 = 13;
/// Behind it, in the midst of its ride, comes a record that is no such event.
const UNREADABLE: i64 = 20;
/// Makes the handler fail without a word which one it was.
const POISON: i64 = 31;

#[derive(Default)]
struct Seen {
    /// For each ride, the numbers in the order they were stored.
    rides: BTreeMap<RideId, Vec<i64>>,
    largest_batch: usize,
    most_of_a_ride: usize,
}

async fn store(
    events: Vec<(Event<RideDriverAssigned>, Meta)>,
    State(seen): State<Arc<Mutex<Seen>>>,
) -> Result<(), HandlerError> {
    if events.iter().any(|(event, _)| event.eta_minutes == POISON) {
        return Err(HandlerError::permanent("somewhere in here is poison"));
    }
    let (mut seen, mut failed) = (seen.lock().unwrap(), BatchError::new());
    assert!(events.is_sorted_by_key(|(_, meta)| meta.offset));
    seen.largest_batch = seen.largest_batch.max(events.len());
    let mut of_ride: BTreeMap<RideId, usize> = BTreeMap::new();
    let mut closed: BTreeSet<RideId> = BTreeSet::new();
    for (place, (event, _)) in events.iter().enumerate() {
        *of_ride.entry(event.ride_id).or_default() += 1;
        if closed.contains(&event.ride_id) {
            continue; // behind a failed one of its key: comes again
        }
        if event.eta_minutes == REFUSED {
            failed.add(place, HandlerError::permanent("thirteen is refused"));
            closed.insert(event.ride_id);
        } else {
            seen.rides.entry(event.ride_id).or_default().push(event.eta_minutes);
        }
    }
    seen.most_of_a_ride = of_ride.into_values().chain([seen.most_of_a_ride]).max().unwrap_or_default();
    Ok(failed.into_result()?)
}

fn app(kafka: &Kafka, topic: &str, group: &str, seen: &Arc<Mutex<Seen>>) -> App {
    let batching = Batching { max_size: 40, max_wait_ms: 100, ..Batching::default() };
    let app = kafka.app("ride-index").handle(store).topics([topic]).batch(batching).state(Arc::clone(seen));
    let settings = |consumer: &mut ConsumerConfig| {
        consumer.group = Some(group.to_owned());
        // The mock cluster lets the second run in only when the first one's session is over, left or not.
        consumer.session_timeout_ms = 6_000;
        consumer.heartbeat_interval_ms = 1_000;
    };
    app.consumer(settings).build().unwrap()
}

async fn behind(kafka: &Kafka, group: &str, topic: &str) -> i64 {
    kafka.lag(group, &[topic], WAIT).await.unwrap().iter().map(|lag| lag.records).sum()
}

/// Asks again until it holds, for a minute at most.
macro_rules! until {
    ($what:literal, $holds:expr) => {{
        let deadline = Instant::now() + WAIT;
        while !$holds {
            assert!(Instant::now() < deadline, concat!("waited a minute until ", $what));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }};
}

async fn a_service_of_batches(brokers: &str, topic: &str) {
    let kafka = Kafka::new(KafkaConfig::for_brokers(brokers)).unwrap();
    let dlq = format!("{topic}.dlq");
    let of = |name: &str| NewTopic { name: name.into(), partitions: 3, replication: 1, settings: vec![] };
    kafka.create_topics(vec![of(topic), of(&dlq)], WAIT).await.unwrap();
    let (group, seen) = (format!("{topic}-group"), Arc::<Mutex<Seen>>::default());

    let publisher = kafka.publisher("ride-service").unwrap();
    let rides: Vec<RideId> = (0..RIDES).map(|_| RideId::new()).collect();
    for eta_minutes in 0..EVENTS {
        for ride_id in rides.iter().copied() {
            let (driver_id, vehicle_id) = (DriverId::new(), VehicleId::new());
            let event = RideDriverAssigned { ride_id, driver_id, vehicle_id, eta_minutes };
            let value = Envelope::new("ride-service", event).encode().unwrap();
            let mut values = vec![value.clone()];
            if eta_minutes == UNREADABLE {
                let text = String::from_utf8(value).unwrap();
                values.push(text.replace(r#""eta_minutes":20"#, r#""eta_minutes":"soon""#).into_bytes());
            }
            for value in values {
                let (topic, key) = (topic.into(), Some(ride_id.to_string().into()));
                let value = Some(value.into());
                let record = OutgoingRecord { topic, key, value, ..OutgoingRecord::default() };
                drop(publisher.enqueue_record(record).await.unwrap()); // closing waits for it
            }
        }
    }
    assert!(publisher.close(WAIT).await.is_clean());

    // A first run is stopped in the middle, a second takes over from its commits.
    for enough in [200, usize::MAX] {
        let app = app(&kafka, topic, &group, &seen);
        let handle = app.handle();
        let run = tokio::spawn(app.run());
        let stored = || seen.lock().unwrap().rides.values().map(Vec::len).sum::<usize>();
        until!("all is settled", stored() >= enough || behind(&kafka, &group, topic).await == 0);
        assert!(handle.close(Duration::from_secs(10)).await);
        let report = run.await.unwrap().unwrap();
        assert_eq!((report.abandoned.len(), report.commit_error), (0, None));
    }

    assert_eq!(
        behind(&kafka, "nobody", &dlq).await,
        RIDES * 3,
        "what is refused, poison, and what cannot be read"
    );
    let seen = seen.lock().unwrap();
    let expected: Vec<i64> = (0..EVENTS).filter(|number| ![REFUSED, POISON].contains(number)).collect();
    assert_eq!(seen.rides.len() as i64, RIDES);
    for (ride, numbers) in &seen.rides {
        assert_eq!(*numbers, expected, "{ride}: each once and in order");
    }
    assert!((2..=40).contains(&seen.largest_batch), "{}", seen.largest_batch);
    assert!(seen.most_of_a_ride > 1, "several events of a ride share a batch");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_of_batches_on_the_mock_cluster() {
    let topic = format!("test.batches.{}", EventId::new());
    let mock = MockKafka::start(1, &[(&topic, 3), (&format!("{topic}.dlq"), 3)]).unwrap();
    a_service_of_batches(mock.bootstrap(), &topic).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_of_batches_on_a_real_kafka() {
    let Some(brokers) = std::env::var("TXOVA_KAFKA_BROKERS").ok().filter(|brokers| !brokers.is_empty())
    else {
        return; // the test `layers` says that it was left out
    };
    a_service_of_batches(&brokers, &format!("test.batches.{}", EventId::new())).await;
}
