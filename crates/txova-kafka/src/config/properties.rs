//! The configuration in librdkafka's words, and which of its properties are not for others to set.

use std::path::Path;

use super::{
    Acks, Assignor, Compression, Isolation, KafkaConfig, Partitioner, SaslMechanism, Secret, SecurityProtocol,
};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::transport::properties::ClientProperties;

/// What the client adds to a record of its own (lengths, header counts): its limit is on the whole, ours on what the
/// user gave.
const RECORD_OVERHEAD_BYTES: usize = 16 * 1024;

impl KafkaConfig {
    /// The properties for the client. Group and start offsets are told to it when a group is joined.
    ///
    /// Fails where a password file can no longer be read; everything else is [`validate`](Self::validate)'s.
    pub(crate) fn client_properties(&self) -> Result<ClientProperties, ClientError> {
        Ok(ClientProperties {
            common: self.common_properties()?,
            consumer: self.consumer_properties(),
            producer: self.producer_properties(),
        })
    }

    fn common_properties(&self) -> Result<Vec<(String, String)>, ClientError> {
        let connection = &self.connection;
        let mut list = List::default();
        list.put("bootstrap.servers", connection.brokers.join(","));
        list.put("client.id", &connection.client_id);
        list.put("socket.connection.setup.timeout.ms", connection.connect_timeout_ms);
        list.put("reconnect.backoff.ms", connection.reconnect_backoff_ms);
        list.put("reconnect.backoff.max.ms", connection.reconnect_backoff_max_ms);
        list.put("topic.metadata.refresh.interval.ms", connection.metadata_refresh_ms);
        list.put(
            "security.protocol",
            match connection.security_protocol {
                SecurityProtocol::Plaintext => "plaintext",
                SecurityProtocol::Tls => "ssl",
                SecurityProtocol::SaslPlaintext => "sasl_plaintext",
                SecurityProtocol::SaslTls => "sasl_ssl",
            },
        );
        if connection.security_protocol.uses_tls() {
            let tls = &connection.tls;
            // The vendored OpenSSL knows no system's store: without a file the usual places are looked through.
            list.put_path("ssl.ca.location", Some(tls.ca_file.as_deref().unwrap_or(Path::new("probe"))));
            list.put_path("ssl.certificate.location", tls.cert_file.as_deref());
            list.put_path("ssl.key.location", tls.key_file.as_deref());
            if let Some(password) = password(tls.key_password.as_ref(), tls.key_password_file.as_deref())? {
                list.put("ssl.key.password", password.expose());
            }
            let algorithm = if tls.verify_hostname { "https" } else { "none" };
            list.put("ssl.endpoint.identification.algorithm", algorithm);
        }
        if connection.security_protocol.uses_sasl() {
            let sasl = &connection.sasl;
            list.put(
                "sasl.mechanisms",
                match sasl.mechanism {
                    SaslMechanism::Plain => "PLAIN",
                    SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
                    SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
                },
            );
            list.put("sasl.username", sasl.username.as_deref().unwrap_or_default());
            if let Some(password) = password(sasl.password.as_ref(), sasl.password_file.as_deref())? {
                list.put("sasl.password", password.expose());
            }
        }
        list.put_all(&connection.properties);
        Ok(list.0)
    }

