//! Checks what a publisher needs and opens its client. It must never know events.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::buffer::{Buffer, Limits};
use super::{Publisher, Shared};
use crate::client_error::ClientError;
use crate::config::{ConfigError, KafkaConfig};
use crate::testing::Cluster;
use crate::transport::Transport;
use crate::transport::librdkafka::Librdkafka;

/// Makes a [`Publisher`].
///
/// ```
/// use txova_kafka::{OutgoingRecord, config::KafkaConfig, publisher::Publisher, testing::Cluster};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = Cluster::new();
/// let publisher =
///     Publisher::builder(KafkaConfig::default()).source("ride-service").in_memory(&cluster).connect()?;
/// let record = OutgoingRecord { topic: "notes".into(), value: Some("hello".into()), ..Default::default() };
/// let published = publisher.publish_record(record).await?;
/// assert_eq!((&*published.topic, published.offset), ("notes", 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PublisherBuilder {
    config: KafkaConfig,
    source: String,
    transport: Option<Arc<dyn Transport>>,
}

impl PublisherBuilder {
    pub(super) fn new(config: KafkaConfig) -> Self {
        Self { config, source: String::new(), transport: None }
    }

    /// The name of the service that publishes (`ride-service`): the `source` of its events. Needed.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }

    /// Publishes into a cluster in memory, in place of the one of the configuration, whose connection is not looked at.
    pub fn in_memory(self, cluster: &Cluster) -> Self {
        self.over(Arc::new(cluster.clone()))
    }

    /// Publishes through a transport that is open already.
    pub(crate) fn over(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Checks everything and opens the client, which connects when it is first needed.
    ///
    /// # Errors
    /// Wrong settings, all at once; a missing source; what the client refuses. A broker that is not there is no error
    /// here: see [`Publisher::warm_up`].
    pub fn connect(self) -> Result<Publisher, ConnectError> {
        if self.source.trim().is_empty() {
            return Err(ConnectError::SourceMissing);
        }
        let transport = match self.transport {
            Some(transport) => {
                self.config.validate_publisher()?;
                transport
            }
            None => {
                self.config.validate()?;
                Arc::new(Librdkafka::new(self.config.client_properties()?)?)
            }
        };
        let producer = transport.producer()?;
        let settings = &self.config.publisher;
        let limits = Limits {
            records: settings.buffer_records,
            bytes: settings.buffer_bytes,
            record_bytes: settings.max_message_bytes,
            max_block: Duration::from_millis(settings.max_block_ms),
        };
        let shared = Shared {
            buffer: Arc::new(Buffer::new(limits, Arc::downgrade(&producer))),
            producer: Some(producer),
            source: self.source.into(),
            patience: Duration::from_millis(settings.delivery_timeout_ms) + Duration::from_secs(5),
        };
        Ok(Publisher { shared: Arc::new(shared) })
    }
}

/// Why a publisher cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// Settings that cannot be used.
    Config(ConfigError),
    /// Nobody said which service publishes.
    SourceMissing,
    /// What the client refuses.
    Client(ClientError),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::SourceMissing => f.write_str(
                "the publisher has no source: expected the service's name, as in .source(\"ride-service\")",
            ),
            Self::Client(error) => write!(f, "the publisher's client cannot be opened: {error}"),
        }
    }
}

impl std::error::Error for ConnectError {}

impl From<ConfigError> for ConnectError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<ClientError> for ConnectError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}
