//! What the engine adds to the configured properties, and how a refused property is told. It must never print a value.

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use super::super::properties::ClientProperties;
use super::super::{JoinOptions, OutOfRange, Transactions};
use super::sent_again::DEBUG;
use crate::client_error::{ClientError, ClientErrorKind};

/// A reader assigns partitions itself, but librdkafka wants a group's name for that; no member ever joins it.
pub(super) const READER_GROUP: &str = "txova-kafka-reader";

/// The least a batch of a transaction may hold, whatever its topics take.
pub(super) const TRANSACTION_BATCH_BYTES: usize = 128 * 1024;
/// As much as a topic takes unless its `max.message.bytes` was made smaller, with room for what is around the records.
pub(super) const LARGE_BATCH_BYTES: usize = 900 * 1024;

/// The checked properties.
#[derive(Debug)]
pub(super) struct Settings {
    properties: ClientProperties,
    /// As configured, for messages.
    pub(super) bootstrap: String,
}

impl Settings {
    pub(super) fn new(properties: ClientProperties) -> Result<Self, ClientError> {
        let settings = Self { bootstrap: String::new(), properties };
        let consumer = settings.any_consumer();
        let bootstrap = consumer.get("bootstrap.servers").unwrap_or_default().to_owned();
        if bootstrap.trim().is_empty() {
            let message =
                "the property bootstrap.servers is missing: expected host:port, several with commas between";
            return Err(ClientError::new(ClientErrorKind::Config, message));
        }
        consumer.create_native_config().map_err(refused)?;
        settings.producer().create_native_config().map_err(refused)?;
        Ok(Self { bootstrap, ..settings })
    }

    /// A member of a group.
    pub(super) fn member(&self, options: &JoinOptions) -> ClientConfig {
        let mut config = self.any_consumer();
        config.set("group.id", &options.group);
        if let Some(instance) = &options.instance {
            config.set("group.instance.id", instance);
        }
        config.set("enable.partition.eof", "false");
        let reset = match options.out_of_range {
            OutOfRange::Fail => "error",
            OutOfRange::Earliest => "earliest",
            OutOfRange::Latest => "latest",
        };
        config.set("auto.offset.reset", reset);
        let protocol = config.get("group.protocol").unwrap_or("classic").to_lowercase();
        if protocol != "consumer" {
            default(&mut config, "partition.assignment.strategy", "cooperative-sticky");
        }
        config
    }

    /// A consumer that assigns partitions itself.
    pub(super) fn reader(&self) -> ClientConfig {
        let mut config = self.any_consumer();
        config.set("group.id", READER_GROUP);
        config.set("enable.partition.eof", "true");
        config.set("auto.offset.reset", "error");
        config.set("isolation.level", "read_committed");
        config.set("fetch.wait.max.ms", "50"); // the end of a partition is told only after an empty fetch
        config
    }

    /// A consumer that only asks questions, about `group` where there is one.
    pub(super) fn questions(&self, group: Option<&str>) -> ClientConfig {
        let mut config = self.any_consumer();
        match group {
            Some(group) => config.set("group.id", group),
            None => config.remove("group.id"),
        };
        config
    }

    /// A producer: idempotent with acks=all unless configured otherwise.
    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.with(&self.properties.producer);
        let acks =
            config.get("acks").or_else(|| config.get("request.required.acks")).unwrap_or("all").to_owned();
        if acks == "all" || acks == "-1" {
            default(&mut config, "enable.idempotence", "true");
        }
        if config.get("request.required.acks").is_none() {
            default(&mut config, "acks", "all");
        }
        let debug = config.get("debug").map_or_else(|| DEBUG.to_owned(), |debug| format!("{debug},{DEBUG}"));
        config.set("debug", debug);
        config.set_log_level(RDKafkaLogLevel::Debug); // a client's log is `tracing`'s, which has levels of its own
        config
    }

    /// A producer that writes in transactions, which only an idempotent one can. A record that waits longer than its
    /// transaction may take is of no use.
    pub(super) fn transactional_producer(
        &self,
        transactions: &Transactions,
        batch_bytes: usize,
    ) -> ClientConfig {
        let timeout_ms = transactions.timeout.as_millis().to_string();
        let mut config = self.with(&self.properties.producer);
        for name in ["acks", "request.required.acks", "message.timeout.ms", "socket.timeout.ms"] {
            config.remove(name);
        }
        config.set("acks", "all");
        config.set("enable.idempotence", "true");
        config.set("retries", i32::MAX.to_string());
        config.set("max.in.flight.requests.per.connection", "5");
        config.set("delivery.timeout.ms", &timeout_ms);
        config.set("transaction.timeout.ms", &timeout_ms);
        config.set("transactional.id", &transactions.id);
        // What a transaction holds is sent in one go: in batches of the usual size it would be hundreds of requests.
        let asked_bytes = config.get("batch.size").and_then(|bytes| bytes.parse().ok()).unwrap_or(0);
        config.set("batch.size", batch_bytes.max(asked_bytes).to_string());
        config
    }

    /// An admin client.
    pub(super) fn admin(&self) -> ClientConfig {
        self.with(&[])
    }

    fn any_consumer(&self) -> ClientConfig {
        let mut config = self.with(&self.properties.consumer);
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        // librdkafka stops fetching for a whole second when its queue is full once, unless told otherwise.
        default(&mut config, "fetch.queue.backoff.ms", "5");
        default(&mut config, "queued.min.messages", "100000");
        default(&mut config, "queued.max.messages.kbytes", "32768");
        config
    }

    fn with(&self, role: &[(String, String)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in self.properties.common.iter().chain(role) {
            config.set(name, value);
        }
        // rdkafka takes the level from the log crate, which is silent under a tracing subscriber alone.
        config.set_log_level(RDKafkaLogLevel::Info);
        config
    }
}

fn default(config: &mut ClientConfig, name: &str, value: &str) {
    if config.get(name).is_none() {
        config.set(name, value);
    }
}

/// A refused property or combination of properties.
pub(super) fn refused(error: KafkaError) -> ClientError {
    let message = match error {
        KafkaError::ClientConfig(_, description, name, value) => {
            let description =
                if value.is_empty() { description } else { description.replace(value.as_str(), "…") };
            format!("the property {name} is refused: {}", description.trim())
        }
        KafkaError::ClientCreation(description) => {
            format!("the client refuses its properties: {}", description.trim())
        }
        KafkaError::Nul(_) => "a property holds a zero byte".to_owned(),
        other => other.to_string(),
    };
    ClientError::new(ClientErrorKind::Config, message)
}

/// Names go to C: a zero byte in one would end it early.
pub(super) fn check_name(what: &str, name: &str) -> Result<(), ClientError> {
    if name.is_empty() || name.contains('\0') {
        let message = format!("{what} {name:?} is no name: expected text without zero bytes");
        return Err(ClientError::new(ClientErrorKind::Config, message));
    }
    Ok(())
}