    fn producer_properties(&self) -> Vec<(String, String)> {
        let publisher = &self.publisher;
        let mut list = List::default();
        list.put(
            "acks",
            match publisher.acks {
                Acks::None => "0",
                Acks::Leader => "1",
                Acks::All => "-1",
            },
        );
        list.put("enable.idempotence", publisher.idempotent);
        list.put("retries", publisher.retries);
        list.put("retry.backoff.ms", publisher.retry_backoff_ms);
        list.put("retry.backoff.max.ms", publisher.retry_backoff_max_ms);
        list.put("batch.size", publisher.batch_size_bytes);
        list.put("linger.ms", publisher.linger_ms);
        list.put(
            "compression.type",
            match publisher.compression {
                Compression::None => "none",
                Compression::Snappy => "snappy",
                Compression::Gzip => "gzip",
                Compression::Lz4 => "lz4",
                Compression::Zstd => "zstd",
            },
        );
        if let Some(level) = publisher.compression_level {
            list.put("compression.level", level);
        }
        list.put("message.max.bytes", publisher.max_message_bytes + RECORD_OVERHEAD_BYTES);
        list.put("delivery.timeout.ms", publisher.delivery_timeout_ms);
        list.put("request.timeout.ms", publisher.request_timeout_ms);
        list.put("max.in.flight.requests.per.connection", publisher.max_in_flight);
        // The publisher bounds its buffer itself, and fairly; the client's own bound would answer with an error.
        list.put("queue.buffering.max.messages", 0);
        list.put("queue.buffering.max.kbytes", i32::MAX);
        list.put(
            "partitioner",
            match publisher.partitioner {
                Partitioner::Murmur2 => "murmur2_random",
                Partitioner::Fnv1a => "fnv1a_random",
            },
        );
        list.put_all(&publisher.properties);
        list.0
    }

    fn consumer_properties(&self) -> Vec<(String, String)> {
        let consumer = &self.consumer;
        let mut list = List::default();
        list.put("enable.auto.commit", false);
        list.put("enable.auto.offset.store", false);
        list.put("session.timeout.ms", consumer.session_timeout_ms);
        list.put("heartbeat.interval.ms", consumer.heartbeat_interval_ms);
        list.put("max.poll.interval.ms", consumer.max_poll_interval_ms);
        list.put(
            "partition.assignment.strategy",
            match consumer.assignment {
                Assignor::CooperativeSticky => "cooperative-sticky",
                Assignor::Range => "range",
            },
        );
        list.put(
            "isolation.level",
            match consumer.isolation {
                Isolation::ReadCommitted => "read_committed",
                Isolation::ReadUncommitted => "read_uncommitted",
            },
        );
        list.put_all(&consumer.properties);
        list.0
    }
}

#[derive(Default)]
struct List(Vec<(String, String)>);

impl List {
    fn put(&mut self, name: &str, value: impl ToString) {
        self.0.push((name.to_owned(), value.to_string()));
    }

    fn put_path(&mut self, name: &str, path: Option<&Path>) {
        if let Some(path) = path {
            self.put(name, path.display());
        }
    }

    fn put_all<'a>(&mut self, properties: impl IntoIterator<Item = (&'a String, &'a Secret)>) {
        for (name, value) in properties {
            self.put(name, value.expose());
        }
    }
}

/// The password, from wherever it is.
fn password(password: Option<&Secret>, file: Option<&Path>) -> Result<Option<Secret>, ClientError> {
    let Some(file) = file.filter(|_| password.is_none()) else { return Ok(password.cloned()) };
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(Secret::new(text.trim_end_matches(['\r', '\n'])))),
        Err(error) => Err(ClientError::new(
            ClientErrorKind::Config,
            format!("the password file {} cannot be read: {error}", file.display()),
        )),
    }
}

