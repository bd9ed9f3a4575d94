//! The clusters commands are tried on: the mock one that `dev` keeps up, and a real one where there is one.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
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

/// A real Kafka of a test's own, with a secure listener; gone with it.
pub(crate) struct Secured {
    port: u16,
    /// The listener without a log-in.
    pub plain: String,
    /// What points a client at the one with TLS and a log-in.
    pub variables: Vec<(String, String)>,
}

impl Secured {
    pub(crate) fn start(nodes: usize) -> Self {
        let mut cluster = Self { port: free_port(), plain: String::new(), variables: Vec::new() };
        let said = cluster.task(&["start", "--secure", "--nodes", &nodes.to_string()]);
        let pairs = |line: &str| -> Vec<(String, String)> {
            let pairs = line.split_whitespace().filter_map(|pair| pair.split_once('='));
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        let secure = said.lines().find_map(|line| line.find("TXOVA_KAFKA_BROKERS=").map(|at| &line[at..]));
        cluster.variables = pairs(secure.filter(|line| line.contains("SASL")).unwrap());
        cluster.plain = pairs(said.lines().last().unwrap()).swap_remove(0).1;
        cluster
    }

    fn task(&self, words: &[&str]) -> String {
        let mut task = std::process::Command::new(env!("CARGO"));
        task.args(["run", "--quiet", "--package", "xtask", "--", "kafka", "--port", &self.port.to_string()]);
        let done = task.args(words).output().unwrap();
        assert!(done.status.success(), "kafka {words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        self.task(&["clean"]);
    }
}

/// One for the broker, where the one behind it is free for its controller. Below those that outgoing connections are given,
/// which could take it before the broker does.
fn free_port() -> u16 {
    let any = || 20_000 + uuid::Uuid::new_v4().as_u128() as u16 % 12_000;
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    std::iter::repeat_with(any).find(|port| is_free(*port) && is_free(port + 1)).unwrap()
}

/// A Kafka of one broker of a test's own, which is gone with it.
pub(crate) struct Own(Secured);

impl Own {
    pub(crate) fn start() -> Self {
        let mut cluster = Secured { port: free_port(), plain: String::new(), variables: Vec::new() };
        let said = cluster.task(&["start"]);
        let brokers = said.lines().find_map(|line| line.split_once("TXOVA_KAFKA_BROKERS="));
        cluster.plain = brokers.unwrap().1.trim().to_owned();
        Self(cluster)
    }

    pub(crate) fn brokers(&self) -> &str {
        &self.0.plain
    }

    /// `kill 1`, `resume 1` and the like.
    pub(crate) fn task(&self, words: &[&str]) {
        self.0.task(words);
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
