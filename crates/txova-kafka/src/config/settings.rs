//! The list of every setting: its name, its kind, its range, and how to read and write it in a [`KafkaConfig`]. File,
//! environment, checks and documentation all come from this list. It must never know which values exclude each other.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::choice::Choice;
use super::start;
use super::{
    Acks, Assignor, Compression, Isolation, KafkaConfig, Order, Partitioner, SaslMechanism, Secret,
    SecurityProtocol,
};
use crate::transport::{OutOfRange, StartAt};

/// One setting.
pub(super) struct Setting {
    /// As a TOML file names it: `publisher.linger_ms`.
    pub key: &'static str,
    /// What a number counts; empty elsewhere.
    pub unit: &'static str,
    pub kind: Kind,
}

/// What a setting holds, and how to get at it.
pub(super) enum Kind {
    Number {
        range: RangeInclusive<u64>,
        optional: bool,
        get: fn(&KafkaConfig) -> Option<u64>,
        set: fn(&mut KafkaConfig, u64),
    },
    Share {
        get: fn(&KafkaConfig) -> f64,
        set: fn(&mut KafkaConfig, f64),
    },
    Flag {
        get: fn(&KafkaConfig) -> bool,
        set: fn(&mut KafkaConfig, bool),
    },
    Choice {
        names: &'static [&'static str],
        get: fn(&KafkaConfig) -> &'static str,
        /// False where the name is not known.
        set: fn(&mut KafkaConfig, &str) -> bool,
    },
    Start {
        get: fn(&KafkaConfig) -> StartAt,
        set: fn(&mut KafkaConfig, StartAt),
    },
    Text {
        get: fn(&KafkaConfig) -> Option<&str>,
        set: fn(&mut KafkaConfig, String),
    },
    Path {
        get: fn(&KafkaConfig) -> Option<&PathBuf>,
        set: fn(&mut KafkaConfig, Option<PathBuf>),
    },
    Secret {
        get: fn(&KafkaConfig) -> Option<&Secret>,
        set: fn(&mut KafkaConfig, Option<Secret>),
    },
    List {
        get: fn(&KafkaConfig) -> &Vec<String>,
        set: fn(&mut KafkaConfig, Vec<String>),
    },
    Properties {
        get: fn(&KafkaConfig) -> &BTreeMap<String, Secret>,
        set: fn(&mut KafkaConfig, BTreeMap<String, Secret>),
    },
}

impl Setting {
    /// The environment variable of the setting.
    pub(super) fn variable(&self) -> String {
        variable(self.key)
    }

    pub(super) fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret { .. })
    }

    /// What is expected, as a phrase.
    pub(super) fn expected(&self) -> String {
        match &self.kind {
            Kind::Number { range, .. } => {
                let unit = if self.unit.is_empty() { String::new() } else { format!(" ({})", self.unit) };
                format!("expected a whole number from {} to {}{unit}", range.start(), range.end())
            }
            Kind::Share { .. } => "expected a share from 0 to 1".to_owned(),
            Kind::Flag { .. } => "expected true or false".to_owned(),
            Kind::Choice { names, .. } => format!("expected one of {}", names.join(", ")),
            Kind::Start { .. } => format!("expected one of {}", start::EXPECTED),
            Kind::Text { .. } => "expected a text of at least one character".to_owned(),
            Kind::Path { .. } => "expected the path of a file".to_owned(),
            Kind::Secret { .. } => "expected a text of at least one character (never shown)".to_owned(),
            Kind::List { .. } => "expected a list of at least one host:port".to_owned(),
            Kind::Properties { .. } => "expected names and values of client properties".to_owned(),
        }
    }

    /// The value as text, a secret hidden; `None` where there is none.
    pub(super) fn show(&self, config: &KafkaConfig) -> Option<String> {
        match &self.kind {
            Kind::Number { get, .. } => get(config).map(|number| number.to_string()),
            Kind::Share { get, .. } => Some(get(config).to_string()),
            Kind::Flag { get, .. } => Some(get(config).to_string()),
            Kind::Choice { get, .. } => Some(get(config).to_owned()),
            Kind::Start { get, .. } => Some(start::show(get(config))),
            Kind::Text { get, .. } => get(config).map(str::to_owned),
            Kind::Path { get, .. } => get(config).map(|path| path.display().to_string()),
            Kind::Secret { get, .. } => get(config).map(Secret::to_string),
            Kind::List { get, .. } => Some(get(config).join(",")).filter(|list| !list.is_empty()),
            Kind::Properties { get, .. } => {
                Some(get(config).keys().map(String::as_str).collect::<Vec<_>>().join(";"))
                    .filter(|names| !names.is_empty())
            }
        }
    }

    /// Whether two configurations differ in this setting.
    pub(super) fn differs(&self, a: &KafkaConfig, b: &KafkaConfig) -> bool {
        match &self.kind {
            Kind::Secret { get, .. } => get(a) != get(b),
            Kind::Properties { get, .. } => get(a) != get(b),
            Kind::List { get, .. } => get(a) != get(b),
            _ => self.show(a) != self.show(b),
        }
    }
}

