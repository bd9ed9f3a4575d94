//! The list of every metric. Names, descriptions, the documentation's table and the dashboard all come from it, and
//! nothing is measured that is not in it.

use std::fmt;

/// One metric.
#[derive(Debug)]
#[non_exhaustive]
pub struct Metric {
    /// Its name without the namespace: `kafka_consumer_lag`.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// The names of its labels. The values of each are few: topics, groups, types and handlers that code names, never
    /// what a record says.
    pub labels: &'static [&'static str],
    /// What it counts or measures.
    pub unit: &'static str,
    /// The question it answers.
    pub question: &'static str,
}

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Grows only.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values by size; the bounds are [`SECONDS_BUCKETS`].
    Histogram,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// The bounds of the histograms, in seconds. The platform's target for publishing, 50 ms, is one of them.
pub const SECONDS_BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Declares each metric once, and all of them as [`TABLE`].
macro_rules! table {
    ($($constant:ident = $kind:ident $name:literal [$($label:ident),*] $unit:literal, $question:literal;)*) => {
        $(pub(crate) static $constant: Metric = Metric {
            name: $name,
            kind: Kind::$kind,
            labels: &[$(stringify!($label)),*],
            unit: $unit,
            question: $question,
        };)*

        /// Every metric, in the order of the documentation.
        pub static TABLE: &[&Metric] = &[$(&$constant),*];
    };
}

table! {
    PRODUCED = Counter "kafka_messages_produced_total" [topic] "records",
        "How many records has a broker acknowledged?";
    PRODUCE_ERRORS = Counter "kafka_produce_errors_total" [topic] "events",
        "How many events were not published?";
    PUBLISH_FAILURES = Counter "kafka_publish_failures_total" [topic, kind, written] "events",
        "Why were they not, and may they be in the log all the same?";
    PUBLISH_SECONDS = Histogram "kafka_publish_duration_seconds" [topic] "seconds",
        "How long is it from the call to the acknowledgement? The target is a p99 under 50 ms.";
    PUBLISH_DEAD_LETTERS = Counter "kafka_publish_dead_letters_total" [topic] "records",
        "How many events that the brokers refuse for good were kept as dead letters?";
    BUFFER_RECORDS = Gauge "kafka_publisher_buffer_records" [source] "records",
        "How many records wait for their acknowledgement?";
    BUFFER_BYTES = Gauge "kafka_publisher_buffer_bytes" [source] "bytes",
        "How many bytes are they?";
    WAITING_CALLS = Gauge "kafka_publisher_waiting_calls" [source] "calls",
        "Is the buffer full: how many calls wait for a place?";
    PUBLISHER_BREAKER = Gauge "kafka_publisher_breaker_state" [source] "0 closed, 1 open, 2 half open",
        "Does the publisher fail fast because the cluster is away?";
    PUBLISHER_BREAKER_OPENED = Counter "kafka_publisher_breaker_opened_total" [source] "times",
        "How often did it begin to?";

    CONSUMED = Counter "kafka_messages_consumed_total" [topic, group] "records",
        "How many records are settled: handled, skipped or dead-lettered?";
    CONSUME_ERRORS = Counter "kafka_consume_errors_total" [topic] "attempts",
        "How many attempts failed, without those that said skip or stop?";
    RETRIES = Counter "kafka_consumer_retries_total" [topic, group] "attempts",
        "How many of them were put off to a later one?";
    DEAD_LETTERS = Counter "kafka_dead_letters_total" [topic, group] "records",
        "How many records were given up? The target is under 0.1 % of those consumed.";
    DEAD_LETTER_FAILURES = Counter "kafka_dead_letter_failures_total" [topic, group] "attempts",
        "How often did the dead-letter topic not take one? Its partition waits meanwhile.";
    REDELIVERIES = Counter "kafka_consumer_redeliveries_total" [topic, group] "records",
        "How many records came again that were known to be done, and were passed over?";
    LAG = Gauge "kafka_consumer_lag" [topic, partition, group] "records",
        "How far is the group behind the end of the log? The target is under 1,000.";
    LAG_SECONDS = Gauge "kafka_consumer_lag_seconds" [topic, partition, group] "seconds",
        "How old is the oldest record that is taken and not settled?";
    COMMIT_AGE = Gauge "kafka_consumer_commit_age_seconds" [topic, partition, group] "seconds",
        "For how long has the committed offset not moved although it could?";
    MAP_SHARE = Gauge "kafka_consumer_offset_map_ratio" [topic, partition, group] "0 to 1",
        "How full is the room beside the committed offset? At 0.75 the partition's intake pauses.";
    HANDLER_SECONDS = Histogram "kafka_handler_duration_seconds" [group, handler] "seconds",
        "How long does an attempt take, or that of a whole batch?";
    HANDLER_OUTCOMES = Counter "kafka_handler_outcomes_total" [group, handler, outcome] "attempts",
        "How do attempts end: ok, skip, transient, permanent, stop? The handler `-` stands for records that reach none.";
    IN_FLIGHT_RECORDS = Gauge "kafka_consumer_in_flight_records" [group] "records",
        "How many records are taken and not settled?";
    IN_FLIGHT_BYTES = Gauge "kafka_consumer_in_flight_bytes" [group] "bytes",
        "How many bytes are they?";
    RUNNING_HANDLERS = Gauge "kafka_consumer_running_handlers" [group] "handlers",
        "How many handlers run?";
    ASSIGNED_PARTITIONS = Gauge "kafka_consumer_assigned_partitions" [group] "partitions",
        "How many partitions does this member have?";
    PAUSED_PARTITIONS = Gauge "kafka_consumer_paused_partitions" [group] "partitions",
        "How many of them are not fetched, for want of room or since an operator wants it so?";
    STUCK_PARTITIONS = Gauge "kafka_consumer_stuck_partitions" [group] "partitions",
        "How many of them does a record hold up that does not end?";
    HELD_HANDLERS = Gauge "kafka_consumer_held_handlers" [group] "handlers",
        "How many handlers are held back because what they need seems to be away?";
    REBALANCES = Counter "kafka_consumer_rebalances_total" [group, kind] "times",
        "How often were partitions assigned, revoked, lost?";
    COMMITS = Counter "kafka_consumer_commits_total" [group, result] "commits",
        "How many commits were made (ok), or refused or not answered (error)?";
    TROUBLE = Gauge "kafka_consumer_trouble" [group] "0 or 1",
        "Does the client have trouble that is not over, such as a broker that is away?";
}