/// Why a property is not for a user to set; `None` where it is.
pub(super) fn owner(property: &str) -> Option<String> {
    let find = |list: &[(&str, &'static str)]| {
        list.iter().find(|(name, _)| *name == property).map(|(_, text)| *text)
    };
    if let Some(setting) = find(SETTING_OF) {
        return Some(format!("there is a setting for it: expected `{setting}` instead"));
    }
    if let Some(reason) = find(OWNED) {
        return Some(format!("it is not for setting: {reason}"));
    }
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_');
    let is_property = !property.is_empty() && property.chars().all(is_name);
    (!is_property).then(|| "expected a property's name, as in `fetch.wait.max.ms`".to_owned())
}

/// Properties that have a setting.
const SETTING_OF: &[(&str, &str)] = &[
    ("bootstrap.servers", "connection.brokers"),
    ("metadata.broker.list", "connection.brokers"),
    ("client.id", "connection.client_id"),
    ("security.protocol", "connection.security_protocol"),
    ("ssl.ca.location", "connection.tls.ca_file"),
    ("ssl.certificate.location", "connection.tls.cert_file"),
    ("ssl.key.location", "connection.tls.key_file"),
    ("ssl.key.password", "connection.tls.key_password"),
    ("ssl.endpoint.identification.algorithm", "connection.tls.verify_hostname"),
    ("sasl.mechanisms", "connection.sasl.mechanism"),
    ("sasl.mechanism", "connection.sasl.mechanism"),
    ("sasl.username", "connection.sasl.username"),
    ("sasl.password", "connection.sasl.password"),
    ("socket.connection.setup.timeout.ms", "connection.connect_timeout_ms"),
    ("reconnect.backoff.ms", "connection.reconnect_backoff_ms"),
    ("reconnect.backoff.max.ms", "connection.reconnect_backoff_max_ms"),
    ("topic.metadata.refresh.interval.ms", "connection.metadata_refresh_ms"),
    ("acks", "publisher.acks"),
    ("request.required.acks", "publisher.acks"),
    ("enable.idempotence", "publisher.idempotent"),
    ("retries", "publisher.retries"),
    ("message.send.max.retries", "publisher.retries"),
    ("retry.backoff.ms", "publisher.retry_backoff_ms"),
    ("retry.backoff.max.ms", "publisher.retry_backoff_max_ms"),
    ("batch.size", "publisher.batch_size_bytes"),
    ("linger.ms", "publisher.linger_ms"),
    ("queue.buffering.max.ms", "publisher.linger_ms"),
    ("compression.type", "publisher.compression"),
    ("compression.codec", "publisher.compression"),
    ("compression.level", "publisher.compression_level"),
    ("message.max.bytes", "publisher.max_message_bytes"),
    ("delivery.timeout.ms", "publisher.delivery_timeout_ms"),
    ("message.timeout.ms", "publisher.delivery_timeout_ms"),
    ("request.timeout.ms", "publisher.request_timeout_ms"),
    ("max.in.flight", "publisher.max_in_flight"),
    ("max.in.flight.requests.per.connection", "publisher.max_in_flight"),
    ("queue.buffering.max.messages", "publisher.buffer_records"),
    ("queue.buffering.max.kbytes", "publisher.buffer_bytes"),
    ("partitioner", "publisher.partitioner"),
    ("group.id", "consumer.group"),
    ("group.instance.id", "consumer.group_instance_id"),
    ("auto.offset.reset", "consumer.auto_offset_reset"),
    ("session.timeout.ms", "consumer.session_timeout_ms"),
    ("heartbeat.interval.ms", "consumer.heartbeat_interval_ms"),
    ("max.poll.interval.ms", "consumer.max_poll_interval_ms"),
    ("partition.assignment.strategy", "consumer.assignment"),
    ("isolation.level", "consumer.isolation"),
    ("transaction.timeout.ms", "consumer.transaction_timeout_ms"),
];

/// Properties that the library depends on.
const OWNED: &[(&str, &str)] = &[
    ("enable.auto.commit", "an offset is committed only after its record is settled"),
    ("enable.auto.offset.store", "an offset is committed only after its record is settled"),
    ("auto.commit.enable", "an offset is committed only after its record is settled"),
    ("auto.commit.interval.ms", "an offset is committed only after its record is settled"),
    ("offset.store.method", "offsets are kept by the brokers"),
    ("enable.partition.eof", "the reader knows the end of a partition by itself"),
    ("group.protocol", "groups are joined with the classic protocol"),
    ("group.protocol.type", "groups are joined with the classic protocol"),
    ("group.remote.assignor", "groups are joined with the classic protocol"),
    ("transactional.id", "apps with `.exactly_once(id)` have one of their own, and the publisher none"),
    ("enable.gapless.guarantee", "order is kept by idempotence"),
    ("delivery.report.only.error", "every record's acknowledgement is awaited"),
    ("enable.ssl.certificate.verification", "a connection that trusts anybody is not encrypted"),
    ("test.mock.num.brokers", "the mock cluster is started by `txova-kafka dev` or in a test"),
];
