//! The lag where the ends of logs are asked of brokers: over librdkafka, on its mock cluster and on the cluster that
//! TXOVA_KAFKA_BROKERS names where it is set.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use txova_events::EventId;

use super::heard::Heard;
use crate::config::KafkaConfig;
use crate::extract::State;
use crate::kafka::Kafka;
use crate::outcome::HandlerError;
use crate::record::OutgoingRecord;
use crate::testing::MockKafka;
use crate::transport::NewTopic;

const WAIT: Duration = Duration::from_secs(60);
const RECORDS: usize = 300;

#[derive(Clone)]
struct Gate(Arc<Semaphore>);

async fn pass(State(gate): State<Gate>) -> Result<(), HandlerError> {
    gate.0.acquire().await?.forget();
    Ok(())
}

fn event(topic: &str) -> OutgoingRecord {
    let value = r#"{"id":"e","type":"parcel.moved","version":"1.0","source":"depot","timestamp":"2026-11-24T08:00:00Z","correlation_id":"c","payload":{}}"#;
    OutgoingRecord {
        topic: topic.into(),
        key: Some("a".into()),
        value: Some(value.into()),
        ..OutgoingRecord::default()
    }
}

async fn lag_is_told_over_the_client(brokers: &str, topic: &str) {
    let heard = Heard::listen();
    let kafka = Kafka::new(KafkaConfig::for_brokers(brokers)).unwrap();
    let kafka = kafka.with(|config| config.metrics.lag_interval_ms = 200).unwrap();
    let new = |name: String| NewTopic { name, partitions: 1, replication: 1, settings: vec![] };
    kafka.create_topics(vec![new(topic.to_owned()), new(format!("{topic}.dlq"))], WAIT).await.unwrap();
    let events = kafka.publisher("depot").unwrap();
    let gate = Gate(Arc::new(Semaphore::new(0)));
    let group = format!("depot-{}", EventId::new());
    let app =
        kafka.app("depot").on("parcel.*", pass).topics([topic]).state(gate.clone()).consumer(|consumer| {
            consumer.group = Some(group.clone());
            (consumer.concurrency, consumer.max_in_flight_records) = (5, 10); // most is not even taken
        });
    let app = app.build().unwrap();
    let (handle, run) = (app.handle(), tokio::spawn(app.run()));
    for _ in 0..RECORDS {
        drop(events.enqueue_record(event(topic)).await.unwrap()); // closing waits for it
    }
    assert!(events.close(WAIT).await.is_clean());
    let series = format!("txova_kafka_consumer_lag{{topic={topic},partition=0,group={group}}}");
    let until = async |lag: f64| {
        let began = Instant::now();
        while heard.all().get(&series) != Some(&lag) {
            assert!(began.elapsed() < WAIT, "{series} is {:?}, not {lag}", heard.all().get(&series));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until(RECORDS as f64).await;
    gate.0.add_permits(RECORDS);
    until(0.0).await;
    assert!(handle.close(WAIT).await);
    run.await.unwrap().unwrap();
}

#[tokio::test]
async fn lag_counts_what_is_not_taken_yet_over_the_client() {
    let mock = MockKafka::start(1, &[("moves.v1", 1), ("moves.v1.dlq", 1)]).unwrap();
    lag_is_told_over_the_client(mock.bootstrap(), "moves.v1").await;
}

#[tokio::test]
async fn lag_counts_what_is_not_taken_yet_on_a_real_kafka() {
    let Some(brokers) = std::env::var("TXOVA_KAFKA_BROKERS").ok().filter(|brokers| !brokers.is_empty())
    else {
        return; // the test `layers` says that it was left out
    };
    lag_is_told_over_the_client(&brokers, &format!("moves-{}.v1", EventId::new())).await;
}
