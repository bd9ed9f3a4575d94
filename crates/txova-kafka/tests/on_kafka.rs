//! Goal: a service over the real client keeps what the in-memory tests promise: nothing lost, order for a key, dead
//! letters with their origin, commits that hold across a restart.
//! Method: librdkafka's mock cluster over TCP, and the cluster that TXOVA_KAFKA_BROKERS names where it is set.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)] // a test says what it expects by failing

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use txova_events::{DriverId, Envelope, EventId, RideDriverAssigned, RideId, VehicleId};
use txova_kafka::config::{ConsumerConfig, KafkaConfig};
use txova_kafka::testing::MockKafka;
use txova_kafka::{App, Attempt, Event, HandlerError, Kafka, NewTopic, OutgoingRecord, State};

const WAIT: Duration = Duration::from_secs(60);
const RIDES: usize = 40;

/// What the handlers saw: for each ride, the numbers in the order they were handled.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<HashMap<RideId, Vec<i64>>>>);

impl Seen {
    fn total(&self) -> usize {
        self.0.lock().unwrap().values().map(Vec::len).sum()
    }
}

/// Minutes are the event's number; 13 fails for good, 7 at its first attempt.
async fn assigned(
    Event(event): Event<RideDriverAssigned>,
    attempt: Attempt,
    State(seen): State<Seen>,
) -> Result<(), HandlerError> {
    match event.eta_minutes {
        13 => return Err(HandlerError::permanent("thirteen is refused")),
        7 if !attempt.is_retry() => return Err(HandlerError::transient("not at once")),
        _ => {}
    }
    seen.0.lock().unwrap().entry(event.ride_id).or_default().push(event.eta_minutes);
    Ok(())
}

fn app(kafka: &Kafka, topic: &str, group: &str, seen: &Seen) -> App {
    let app = kafka.app("ride-service").handle(assigned).topics([topic]).state(seen.clone());
    let settings = |consumer: &mut ConsumerConfig| {
        consumer.group = Some(group.to_owned());
        consumer.retry_backoff_ms = 50;
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
        let deadline = tokio::time::Instant::now() + WAIT;
        while !$holds {
            assert!(tokio::time::Instant::now() < deadline, concat!("waited a minute until ", $what));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }};
}

async fn a_service_over_the_client(brokers: &str, topic: &str) {
    let kafka = Kafka::new(KafkaConfig::for_brokers(brokers)).unwrap();
    let dlq = format!("{topic}.dlq");
    let of = |name: &str| NewTopic { name: name.into(), partitions: 6, replication: 1, settings: vec![] };
    kafka.create_topics(vec![of(topic), of(&dlq)], WAIT).await.unwrap();
    let (group, seen) = (format!("{topic}-group"), Seen::default());

    let publisher = kafka.publisher("ride-service").unwrap();
    let record = |ride: &RideId, value: Vec<u8>| OutgoingRecord {
        topic: topic.into(),
        key: Some(ride.to_string().into()),
        value: Some(value.into()),
        ..OutgoingRecord::default()
    };
    let rides: Vec<RideId> = (0..RIDES).map(|_| RideId::new()).collect();
    let mut handles = Vec::new();
    for number in 0..25 {
        for ride_id in &rides {
            let (driver_id, vehicle_id) = (DriverId::new(), VehicleId::new());
            let event = RideDriverAssigned { ride_id: *ride_id, driver_id, vehicle_id, eta_minutes: number };
            let value = Envelope::new("ride-service", event).encode().unwrap();
            handles.push(publisher.enqueue_record(record(ride_id, value)).await.unwrap());
        }
    }
    for handle in handles {
        handle.await.unwrap();
    }
    for body in ["not an event", "", "{}"] {
        publisher.publish_record(record(&rides[0], body.into())).await.unwrap();
    }

    // A first run is stopped in the middle, a second takes over from its commits.
    let first = app(&kafka, topic, &group, &seen);
    let handle = first.handle();
    let run = tokio::spawn(first.run());
    until!("some are handled", seen.total() > 50);
    assert!(handle.close(Duration::from_secs(5)).await);
    let report = run.await.unwrap().unwrap();
    assert_eq!((report.abandoned.len(), report.commit_error), (0, None));
    let second = app(&kafka, topic, &group, &seen);
    let handle = second.handle();
    let run = tokio::spawn(second.run());
    until!("all are handled", behind(&kafka, &group, topic).await == 0);
    assert!(handle.close(Duration::from_secs(5)).await);
    run.await.unwrap().unwrap();

    let expected: Vec<i64> = (0..25).filter(|number| *number != 13).collect();
    for (ride, numbers) in seen.0.lock().unwrap().iter() {
        assert_eq!(*numbers, expected, "{ride}");
    }
    assert_eq!(seen.total(), RIDES * 24);
    assert_eq!(behind(&kafka, "nobody", &dlq).await, RIDES as i64 + 3);
    assert!(publisher.close(WAIT).await.is_clean());
}

fn unique_topic() -> String {
    format!("test.rides.{}", EventId::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_over_the_client_on_the_mock_cluster() {
    let topic = unique_topic();
    let mock = MockKafka::start(1, &[(&topic, 6), (&format!("{topic}.dlq"), 6)]).unwrap();
    a_service_over_the_client(mock.bootstrap(), &topic).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_over_the_client_on_a_real_kafka() {
    match std::env::var("TXOVA_KAFKA_BROKERS") {
        Ok(brokers) if !brokers.is_empty() => a_service_over_the_client(&brokers, &unique_topic()).await,
        _ => eprintln!("left out: no real Kafka (TXOVA_KAFKA_BROKERS is not set)"),
    }
}
