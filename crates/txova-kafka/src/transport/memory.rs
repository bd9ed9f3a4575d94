//! An in-memory Kafka cluster: topics, groups with rebalances, commits with metadata, and scripted faults, on tokio's
//! clock. It must never know the engine above it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use self::group::Group;
use self::member::{Mailbox, Member};
use self::producer::MemoryProducer;
use self::random::Random;
use self::state::{Settings, Shared};
use super::admin::AdminCalls;
use super::{
    Committed, GroupEvent, GroupMember, JoinOptions, Ledger, NewTopic, Producer, ReadRange, RecordStream,
    Transport, Watermarks,
};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::TopicPartition;

mod admin;
mod assignor;
mod faults;
mod fetch;
mod group;
mod inspect;
mod instance;
mod ledger;
mod log;
mod member;
mod open;
mod partitioner;
mod producer;
mod random;
mod reader;
mod signal;
mod state;
mod transactions;

pub use faults::{CommitFault, ProduceFault};
pub use inspect::{CommitRecord, MemberView};
pub(crate) use open::OpenPartition;
#[cfg(test)]
pub(in crate::transport) use transactions::TransactionId;

/// A Kafka cluster in memory, for tests of handlers and services: no broker, no network, no waiting.
///
/// It behaves as Kafka does where a service can tell: partitions by the key's murmur2 hash, consumer groups that rebalance
/// step by step (cooperative) or all at once, commits that are refused from members whose time is over, transactions
/// nobody sees before they are committed, offsets with holes. Time is tokio's: under `#[tokio::test(start_paused = true)]` minutes of timeouts pass in microseconds, and on a
/// current-thread runtime a run repeats exactly, for each [seed](Self::with_seed).
///
/// A clone is the same cluster. Consumers and producers run as tasks on the runtime they were opened on.
///
/// ```
/// use txova_kafka::{OutgoingRecord, TopicPartition, testing::Cluster};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = Cluster::new().with_topic("txova.rides.v1", 12);
/// let written = cluster.produce(OutgoingRecord {
///     topic: "txova.rides.v1".into(),
///     key: Some("ride-1".into()),
///     value: Some("{}".into()),
///     ..OutgoingRecord::default()
/// })?;
/// let (partition, record) = &cluster.records("txova.rides.v1")[0];
/// assert_eq!((partition.partition, record.offset), (written.partition, 0));
/// assert_eq!(cluster.committed_by("ride-service-group", partition), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cluster {
    shared: Arc<Shared>,
}

/// Names a member of a group in scripts and in what a test looks at. It stays the same when the member joins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(u64);

impl Cluster {
    /// An empty cluster that makes topics of 3 partitions on demand.
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared::new()) }
    }

    /// With this topic.
    pub fn with_topic(self, name: &str, partitions: i32) -> Self {
        self.create_topic(name, partitions);
        self
    }

    /// Varies what Kafka leaves open by `seed`: which partition is served next, how many records a batch has, where
    /// records without a key go. The same seed gives the same run.
    pub fn with_seed(self, seed: u64) -> Self {
        self.shared.lock().random = Random::new(seed);
        self.with(|settings| settings.seeded = true)
    }

    /// Topics made on demand get this many partitions.
    pub fn with_default_partitions(self, partitions: i32) -> Self {
        self.with(|settings| settings.default_partitions = partitions)
    }

    /// Topics are not made on demand: using an unknown one is an error.
    pub fn without_auto_create(self) -> Self {
        self.with(|settings| settings.auto_create = false)
    }

    /// Rebalances take everything from everybody first, as Kafka's `range` and `roundrobin` assignors do.
    pub fn with_eager_rebalances(self) -> Self {
        self.with(|settings| settings.eager = true)
    }

    /// A batch has at most `records`, and `batches` of them wait for a member before fetching holds. 500 and 8 at first.
    pub fn with_fetch_limits(self, records: usize, batches: usize) -> Self {
        self.with(|settings| {
            settings.batch_records = records.max(1);
            settings.batch_capacity = batches.max(1);
        })
    }

    /// The largest record the brokers take: key, value and headers. 1 MiB at first.
    pub fn with_max_record_bytes(self, bytes: usize) -> Self {
        self.with(|settings| settings.max_record_bytes = bytes)
    }

    /// How many records one producer holds before it refuses more with `QueueFull`. 100,000 at first.
    pub fn with_producer_queue(self, records: usize) -> Self {
        self.with(|settings| settings.queue_capacity = records)
    }

    /// How long a commit waits for a broker, and how long a produced record does. 5 s and 120 s at first.
    pub fn with_timeouts(self, request: Duration, delivery: Duration) -> Self {
        self.with(|settings| {
            settings.request_timeout = request;
            settings.delivery_timeout = delivery;
        })
    }

    /// How long a member with a `group_instance_id` that has gone is waited for before others get its partitions. 30 s at
    /// first.
    pub fn with_session_timeout(self, session: Duration) -> Self {
        self.with(|settings| settings.session_timeout = session)
    }

    fn with(self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.shared.lock().settings);
        self
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        let topics: Vec<_> =
            state.topics.iter().map(|(name, logs)| format!("{name}:{}", logs.len())).collect();
        let groups: Vec<_> = state.groups.keys().collect();
        f.debug_struct("Cluster").field("topics", &topics).field("groups", &groups).finish()
    }
}

