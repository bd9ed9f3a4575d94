//! The clusters commands are tried on: the mock one that `dev` keeps up, and a real one where there is one.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use serde_json::Value;
use txova_kafka::config::KafkaConfig;
use txova_kafka::{Kafka, NewTopic, TopicPartition};

use crate::run::command;

pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// A running `dev`; ends with the test.
pub(crate) struct Dev {
    child: Child,
    pub brokers: String,
    pub up: Value,
    /// Held: a reader that goes away would end it.
    _out: BufReader<ChildStdout>,
}

impl Dev {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = command(&["dev", "--json"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let up: Value = serde_json::from_str(&line).unwrap();
        Self { child, brokers: up["brokers"].as_str().unwrap().to_owned(), up, _out: out }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The brokers of a real Kafka, or a line that says what is left out.
pub(crate) fn real(what: &str) -> Option<String> {
    let brokers = std::env::var("TXOVA_KAFKA_BROKERS").ok().filter(|brokers| !brokers.is_empty());
    if brokers.is_none() {
        eprintln!("left out: no real Kafka (TXOVA_KAFKA_BROKERS names none): {what}");
    }
    brokers
}

/// A name nobody else uses.
pub(crate) fn name(of: &str) -> String {
    format!("txova-test-{of}-{}", uuid::Uuid::new_v4())
}

pub(crate) fn kafka(brokers: &str) -> Kafka {
    Kafka::new(KafkaConfig::for_brokers(brokers)).unwrap()
}

pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A topic of its own with `records` records in partition 0 of two.
pub(crate) fn topic(brokers: &str, records: usize) -> String {
    let name = name("topic");
    let kafka = kafka(brokers);
    wait(async {
        let topic = NewTopic { name: name.clone(), partitions: 2, replication: 1, settings: Vec::new() };
        kafka.create_topics(vec![topic], TIMEOUT).await.unwrap();
        let publisher = kafka.publisher("test").unwrap();
        for number in 0..records {
            let record = txova_kafka::OutgoingRecord {
                topic: name.as_str().into(),
                partition: Some(0),
                value: Some(format!("{{\"number\":{number}}}").into()),
                ..Default::default()
            };
            publisher.publish_record(record).await.unwrap();
        }
        publisher.close(TIMEOUT).await;
    });
    name
}

/// A group without members that goes on at `offset` in partition 0.
pub(crate) fn group(brokers: &str, topic: &str, offset: i64) -> String {
    let group = name("group");
    let at = vec![(TopicPartition::new(topic, 0), offset)];
    wait(kafka(brokers).admin().set_offsets(&group, at, TIMEOUT)).unwrap();
    group
}
