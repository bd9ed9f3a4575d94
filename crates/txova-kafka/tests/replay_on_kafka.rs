//! Goal: dead letters are replayed over the real client as in memory: what is picked is handled once and recorded, what
//! is passed over waits, nothing else changes.
//! Method: librdkafka's mock cluster over TCP, and the cluster that TXOVA_KAFKA_BROKERS names where it is set.
#![allow(clippy::unwrap_used, missing_docs)] // a test says what it expects by failing

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use txova_events::{DeadLetter, EventId};
use txova_kafka::config::KafkaConfig;
use txova_kafka::testing::MockKafka;
use txova_kafka::{App, HandlerError, Kafka, Meta, NewTopic, OutgoingRecord, Replay, State};

const WAIT: Duration = Duration::from_secs(60);
const DECISIONS: [(&str, i32); 2] = [("txova.dlq.resolutions", 1), ("txova.dlq.audit", 1)];
const EVENTS: usize = 200;
const POISONED: usize = 40;
const LARGE: usize = 100;

#[derive(Clone, Default)]
struct Depot {
    is_repaired: Arc<AtomicBool>,
    handled: Arc<Mutex<Vec<String>>>,
}

/// Refuses every fifth event until it is repaired.
async fn store(State(depot): State<Depot>, meta: Meta) -> Result<(), HandlerError> {
    let number: usize = meta.event_id.parse()?;
    if number.is_multiple_of(5) && !depot.is_repaired.load(SeqCst) {
        return Err(HandlerError::permanent("every fifth is refused"));
    }
    depot.handled.lock().unwrap().push(meta.event_id);
    Ok(())
}

fn app(kafka: &Kafka, topic: &str, group: &str, depot: &Depot) -> App {
    let builder = kafka.app("depot").on("parcel.moved", store).topics([topic]).state(depot.clone());
    builder.consumer(|consumer| consumer.group = Some(group.to_owned())).build().unwrap()
}

fn event(topic: &str, number: usize, note: &str) -> OutgoingRecord {
    let value = format!(
        r#"{{"id":"{number}","type":"parcel.moved","version":"1.0","source":"depot","timestamp":"2026-11-24T08:00:00Z","correlation_id":"c","payload":{{"note":"{note}"}}}}"#
    );
    OutgoingRecord {
        topic: topic.into(),
        key: Some(format!("parcel {}", number % 17).into()),
        value: Some(value.into()),
        ..OutgoingRecord::default()
    }
}

async fn letters_are_replayed_over_the_client(brokers: &str, topic: &str) {
    let kafka = Kafka::new(KafkaConfig::for_brokers(brokers)).unwrap();
    let dlq = format!("{topic}.dlq");
    let new = |name: &str| NewTopic { name: name.into(), partitions: 3, replication: 1, settings: vec![] };
    kafka.create_topics(vec![new(topic), new(&dlq)], WAIT).await.unwrap();
    let group = format!("depot-{}", EventId::new());
    let depot = Depot::default();
    let publisher = kafka.publisher("depot").unwrap();
    for number in 1..=EVENTS {
        // One is nearly as large as a record can be: its letter cannot hold it.
        let note = "x".repeat(if number == LARGE { 1_048_000 } else { 3 });
        publisher.publish_record(event(topic, number, &note)).await.unwrap();
    }

    let failing = app(&kafka, topic, &group, &depot);
    let handle = failing.handle();
    let run = tokio::spawn(failing.run());
    let deadline = Instant::now() + WAIT;
    let behind = async || -> i64 {
        kafka.lag(&group, &[topic], WAIT).await.unwrap().iter().map(|lag| lag.records).sum()
    };
    while behind().await > 0 {
        assert!(Instant::now() < deadline, "waited a minute until all records are settled");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(handle.close(WAIT).await);
    run.await.unwrap().unwrap();
    assert_eq!(depot.handled.lock().unwrap().len(), EVENTS - POISONED);
    depot.handled.lock().unwrap().clear();
    depot.is_repaired.store(true, SeqCst);

    let repaired = app(&kafka, topic, &group, &depot);
    let plan = repaired.plan_replay(Replay::new()).await.unwrap();
    assert_eq!((plan.entries.len(), plan.reasons.len()), (POISONED, 1), "{plan}");
    let even = |letter: &DeadLetter| letter.event_id().parse::<usize>().is_ok_and(|id| id.is_multiple_of(2));
    let began = Instant::now();
    let first = repaired.replay(Replay::new().filter(even).by("a test").why("it is repaired")).await.unwrap();
    eprintln!("{} letters replayed in {:?}", first.replayed, began.elapsed());
    assert_eq!((first.replayed, first.passed_over), (20, 20), "{first}");
    let second = repaired.replay(Replay::new()).await.unwrap();
    assert_eq!((second.replayed, second.resolved_before), (20, 20), "{second}");
    let third = repaired.replay(Replay::new()).await.unwrap();
    assert_eq!((third.replayed, third.resolved_before), (0, POISONED as u64), "{third}");

    let handled = depot.handled.lock().unwrap().clone();
    let expected: BTreeSet<String> = (1..=POISONED).map(|n| (n * 5).to_string()).collect();
    assert_eq!((handled.len(), BTreeSet::from_iter(handled)), (POISONED, expected), "each once");
    let entries = kafka.dead_letters([topic]).await.unwrap();
    assert_eq!(entries.len(), POISONED, "the dead letters are all still there");
    assert!(entries.iter().all(|entry| !entry.is_open()));
    let cut = entries.iter().filter(|entry| entry.letter.as_ref().is_ok_and(DeadLetter::lacks_body));
    assert_eq!(cut.count(), 1, "the large one, which was read from its topic");
    assert_eq!(behind().await, 0, "nothing was written to the topic, nothing committed");
    assert!(publisher.close(WAIT).await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_are_replayed_on_the_mock_cluster() {
    let topics = [&[("parcels.v1", 3), ("parcels.v1.dlq", 3)], &DECISIONS[..]].concat();
    let mock = MockKafka::start(1, &topics).unwrap();
    letters_are_replayed_over_the_client(mock.bootstrap(), "parcels.v1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_are_replayed_on_a_real_kafka() {
    match std::env::var("TXOVA_KAFKA_BROKERS") {
        Ok(brokers) => {
            letters_are_replayed_over_the_client(&brokers, &format!("parcels-{}", EventId::new())).await;
        }
        Err(_) => eprintln!("left out: no real Kafka (TXOVA_KAFKA_BROKERS is not set)"),
    }
}