impl Transport for Cluster {
    fn join(&self, options: JoinOptions) -> Result<GroupMember, ClientError> {
        let runtime = runtime()?;
        let name = options.group.clone();
        let (commands, mailbox) = mpsc::unbounded_channel();
        let (events, events_receiver) = mpsc::unbounded_channel();
        let (id, batches, batches_receiver) = self.shared.update(|state| {
            state.last_member += 1;
            let id = MemberId(state.last_member);
            for topic in &options.topics {
                if let Err(error) = state.topic(topic).map(|_| ()) {
                    // Nobody listens yet who could have gone.
                    let _ = events.send(GroupEvent::Trouble(error));
                }
            }
            if state.broker_away {
                let _ = events.send(GroupEvent::Trouble(faults::unreachable_error()));
            }
            if let Some(transactions) = &options.transactions {
                state.take_over(&transactions.id);
            }
            let group: &mut Group = state.groups.entry(name.clone()).or_default();
            group.members.insert(id, Member::new(options, events));
            if !group.take_place(&name, id, &state.topics) {
                state.rebalance(&name);
            }
            state.tell_missing(&name, id);
            let (batches, receiver) = mpsc::channel(state.settings.batch_capacity);
            (id, batches, receiver)
        });
        runtime.spawn(member::serve(self.shared.clone(), name.clone(), id, mailbox));
        runtime.spawn(member::watch_revocations(self.shared.clone(), name.clone(), id));
        runtime.spawn(fetch::fetch(self.shared.clone(), name, id, batches));
        Ok(GroupMember {
            events: events_receiver,
            batches: batches_receiver,
            commands: Box::new(Mailbox(commands)),
        })
    }

    fn producer(&self) -> Result<Arc<dyn Producer>, ClientError> {
        Ok(Arc::new(MemoryProducer::open(self.shared.clone(), &runtime()?)))
    }

    fn ledger(&self, name: &str) -> Result<Arc<dyn Ledger>, ClientError> {
        Ok(Arc::new(ledger::MemoryLedger::new(self.shared.clone(), name)))
    }

    fn read(&self, ranges: Vec<ReadRange>) -> Result<RecordStream, ClientError> {
        Ok(reader::read(self.shared.clone(), ranges, &runtime()?))
    }

    fn follow(&self, starts: Vec<(TopicPartition, i64)>) -> Result<RecordStream, ClientError> {
        Ok(reader::follow(self.shared.clone(), starts, &runtime()?))
    }

    fn admin(&self) -> Arc<dyn AdminCalls> {
        Arc::new(self.clone())
    }

    fn topics(
        &self,
        topics: Vec<String>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Vec<(String, i32)>, ClientError>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            shared.broker(timeout, "topics").await?;
            let state = shared.lock();
            let wanted = |name: &str| topics.is_empty() || topics.iter().any(|topic| topic == name);
            let found = state.topics.iter().filter(|(name, _)| wanted(name));
            Ok(found.map(|(name, logs)| (name.to_string(), logs.len() as i32)).collect())
        })
    }

    fn create_topics(
        &self,
        topics: Vec<NewTopic>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<(), ClientError>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            shared.broker(timeout, "create topics").await?;
            shared.update(|state| {
                for topic in topics {
                    if !state.topics.contains_key(&*topic.name) {
                        state.create_topic(&topic.name, topic.partitions);
                        state.topic_settings.insert(topic.name, topic.settings.into_iter().collect());
                    }
                }
            });
            Ok(())
        })
    }

    fn watermarks(
        &self,
        partitions: Vec<TopicPartition>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Vec<Watermarks>, ClientError>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            shared.broker(timeout, "watermarks").await?;
            let state = shared.lock();
            let ends =
                |partition| state.log(partition).map(|log| Watermarks { low: log.low(), high: log.end() });
            partitions.iter().map(ends).collect()
        })
    }

    fn offsets_at(
        &self,
        partitions: Vec<TopicPartition>,
        unix_ms: i64,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Vec<i64>, ClientError>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            shared.broker(timeout, "offsets at a time").await?;
            let state = shared.lock();
            partitions.iter().map(|partition| Ok(state.log(partition)?.offset_at(unix_ms))).collect()
        })
    }

    fn committed(
        &self,
        group: String,
        partitions: Vec<TopicPartition>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Vec<Option<Committed>>, ClientError>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            shared.broker(timeout, "committed offsets").await?;
            let state = shared.lock();
            let group = state.groups.get(&group);
            let of = |partition| group.and_then(|group| group.committed.get(partition).cloned());
            Ok(partitions.iter().map(of).collect())
        })
    }
}

/// The tasks of the cluster need a runtime to run on.
fn runtime() -> Result<Handle, ClientError> {
    Handle::try_current().map_err(|_| {
        let text = "the in-memory cluster opens consumers, producers and readers inside a tokio runtime only";
        ClientError::new(ClientErrorKind::Config, text)
    })
}
