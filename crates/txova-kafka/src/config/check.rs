//! Checks a configuration: each setting alone, then those that exclude each other. It must never change anything, and
//! never stop at the first problem.

use std::fmt::Display;
use std::path::Path;

use super::metrics::is_name;
use super::problem::{Origin, Problem};
use super::properties::owner;
use super::settings::{Kind, SETTINGS, Setting, find, variable};
use super::{Acks, Compression, Isolation, KafkaConfig, Order, SaslMechanism, Secret};
use crate::transport::StartAt;

/// Everything that is wrong.
pub(super) fn all(config: &KafkaConfig) -> Vec<Problem> {
    let mut check = Check { config, problems: Vec::new() };
    for setting in SETTINGS {
        check.alone(setting);
    }
    check.connection();
    check.publisher();
    check.consumer();
    check.metrics();
    check.problems
}

/// What is wrong with the settings whose names begin with `prefix`.
pub(super) fn part(config: &KafkaConfig, prefix: &str) -> Vec<Problem> {
    all(config).into_iter().filter(|problem| problem.setting.starts_with(prefix)).collect()
}

struct Check<'a> {
    config: &'a KafkaConfig,
    problems: Vec<Problem>,
}

impl Check<'_> {
    /// Adds a problem of `key`, with the value it has.
    fn refuse(&mut self, key: &str, expected: impl Display) {
        self.problems.push(Problem {
            setting: key.to_owned(),
            value: find(key).and_then(|setting| setting.show(self.config)),
            expected: expected.to_string(),
            origin: Origin::Code,
        });
    }

    fn refuse_if(&mut self, wrong: bool, key: &str, expected: impl Display) {
        if wrong {
            self.refuse(key, expected);
        }
    }

    fn alone(&mut self, setting: &Setting) {
        let is_fine = match &setting.kind {
            Kind::Number { range, optional, get, .. } => {
                get(self.config).map_or(*optional, |number| range.contains(&number))
            }
            Kind::Share { get, .. } => (0.0..=1.0).contains(&get(self.config)),
            Kind::Text { get, .. } => get(self.config).is_none_or(|text| !text.trim().is_empty()),
            Kind::Secret { get, .. } => get(self.config).is_none_or(|secret| !secret.is_empty()),
            Kind::Path { get, .. } => {
                let Some(path) = get(self.config) else { return };
                if let Err(error) = std::fs::File::open(path) {
                    self.refuse(setting.key, format!("expected a file that can be read: {error}"));
                }
                true
            }
            Kind::Properties { get, .. } => {
                for name in get(self.config).keys() {
                    if let Some(reason) = owner(name) {
                        self.problems.push(Problem {
                            setting: setting.key.to_owned(),
                            value: Some(name.clone()),
                            expected: reason,
                            origin: Origin::Code,
                        });
                    }
                }
                true
            }
            Kind::Start { get, .. } => {
                !matches!(get(self.config), StartAt::Timestamp { unix_ms } if unix_ms < 0)
            }
            Kind::Flag { .. } | Kind::Choice { .. } | Kind::List { .. } => true,
        };
        self.refuse_if(!is_fine, setting.key, setting.expected());
    }

    fn connection(&mut self) {
        let connection = &self.config.connection;
        let key = "connection.brokers";
        if connection.brokers.is_empty() {
            self.refuse(key, format!("expected at least one host:port, as in {}=kafka:9092", variable(key)));
        }
        for broker in &connection.brokers {
            if let Err(reason) = check_broker(broker) {
                self.problems.push(Problem {
                    setting: key.to_owned(),
                    value: Some(broker.clone()),
                    expected: format!("expected host:port: {reason}"),
                    origin: Origin::Code,
                });
            }
        }
        self.refuse_if(
            connection.reconnect_backoff_max_ms < connection.reconnect_backoff_ms,
            "connection.reconnect_backoff_max_ms",
            format!("expected at least reconnect_backoff_ms, {}", connection.reconnect_backoff_ms),
        );
        self.tls();
        self.sasl();
    }

    fn tls(&mut self) {
        let (tls, protocol) = (&self.config.connection.tls, self.config.connection.security_protocol);
        let unused =
            format!("it is not used: security_protocol is {protocol}, expected tls or sasl_tls with it");
        if !protocol.uses_tls() {
            for (key, is_set) in [
                ("connection.tls.ca_file", tls.ca_file.is_some()),
                ("connection.tls.cert_file", tls.cert_file.is_some()),
                ("connection.tls.key_file", tls.key_file.is_some()),
                ("connection.tls.key_password", tls.key_password.is_some()),
                ("connection.tls.key_password_file", tls.key_password_file.is_some()),
                ("connection.tls.verify_hostname", !tls.verify_hostname),
            ] {
                self.refuse_if(is_set, key, &unused);
            }
            return;
        }
        let (has_cert, has_key) = (tls.cert_file.is_some(), tls.key_file.is_some());
        self.refuse_if(has_cert && !has_key, "connection.tls.key_file", "expected a key: cert_file is set");
        self.refuse_if(
            has_key && !has_cert,
            "connection.tls.cert_file",
            "expected a certificate: key_file is set",
        );
        let has_password = tls.key_password.is_some() || tls.key_password_file.is_some();
        self.refuse_if(
            has_password && !has_key,
            "connection.tls.key_file",
            "expected a key: its password is set",
        );
        self.password(
            "connection.tls.key_password",
            tls.key_password.as_ref(),
            tls.key_password_file.as_deref(),
        );
    }

    fn sasl(&mut self) {
        let (sasl, protocol) = (&self.config.connection.sasl, self.config.connection.security_protocol);
        let (username, password) = (sasl.username.is_some(), sasl.password.is_some());
        let file = sasl.password_file.is_some();
        if !protocol.uses_sasl() {
            let unused = format!(
                "it is not used: security_protocol is {protocol}, expected sasl_tls or sasl_plaintext with it"
            );
            self.refuse_if(username, "connection.sasl.username", &unused);
            self.refuse_if(password, "connection.sasl.password", &unused);
            self.refuse_if(file, "connection.sasl.password_file", &unused);
            return;
        }
        self.refuse_if(
            !username,
            "connection.sasl.username",
            format!("expected a user: security_protocol is {protocol}"),
        );
        self.refuse_if(
            !password && !file,
            "connection.sasl.password",
            format!("expected a password, or password_file: security_protocol is {protocol}"),
        );
        let plain_in_clear = sasl.mechanism == SaslMechanism::Plain && !protocol.uses_tls();
        if plain_in_clear {
            tracing::warn!("the password is sent in clear: sasl.mechanism is plain and there is no TLS");
        }
        self.password("connection.sasl.password", sasl.password.as_ref(), sasl.password_file.as_deref());
    }

    fn password(&mut self, key: &str, password: Option<&Secret>, file: Option<&Path>) {
        let Some(file) = file else { return };
        let file_key = format!("{key}_file");
        self.refuse_if(password.is_some(), &file_key, format!("expected one of the two: `{key}` is set too"));
        match std::fs::read_to_string(file) {
            Ok(text) if text.trim_end_matches(['\r', '\n']).is_empty() => {
                self.refuse(&file_key, "expected a password in it: the file is empty");
            }
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                self.refuse(&file_key, "expected text in UTF-8 in it");
            }
            // A file that cannot be opened has its problem already.
            Ok(_) | Err(_) => {}
        }
    }

    fn publisher(&mut self) {
        let publisher = &self.config.publisher;
        if publisher.idempotent {
            self.refuse_if(
                publisher.acks != Acks::All,
                "publisher.acks",
                "expected all: the broker can drop what a retry wrote twice only where every replica has it; \
                 otherwise set idempotent to false",
            );
            self.refuse_if(
                publisher.max_in_flight > 5,
                "publisher.max_in_flight",
                "expected at most 5: the broker remembers 5 batches to drop duplicates by; otherwise set \
                 idempotent to false",
            );
            self.refuse_if(
                publisher.retries == 0,
                "publisher.retries",
                "expected at least 1: idempotence is about retries; otherwise set idempotent to false",
            );
        }
        self.refuse_if(
            publisher.retry_backoff_max_ms < publisher.retry_backoff_ms,
            "publisher.retry_backoff_max_ms",
            format!("expected at least retry_backoff_ms, {}", publisher.retry_backoff_ms),
        );
        let least = publisher.linger_ms.saturating_add(publisher.request_timeout_ms);
        self.refuse_if(
            publisher.delivery_timeout_ms < least,
            "publisher.delivery_timeout_ms",
            format!(
                "expected at least linger_ms + request_timeout_ms, {least}: a record needs time for one try"
            ),
        );
        self.refuse_if(
            publisher.buffer_bytes < publisher.max_message_bytes,
            "publisher.buffer_bytes",
            format!(
                "expected at least max_message_bytes, {}: the largest record must fit",
                publisher.max_message_bytes
            ),
        );
        let highest = match publisher.compression {
            Compression::None | Compression::Snappy => None,
            Compression::Gzip => Some(9),
            Compression::Lz4 | Compression::Zstd => Some(12),
        };
        match (publisher.compression_level, highest) {
            (Some(_), None) => self.refuse(
                "publisher.compression_level",
                format!("expected none: {} has no levels", publisher.compression),
            ),
            (Some(level), Some(highest)) if level > highest => self.refuse(
                "publisher.compression_level",
                format!("expected at most {highest} for {}", publisher.compression),
            ),
            _ => {}
        }
    }

    fn metrics(&mut self) {
        let metrics = &self.config.metrics;
        let expected = "expected letters, digits and `_`, as in ride_service, and no digit first";
        self.refuse_if(!is_name(&metrics.namespace), "metrics.namespace", expected);
        let subsystem = metrics.subsystem.as_deref();
        self.refuse_if(subsystem.is_some_and(|name| !is_name(name)), "metrics.subsystem", expected);
    }

    fn consumer(&mut self) {
        let consumer = &self.config.consumer;
        self.refuse_if(
            consumer.retry_backoff_max_ms < consumer.retry_backoff_ms,
            "consumer.retry_backoff_max_ms",
            format!("expected at least retry_backoff_ms, {}", consumer.retry_backoff_ms),
        );
        self.refuse_if(
            consumer.heartbeat_interval_ms.saturating_mul(3) > consumer.session_timeout_ms,
            "consumer.heartbeat_interval_ms",
            format!(
                "expected at most a third of session_timeout_ms, {}: two heartbeats may be lost",
                consumer.session_timeout_ms / 3
            ),
        );
        self.refuse_if(
            consumer.max_poll_interval_ms < consumer.session_timeout_ms,
            "consumer.max_poll_interval_ms",
            format!("expected at least session_timeout_ms, {}", consumer.session_timeout_ms),
        );
        self.refuse_if(
            consumer.revoke_timeout_ms >= consumer.max_poll_interval_ms,
            "consumer.revoke_timeout_ms",
            format!(
                "expected less than max_poll_interval_ms, {}: the group waits no longer",
                consumer.max_poll_interval_ms
            ),
        );
        let follows = consumer.follow_dead_letters;
        self.refuse_if(
            follows && consumer.order != Order::Key,
            "consumer.order",
            "expected key: follow_dead_letters keeps the order of keys",
        );
        self.refuse_if(
            follows && consumer.isolation != Isolation::ReadCommitted,
            "consumer.isolation",
            "expected read_committed: follow_dead_letters goes by what was really sent back",
        );
        self.refuse_if(
            consumer.breaker_keys > consumer.breaker_failures,
            "consumer.breaker_keys",
            format!(
                "expected at most breaker_failures, {}: so many records have no more keys",
                consumer.breaker_failures
            ),
        );
        self.refuse_if(
            consumer.concurrency > consumer.max_in_flight_records,
            "consumer.concurrency",
            format!(
                "expected at most max_in_flight_records, {}: more handlers never have a record",
                consumer.max_in_flight_records
            ),
        );
    }
}

/// Whether a text is `host:port`, `1.2.3.4:port` or `[v6]:port`.
fn check_broker(broker: &str) -> Result<(), &'static str> {
    if broker.contains("://") {
        return Err("without a scheme; security_protocol says how to connect");
    }
    let (host, port) = match broker.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once("]:").ok_or("an IPv6 address is written [::1]:9092")?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| "the text in brackets is no IPv6 address")?;
            (host, port)
        }
        None => {
            let (host, port) = broker.rsplit_once(':').ok_or("the port is missing")?;
            if host.contains(':') {
                return Err("an IPv6 address is written [::1]:9092");
            }
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            if !host.chars().all(is_name) {
                return Err("a host has letters, digits, dots and hyphens");
            }
            (host, port)
        }
    };
    if host.is_empty() {
        return Err("the host is missing");
    }
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(1..) if is_number => Ok(()),
        _ => Err("a port is a number from 1 to 65535"),
    }
}
