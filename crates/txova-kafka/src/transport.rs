//! What the runtime asks of a Kafka client, and the only place where the two meet. It must never know events,
//! handlers, retries or dead letters; nothing outside `transport/` may know which client is underneath.
//!
//! A consumer is two streams and a mailbox: group events (few, never blocked), batches of records (bounded), and
//! commands. The transport reads the committed offset and its metadata when partitions are assigned, starts there, and
//! tags each batch with the epoch of the assignment it belongs to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use crate::client_error::{ClientError, ClientErrorKind};
use crate::pulse::Pulse;
use crate::record::{OutgoingRecord, Record, TopicPartition};

pub(crate) mod admin;
#[cfg(test)]
mod conformance;
pub(crate) mod librdkafka;
pub(crate) mod memory;
pub(crate) mod properties;
mod record_stream;

pub(crate) use self::record_stream::RecordStream;

/// A Kafka client: opens consumers, producers, readers and the admin calls. Cheap to share.
pub(crate) trait Transport: Send + Sync + fmt::Debug {
    /// Joins a consumer group. Returns at once; what happens arrives as [`GroupEvent`]s. An unreachable broker is an
    /// event, not an error here: only settings the client refuses are.
    fn join(&self, options: JoinOptions) -> Result<GroupMember, ClientError>;

    /// Opens a producer. Returns at once.
    fn producer(&self) -> Result<Arc<dyn Producer>, ClientError>;

    /// Opens a ledger of that name. Returns at once, and takes nothing over yet.
    fn ledger(&self, name: &str) -> Result<Arc<dyn Ledger>, ClientError>;

    /// Reads partitions without a group, each from `start` to before `end`, and ends. Commits nothing.
    ///
    /// The ends are fixed by the caller; offsets that compaction or transaction markers took are passed over. Order
    /// is kept inside a partition. The receiver's end of stream is the end of all ranges; dropping it stops reading.
    fn read(&self, ranges: Vec<ReadRange>) -> Result<RecordStream, ClientError>;

    /// Reads partitions without a group, each from its offset on, and goes on as records come, until the receiver is
    /// dropped. Commits nothing.
    ///
    /// Order is kept inside a partition. An error that is retriable is told and reading goes on; any other is the last.
    fn follow(&self, starts: Vec<(TopicPartition, i64)>) -> Result<RecordStream, ClientError>;

    /// The calls of tools.
    fn admin(&self) -> Arc<dyn admin::AdminCalls>;

