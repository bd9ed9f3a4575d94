//! What the cluster knows, behind one lock, and the signal that something changed. It must never wait: whoever waits
//! does so in a task of its own, outside the lock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::MemberId;
use super::faults::ProduceFault;
use super::group::Group;
use super::inspect::CommitRecord;
use super::log::Log;
use super::partitioner::partition_of_key;
use super::producer::Queue;
use super::random::Random;
use super::signal::{Changes, Signal};
use super::transactions::{Open, TransactionId};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::{OutgoingRecord, TopicPartition};
use crate::transport::Delivery;

/// The state and its signal.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Signal,
    producers: Mutex<Vec<Weak<Queue>>>,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State::default()), changed: Signal::default(), producers: Mutex::default() }
    }

    /// The state, for looking and for changes nobody waits for.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes whoever waits for a change.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let answer = change(&mut self.lock());
        self.changed.raise();
        answer
    }

    /// Counts a producer's records among those that wait for an answer, for as long as it lives.
    pub(super) fn add_producer(&self, queue: &Arc<Queue>) {
        self.producers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(queue));
    }

    /// Records handed to producers that have no answer yet.
    pub(super) fn unanswered(&self) -> usize {
        let mut producers = self.producers.lock().unwrap_or_else(PoisonError::into_inner);
        producers.retain(|queue| queue.strong_count() > 0);
        producers.iter().filter_map(Weak::upgrade).map(|queue| queue.unanswered()).sum()
    }

    /// Sees each change from now on.
    pub(super) fn changes(&self) -> Changes {
        self.changed.changes()
    }

    /// Waits until `holds`.
    pub(super) async fn wait_until(&self, mut holds: impl FnMut(&State) -> bool) {
        let mut changes = self.changes();
        loop {
            changes.hear();
            if holds(&self.lock()) {
                return;
            }
            changes.changed().await;
        }
    }

    /// Waits until a broker answers, as long as a slow one takes, at most `timeout`.
    pub(super) async fn broker(&self, timeout: Duration, what: &str) -> Result<(), ClientError> {
        let (away, latency) = {
            let state = self.lock();
            (state.broker_away, state.settings.latency)
        };
        if !away && latency.is_zero() {
            return Ok(());
        }
        let answered = async {
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            self.wait_until(|state| !state.broker_away).await;
        };
        tokio::time::timeout(timeout, answered).await.map_err(|_| {
            let text = format!("{what}: no broker answered in {} ms", timeout.as_millis());
            ClientError::new(ClientErrorKind::TimedOut, text)
        })
    }
}

/// What holds for the whole cluster.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub auto_create: bool,
    pub default_partitions: i32,
    pub eager: bool,
    pub batch_records: usize,
    pub batch_capacity: usize,
    pub max_record_bytes: usize,
    pub queue_capacity: usize,
    pub request_timeout: Duration,
    pub delivery_timeout: Duration,
    pub session_timeout: Duration,
    /// How long every answer takes.
    pub latency: Duration,
    pub seeded: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            auto_create: true,
            default_partitions: 3,
            eager: false,
            batch_records: 500,
            batch_capacity: 8,
            max_record_bytes: 1024 * 1024,
            queue_capacity: 100_000,
            request_timeout: Duration::from_secs(5),
            delivery_timeout: Duration::from_secs(120),
            session_timeout: Duration::from_secs(30),
            latency: Duration::ZERO,
            seeded: false,
        }
    }
}

/// Scripted trouble with a topic. Kept apart from the topic: a script may come before it.
#[derive(Debug, Default)]
pub(super) struct TopicTrouble {
    pub down: bool,
    pub produce_faults: VecDeque<ProduceFault>,
    pub fetch_delay: Duration,
}

#[derive(Debug)]
pub(super) struct State {
    pub settings: Settings,
    pub topics: BTreeMap<Arc<str>, Vec<Log>>,
    /// What was set for a topic when it was made, or later.
    pub topic_settings: BTreeMap<String, BTreeMap<String, String>>,
    pub trouble: BTreeMap<String, TopicTrouble>,
    pub groups: BTreeMap<String, Group>,
    pub transactions: BTreeMap<TransactionId, Open>,
    pub commits: Vec<CommitRecord>,
    /// Where each record was written, in order.
    pub written: Vec<(TopicPartition, i64)>,
    /// The epoch of each ledger's newest holder.
    pub ledgers: BTreeMap<String, u64>,
    pub broker_away: bool,
    pub random: Random,
    pub last_member: u64,
    pub last_transaction: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            topics: BTreeMap::new(),
            topic_settings: BTreeMap::new(),
            trouble: BTreeMap::new(),
            groups: BTreeMap::new(),
            transactions: BTreeMap::new(),
            last_transaction: 0,
            commits: Vec::new(),
            written: Vec::new(),
            ledgers: BTreeMap::new(),
            broker_away: false,
            random: Random::new(0),
            last_member: 0,
        }
    }
}

impl State {
    /// Makes the topic, or leaves it as it is; groups that subscribed to it get its partitions.
    pub(super) fn create_topic(&mut self, name: &str, partitions: i32) {
        if !self.topics.contains_key(name) {
            let logs = (0..partitions.max(1)).map(|_| Log::default()).collect();
            self.topics.insert(Arc::from(name), logs);
            self.rebalance_subscribers(name);
            for (group, id) in self.subscribers(name) {
                self.tell_missing(&group, id);
            }
        }
    }

