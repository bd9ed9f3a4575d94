//! The suite through the real client over TCP: on librdkafka's mock brokers always, one member a group; on a real Kafka
//! where `TXOVA_KAFKA_BROKERS` says where it is.

use std::sync::Mutex;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use uuid::Uuid;

use super::{Bench, LeftOpen, PATIENCE};
use crate::record::TopicPartition;
use crate::transport::librdkafka::Librdkafka;
use crate::transport::librdkafka::mock::MockKafka;
use crate::transport::properties::ClientProperties;
use crate::transport::{Commit, NewTopic, Transport};

/// Names a real Kafka for tests, as `host:port,…`.
const BROKERS: &str = "TXOVA_KAFKA_BROKERS";

struct OnLibrdkafka {
    client: Librdkafka,
    brokers: String,
    /// Topics not yet given out, where they cannot be made by request: on the mock brokers.
    free_topics: Option<Mutex<Vec<(String, i32)>>>,
}

fn client(brokers: &str) -> Librdkafka {
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let refresh = setting("topic.metadata.refresh.interval.ms", "1000"); // how soon changes of topics are seen
    let common = vec![setting("bootstrap.servers", brokers), refresh];
    // The shortest session a broker takes by default: no test waits for it, and one that is cut off leaves little behind.
    let consumer = vec![setting("session.timeout.ms", "6000"), setting("heartbeat.interval.ms", "500")];
    let producer = vec![setting("linger.ms", "0")];
    Librdkafka::new(ClientProperties { common, consumer, producer }).expect("the properties are good")
}

impl Bench for OnLibrdkafka {
    fn transport(&self) -> &dyn Transport {
        &self.client
    }

    fn topic(&self, partitions: i32) -> BoxFuture<'_, String> {
        if let Some(free) = &self.free_topics {
            let mut free = free.lock().expect("no test panicked here");
            let place =
                free.iter().position(|(_, count)| *count == partitions).expect("enough topics were made");
            return std::future::ready(free.remove(place).0).boxed();
        }
        async move {
            let name = format!("txova-test-{}", Uuid::new_v4());
            let topic = NewTopic { name: name.clone(), partitions, replication: 1, settings: Vec::new() };
            self.client.create_topics(vec![topic], PATIENCE).await.expect("the topic is created");
            name
        }
        .boxed()
    }

    fn group(&self) -> String {
        format!("txova-test-{}", Uuid::new_v4())
    }

    fn unreachable(&self) -> Box<dyn Transport> {
        // The discard port on loopback: nobody listens there, and the system says so at once.
        Box::new(client("127.0.0.1:9"))
    }

    fn write_in_transactions(&self, partition: &TopicPartition, count: i64) -> BoxFuture<'_, Option<i64>> {
        if self.free_topics.is_some() {
            return std::future::ready(None).boxed();
        }
        let (brokers, partition) = (self.brokers.clone(), partition.clone());
        async move {
            let writing =
                tokio::task::spawn_blocking(move || write_in_transactions(&brokers, &partition, count));
            Some(writing.await.expect("the transactions"))
        }
        .boxed()
    }

    fn leave_open(&self, producer: &str, group: &str, commit: Commit) -> BoxFuture<'_, Box<dyn LeftOpen>> {
        let (brokers, producer, group) = (self.brokers.clone(), producer.to_owned(), group.to_owned());
        async move {
            let opening =
                tokio::task::spawn_blocking(move || leave_open(&brokers, &producer, &group, &commit));
            let left: Box<dyn LeftOpen> = Box::new(Open(opening.await.expect("the transaction")));
            left
        }
        .boxed()
    }

    fn limits_metadata(&self) -> bool {
        self.free_topics.is_none()
    }

    fn finds_by_time(&self) -> bool {
        self.free_topics.is_none() // the mock answers every question for a time with "none"
    }

    fn answers_tools(&self) -> bool {
        self.free_topics.is_none()
    }
}

/// A bare producer with a transactional id. Its calls block.
fn bare_producer(brokers: &str, id: &str) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("transactional.id", id);
    let producer: BaseProducer = config.create().expect("the properties are good");
    producer.init_transactions(PATIENCE).expect("transactions");
    producer
}