    /// Topics of the cluster with their number of partitions; only `topics` where some are named.
    fn topics(
        &self,
        topics: Vec<String>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Vec<(String, i32)>, ClientError>>;

    /// Creates topics. One that exists already is left as it is, which is no error.
    fn create_topics(
        &self,
        topics: Vec<NewTopic>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<(), ClientError>>;

    /// First offset and end offset (one past the last record a reader may see) of each partition, in the order asked.
    fn watermarks(
        &self,
        partitions: Vec<TopicPartition>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Vec<Watermarks>, ClientError>>;

    /// The offset of the first record whose timestamp is at or behind `unix_ms`, and the end offset where there is none,
    /// of each partition in the order asked.
    fn offsets_at(
        &self,
        partitions: Vec<TopicPartition>,
        unix_ms: i64,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Vec<i64>, ClientError>>;

    /// What a group has committed for each partition, in the order asked.
    fn committed(
        &self,
        group: String,
        partitions: Vec<TopicPartition>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Vec<Option<Committed>>, ClientError>>;
}

/// How to join a group.
#[derive(Clone, Debug)]
pub(crate) struct JoinOptions {
    /// The consumer group's id.
    pub group: String,
    /// The topics to subscribe to.
    pub topics: Vec<String>,
    /// A name that stays with this member across restarts (Kafka's `group.instance.id`): who joins with it again before the
    /// session is over has the same partitions, and nobody else's move. One that joins while the first lives throws it out.
    pub instance: Option<String>,
    /// Where a partition starts for which the group has committed nothing.
    pub start: StartAt,
    /// What happens when a committed offset is no longer in the log.
    pub out_of_range: OutOfRange,
    /// Records that cross to the engine at a time, at most.
    pub max_poll_records: usize,
    /// How long the transport waits in a revocation for [`Command::Release`] before it gives the partitions up alone.
    /// The engine's own deadline is shorter.
    pub revoke_timeout: Duration,
    /// Beaten by whatever thread serves the membership, as long as it turns.
    pub pulse: Pulse,
    /// Where it is given, each commit is a transaction, and can carry records.
    pub transactions: Option<Transactions>,
}

/// How a member commits in transactions.
#[derive(Clone, Debug)]
pub(crate) struct Transactions {
    /// Kafka's `transactional.id`. What a member that had it before left open is aborted when the next one joins; two that
    /// live at once throw each other out.
    pub id: String,
    /// After this the brokers abort a transaction whose member is gone.
    pub timeout: Duration,
}

/// Where a partition starts that has no committed offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StartAt {
    /// At the first record the log still has.
    #[default]
    Earliest,
    /// Behind the last record there is at that moment.
    Latest,
    /// At the first record whose timestamp is at or behind this time; behind the last where there is none.
    Timestamp {
        /// Milliseconds since the Unix epoch.
        unix_ms: i64,
    },
}

/// What to do when a committed offset is no longer in the log (retention removed it, or the topic was made anew).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutOfRange {
    /// `run` ends with an error that names the partition and the offset: somebody decides.
    #[default]
    Fail,
    /// Goes on at the first record the log still has, with a warning: what retention took is gone.
    Earliest,
    /// Goes on behind the last record, with a warning: what is in the log now is passed over.
    Latest,
}

/// A member of a group, as the runtime holds it.
pub(crate) struct GroupMember {
    /// What happens to the membership, in order. Never blocked by records.
    pub events: mpsc::UnboundedReceiver<GroupEvent>,
    /// Records, in offset order for each partition. An [`GroupEvent::Assigned`] is always sent before the first batch
    /// of its epoch; batches of an epoch that has ended may still come out of the channel and are told by their epoch.
    pub batches: mpsc::Receiver<Batch>,
    /// Where commands go.
    pub commands: Box<dyn Commands>,
}

/// The mailbox of a group member. Sending never blocks; after the member is closed commands are answered with an error.
pub(crate) trait Commands: Send + Sync {
    fn send(&self, command: Command);
}

/// What the runtime tells a group member. Commands are carried out in order.
pub(crate) enum Command {
    /// Commits, synchronously on the transport's side; `reply` gets the broker's answer.
    Commit { commit: Commit, reply: CommitReply },
    /// Stops fetching a partition; records under way may still arrive. Ignored where that assignment is over: a newer one
    /// would never be resumed.
    Pause { partition: TopicPartition, epoch: u64 },
    /// Fetches a partition again.
    Resume { partition: TopicPartition, epoch: u64 },
    /// The answer to a [`GroupEvent::Revoked`], the nth to the nth: commits, then gives the partitions back to the group.
    /// One whose revocation is over, because it was lost or timed out, is refused.
    Release { commit: Commit, reply: CommitReply },
    /// Commits, leaves the group and ends; `reply` gets the commit's answer before the group is left.
    /// [`GroupEvent::Closed`] is the last event. Revocations that come from leaving are not announced.
    Close { commit: Commit, reply: CommitReply },
}

/// Where the answer to a commit goes.
///
/// Without [`Transactions`] an error means that at least one entry is not known to be committed. With them an answer is
/// exact: nothing at all is committed and none of the records will ever be seen. There is one exception, which cannot
/// lead to a second writing: where the partitions were given up meanwhile, nobody here may say any more what became of it.
pub(crate) type CommitReply = oneshot::Sender<Result<(), CommitError>>;

/// What is committed together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Commit {
    pub entries: Vec<CommitEntry>,
    /// Written in this order, and seen if and only if the entries are committed; none without [`Transactions`].
    pub records: Vec<Arc<OutgoingRecord>>,
}

impl Commit {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.records.is_empty()
    }
}

impl From<Vec<CommitEntry>> for Commit {
    fn from(entries: Vec<CommitEntry>) -> Self {
        Self { entries, records: Vec::new() }
    }
}

/// Why a commit was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitError {
    pub error: ClientError,
    /// The record that the broker never takes, by its place among the commit's: without it the same commit can be made.
    pub refused: Option<usize>,
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl From<ClientError> for CommitError {
    fn from(error: ClientError) -> Self {
        Self { error, refused: None }
    }
}

/// One partition's commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitEntry {
    pub partition: TopicPartition,
    /// The epoch of the assignment that speaks. One that is over is refused, also where its partition came back: what
    /// it knows is older than what the newer one began with.
    pub epoch: u64,
    /// The next offset to read.
    pub offset: i64,
    /// Text kept with it, at most 4,096 bytes.
    pub metadata: String,
}

