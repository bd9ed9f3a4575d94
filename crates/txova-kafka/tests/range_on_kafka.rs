//! Goal: a bounded run over the real client reads what it was told to, beside the group's own run, and moves nothing.
//! Method: librdkafka's mock cluster over TCP, and the cluster that TXOVA_KAFKA_BROKERS names where it is set: only that
//! one finds offsets by time.
#![allow(clippy::unwrap_used, missing_docs)] // a test says what it expects by failing

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use txova_events::EventId;
use txova_kafka::config::KafkaConfig;
use txova_kafka::testing::MockKafka;
use txova_kafka::{
    App, Kafka, Meta, NewTopic, OutgoingRecord, RangeEnd, RangeStart, RunRange, StartAt, State,
};

const WAIT: Duration = Duration::from_secs(60);
const EVENTS: i64 = 600;
/// The start of 2024: brokers refuse timestamps ahead of their own clock.
const BEGAN_MS: i64 = 1_704_067_200_000;

type Seen = Arc<Mutex<Vec<i64>>>;

async fn note(State(seen): State<Seen>, meta: Meta) -> Result<(), std::num::ParseIntError> {
    seen.lock().unwrap().push(meta.event_id.parse()?);
    Ok(())
}

fn app(kafka: &Kafka, topic: &str, group: &str, start: StartAt) -> (App, Seen) {
    let seen = Seen::default();
    let builder = kafka.app("depot").on("parcel.moved", note).topics([topic]).state(seen.clone());
    let edit = |consumer: &mut txova_kafka::config::ConsumerConfig| {
        consumer.group = Some(group.to_owned());
        consumer.auto_offset_reset = start;
    };
    (builder.consumer(edit).build().unwrap(), seen)
}

/// One a second.
fn event(topic: &str, number: i64) -> OutgoingRecord {
    let value = format!(
        r#"{{"id":"{number}","type":"parcel.moved","version":"1.0","source":"depot","timestamp":"2024-01-01T00:00:00Z","correlation_id":"c","payload":{{}}}}"#
    );
    OutgoingRecord {
        topic: topic.into(),
        key: Some(format!("parcel {}", number % 17).into()),
        value: Some(value.into()),
        timestamp_ms: Some(BEGAN_MS + number * 1_000),
        ..OutgoingRecord::default()
    }
}

fn numbers(seen: &Seen) -> BTreeSet<i64> {
    let seen = seen.lock().unwrap();
    let numbers: BTreeSet<i64> = seen.iter().copied().collect();
    assert_eq!(numbers.len(), seen.len(), "each once");
    numbers
}

async fn a_stretch_is_read_beside_the_group(brokers: &str, topic: &str, finds_by_time: bool) {
    let kafka = Kafka::new(KafkaConfig::for_brokers(brokers)).unwrap();
    let new = NewTopic { name: topic.into(), partitions: 3, replication: 1, settings: vec![] };
    kafka.create_topics(vec![new], WAIT).await.unwrap();
    let group = format!("depot-{}", EventId::new());
    let publisher = kafka.publisher("depot").unwrap();
    for number in 0..EVENTS {
        drop(publisher.enqueue_record(event(topic, number)).await.unwrap()); // closing waits for it
    }
    assert!(publisher.close(WAIT).await.is_clean());

    let start =
        if finds_by_time { StartAt::Timestamp { unix_ms: BEGAN_MS + 100_000 } } else { StartAt::Earliest };
    let (running, of_group) = app(&kafka, topic, &group, start);
    let (handle, run) = (running.handle(), tokio::spawn(running.run()));
    let committed = async || -> Vec<Option<i64>> {
        kafka.lag(&group, &[topic], WAIT).await.unwrap().iter().map(|lag| lag.committed).collect()
    };
    let deadline = std::time::Instant::now() + WAIT;
    let expected_of_group = if finds_by_time { 500 } else { EVENTS as usize };
    while kafka.lag(&group, &[topic], WAIT).await.unwrap().iter().any(|lag| lag.committed != Some(lag.end)) {
        assert!(std::time::Instant::now() < deadline, "the group is not done");
    }
    let before = committed().await;

    let (all, seen) = app(&kafka, topic, &group, StartAt::Earliest);
    let report = all.run_range(RunRange::new(RangeStart::Earliest, RangeEnd::End)).await.unwrap();
    assert!(report.is_complete() && report.handled == EVENTS as u64, "{report}");
    assert_eq!(numbers(&seen), (0..EVENTS).collect());
    if finds_by_time {
        let (part, seen) = app(&kafka, topic, &group, StartAt::Earliest);
        let at = |second: i64| BEGAN_MS + second * 1_000;
        let (from, to) =
            (RangeStart::Timestamp { unix_ms: at(200) }, RangeEnd::Timestamp { unix_ms: at(300) });
        let report = part.run_range(RunRange::new(from, to)).await.unwrap();
        assert!(report.is_complete(), "{report}");
        assert_eq!(numbers(&seen), (200..300).collect());
    }
    assert_eq!(committed().await, before);
    let status = handle.status().await.unwrap();
    assert_eq!(status.assignments, 1, "the group was not disturbed");
    assert_eq!(numbers(&of_group).len(), expected_of_group);
    assert!(handle.close(WAIT).await);
    run.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stretch_is_read_beside_the_group_over_the_client() {
    let mock = MockKafka::start(1, &[("moves.v1", 3)]).unwrap();
    a_stretch_is_read_beside_the_group(mock.bootstrap(), "moves.v1", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stretch_is_read_beside_the_group_on_a_real_kafka() {
    let Some(brokers) = std::env::var("TXOVA_KAFKA_BROKERS").ok().filter(|brokers| !brokers.is_empty())
    else {
        return; // the test `layers` says that it was left out
    };
    let topic = format!("moves-{}.v1", EventId::new());
    a_stretch_is_read_beside_the_group(&brokers, &topic, true).await;
}
