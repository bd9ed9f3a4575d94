//! Goal: a service over the real client keeps what the in-memory tests promise: nothing lost, order for a key, dead
//! letters with their origin, commits that hold across a restart.
//! Method: librdkafka's mock cluster over TCP, and the cluster that TXOVA_KAFKA_BROKERS names where it is set.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use txova_events::{DriverId, EventId, RideId, Time};
use txova_events::{RideDriverArrived, RideDriverAssigned, VehicleId};
use txova_kafka::config::KafkaConfig;
use txova_kafka::testing::MockKafka;
use txova_kafka::{App, Attempt, Event, HandlerError, Kafka, Meta, NewTopic, Policy, State, Unexpected};

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

async fn anything(_meta: Meta) {}

fn app(kafka: &Kafka, group: &str, seen: &Seen) -> App {
    kafka
        .app("ride-service")
        .handle(assigned)
        .on("ride.driver_arrived", anything)
        .state(seen.clone())
        .unexpected(Unexpected::NoEnvelope, Policy::DeadLetter)
        .consumer(|consumer| {
            consumer.group = Some(group.to_owned());
            consumer.retry_backoff_ms = 50;
        })
        .build()
        .unwrap()
}

async fn dead_letters(kafka: &Kafka) -> i64 {
    kafka.lag("nobody", &["txova.rides.v1.dlq"], WAIT).await.unwrap().iter().map(|lag| lag.end).sum()
}

async fn behind(kafka: &Kafka, group: &str) -> i64 {
    kafka.lag(group, &["txova.rides.v1"], WAIT).await.unwrap().iter().map(|lag| lag.records).sum()
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

async fn a_service_over_the_client(brokers: &str) {
    let kafka = Kafka::new(KafkaConfig::for_brokers(brokers)).unwrap();
    let topic = |name: &str| NewTopic { name: name.into(), partitions: 6, replication: 1, settings: vec![] };
    kafka.create_topics(vec![topic("txova.rides.v1"), topic("txova.rides.v1.dlq")], WAIT).await.unwrap();
    let group = format!("test-{}", EventId::new());
    let (seen, dead_before) = (Seen::default(), dead_letters(&kafka).await);
    let before = behind(&kafka, &group).await;
    assert_eq!(before, 0, "this test needs an empty topic: run it on a fresh cluster");

    let publisher = kafka.publisher("ride-service").unwrap();
    let rides: Vec<RideId> = (0..RIDES).map(|_| RideId::new()).collect();
    let mut handles = Vec::new();
    for number in 0..25 {
        for ride_id in &rides {
            let (driver_id, vehicle_id) = (DriverId::new(), VehicleId::new());
            let event = RideDriverAssigned { ride_id: *ride_id, driver_id, vehicle_id, eta_minutes: number };
            handles.push(publisher.enqueue(&event).await.unwrap());
        }
    }
    for handle in handles {
        handle.await.unwrap();
    }
    for body in ["not an event", "", "{}"] {
        let record = txova_kafka::OutgoingRecord {
            topic: "txova.rides.v1".into(),
            key: Some(rides[0].to_string().into()),
            value: Some(body.into()),
            ..Default::default()
        };
        publisher.publish_record(record).await.unwrap();
    }

    // A first run is stopped in the middle, a second takes over from its commits.
    let first = app(&kafka, &group, &seen);
    let handle = first.handle();
    let run = tokio::spawn(first.run());
    until!("some are handled", seen.total() > 50);
    assert!(handle.close(Duration::from_secs(5)).await);
    let report = run.await.unwrap().unwrap();
    assert_eq!((report.abandoned.len(), report.commit_error), (0, None));
    let second = app(&kafka, &group, &seen);
    let handle = second.handle();
    let run = tokio::spawn(second.run());
    until!("all are handled", behind(&kafka, &group).await == 0);
    assert!(handle.close(Duration::from_secs(5)).await);
    run.await.unwrap().unwrap();

    let expected: Vec<i64> = (0..25).filter(|number| *number != 13).collect();
    for (ride, numbers) in seen.0.lock().unwrap().iter() {
        assert_eq!(*numbers, expected, "{ride}");
    }
    assert_eq!(seen.total(), RIDES * 24);
    assert_eq!(dead_letters(&kafka).await - dead_before, RIDES as i64 + 3);
    let arrived = RideDriverArrived { ride_id: rides[0], arrival_time: Time::now() };
    assert!(publisher.publish(&arrived).await.is_ok());
    assert!(publisher.close(WAIT).await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_over_the_client_on_the_mock_cluster() {
    let mock = MockKafka::start(1, &[("txova.rides.v1", 6), ("txova.rides.v1.dlq", 6)]).unwrap();
    a_service_over_the_client(mock.bootstrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_over_the_client_on_a_real_kafka() {
    match std::env::var("TXOVA_KAFKA_BROKERS") {
        Ok(brokers) => a_service_over_the_client(&brokers).await,
        Err(_) => eprintln!("left out: no real Kafka (TXOVA_KAFKA_BROKERS is not set)"),
    }
}
