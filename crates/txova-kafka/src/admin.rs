//! For tools: what a cluster looks like, and changes to it. Services do without, and nothing here is on a record's way.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::client_error::ClientError;
use crate::kafka::Kafka;
use crate::record::{Record, TopicPartition};
use crate::transport::{RecordStream, Transport};

pub use crate::transport::admin::{
    BrokerDetails, BrokerInfo, ClusterInfo, GroupInfo, GroupState, MemberInfo, PartitionInfo,
    RequestVersions, Setting, TopicInfo,
};

/// What tools ask of a cluster, and change in it. Made by [`Kafka::admin`].
///
/// Every call answers within its `timeout`, and takes a connection of its own. What the brokers do not know how to answer
/// is an error of kind [`Unsupported`](crate::ClientErrorKind::Unsupported): the mock cluster answers only some.
///
/// # Cancellation
/// A call that is dropped has been made all the same; whether a change was made is then not known.
///
/// ```
/// use std::time::Duration;
/// use txova_kafka::testing::Cluster;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), txova_kafka::ClientError> {
/// let admin = Cluster::new().with_topic("parcels.v1", 3).kafka().admin();
/// let timeout = Duration::from_secs(5);
/// admin.change_topic("parcels.v1", vec![("retention.ms".into(), "3600000".into())], timeout).await?;
/// admin.add_partitions("parcels.v1", 6, timeout).await?;
///
/// let cluster = admin.cluster(timeout).await?;
/// assert_eq!((cluster.topics[0].name.as_str(), cluster.topics[0].partitions.len()), ("parcels.v1", 6));
/// let settings = admin.topic_settings(&["parcels.v1"], timeout).await?.remove(0);
/// let retention = settings.iter().find(|setting| setting.name == "retention.ms").expect("every topic has one");
/// assert_eq!((retention.value.as_deref(), retention.is_own), (Some("3600000"), true));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Admin {
    transport: Arc<dyn Transport>,
}

impl Kafka {
    /// For tools: what the cluster looks like, and changes to it.
    pub fn admin(&self) -> Admin {
        Admin { transport: self.transport.clone() }
    }
}

impl Admin {
    /// Brokers and topics, as one broker knows them at this moment.
    ///
    /// # Errors
    /// What the client or a broker says.
    pub async fn cluster(&self, timeout: Duration) -> Result<ClusterInfo, ClientError> {
        self.transport.admin().cluster(timeout).await
    }

    /// What one broker says of itself. It is asked alone, so that one that does not answer is known by its number.
    ///
    /// # Errors
    /// What the client or the broker says.
    pub async fn broker(&self, id: i32, timeout: Duration) -> Result<BrokerDetails, ClientError> {
        self.transport.admin().broker(id, timeout).await
    }

    /// The settings of each topic, in the order asked.
    ///
    /// # Errors
    /// What the client or a broker says; [`UnknownTopic`](crate::ClientErrorKind::UnknownTopic) for one that is not there.
    pub async fn topic_settings(
        &self,
        topics: &[&str],
        timeout: Duration,
    ) -> Result<Vec<Vec<Setting>>, ClientError> {
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        self.transport.admin().topic_settings(topics, timeout).await
    }

    /// Sets these settings of a topic, by Kafka's names, and leaves its others as they are.
    ///
    /// # Errors
    /// What the client or a broker says; a value that is refused changes nothing.
    pub async fn change_topic(
        &self,
        topic: &str,
        settings: Vec<(String, String)>,
        timeout: Duration,
    ) -> Result<(), ClientError> {
        self.transport.admin().change_topic(topic.to_owned(), settings, timeout).await
    }

    /// Gives a topic more partitions, `total` in all. Keys move to other partitions: what is in the log of a key stays
    /// where it is, what comes goes elsewhere, and the two are no longer read in order.
    ///
    /// # Errors
    /// What the client or a broker says; a total that is not more than there are is refused.
    pub async fn add_partitions(
        &self,
        topic: &str,
        total: i32,
        timeout: Duration,
    ) -> Result<(), ClientError> {
        self.transport.admin().add_partitions(topic.to_owned(), total, timeout).await
    }

    /// The consumer groups, by name.
    ///
    /// # Errors
    /// What the client or a broker says.
    pub async fn groups(&self, timeout: Duration) -> Result<Vec<GroupInfo>, ClientError> {
        self.transport.admin().groups(timeout).await
    }

    /// Sets where a group goes on, from outside. What it had noted beside its offsets (records done above a gap, attempts
    /// of failing ones) is forgotten.
    ///
    /// # Errors
    /// [`StaleMember`](crate::ClientErrorKind::StaleMember) while the group has members: its brokers refuse it.
    pub async fn set_offsets(
        &self,
        group: &str,
        offsets: Vec<(TopicPartition, i64)>,
        timeout: Duration,
    ) -> Result<(), ClientError> {
        self.transport.admin().set_offsets(group.to_owned(), offsets, timeout).await
    }

    /// The ends of each partition's log, in the order asked.
    ///
    /// # Errors
    /// What the client or a broker says.
    pub async fn log_ends(
        &self,
        partitions: &[TopicPartition],
        timeout: Duration,
    ) -> Result<Vec<LogEnds>, ClientError> {
        let ends = self.transport.watermarks(partitions.to_vec(), timeout).await?;
        Ok(ends.into_iter().map(|ends| LogEnds { first: ends.low, end: ends.high }).collect())
    }

    /// The offset of the first record whose timestamp is at or behind `unix_ms`, and the end where there is none, for each
    /// partition in the order asked.
    ///
    /// # Errors
    /// What the client or a broker says.
    pub async fn offsets_at(
        &self,
        partitions: &[TopicPartition],
        unix_ms: i64,
        timeout: Duration,
    ) -> Result<Vec<i64>, ClientError> {
        self.transport.offsets_at(partitions.to_vec(), unix_ms, timeout).await
    }

    /// Reads partitions without a group, each from its offset on, and goes on as records come. Commits nothing.
    ///
    /// # Errors
    /// What the client refuses. An absent broker is no error here.
    pub fn follow(&self, starts: Vec<(TopicPartition, i64)>) -> Result<Following, ClientError> {
        Ok(Following { records: self.transport.follow(starts)? })
    }
}

/// The ends of a partition's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnds {
    /// The offset of the first record that is still there.
    pub first: i64,
    /// One past the last record a reader may see.
    pub end: i64,
}

/// Records as they come. Dropping it ends the reading.
#[derive(Debug)]
pub struct Following {
    records: RecordStream,
}

impl Following {
    /// The next record; in order inside a partition. After an error that is retriable reading goes on; any other is the
    /// last, and `None` follows.
    ///
    /// # Cancellation
    /// A future that is dropped loses nothing.
    pub async fn next(&mut self) -> Option<Result<(TopicPartition, Record), ClientError>> {
        self.records.recv().await
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}
