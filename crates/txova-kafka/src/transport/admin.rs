//! What tools ask of a cluster and change in it: brokers, topics' settings, groups, offsets. Services do without; it must
//! never be asked on the way of a record.

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::client_error::ClientError;
use crate::record::TopicPartition;

/// The calls of tools. What a broker does not know how to answer is an error of kind
/// [`Unsupported`](crate::ClientErrorKind::Unsupported).
pub(crate) trait AdminCalls: Send + Sync {
    /// Brokers and topics, as one broker knows them at this moment.
    fn cluster(&self, timeout: Duration) -> BoxFuture<'static, Result<ClusterInfo, ClientError>>;

    /// The settings of each topic, in the order asked; an unknown topic is an error.
    fn topic_settings(
        &self,
        topics: Vec<String>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Vec<Vec<Setting>>, ClientError>>;

    /// What one broker says of itself: it is asked, and no other.
    fn broker(&self, id: i32, timeout: Duration) -> BoxFuture<'static, Result<BrokerDetails, ClientError>>;

    /// Sets these settings of a topic and leaves its others as they are.
    fn change_topic(
        &self,
        topic: String,
        settings: Vec<(String, String)>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<(), ClientError>>;

    /// Gives a topic more partitions, `total` in all.
    fn add_partitions(
        &self,
        topic: String,
        total: i32,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<(), ClientError>>;

    /// The consumer groups, by name.
    fn groups(&self, timeout: Duration) -> BoxFuture<'static, Result<Vec<GroupInfo>, ClientError>>;

    /// Commits offsets for a group from outside, without metadata. A broker refuses it while the group has members
    /// ([`StaleMember`](crate::ClientErrorKind::StaleMember)).
    fn set_offsets(
        &self,
        group: String,
        offsets: Vec<(TopicPartition, i64)>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<(), ClientError>>;
}

/// A cluster, as a broker knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterInfo {
    /// The cluster's id, where it has one.
    pub id: Option<String>,
    /// Brokers that are up, by number.
    pub brokers: Vec<BrokerInfo>,
    /// Every topic, by name; those of the brokers' own (`__consumer_offsets`) too.
    pub topics: Vec<TopicInfo>,
}

/// A broker that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerInfo {
    /// Its number.
    pub id: i32,
    /// Where it says clients find it, `host:port`.
    pub address: String,
}

/// A topic and where its partitions are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionInfo>,
}

impl TopicInfo {
    /// Copies of each partition; the smallest number where they differ.
    pub fn replication(&self) -> usize {
        self.partitions.iter().map(|partition| partition.replicas.len()).min().unwrap_or(0)
    }

    /// Whether the brokers keep it for themselves.
    pub fn is_internal(&self) -> bool {
        self.name.starts_with("__")
    }
}

/// One partition and the brokers that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Its number.
    pub id: i32,
    /// The broker that takes and gives its records; `None` where there is none now.
    pub leader: Option<i32>,
    /// The brokers that should have a copy.
    pub replicas: Vec<i32>,
    /// Those whose copy is up to date.
    pub in_sync: Vec<i32>,
}

/// A setting of a topic or a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name, such as `retention.ms`.
    pub name: String,
    /// Its value; `None` where it has none, or the broker keeps it to itself.
    pub value: Option<String>,
    /// Whether it was set for this topic or broker, and is no default.
    pub is_own: bool,
}

/// What a broker says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerDetails {
    /// Its settings.
    pub settings: Vec<Setting>,
    /// The requests it understands. Empty where the broker did not say.
    pub requests: Vec<RequestVersions>,
}

/// A kind of request, and which versions of it a broker understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestVersions {
    /// Kafka's number of it: 0 is Produce, 1 Fetch.
    pub key: i16,
    /// The oldest version.
    pub lowest: i16,
    /// The newest.
    pub highest: i16,
}

/// A consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupInfo {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: GroupState,
    /// Its members; empty where the broker does not say.
    pub members: Vec<MemberInfo>,
}

/// What a group is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GroupState {
    /// It has no members; its offsets are kept.
    Empty,
    /// Every member has its partitions.
    Stable,
    /// Partitions are being given out.
    Rebalancing,
    /// It is gone.
    Dead,
    /// The broker does not say.
    Unknown,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberInfo {
    /// The number the group gave it.
    pub id: String,
    /// The name its client gave itself.
    pub client_id: String,
    /// Where it is.
    pub host: String,
    /// What it has; empty while partitions are given out.
    pub partitions: Vec<TopicPartition>,
}
