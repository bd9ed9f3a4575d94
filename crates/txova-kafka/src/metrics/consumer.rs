//! What an app has in hand, as metrics: counters by topic, gauges by partition and group. It is told once a second, so a
//! record costs nothing here.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use metrics::{Counter, Gauge};

use super::lag::{Behind, Watched};
use super::{Metric, Namespace};
use crate::driver::Picture;
use crate::engine::{Counts, PartitionStatus};
use crate::record::TopicPartition;

/// The metrics of one app.
pub(crate) struct ConsumerMetrics {
    namespace: Namespace,
    group: Arc<str>,
    gauges: GroupGauges,
    assigned: Total,
    revoked: Total,
    lost: Total,
    commits: Total,
    commit_failures: Total,
    topics: HashMap<Arc<str>, TopicCounters>,
    partitions: BTreeMap<TopicPartition, Partition>,
}

struct GroupGauges {
    in_flight_records: Gauge,
    in_flight_bytes: Gauge,
    running: Gauge,
    assigned: Gauge,
    paused: Gauge,
    stuck: Gauge,
    held: Gauge,
    trouble: Gauge,
}

struct TopicCounters {
    consumed: Total,
    errors: Total,
    retries: Total,
    dead_letters: Total,
    dead_letter_failures: Total,
    redeliveries: Total,
}

/// A partition this member has, or had: a gauge cannot be taken back, only set to nothing.
struct Partition {
    watched: Option<Watched>,
    lag: Gauge,
    lag_seconds: Gauge,
    commit_age: Gauge,
    map_share: Gauge,
}

/// A counter that is told totals. Several apps of a process may share it, so it is only ever added to.
struct Total {
    counter: Counter,
    told: u64,
}

impl Total {
    fn tell(&mut self, total: u64) {
        self.counter.increment(total.saturating_sub(self.told));
        self.told = self.told.max(total);
    }
}

impl ConsumerMetrics {
    pub(crate) fn new(namespace: Namespace, group: Arc<str>) -> Self {
        let gauge = |metric: &'static Metric| namespace.gauge(metric, &[&group]);
        let total = |metric: &'static Metric, label: &str| Total::new(&namespace, metric, &[&group, label]);
        Self {
            gauges: GroupGauges {
                in_flight_records: gauge(&super::IN_FLIGHT_RECORDS),
                in_flight_bytes: gauge(&super::IN_FLIGHT_BYTES),
                running: gauge(&super::RUNNING_HANDLERS),
                assigned: gauge(&super::ASSIGNED_PARTITIONS),
                paused: gauge(&super::PAUSED_PARTITIONS),
                stuck: gauge(&super::STUCK_PARTITIONS),
                held: gauge(&super::HELD_HANDLERS),
                trouble: gauge(&super::TROUBLE),
            },
            assigned: total(&super::REBALANCES, "assigned"),
            revoked: total(&super::REBALANCES, "revoked"),
            lost: total(&super::REBALANCES, "lost"),
            commits: total(&super::COMMITS, "ok"),
            commit_failures: total(&super::COMMITS, "error"),
            topics: HashMap::new(),
            partitions: BTreeMap::new(),
            namespace,
            group,
        }
    }

