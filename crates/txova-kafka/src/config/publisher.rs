//! How events are written. Knows nothing of events.

use std::collections::BTreeMap;

use super::Secret;
use super::choice::choices;

/// How events are written.
#[derive(Clone, Debug, PartialEq)]
pub struct PublisherConfig {
    /// Who must have a record before it counts as written.
    pub acks: Acks,
    /// How often a record is sent again. The plan says 3, which at 100 ms gives up before a new leader is elected;
    /// by default `delivery_timeout_ms` alone ends the trying.
    pub retries: u32,
    /// The first wait before a record is sent again; doubles each time.
    pub retry_backoff_ms: u64,
    /// The longest such wait.
    pub retry_backoff_max_ms: u64,
    /// A batch is sent when it has this many bytes, or after `linger_ms`.
    pub batch_size_bytes: usize,
    /// How long a record waits for others of its partition.
    pub linger_ms: u64,
    /// How batches are compressed. Snappy, as the platform's other services do.
    pub compression: Compression,
    /// 0–9 for gzip, 0–12 for lz4 and zstd; `None` leaves it to the codec.
    pub compression_level: Option<u32>,
    /// Whether the broker drops what a retry wrote twice, and keeps order across retries.
    pub idempotent: bool,
    /// The largest record: key, value and headers. A topic's own limit can be lower.
    pub max_message_bytes: usize,
    /// After this the record's fate is told, whatever it is, counted from its place in the buffer.
    pub delivery_timeout_ms: u64,
    /// How long a broker may take to answer one request.
    pub request_timeout_ms: u64,
    /// Requests under way to one broker at a time; at most 5 keep order across retries.
    pub max_in_flight: u32,
    /// Records that may be waiting for their acknowledgement. Each takes a kilobyte of memory beside its own bytes.
    pub buffer_records: usize,
    /// Their bytes: keys, values and headers.
    pub buffer_bytes: usize,
    /// How long a call waits for a place in a full buffer. Below the consumer's `processing_timeout_ms`, so that a
    /// handler that publishes gets the reason and not just a timeout.
    pub max_block_ms: u64,
    /// Which partition a key belongs to.
    pub partitioner: Partitioner,
    /// Whether a record that the cluster refuses for good (too large for its topic, invalid, no such topic) is kept on
    /// the topic's dead-letter topic, besides the error to the caller.
    pub dead_letters: bool,
    /// Whether calls fail at once when nothing gets through any more.
    pub breaker: bool,
    /// Failures in a row after which the circuit opens. A failure counts only where no record at all was acknowledged
    /// while it was under way.
    pub breaker_failures: u32,
    /// The share of failures among the last 100 answers at which the circuit opens.
    pub breaker_failure_share: f64,
    /// How long the circuit stays open before one event is let through to see.
    pub breaker_open_ms: u64,
    /// More properties of the client library, by its names; values are never shown. One that has a setting here, or that the library depends
    /// on, is refused.
    pub properties: BTreeMap<String, Secret>,
}

impl Default for PublisherConfig {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            retries: i32::MAX as u32,
            retry_backoff_ms: 100,
            retry_backoff_max_ms: 1_000,
            batch_size_bytes: 16 * 1024,
            linger_ms: 5,
            compression: Compression::Snappy,
            compression_level: None,
            idempotent: true,
            max_message_bytes: 1024 * 1024,
            delivery_timeout_ms: 120_000,
            request_timeout_ms: 30_000,
            max_in_flight: 5,
            buffer_records: 50_000,
            buffer_bytes: 64 * 1024 * 1024,
            max_block_ms: 10_000,
            partitioner: Partitioner::Murmur2,
            dead_letters: true,
            breaker: true,
            breaker_failures: 10,
            breaker_failure_share: 0.5,
            breaker_open_ms: 10_000,
            properties: BTreeMap::new(),
        }
    }
}

choices! {
    /// Who must have a record before it counts as written.
    pub enum Acks {
        /// Nobody: a record can be lost without a word.
        None = "none" | "0",
        /// The partition's leader: lost if it dies before the others have it.
        Leader = "leader" | "1",
        /// Every replica in sync.
        #[default]
        All = "all" | "-1",
    }
}

choices! {
    /// How batches are compressed.
    pub enum Compression {
        /// Not at all.
        None = "none",
        /// Fast, fair.
        #[default]
        Snappy = "snappy",
        /// Slow, good.
        Gzip = "gzip",
        /// Fast, fair.
        Lz4 = "lz4",
        /// Fast, best.
        Zstd = "zstd",
    }
}

choices! {
    /// Which partition a key belongs to. Records with a null key are spread at random.
    pub enum Partitioner {
        /// As Kafka's Java client does.
        #[default]
        Murmur2 = "murmur2",
        /// As the platform's Go services do.
        Fnv1a = "fnv1a",
    }
}
