//! Checks what a publisher needs and opens its client. It must never know events.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::breaker::Rules;
use super::buffer::{Buffer, Limits};
use super::metrics::Metrics;
use super::refused::Letters;
use super::{Publisher, Shared};
use crate::client_error::ClientError;
use crate::config::ConfigError;
use crate::dead_letter::BATCH_OVERHEAD_BYTES;
use crate::kafka::Kafka;
use crate::metrics::Namespace;

/// Opens the client of a publisher, which connects when it is first needed.
pub(crate) fn connect(kafka: &Kafka, source: String) -> Result<Publisher, ConnectError> {
    if source.trim().is_empty() {
        return Err(ConnectError::SourceMissing);
    }
    kafka.config.validate_publisher()?;
    let producer = kafka.transport.producer()?;
    let settings = &kafka.config.publisher;
    let limits = Limits {
        records: settings.buffer_records,
        bytes: settings.buffer_bytes,
        record_bytes: settings.max_message_bytes,
        max_block: Duration::from_millis(settings.max_block_ms),
    };
    let breaker = settings.breaker.then_some(Rules {
        failures: settings.breaker_failures,
        failure_share: settings.breaker_failure_share,
        open: Duration::from_millis(settings.breaker_open_ms),
    });
    let source: Arc<str> = source.into();
    let letters = settings.dead_letters.then(|| Letters {
        service: source.clone(),
        budget_bytes: settings.max_message_bytes.saturating_sub(BATCH_OVERHEAD_BYTES),
    });
    let metrics = Metrics::new(Namespace::new(&kafka.config.metrics), &source);
    let shared = Shared {
        buffer: Arc::new(Buffer::new(limits, breaker, letters, metrics, Arc::downgrade(&producer))),
        producer: Some(producer),
        source,
        patience: Duration::from_millis(settings.delivery_timeout_ms) + Duration::from_secs(5),
        expected_topics: Mutex::default(),
    };
    Ok(Publisher { shared: Arc::new(shared) })
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
                "the publisher has no source: expected the service's name, as in kafka.publisher(\"ride-service\")",
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
