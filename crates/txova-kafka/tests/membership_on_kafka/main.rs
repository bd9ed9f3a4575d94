//! Goal: what happens to a group on a real Kafka loses nothing and turns no key's order around: members that come, go, come
//! back under their name, are thrown out or stopped; topics that come late, grow, and are paused by an operator.
//! Method: the cluster that TXOVA_KAFKA_BROKERS names; without it these are left out. What is waited for is an event, for a
//! minute at most.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)] // a test says what it expects by failing

mod members;
mod pauses;
mod stopped;
mod topics;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use txova_events::EventId;
use txova_kafka::config::{ConsumerConfig, KafkaConfig};
use txova_kafka::{
    App, AppHandle, AppStatus, CloseReport, Kafka, Meta, NewTopic, OutgoingRecord, RunError, State,
};

const WAIT: Duration = Duration::from_secs(60);
const KEYS: usize = 30;

/// Asks again until it holds, for a minute at most.
macro_rules! until {
    ($what:literal, $holds:expr) => {{
        let deadline = tokio::time::Instant::now() + crate::WAIT;
        while !$holds {
            assert!(tokio::time::Instant::now() < deadline, concat!("waited a minute until ", $what));
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }};
}
use until;

/// A topic, its group, and what all members handled: partition, key and number, in the order it ended.
#[derive(Clone)]
struct World {
    kafka: Kafka,
    topic: String,
    group: String,
    seen: Arc<Mutex<Vec<(i32, String, u64)>>>,
}

/// A member of the group that runs here.
struct Running {
    handle: AppHandle,
    run: JoinHandle<Result<CloseReport, RunError>>,
}

async fn handle(State(world): State<World>, meta: Meta) {
    tokio::time::sleep(Duration::from_millis(3)).await;
    world.note(&meta);
}

impl World {
    /// On the cluster that is named, with a topic of so many partitions; none where none is named.
    async fn new(partitions: i32) -> Option<Self> {
        let brokers = std::env::var("TXOVA_KAFKA_BROKERS").ok().filter(|brokers| !brokers.is_empty())?;
        let world = Self::named(&brokers, &format!("moves-{}.v1", EventId::new()));
        if partitions > 0 {
            world.create(partitions).await;
        }
        Some(world)
    }

    fn named(brokers: &str, topic: &str) -> Self {
        let mut config = KafkaConfig::for_brokers(brokers);
        config.connection.metadata_refresh_ms = 1_000;
        let (topic, group) = (topic.to_owned(), format!("{topic}-group"));
        Self { kafka: Kafka::new(config).unwrap(), topic, group, seen: Arc::default() }
    }

    async fn create(&self, partitions: i32) {
        let new = NewTopic { name: self.topic.clone(), partitions, replication: 1, settings: vec![] };
        self.kafka.create_topics(vec![new], WAIT).await.unwrap();
        until!("the topic is known", self.partitions().await == partitions);
    }

    async fn partitions(&self) -> i32 {
        let found = self.kafka.topics(&[&self.topic], WAIT).await.unwrap_or_default();
        found.first().map_or(0, |(_, count)| *count)
    }

    fn note(&self, meta: &Meta) {
        let (key, number) = meta.event_id.split_once(' ').unwrap();
        self.seen.lock().unwrap().push((meta.partition, key.to_owned(), number.parse().unwrap()));
    }

    fn app(&self, edit: impl FnOnce(&mut ConsumerConfig)) -> App {
        let app = self.kafka.app("depot").on("parcel.moved", handle).topics([self.topic.clone()]);
        app.state(self.clone()).consumer(|consumer| self.set(consumer, edit)).build().unwrap()
    }

    fn set(&self, consumer: &mut ConsumerConfig, edit: impl FnOnce(&mut ConsumerConfig)) {
        consumer.group = Some(self.group.clone());
        consumer.session_timeout_ms = 6_000; // the shortest a broker takes by default
        consumer.heartbeat_interval_ms = 1_000;
        edit(consumer);
    }

    fn start(&self, edit: impl FnOnce(&mut ConsumerConfig)) -> Running {
        Running::of(self.app(edit))
    }

    /// Writes the numbers, each to the key that is its turn.
    async fn write(&self, numbers: Range<usize>) {
        let publisher = self.kafka.publisher("depot").unwrap();
        for number in numbers {
            let (key, id) = (format!("k{}", number % KEYS), format!("k{} {number}", number % KEYS));
            drop(publisher.enqueue_record(self.event(&key, &id)).await.unwrap()); // closing waits for it
        }
        assert!(publisher.close(WAIT).await.is_clean());
    }

    fn event(&self, key: &str, id: &str) -> OutgoingRecord {
        let value = format!(
            r#"{{"id":"{id}","type":"parcel.moved","version":"1.0","source":"depot","timestamp":"2026-11-24T08:00:00Z","correlation_id":"c","payload":{{}}}}"#
        );
        OutgoingRecord {
            topic: self.topic.as_str().into(),
            key: Some(key.to_owned().into()),
            value: Some(value.into()),
            ..OutgoingRecord::default()
        }
    }

    fn handled(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    async fn is_done(&self) -> bool {
        let lags = self.kafka.lag(&self.group, &[&self.topic], WAIT).await.unwrap_or_default();
        !lags.is_empty() && lags.iter().all(|lag| lag.committed.unwrap_or(0) == lag.end)
    }

    /// What is committed, by partition.
    async fn committed(&self) -> Vec<i64> {
        let lags = self.kafka.lag(&self.group, &[&self.topic], WAIT).await.unwrap();
        lags.iter().map(|lag| lag.committed.unwrap_or(0)).collect()
    }

    /// Those of the numbers that were handled, each with its key, in the order they ended.
    fn handled_of(&self, numbers: &Range<usize>) -> Vec<(String, u64)> {
        let seen = self.seen.lock().unwrap();
        let among = seen.iter().filter(|(_, _, number)| numbers.contains(&(*number as usize)));
        among.map(|(_, key, number)| (key.clone(), *number)).collect()
    }

    /// Each number was handled, once, and those of a key in the order they were written.
    #[track_caller]
    fn assert_each_once_in_order(&self, numbers: Range<usize>) {
        let seen = self.handled_of(&numbers);
        let mut last: HashMap<&str, u64> = HashMap::new();
        for (key, number) in &seen {
            let before = last.insert(key, *number);
            assert!(before.is_none_or(|before| before < *number), "{key}: {number} behind {before:?}");
        }
        assert_eq!(seen.len(), numbers.len());
    }
}

impl Running {
    fn of(app: App) -> Self {
        Self { handle: app.handle(), run: tokio::spawn(app.run()) }
    }

    async fn status(&self) -> AppStatus {
        self.handle.status().await.unwrap()
    }

    async fn has(&self, partitions: usize) -> bool {
        self.status().await.engine.partitions.len() == partitions
    }

    /// Handlers that run, and records that are not settled, of a topic.
    async fn in_hand(&self, topic: &str) -> (usize, usize) {
        let partitions = self.status().await.engine.partitions;
        let of_topic = partitions.iter().filter(|it| it.partition.topic.as_ref() == topic);
        of_topic.fold((0, 0), |all, it| (all.0 + it.running, all.1 + it.in_flight_records))
    }

    async fn close(self) {
        assert!(self.handle.close(WAIT).await);
        let report = self.run.await.unwrap().unwrap();
        assert_eq!((report.abandoned.len(), report.commit_error), (0, None));
    }
}