    fn subscribers(&self, topic: &str) -> Vec<(String, MemberId)> {
        let members =
            self.groups.iter().flat_map(|(name, group)| group.members.iter().map(move |it| (name, it)));
        let subscribed = members.filter(|(_, (_, member))| member.subscribes(topic));
        subscribed.map(|(group, (id, _))| (group.clone(), *id)).collect()
    }

    /// Tells a member which of its topics are not there, where that is news.
    pub(super) fn tell_missing(&mut self, group: &str, id: MemberId) {
        let topics = &self.topics;
        let member = self.groups.get_mut(group).and_then(|group| group.members.get_mut(&id));
        if let Some(member) = member {
            member.tell_missing(|topic| topics.contains_key(topic));
        }
    }

    /// Gives a topic more partitions.
    pub(super) fn add_partitions(&mut self, name: &str, count: u32) -> Result<(), ClientError> {
        let logs = self.topics.get_mut(name).ok_or_else(|| unknown_topic(name))?;
        logs.extend((0..count).map(|_| Log::default()));
        self.rebalance_subscribers(name);
        Ok(())
    }

    /// The topic, made if topics are made on demand.
    pub(super) fn topic(&mut self, name: &str) -> Result<&mut Vec<Log>, ClientError> {
        if self.settings.auto_create {
            self.create_topic(name, self.settings.default_partitions);
        }
        self.topics.get_mut(name).ok_or_else(|| unknown_topic(name))
    }

    pub(super) fn log(&self, partition: &TopicPartition) -> Result<&Log, ClientError> {
        let logs = self.topics.get(&partition.topic);
        let index = usize::try_from(partition.partition).ok();
        logs.zip(index).and_then(|(logs, index)| logs.get(index)).ok_or_else(|| unknown_partition(partition))
    }

    pub(super) fn log_mut(&mut self, partition: &TopicPartition) -> Result<&mut Log, ClientError> {
        let logs = self.topics.get_mut(&partition.topic);
        let index = usize::try_from(partition.partition).ok();
        logs.zip(index)
            .and_then(|(logs, index)| logs.get_mut(index))
            .ok_or_else(|| unknown_partition(partition))
    }

    /// Where a record goes; an error where it cannot go anywhere.
    pub(super) fn place(&mut self, record: &OutgoingRecord) -> Result<TopicPartition, ClientError> {
        let size = record.size_bytes();
        if size > self.settings.max_record_bytes {
            let text = format!(
                "a record of {size} bytes for {} is larger than the {} the broker takes",
                record.topic, self.settings.max_record_bytes
            );
            return Err(ClientError::new(ClientErrorKind::TooLarge, text));
        }
        let count = self.topic(&record.topic)?.len();
        let partition = match (record.partition, &record.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_of_key(key, count) as i32,
            (None, None) => self.random.below(count) as i32,
        };
        let place = TopicPartition { topic: record.topic.clone(), partition };
        self.log(&place)?;
        Ok(place)
    }

    /// Writes a record to the end of a partition.
    pub(super) fn append(
        &mut self,
        place: &TopicPartition,
        record: &OutgoingRecord,
    ) -> Result<Delivery, ClientError> {
        let offset = self.log_mut(place)?.append(record, now_ms());
        self.written.push((place.clone(), offset));
        Ok(Delivery { partition: place.partition, offset, maybe_twice: false })
    }

    pub(super) fn rebalance(&mut self, group: &str) {
        if !self.broker_away
            && let Some(group) = self.groups.get_mut(group)
        {
            group.rebalance(&self.topics, self.settings.eager);
        }
    }

    pub(super) fn rebalance_all(&mut self) {
        let groups: Vec<String> = self.groups.keys().cloned().collect();
        groups.iter().for_each(|group| self.rebalance(group));
    }

    fn rebalance_subscribers(&mut self, topic: &str) {
        let subscribed = |group: &Group| group.members.values().any(|member| member.subscribes(topic));
        let groups: Vec<String> =
            self.groups.iter().filter(|(_, group)| subscribed(group)).map(|(name, _)| name.clone()).collect();
        groups.iter().for_each(|group| self.rebalance(group));
    }
}

/// Milliseconds since the Unix epoch on tokio's clock, so that a paused clock stamps records too.
pub(super) fn now_ms() -> i64 {
    static START: std::sync::OnceLock<(Instant, i64)> = std::sync::OnceLock::new();
    let (start, start_ms) = START.get_or_init(|| {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        (Instant::now(), since_epoch.as_millis() as i64)
    });
    start_ms + Instant::now().saturating_duration_since(*start).as_millis() as i64
}

pub(super) fn unknown_topic(name: &str) -> ClientError {
    ClientError::new(ClientErrorKind::UnknownTopic, format!("the cluster has no topic {name}"))
}

fn unknown_partition(partition: &TopicPartition) -> ClientError {
    ClientError::new(ClientErrorKind::UnknownTopic, format!("the cluster has no partition {partition}"))
}
