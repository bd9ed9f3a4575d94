//! How events are read and handled. Knows nothing of handlers.

use std::collections::BTreeMap;

use super::Secret;
use super::choice::choices;
use crate::transport::{OutOfRange, StartAt};

/// How events are read and handled.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerConfig {
    /// The consumer group's id (`ride-service-group`); needed to consume.
    pub group: Option<String>,
    /// Where a partition starts for which the group has committed nothing.
    pub auto_offset_reset: StartAt,
    /// What happens when a committed offset is no longer in the log.
    pub out_of_range: OutOfRange,
    /// Records fetched and not settled yet, over all partitions. Beyond it fetching pauses.
    pub max_in_flight_records: usize,
    /// Their bytes: keys, values and headers.
    pub max_in_flight_bytes: usize,
    /// Handlers running at once.
    pub concurrency: usize,
    /// Records that start in a second in this process, over all partitions, which take turns; as many as can where it is
    /// not set. Every attempt counts, retries and probes too, since it guards what handlers call. A tenth of a second's
    /// worth may start at once. A batch starts whole, and counts its records.
    pub rate_limit_per_second: Option<u32>,
    /// What is handled one after the other.
    pub order: Order,
    /// How often a record is tried again after a transient failure, before it is dead-lettered.
    pub max_retries: u32,
    /// The first wait before a record is tried again; doubles each time.
    pub retry_backoff_ms: u64,
    /// The longest such wait. The plan names none; doubling from 1 s needs an end.
    pub retry_backoff_max_ms: u64,
    /// No attempt begins later than this after a record's first failure, however many are left; without a limit where it
    /// is not set. The clock is the wall's and goes on through restarts.
    pub retry_max_elapsed_ms: Option<u64>,
    /// Share of a wait that is left to chance, so that records that failed together are not tried together: with
    /// 0.2 a wait of 1 s becomes 0.8 to 1.2 s.
    pub retry_backoff_jitter: f64,
    /// Whether a handler whose world is away is held back, so that an outage ends in no dead letters. It is held back
    /// when it fails `breaker_failures` records in a row in the same way, or when so many of its last records, and
    /// `breaker_share` of them, were to be dead-lettered; of `breaker_keys` keys at least. Its records then wait, and
    /// spend no attempts; one at a time is tried, until one succeeds: then all go on at once. Permanent failures
    /// are dead-lettered all the same; what is no event never counts.
    pub breaker_enabled: bool,
    /// Records in a row that a handler fails before it is held back; its last records are five times as many.
    pub breaker_failures: u32,
    /// Keys that these records are of, at least: one that is broken holds nobody back.
    pub breaker_keys: u32,
    /// Share of a handler's last records that are to be dead-lettered, before it is held back.
    pub breaker_share: f64,
    /// The longest wait between two tries of a handler that is held back: so soon the end of an outage is seen. The handler's
    /// own "retry after" is kept where it is longer, and a try that hangs lasts for `processing_timeout_ms`.
    pub breaker_probe_max_ms: u64,
    /// Whether later records of a key follow one that was dead-lettered by this group, without being handled, until it is
    /// resolved: so order holds through repair. See [the page](crate::Router#dead-letters-that-are-followed).
    pub follow_dead_letters: bool,
    /// Open dead letters that are kept in mind for that; where there are more, nothing starts in partitions that have any,
    /// and health says so. Each takes some 200 bytes.
    pub follow_max_letters: usize,
    /// How long one attempt of a handler may take; after it, a transient failure.
    pub processing_timeout_ms: u64,
    /// A record that came to a handler so long ago and is not settled counts as stuck: the app is not ready and says which
    /// record it is, and why. At least `processing_timeout_ms`, whatever it is set to. What an operator has paused is not
    /// stuck, and what waits behind another record is not yet.
    pub stuck_after_ms: u64,
    /// After this long without a heartbeat the group gives this member's partitions to others.
    pub session_timeout_ms: u64,
    /// How often this member says it is alive; at most a third of the session.
    pub heartbeat_interval_ms: u64,
    /// After this long without a poll the group gives this member's partitions to others. Polling has a thread of its
    /// own that never waits for handlers: a slow handler does not touch it.
    pub max_poll_interval_ms: u64,
    /// Records that cross from the polling thread to the handlers' side at a time. It is not a limit on what is under
    /// way, as in the plan's client: `max_in_flight_records` is. More than the plan's 100, because each crossing has a price.
    pub max_poll_records: usize,
    /// The longest a settled record waits for its commit.
    pub commit_interval_ms: u64,
    /// Commits sooner, after this many settled records.
    pub commit_every_records: usize,
    /// After this long brokers abort a transaction whose process is gone, for apps with
    /// [`exactly_once`](crate::AppBuilder::exactly_once): so long its partitions wait for their next owner, and readers for
    /// what is behind it. Brokers look every ten seconds, by their own setting.
    pub transaction_timeout_ms: u64,
    /// How the group shares its partitions out.
    pub assignment: Assignor,
    /// A name that stays with this member across restarts, one for each process: a restart within
    /// `session_timeout_ms` then moves no partition.
    pub group_instance_id: Option<String>,
    /// How long a stop waits for running handlers.
    pub shutdown_timeout_ms: u64,
    /// How long a partition that is taken away waits for its running handlers.
    pub revoke_timeout_ms: u64,
    /// Whether records of transactions that are open or were aborted are seen.
    pub isolation: Isolation,
    /// More properties of the client library, by its names; values are never shown. One that has a setting here, or that the library depends
    /// on, such as `enable.auto.commit`, is refused.
    pub properties: BTreeMap<String, Secret>,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            group: None,
            auto_offset_reset: StartAt::Earliest,
            out_of_range: OutOfRange::Fail,
            max_in_flight_records: 10_000,
            max_in_flight_bytes: 64 * 1024 * 1024,
            concurrency: 100,
            rate_limit_per_second: None,
            order: Order::Key,
            max_retries: 3,
            retry_backoff_ms: 1_000,
            retry_backoff_max_ms: 60_000,
            retry_max_elapsed_ms: None,
            retry_backoff_jitter: 0.2,
            breaker_enabled: true,
            breaker_failures: 20,
            breaker_keys: 3,
            breaker_share: 0.5,
            breaker_probe_max_ms: 1_000,
            follow_dead_letters: false,
            follow_max_letters: 100_000,
            processing_timeout_ms: 30_000,
            stuck_after_ms: 300_000,
            session_timeout_ms: 30_000,
            heartbeat_interval_ms: 10_000,
            max_poll_interval_ms: 300_000,
            max_poll_records: 500,
            commit_interval_ms: 200,
            commit_every_records: 1_000,
            transaction_timeout_ms: 10_000,
            assignment: Assignor::CooperativeSticky,
            group_instance_id: None,
            shutdown_timeout_ms: 30_000,
            revoke_timeout_ms: 10_000,
            isolation: Isolation::ReadCommitted,
            properties: BTreeMap::new(),
        }
    }
}

choices! {
    /// What is handled one after the other, in the order of the log.
    pub enum Order {
        /// Records of one key; different keys run side by side. Records without a key count as one key a partition.
        #[default]
        Key = "key",
        /// Records of one partition.
        Partition = "partition",
        /// Nothing: records run as they come.
        None = "none",
    }
}

choices! {
    /// How a group shares its partitions out.
    pub enum Assignor {
        /// Partitions stay where they are unless they must move, and only those pause.
        #[default]
        CooperativeSticky = "cooperative_sticky" | "cooperative-sticky",
        /// Everything pauses at each change. Needed in a group with the platform's Go services.
        Range = "range",
    }
}

choices! {
    /// Whether records of unfinished and aborted transactions are seen.
    pub enum Isolation {
        /// They are not.
        #[default]
        ReadCommitted = "read_committed",
        /// They are.
        ReadUncommitted = "read_uncommitted",
    }
}
