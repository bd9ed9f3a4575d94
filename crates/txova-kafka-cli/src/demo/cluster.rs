//! The cluster a demo runs on: one inside the process, or a real one.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use txova_events::topics::{self, TopicProfile};
use txova_kafka::config::{KafkaConfig, Secret};
use txova_kafka::testing::MockKafka;
use txova_kafka::{Kafka, NewTopic, StartAt};

use crate::connection::ConnectionArgs;

use super::DemoError;
use super::services::Joining;
use super::tag::Run;
use super::view::Screen;

/// Partitions of a topic on the cluster inside the process, which keeps only 5 MiB of each.
const MOCK_PARTITIONS: i32 = 12;
/// Where a replay writes down what it did. A real cluster is asked to make it; the one inside the process cannot.
const DECISIONS: [&str; 2] = ["txova.dlq.resolutions", "txova.dlq.audit"];
/// One try at reaching a broker; it is told when it fails.
const TRY: Duration = Duration::from_secs(4);
/// How long a broker that is not there is tried.
const PATIENCE: Duration = Duration::from_secs(15);
const CREATE: Duration = Duration::from_secs(30);

/// A cluster that answers and has the topics.
pub(crate) struct Cluster {
    pub kafka: Kafka,
    pub run: Run,
    /// For people.
    pub name: String,
    pub is_mock: bool,
    /// Lives as long as the demo.
    _mock: Option<MockKafka>,
}

impl Cluster {
    pub(crate) async fn open(named: &ConnectionArgs, screen: &mut Screen) -> Result<Self, DemoError> {
        if named.is_given() { Self::real(named, screen).await } else { Self::inside() }
    }

    fn inside() -> Result<Self, DemoError> {
        let names = topic_names();
        let mut topics: Vec<(&str, i32)> =
            names.iter().map(|name| (name.as_str(), MOCK_PARTITIONS)).collect();
        topics.extend(DECISIONS.map(|topic| (topic, 1)));
        let mock = MockKafka::start(1, &topics).map_err(|error| {
            DemoError::Cluster(format!("the cluster inside the process does not start: {error}"))
        })?;
        let mut config = KafkaConfig::for_brokers(mock.bootstrap());
        // It does not answer a fetch of nothing before its time is over, whatever is written meanwhile; a real one does.
        config.consumer.properties.insert("fetch.wait.max.ms".to_owned(), Secret::new("20"));
        let kafka = Kafka::new(config).map_err(|error| DemoError::Cluster(error.to_string()))?;
        let name = format!("librdkafka's mock cluster at {}", mock.bootstrap());
        Ok(Self { kafka, run: Run::ALONE, name, is_mock: true, _mock: Some(mock) })
    }

    async fn real(named: &ConnectionArgs, screen: &mut Screen) -> Result<Self, DemoError> {
        let kafka = named.kafka().map_err(DemoError::Refused)?;
        let brokers = kafka.config().connection.brokers.join(",");
        reach(&kafka, &brokers, screen).await?;
        let profile = TopicProfile::development();
        let missing = topics::ALL.iter().map(|name| NewTopic {
            name: (*name).to_owned(),
            partitions: profile.partitions,
            replication: i32::from(profile.replication),
            settings: vec![("retention.ms".to_owned(), profile.retention_ms.to_string())],
        });
        kafka
            .create_topics(missing.collect(), CREATE)
            .await
            .map_err(|error| DemoError::Cluster(error.to_string()))?;
        kafka
            .create_dead_letter_topics(&topics::ALL)
            .await
            .map_err(|error| DemoError::Cluster(error.to_string()))?;
        let run = Run::begun_at(txova_events::Time::now().unix_ms());
        Ok(Self { kafka, run, name: format!("Kafka at {brokers}"), is_mock: false, _mock: None })
    }

    /// On a cluster with others, groups of the demo's own that begin where the topics end now.
    pub(crate) fn joining(&self) -> Joining {
        if self.is_mock {
            Joining { prefix: String::new(), start: StartAt::Earliest }
        } else {
            Joining { prefix: format!("demo-{}-", self.run), start: StartAt::Latest }
        }
    }
}

/// The platform's topics and their dead letters.
fn topic_names() -> Vec<String> {
    topics::ALL.iter().flat_map(|topic| [(*topic).to_owned(), topics::dlq_topic(topic)]).collect()
}

/// Waits for a broker, and says so each time there is none.
async fn reach(kafka: &Kafka, brokers: &str, screen: &mut Screen) -> Result<(), DemoError> {
    let began = Instant::now();
    loop {
        let tried = Instant::now();
        let error = match kafka.topics(&[], TRY).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let seconds = PATIENCE.as_secs();
        if !error.is_retriable() || began.elapsed() + TRY > PATIENCE {
            let waited = began.elapsed().as_secs_f64();
            return Err(DemoError::Cluster(format!(
                "no Kafka answers at {brokers} after {waited:.0} s: {error}. Is it running there? Without --brokers the \
                 demo needs none"
            )));
        }
        screen.say(&format!("no Kafka answers at {brokers}: {error}; trying for {seconds} s in all"));
        sleep(Duration::from_secs(1).saturating_sub(tried.elapsed())).await;
    }
}
