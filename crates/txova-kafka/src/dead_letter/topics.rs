//! Makes the topics that dead letters need. It must never change one that is there.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use txova_events::topics;

use super::list::ANSWER_TIMEOUT;
use super::resolutions;
use crate::client_error::{ClientError, ClientErrorKind};
use crate::kafka::Kafka;
use crate::transport::NewTopic;

/// How long dead letters are kept: longer than what they are about, so that there is time to look.
pub(crate) const RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long a topic that was just made may be unknown.
const VISIBLE_WITHIN: Duration = Duration::from_secs(5);
/// As the brokers are set to.
const DEFAULT_REPLICATION: i32 = -1;

impl Kafka {
    /// Makes the dead-letter topics of `origins` (`txova.rides.v1`), each with as many partitions as its origin and a
    /// retention of 30 days, and the two topics of what is decided about dead letters: `txova.dlq.resolutions`
    /// (compacted) and `txova.dlq.audit` (kept for ever). What is there already is left as it is.
    ///
    /// ```no_run
    /// # async fn example(kafka: txova_kafka::Kafka) -> Result<(), txova_kafka::ClientError> {
    /// kafka.create_dead_letter_topics(&txova_events::topics::ALL).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// An origin that does not exist; what the client or a broker says, within ten seconds for each question.
    pub async fn create_dead_letter_topics(&self, origins: &[&str]) -> Result<(), ClientError> {
        let there = visible(self, origins).await?;
        let mut wanted = Vec::with_capacity(origins.len() + 2);
        for origin in origins {
            let Some((_, partitions)) = there.iter().find(|(name, _)| name == origin) else {
                let message =
                    format!("the topic {origin} does not exist, so its dead-letter topic was not made");
                return Err(ClientError::new(ClientErrorKind::UnknownTopic, message));
            };
            wanted.push(NewTopic {
                name: topics::dlq_topic(origin),
                partitions: *partitions,
                replication: DEFAULT_REPLICATION,
                settings: vec![
                    ("cleanup.policy".to_owned(), "delete".to_owned()),
                    ("retention.ms".to_owned(), RETENTION.as_millis().to_string()),
                ],
            });
        }
        wanted.extend(decisions());
        make(self, wanted).await
    }
}

/// Makes topics and waits until they can be used.
pub(crate) async fn make(kafka: &Kafka, topics: Vec<NewTopic>) -> Result<(), ClientError> {
    let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
    kafka.create_topics(topics, ANSWER_TIMEOUT).await?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    visible(kafka, &names).await.map(drop)
}

/// All topics, once these are among them: a broker may learn of a new topic a moment after it was made.
async fn visible(kafka: &Kafka, wanted: &[&str]) -> Result<Vec<(String, i32)>, ClientError> {
    let until = Instant::now() + VISIBLE_WITHIN;
    loop {
        let there = kafka.topics(&[], ANSWER_TIMEOUT).await?;
        let is_there = |wanted: &&str| there.iter().any(|(name, _)| name == wanted);
        if wanted.iter().all(is_there) || Instant::now() > until {
            return Ok(there);
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// The topics of what is decided about dead letters.
pub(crate) fn decisions() -> [NewTopic; 2] {
    let topic = |name: &str, settings: [(&str, &str); 2]| NewTopic {
        name: name.to_owned(),
        partitions: 1,
        replication: DEFAULT_REPLICATION,
        settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
    };
    [
        topic(resolutions::TOPIC, [("cleanup.policy", "compact"), ("retention.ms", "-1")]),
        topic(super::audit::TOPIC, [("cleanup.policy", "delete"), ("retention.ms", "-1")]),
    ]
}
