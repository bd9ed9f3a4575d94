//! The suite through the real client over TCP: on librdkafka's mock brokers always, one member a group; on a real Kafka
//! where `TXOVA_KAFKA_BROKERS` says where it is.

use std::sync::Mutex;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use uuid::Uuid;

use super::{Bench, PATIENCE};
use crate::record::TopicPartition;
use crate::transport::librdkafka::Librdkafka;
use crate::transport::librdkafka::mock::MockKafka;
use crate::transport::properties::ClientProperties;
use crate::transport::{NewTopic, Transport};

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
    let common = vec![setting("bootstrap.servers", brokers)];
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

    fn limits_metadata(&self) -> bool {
        self.free_topics.is_none()
    }

    fn finds_by_time(&self) -> bool {
        self.free_topics.is_none() // the mock answers every question for a time with "none"
    }

    fn creates_topics(&self) -> bool {
        self.free_topics.is_none()
    }
}

/// The transport has no transactions yet, so that the client's own are used. They block.
fn write_in_transactions(brokers: &str, partition: &TopicPartition, count: i64) -> i64 {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("transactional.id", format!("txova-test-{}", Uuid::new_v4()));
    let producer: BaseProducer = config.create().expect("the properties are good");
    producer.init_transactions(PATIENCE).expect("transactions");
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

    use super::super::{sentences_for_one_member, sentences_for_several_members};
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
}