/// The environment variable of a setting: `TXOVA_KAFKA_PUBLISHER_LINGER_MS`; the connection's have no prefix of theirs.
pub(super) fn variable(key: &str) -> String {
    let key = key.strip_prefix("connection.").unwrap_or(key);
    format!("TXOVA_KAFKA_{}", key.replace('.', "_").to_ascii_uppercase())
}

/// The setting of that name.
pub(super) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

macro_rules! key {
    ($($part:ident).+) => { concat_dots!($($part),+) };
}
macro_rules! concat_dots {
    ($first:ident $(, $rest:ident)*) => { concat!(stringify!($first) $(, ".", stringify!($rest))*) };
}
macro_rules! number {
    ($($part:ident).+, $unit:literal, $range:expr) => {
        Setting {
            key: key!($($part).+),
            unit: $unit,
            kind: Kind::Number {
                range: $range,
                optional: false,
                get: |config| Some(config.$($part).+ as u64),
                // In range: the reader has checked.
                set: |config, number| config.$($part).+ = number as _,
            },
        }
    };
}
macro_rules! setting {
    ($kind:ident, $($part:ident).+, $get:expr, $set:expr) => {
        Setting { key: key!($($part).+), unit: "", kind: Kind::$kind { get: $get, set: $set } }
    };
}
macro_rules! flag {
    ($($part:ident).+) => {
        setting!(Flag, $($part).+, |config| config.$($part).+, |config, value| config.$($part).+ = value)
    };
}
macro_rules! choice {
    ($($part:ident).+, $type:ty) => {
        Setting {
            key: key!($($part).+),
            unit: "",
            kind: Kind::Choice {
                names: <$type>::NAMES,
                get: |config| config.$($part).+.name(),
                set: |config, name| match <$type>::from_name(name) {
                    Some(value) => {
                        config.$($part).+ = value;
                        true
                    }
                    None => false,
                },
            },
        }
    };
}
macro_rules! text {
    ($($part:ident).+) => {
        setting!(
            Text, $($part).+,
            |config| config.$($part).+.as_deref(),
            |config, value| config.$($part).+ = Some(value)
        )
    };
}
macro_rules! optional {
    ($kind:ident, $($part:ident).+) => {
        setting!(
            $kind, $($part).+,
            |config| config.$($part).+.as_ref(),
            |config, value| config.$($part).+ = value
        )
    };
}
macro_rules! whole {
    ($kind:ident, $($part:ident).+) => {
        setting!($kind, $($part).+, |config| &config.$($part).+, |config, value| config.$($part).+ = value)
    };
}

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const GIB: u64 = 1 << 30;

