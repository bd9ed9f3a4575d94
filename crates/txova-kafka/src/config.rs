//! Settings of publisher and consumer: from code, a TOML file and the environment, all checked before anything starts.
//! It must never know how the client spells them; that is `config/properties.rs` alone.
//!
//! Layers, the later wins: defaults, file, environment, code.
//!
//! ```
//! use txova_kafka::config::{KafkaConfig, Loader};
//!
//! let config: KafkaConfig = Loader::new()
//!     .toml("[connection]\nbrokers = [\"kafka-1:9092\", \"kafka-2:9092\"]\n[publisher]\nlinger_ms = 10")
//!     .variables([("TXOVA_KAFKA_CONSUMER_GROUP", "ride-service-group")])
//!     .set(|config| config.consumer.concurrency = 32)
//!     .load()?;
//! assert_eq!(config.publisher.linger_ms, 10);
//! assert_eq!(config.consumer.group.as_deref(), Some("ride-service-group"));
//!
//! let problems = Loader::new().variables([("TXOVA_KAFKA_PUBLISHER_LINGER", "5ms")]).load().unwrap_err();
//! assert!(problems.to_string().contains("did you mean `TXOVA_KAFKA_PUBLISHER_LINGER_MS`"), "{problems}");
//! # Ok::<(), txova_kafka::config::ConfigError>(())
//! ```
//!
#![doc = include_str!("config/settings.md")]

mod check;
mod choice;
mod connection;
mod consumer;
mod exactly_once;
mod loader;
mod metrics;
mod nearest;
mod problem;
mod properties;
mod publisher;
mod secret;
mod settings;
mod start;

#[cfg(test)]
mod tests;

pub use connection::{Connection, Sasl, SaslMechanism, SecurityProtocol, Tls};
pub use consumer::{Assignor, ConsumerConfig, Isolation, Order};
pub use loader::Loader;
pub use metrics::MetricsConfig;
pub use problem::{ConfigError, Origin, Problem};
pub use publisher::{Acks, Compression, Partitioner, PublisherConfig};
pub use secret::Secret;

/// Everything that can be set. `Default` is the platform's plan; see the table in the [module's page](self).
///
/// A value made in code is checked by [`validate`](Self::validate), and again where it is used: a wrong one never
/// reaches a broker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KafkaConfig {
    /// Where the cluster is and how to be let in.
    pub connection: Connection,
    /// How events are written.
    pub publisher: PublisherConfig,
    /// How events are read and handled.
    pub consumer: ConsumerConfig,
    /// How metrics are named and fed.
    pub metrics: MetricsConfig,
}

impl KafkaConfig {
    /// Defaults for the cluster at `brokers` (`"kafka-1:9092,kafka-2:9092"`).
    pub fn for_brokers(brokers: &str) -> Self {
        let brokers = brokers.split(',').map(|broker| broker.trim().to_owned()).collect();
        Self { connection: Connection { brokers, ..Connection::default() }, ..Self::default() }
    }

    /// The file that `TXOVA_KAFKA_CONFIG` names, where it is set, then the environment.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn from_env() -> Result<Self, ConfigError> {
        Loader::new().env().load()
    }

    /// Checks every setting and every pair that excludes each other.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::unless_empty(check::all(self))
    }

    /// As [`validate`](Self::validate), without the connection: for a cluster that needs none.
    pub(crate) fn validate_publisher(&self) -> Result<(), ConfigError> {
        ConfigError::unless_empty(check::part(self, "publisher."))
    }

    /// As [`validate`](Self::validate), without the connection: for a cluster that needs none.
    pub(crate) fn validate_consumer(&self) -> Result<(), ConfigError> {
        ConfigError::unless_empty(check::part(self, "consumer."))
    }
}