    /// `ends` are the logs' ends when they were last asked for.
    pub(crate) fn tell(&mut self, picture: &Picture, ends: &BTreeMap<TopicPartition, i64>, now_ms: i64) {
        let engine = &picture.engine;
        let count = |is: fn(&PartitionStatus) -> bool| {
            engine.partitions.iter().filter(|partition| is(partition)).count() as f64
        };
        self.gauges.in_flight_records.set(engine.in_flight_records as f64);
        self.gauges.in_flight_bytes.set(engine.in_flight_bytes as f64);
        self.gauges.running.set(engine.running as f64);
        self.gauges.assigned.set(engine.partitions.len() as f64);
        self.gauges.paused.set(count(|partition| partition.paused));
        self.gauges.stuck.set(engine.stuck.len() as f64);
        self.gauges.held.set(engine.held_handlers.len() as f64);
        self.gauges.trouble.set(if picture.trouble.is_some() { 1.0 } else { 0.0 });
        self.assigned.tell(picture.assignments);
        self.revoked.tell(picture.revocations);
        self.lost.tell(picture.losses);
        self.commits.tell(engine.counts.commits);
        self.commit_failures.tell(engine.counts.commit_failures);
        for (topic, counts) in &engine.topics {
            let (namespace, group) = (&self.namespace, &self.group);
            let counters = self.topics.entry(Arc::clone(topic));
            counters.or_insert_with(|| TopicCounters::new(namespace, topic, group)).tell(counts);
        }
        self.partitions(picture, ends, now_ms);
    }

    fn partitions(&mut self, picture: &Picture, ends: &BTreeMap<TopicPartition, i64>, now_ms: i64) {
        for (name, partition) in &mut self.partitions {
            if picture.engine.partitions.iter().all(|status| status.partition != *name) {
                partition.clear();
            }
        }
        for status in &picture.engine.partitions {
            let name = &status.partition;
            let partition = self
                .partitions
                .entry(name.clone())
                .or_insert_with(|| Partition::new(&self.namespace, name, &self.group));
            let watched = partition.watched.get_or_insert_with(|| Watched::new(now_ms));
            let oldest_ms = picture.oldest_ms.get(name).copied();
            let behind = watched.look(status, oldest_ms, ends.get(name).copied(), now_ms);
            partition.set(behind, status.map_share);
        }
    }

    /// The app has ended: what it had is somebody else's.
    pub(crate) fn ended(&mut self, last: &Picture) {
        self.tell(last, &BTreeMap::new(), 0);
        self.gauges.trouble.set(0.0);
    }
}

impl Total {
    fn new(namespace: &Namespace, metric: &'static Metric, labels: &[&str]) -> Self {
        Self { counter: namespace.counter(metric, labels), told: 0 }
    }
}

impl TopicCounters {
    fn new(namespace: &Namespace, topic: &str, group: &str) -> Self {
        let total = |metric: &'static Metric| Total::new(namespace, metric, &[topic, group]);
        Self {
            consumed: total(&super::CONSUMED),
            errors: Total::new(namespace, &super::CONSUME_ERRORS, &[topic]),
            retries: total(&super::RETRIES),
            dead_letters: total(&super::DEAD_LETTERS),
            dead_letter_failures: total(&super::DEAD_LETTER_FAILURES),
            redeliveries: total(&super::REDELIVERIES),
        }
    }

    fn tell(&mut self, counts: &Counts) {
        self.consumed.tell(counts.handled + counts.skipped + counts.dead_lettered);
        self.errors.tell(counts.failed);
        self.retries.tell(counts.retried);
        self.dead_letters.tell(counts.dead_lettered);
        self.dead_letter_failures.tell(counts.dead_letter_failures);
        self.redeliveries.tell(counts.known);
    }
}

impl Partition {
    fn new(namespace: &Namespace, name: &TopicPartition, group: &str) -> Self {
        let number = name.partition.to_string();
        let gauge = |metric: &'static Metric| namespace.gauge(metric, &[&name.topic, &number, group]);
        Self {
            watched: None,
            lag: gauge(&super::LAG),
            lag_seconds: gauge(&super::LAG_SECONDS),
            commit_age: gauge(&super::COMMIT_AGE),
            map_share: gauge(&super::MAP_SHARE),
        }
    }

    fn set(&self, behind: Behind, map_share: f64) {
        self.lag.set(behind.records as f64);
        self.lag_seconds.set(behind.seconds);
        self.commit_age.set(behind.commit_age_seconds);
        self.map_share.set(map_share);
    }

    fn clear(&mut self) {
        if self.watched.take().is_some() {
            self.set(Behind::default(), 0.0);
        }
    }
}