/// Every setting, in the order of the documentation.
pub(super) static SETTINGS: &[Setting] = &[
    whole!(List, connection.brokers),
    setting!(
        Text,
        connection.client_id,
        |config| Some(config.connection.client_id.as_str()),
        |config, value| config.connection.client_id = value
    ),
    choice!(connection.security_protocol, SecurityProtocol),
    optional!(Path, connection.tls.ca_file),
    optional!(Path, connection.tls.cert_file),
    optional!(Path, connection.tls.key_file),
    optional!(Secret, connection.tls.key_password),
    optional!(Path, connection.tls.key_password_file),
    flag!(connection.tls.verify_hostname),
    choice!(connection.sasl.mechanism, SaslMechanism),
    text!(connection.sasl.username),
    optional!(Secret, connection.sasl.password),
    optional!(Path, connection.sasl.password_file),
    number!(connection.connect_timeout_ms, "ms", 1_000..=10 * MINUTE),
    number!(connection.reconnect_backoff_ms, "ms", 1..=HOUR),
    number!(connection.reconnect_backoff_max_ms, "ms", 1..=HOUR),
    number!(connection.metadata_refresh_ms, "ms", 100..=HOUR),
    whole!(Properties, connection.properties),
    choice!(publisher.acks, Acks),
    number!(publisher.retries, "times", 0..=i32::MAX as u64),
    number!(publisher.retry_backoff_ms, "ms", 1..=300_000),
    number!(publisher.retry_backoff_max_ms, "ms", 1..=300_000),
    number!(publisher.batch_size_bytes, "bytes", 1..=GIB),
    number!(publisher.linger_ms, "ms", 0..=900_000),
    choice!(publisher.compression, Compression),
    Setting {
        key: "publisher.compression_level",
        unit: "",
        kind: Kind::Number {
            range: 0..=12,
            optional: true,
            get: |config| config.publisher.compression_level.map(u64::from),
            set: |config, level| config.publisher.compression_level = Some(level as u32),
        },
    },
    flag!(publisher.idempotent),
    number!(publisher.max_message_bytes, "bytes", 1_000..=999_000_000),
    number!(publisher.delivery_timeout_ms, "ms", 1..=24 * HOUR),
    number!(publisher.request_timeout_ms, "ms", 1..=900_000),
    number!(publisher.max_in_flight, "requests", 1..=1_000_000),
    number!(publisher.buffer_records, "records", 1..=10_000_000),
    number!(publisher.buffer_bytes, "bytes", 1_000..=64 * GIB),
    number!(publisher.max_block_ms, "ms", 0..=24 * HOUR),
    choice!(publisher.partitioner, Partitioner),
    flag!(publisher.dead_letters),
    flag!(publisher.breaker),
    number!(publisher.breaker_failures, "failures", 1..=1_000_000),
    setting!(
        Share,
        publisher.breaker_failure_share,
        |config| config.publisher.breaker_failure_share,
        |config, share| config.publisher.breaker_failure_share = share
    ),
    number!(publisher.breaker_open_ms, "ms", 1..=HOUR),
    whole!(Properties, publisher.properties),
    text!(consumer.group),
    setting!(
        Start,
        consumer.auto_offset_reset,
        |config| config.consumer.auto_offset_reset,
        |config, start| config.consumer.auto_offset_reset = start
    ),
    choice!(consumer.out_of_range, OutOfRange),
    number!(consumer.max_in_flight_records, "records", 1..=10_000_000),
    number!(consumer.max_in_flight_bytes, "bytes", 1_000..=64 * GIB),
    number!(consumer.concurrency, "handlers", 1..=100_000),
    Setting {
        key: "consumer.rate_limit_per_second",
        unit: "records",
        kind: Kind::Number {
            range: 1..=1_000_000,
            optional: true,
            get: |config| config.consumer.rate_limit_per_second.map(u64::from),
            set: |config, rate| config.consumer.rate_limit_per_second = Some(rate as u32),
        },
    },
    choice!(consumer.order, Order),
    number!(consumer.max_retries, "times", 0..=1_000_000),
    number!(consumer.retry_backoff_ms, "ms", 1..=24 * HOUR),
    number!(consumer.retry_backoff_max_ms, "ms", 1..=24 * HOUR),
    Setting {
        key: "consumer.retry_max_elapsed_ms",
        unit: "ms",
        kind: Kind::Number {
            range: 1..=30 * 24 * HOUR,
            optional: true,
            get: |config| config.consumer.retry_max_elapsed_ms,
            set: |config, ms| config.consumer.retry_max_elapsed_ms = Some(ms),
        },
    },
    setting!(
        Share,
        consumer.retry_backoff_jitter,
        |config| config.consumer.retry_backoff_jitter,
        |config, share| config.consumer.retry_backoff_jitter = share
    ),
    flag!(consumer.breaker_enabled),
    number!(consumer.breaker_failures, "records", 2..=1_000),
    number!(consumer.breaker_keys, "keys", 1..=1_000),
    setting!(Share, consumer.breaker_share, |config| config.consumer.breaker_share, |config, share| config
        .consumer
        .breaker_share =
        share),
    number!(consumer.breaker_probe_max_ms, "ms", 1..=HOUR),
    flag!(consumer.follow_dead_letters),
    number!(consumer.follow_max_letters, "letters", 1..=100_000_000),
    number!(consumer.processing_timeout_ms, "ms", 1..=24 * HOUR),
    number!(consumer.stuck_after_ms, "ms", 1_000..=24 * HOUR),
    number!(consumer.session_timeout_ms, "ms", 1_000..=HOUR),
    number!(consumer.heartbeat_interval_ms, "ms", 100..=HOUR),
    number!(consumer.max_poll_interval_ms, "ms", 1_000..=24 * HOUR),
    number!(consumer.max_poll_records, "records", 1..=100_000),
    number!(consumer.commit_interval_ms, "ms", 1..=10 * MINUTE),
    number!(consumer.commit_every_records, "records", 1..=10_000_000),
    number!(consumer.transaction_timeout_ms, "ms", 1_000..=900_000),
    choice!(consumer.assignment, Assignor),
    text!(consumer.group_instance_id),
    number!(consumer.shutdown_timeout_ms, "ms", 0..=24 * HOUR),
    number!(consumer.revoke_timeout_ms, "ms", 0..=HOUR),
    choice!(consumer.isolation, Isolation),
    whole!(Properties, consumer.properties),
    setting!(Text, metrics.namespace, |config| Some(config.metrics.namespace.as_str()), |config, value| {
        config.metrics.namespace = value
    }),
    text!(metrics.subsystem),
    number!(metrics.lag_interval_ms, "ms", 0..=HOUR),
];

impl Choice for OutOfRange {
    const NAMES: &'static [&'static str] = &["fail", "earliest", "latest"];

    fn name(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Earliest => "earliest",
            Self::Latest => "latest",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "fail" => Some(Self::Fail),
            "earliest" => Some(Self::Earliest),
            "latest" => Some(Self::Latest),
            _ => None,
        }
    }
}