/// A group's committed offset with its metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub offset: i64,
    pub metadata: String,
}

/// What happens to a membership.
#[derive(Debug)]
pub(crate) enum GroupEvent {
    /// These partitions are ours now, in addition to those we have; fetching has begun. `epoch` grows with each.
    Assigned { epoch: u64, partitions: Vec<Assignment> },
    /// The group takes these back and waits for [`Command::Release`], of which each revocation gets one, whatever comes
    /// between.
    Revoked { partitions: Vec<TopicPartition> },
    /// These belong to somebody else already: nothing can be committed for them any more. No answer is awaited.
    Lost { partitions: Vec<TopicPartition> },
    /// These topics it subscribed to are not there; told whenever it changes, and empty when all are. They are looked for
    /// and read from the start of their assignment on.
    Missing { topics: Vec<String> },
    /// Something is wrong and the client goes on trying (a broker away, a topic unknown, a commit timed out).
    Trouble(ClientError),
    /// The client cannot go on (fenced, authentication refused for good, offset out of range under `Fail`).
    Fatal(ClientError),
    /// The member has left the group; nothing follows.
    Closed,
}

/// What a member is told whose name another has taken.
fn fenced(group: &str, instance: &str) -> ClientError {
    let message = format!(
        "another process has joined group {group} with the group_instance_id `{instance}`; this one is out and commits nothing \
         more: give each process that runs at a time a name of its own"
    );
    ClientError::new(ClientErrorKind::Fenced, message)
}

/// One partition of an assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub partition: TopicPartition,
    /// What the group had committed; `None` where nothing was.
    pub committed: Option<Committed>,
}

/// Records of one partition, in offset order.
#[derive(Debug)]
pub(crate) struct Batch {
    pub partition: TopicPartition,
    /// The epoch of the assignment under which they were fetched.
    pub epoch: u64,
    pub records: Vec<Record>,
}

/// Writes records. Order of `send` calls is the order in a partition's log.
pub(crate) trait Producer: Send + Sync {
    /// Hands one record over and returns at once; `done` is called exactly once, on any thread, with the broker's
    /// answer, unless it comes back here with an error: then the record was certainly not written.
    fn send(&self, record: &OutgoingRecord, done: DeliveryCallback) -> Result<(), NotTaken>;

    /// Waits until everything handed over so far is answered.
    fn flush(&self, timeout: Duration) -> BoxFuture<'static, Result<(), ClientError>>;

    /// One past the last record of each partition, in the order asked: over the connections that are there already,
    /// for what asks again and again.
    fn log_ends(
        &self,
        partitions: Vec<TopicPartition>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Vec<i64>, ClientError>>;

    /// Connects and fetches what the first record would wait for (metadata of `topics`, the producer id).
    fn warm_up(&self, topics: Vec<String>, timeout: Duration) -> BoxFuture<'static, Result<(), ClientError>>;

    /// Asks any broker anything.
    fn ask(&self, timeout: Duration) -> BoxFuture<'static, Result<(), ClientError>> {
        self.warm_up(Vec::new(), timeout)
    }

    /// What the client last said of its connections.
    fn last_trouble(&self) -> Option<Trouble> {
        None
    }
}