/// Of a group that has no members a broker takes a transaction's offsets without asking who commits.
fn leave_open(brokers: &str, id: &str, group: &str, commit: &Commit) -> BaseProducer {
    let producer = bare_producer(brokers, id);
    producer.begin_transaction().expect("a transaction");
    for record in &commit.records {
        let native = BaseRecord::to(&record.topic).key(record.key.as_deref().unwrap_or_default());
        let native = native.payload(record.value.as_deref().unwrap_or_default());
        let native = native.partition(record.partition.unwrap_or_default());
        producer.send(native).map_err(|(error, _)| error).expect("there is room");
    }
    producer.flush(PATIENCE).expect("the records are written");
    let mut offsets = TopicPartitionList::new();
    for entry in &commit.entries {
        let offset = Offset::Offset(entry.offset);
        offsets
            .add_partition_offset(&entry.partition.topic, entry.partition.partition, offset)
            .expect("an offset");
    }
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", group);
    let asker: BaseConsumer = config.create().expect("the properties are good");
    let nobody = asker.group_metadata().expect("a consumer has a group");
    if !commit.entries.is_empty() {
        producer.send_offsets_to_transaction(&offsets, &nobody, PATIENCE).expect("the group has no members");
    }
    producer
}

struct Open(BaseProducer);

impl LeftOpen for Open {
    fn commit(self: Box<Self>) -> BoxFuture<'static, ()> {
        let ending =
            tokio::task::spawn_blocking(move || self.0.commit_transaction(PATIENCE).expect("the commit"));
        ending.map(|ended| ended.expect("no panic")).boxed()
    }
}

fn write_in_transactions(brokers: &str, partition: &TopicPartition, count: i64) -> i64 {
    let producer = bare_producer(brokers, &format!("txova-test-{}", Uuid::new_v4()));
    for number in 0..=count {
        producer.begin_transaction().expect("a transaction");
        let value = number.to_string();
        let record =
            BaseRecord::<str, str>::to(&partition.topic).partition(partition.partition).payload(&value);
        producer.send(record).map_err(|(error, _)| error).expect("there is room");
        producer.flush(PATIENCE).expect("the record is written");
        match number < count {
            true => producer.commit_transaction(PATIENCE).expect("the commit"),
            false => producer.abort_transaction(PATIENCE).expect("the abort"),
        }
    }
    (count + 1) * 2
}

fn run(bench: &OnLibrdkafka, sentence: impl AsyncFn(&dyn Bench)) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().expect("a runtime");
    runtime.block_on(sentence(bench));
}

mod on_mock {
    use super::super::sentences_for_one_member;
    use super::*;

    /// No sentence takes more topics than these.
    const TOPICS: [(&str, i32); 6] =
        [("one-a", 1), ("one-b", 1), ("two-a", 2), ("two-b", 2), ("three-a", 3), ("three-b", 3)];

    macro_rules! on_mock {
        ($module:ident, $sentence:ident) => {
            #[test]
            fn $sentence() {
                let mock = MockKafka::start(1, &TOPICS).expect("mock brokers start anywhere");
                let brokers = mock.bootstrap().to_owned();
                let client = client(&brokers);
                let free = TOPICS.map(|(name, partitions)| (name.to_owned(), partitions)).to_vec();
                let bench = OnLibrdkafka { client, brokers, free_topics: Some(Mutex::new(free)) };
                run(&bench, super::super::$module::$sentence);
            }
        };
    }

    sentences_for_one_member!(on_mock);
}

mod on_kafka {
    use std::io::Write;

    use super::super::{
        sentences_about_membership, sentences_about_transactions, sentences_for_one_member,
        sentences_for_several_members,
    };
    use super::*;

    /// The real Kafka, or `None` and a line that says what is left out.
    fn bench(sentence: &str) -> Option<OnLibrdkafka> {
        match std::env::var(BROKERS) {
            Ok(brokers) if !brokers.is_empty() => {
                Some(OnLibrdkafka { client: client(&brokers), brokers, free_topics: None })
            }
            _ => {
                // Straight to the stream: what a passing test prints otherwise is kept back.
                let _ = writeln!(
                    std::io::stderr(),
                    "left out on a real Kafka ({BROKERS} is not set): {sentence}"
                );
                None
            }
        }
    }

    macro_rules! on_kafka {
        ($module:ident, $sentence:ident) => {
            #[test]
            fn $sentence() {
                if let Some(bench) = bench(stringify!($sentence)) {
                    run(&bench, super::super::$module::$sentence);
                }
            }
        };
    }

    sentences_for_one_member!(on_kafka);
    sentences_for_several_members!(on_kafka);
    sentences_about_transactions!(on_kafka);
    sentences_about_membership!(on_kafka);
}
