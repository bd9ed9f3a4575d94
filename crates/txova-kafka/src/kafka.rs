//! The way in: a cluster by its configuration, from which publishers and apps are made. It knows which client is
//! underneath so that nothing else must.

mod lag;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::app::AppBuilder;
use crate::client_error::ClientError;
use crate::config::{ConfigError, KafkaConfig};
use crate::publisher::{self, ConnectError, Publisher};
use crate::transport::librdkafka::Librdkafka;
use crate::transport::{NewTopic, Transport};

pub use self::lag::{FailingRecord, Lag};

/// A Kafka cluster and how to talk to it. Cheap to clone; making one connects to nothing.
///
/// ```no_run
/// use txova_kafka::Kafka;
/// use txova_kafka::config::KafkaConfig;
///
/// let kafka = Kafka::new(KafkaConfig::for_brokers("localhost:9092"))?;
/// # Ok::<(), txova_kafka::KafkaError>(())
/// ```
#[derive(Clone)]
pub struct Kafka {
    pub(crate) config: Arc<KafkaConfig>,
    pub(crate) transport: Arc<dyn Transport>,
    /// Whether the transport is made from the configuration, and anew where that changes.
    is_configured: bool,
}

/// Why there is no talking to the cluster.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The client refuses.
    #[error("the Kafka client does not start: {0}")]
    Client(#[from] ClientError),
}

impl Kafka {
    /// The cluster that `config` names, over librdkafka.
    ///
    /// # Errors
    /// Every setting that is wrong, or what the client refuses. An absent broker is no error here.
    pub fn new(config: KafkaConfig) -> Result<Self, KafkaError> {
        config.validate()?;
        let transport = Librdkafka::new(config.client_properties()?)?;
        Ok(Self { config: Arc::new(config), transport: Arc::new(transport), is_configured: true })
    }

    /// The cluster that the environment names (`TXOVA_KAFKA_BROKERS`, …); see [`KafkaConfig::from_env`].
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn from_env() -> Result<Self, KafkaError> {
        Self::new(KafkaConfig::from_env()?)
    }

    pub(crate) fn over(transport: Arc<dyn Transport>, config: KafkaConfig) -> Self {
        Self { config: Arc::new(config), transport, is_configured: false }
    }

    /// The same cluster with other settings.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with(&self, edit: impl FnOnce(&mut KafkaConfig)) -> Result<Self, KafkaError> {
        let mut config = (*self.config).clone();
        edit(&mut config);
        match self.is_configured {
            true => Self::new(config),
            false => Ok(Self::over(self.transport.clone(), config)),
        }
    }

    /// The settings.
    pub fn config(&self) -> &KafkaConfig {
        &self.config
    }

    /// A publisher for `service` (`"ride-service"`), which is the `source` of its events.
    ///
    /// # Errors
    /// An empty name, wrong settings, what the client refuses. An absent broker is no error here.
    pub fn publisher(&self, service: impl Into<String>) -> Result<Publisher, ConnectError> {
        publisher::connect(self, service.into())
    }

    /// A consumer app for `service` (`"ride-service"`), whose group is `{service}-group` unless the configuration names
    /// another.
    pub fn app(&self, service: impl Into<String>) -> AppBuilder {
        AppBuilder::new(self.clone(), service.into())
    }

    /// The cluster's topics with their number of partitions; only `topics` where some are named, and an error where one
    /// of those is missing.
    ///
    /// # Errors
    /// What the client or a broker says, within `timeout`.
    pub async fn topics(
        &self,
        topics: &[&str],
        timeout: Duration,
    ) -> Result<Vec<(String, i32)>, ClientError> {
        self.transport.topics(topics.iter().map(|topic| (*topic).to_owned()).collect(), timeout).await
    }

    /// Creates topics. One that exists already is left as it is.
    ///
    /// # Errors
    /// What the client or a broker says, within `timeout`.
    pub async fn create_topics(
        &self,
        mut topics: Vec<NewTopic>,
        timeout: Duration,
    ) -> Result<(), ClientError> {
        let there = self.transport.topics(Vec::new(), timeout).await?;
        topics.retain(|topic| there.iter().all(|(name, _)| *name != topic.name));
        if topics.is_empty() {
            return Ok(()); // whoever may not create topics can still run where they are
        }
        self.transport.create_topics(topics, timeout).await
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka").field("brokers", &self.config.connection.brokers).finish_non_exhaustive()
    }
}