/// Writes records all or none, under a name that only one process at a time can write by: Kafka's `transactional.id`.
pub(crate) trait Ledger: Send + Sync {
    /// Takes the name over. When this comes back, whoever had it before can write nothing more, and what it was writing
    /// is there as a whole or not at all.
    fn take_over(&self) -> BoxFuture<'static, Result<(), ClientError>>;

    /// Writes all of it, in this order, or nothing; where the records went, in the same order.
    fn write(&self, entry: LedgerEntry) -> BoxFuture<'static, Result<Vec<Delivery>, LedgerError>>;
}

/// What is written together.
pub(crate) struct LedgerEntry {
    pub records: Vec<Arc<OutgoingRecord>>,
    /// Once it is known where those go, and before anybody can see them, what is to be said about that.
    pub then: Option<Then>,
}

pub(crate) type Then = Box<dyn FnOnce(&[Delivery]) -> Result<Vec<Arc<OutgoingRecord>>, ClientError> + Send>;

impl From<Vec<Arc<OutgoingRecord>>> for LedgerEntry {
    fn from(records: Vec<Arc<OutgoingRecord>>) -> Self {
        Self { records, then: None }
    }
}

/// Why a ledger has not written, or may not have.
#[derive(Clone, Debug)]
pub(crate) enum LedgerError {
    /// None was written: the broker never takes this one, by its place among the records and those that were to follow.
    Refused(usize, ClientError),
    /// None was written, and the same can be tried again.
    NotWritten(ClientError),
    /// All or none were written, or somebody else has the name now. Nothing can be written before taking it over.
    Unknown(ClientError),
}

/// Called once with where a record was written, or why it was not.
pub(crate) type DeliveryCallback = Box<dyn FnOnce(Result<Delivery, Undelivered>) + Send>;

/// A record that the client did not take.
pub(crate) struct NotTaken {
    pub error: ClientError,
    /// Not called.
    pub done: DeliveryCallback,
}

impl fmt::Debug for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl NotTaken {
    /// Calls back after all, for who tells of it in the same way.
    pub(crate) fn tell(self, record: &OutgoingRecord) {
        let Self { error, done } = self;
        let key = record.key.clone();
        done(Err(Undelivered {
            error,
            written: Written::No,
            is_taken: false,
            maybe_twice: false,
            key,
            record: None,
        }));
    }
}

/// Why a record has no acknowledgement.
#[derive(Debug)]
pub(crate) struct Undelivered {
    pub error: ClientError,
    /// Not a guess from the error's kind: a record can be written at its first try and refused at its second.
    pub written: Written,
    /// Where the client did not even take it, the error says nothing of the cluster.
    pub is_taken: bool,
    /// Whether it may be in the log, and then also twice.
    pub maybe_twice: bool,
    pub key: Option<Bytes>,
    /// The record itself, where it was refused for good: the caller may have let it go.
    pub record: Option<Box<OutgoingRecord>>,
}

/// Something a client said of its connections, while it goes on trying.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub at: tokio::time::Instant,
    pub kind: ClientErrorKind,
    pub message: String,
    /// No broker is connected.
    pub is_everywhere: bool,
}

impl Trouble {
    /// Whether the brokers are there and do not let us in, which trying again does not change.
    pub(crate) fn is_shut_out(&self) -> bool {
        matches!(self.kind, ClientErrorKind::Authentication | ClientErrorKind::Tls)
    }
}

/// Whether a record that was not acknowledged is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Written {
    /// Certainly not.
    No,
    /// Nobody knows.
    Maybe,
}

/// Where a record was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
    /// Whether it may be in the log a second time.
    pub maybe_twice: bool,
}

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub partitions: i32,
    /// Copies of each.
    pub replication: i32,
    /// Topic settings by Kafka's names, such as `retention.ms`.
    pub settings: Vec<(String, String)>,
}

/// The ends of a partition's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watermarks {
    pub low: i64,
    pub high: i64,
}

/// A range of a partition: from `start` to before `end`.
#[derive(Clone, Debug)]
pub(crate) struct ReadRange {
    pub partition: TopicPartition,
    pub start: i64,
    pub end: i64,
}
