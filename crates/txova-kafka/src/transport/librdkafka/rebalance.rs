//! Where a rebalance stands. librdkafka waits for the answer to "take these" and "give these back" for as long as
//! needed while it is polled, so each is a step with a deadline and nothing blocks.

use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::Offset;

use super::super::{Assignment, Committed as CommittedOffset, StartAt};
use super::committer::Committed;
use super::member::Reply;
use super::worker::{Consumer, Worker};
use super::{errors, metadata_calls, raw};
use crate::client_error::ClientError;
use crate::record::TopicPartition;

/// One try at reading committed offsets.
const READ_COMMITTED: Duration = Duration::from_secs(5);
/// The pause between two tries.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What the group is waiting for.
pub(super) enum Step {
    /// Nothing.
    None,
    /// The committed offsets of partitions it gave us.
    Assigning { list: TopicPartitionList, reading: Receiver<ReadCommitted> },
    /// As before, after a failed try.
    AssigningAgain { list: TopicPartitionList, at: Instant },
    /// The engine's word on partitions it takes.
    Revoking { list: TopicPartitionList, until: Instant },
    /// The last commit for partitions it takes.
    Releasing { list: TopicPartitionList, committing: Receiver<Committed>, reply: Reply, until: Instant },
}

type ReadCommitted = Result<(TopicPartitionList, Vec<Assignment>), ClientError>;

impl Step {
    /// Begins to read what the group has committed for `list`.
    pub(super) fn assign(list: TopicPartitionList, worker: &Worker, group: &str, start: StartAt) -> Self {
        let (copy, group) = (list.clone(), group.to_owned());
        let reading = worker.ask(move |consumer| read_committed(consumer, copy, &group, start));
        Self::Assigning { list, reading }
    }

    pub(super) fn assign_later(list: TopicPartitionList) -> Self {
        Self::AssigningAgain { list, at: Instant::now() + READ_AGAIN_AFTER }
    }

    /// The list the group waits for, whichever way.
    pub(super) fn taken_back(&self) -> Option<&TopicPartitionList> {
        match self {
            Self::Revoking { list, .. } | Self::Releasing { list, .. } => Some(list),
            _ => None,
        }
    }
}

/// The answer of the worker, if there is one by now.
pub(super) fn answer<T>(receiver: &Receiver<T>, gone: impl FnOnce() -> T) -> Option<T> {
    match receiver.try_recv() {
        Ok(answer) => Some(answer),
        Err(TryRecvError::Empty) => None,
        Err(TryRecvError::Disconnected) => Some(gone()),
    }
}

/// Reads offset and metadata of each partition. Either all are known afterwards or it is an error: a partition must
/// never start at a place that is only a guess.
fn read_committed(
    consumer: &Consumer,
    list: TopicPartitionList,
    group: &str,
    start: StartAt,
) -> ReadCommitted {
    let place = |list: &TopicPartitionList| {
        format!("reading what group {group} has committed for {} partitions", list.count())
    };
    let asked = place(&list);
    let mut list =
        consumer.committed_offsets(list, READ_COMMITTED).map_err(|error| errors::at(&asked, &error))?;
    for element in list.elements() {
        element.error().map_err(|error| errors::at(&asked, &error))?;
    }
    let assignments = assignments(&list);
    // The list goes to librdkafka as it came, with the leader epoch that belongs to each offset.
    for assignment in assignments.iter().filter(|assignment| assignment.committed.is_none()) {
        let partition = &assignment.partition;
        let begin = match start {
            StartAt::Earliest => Offset::Beginning,
            // Not `Offset::End`, which is looked up at the first fetch: what is written before it would be passed over.
            StartAt::Latest => consumer
                .fetch_watermarks(&partition.topic, partition.partition, READ_COMMITTED)
                .map(|(_, end)| Offset::Offset(end))
                .map_err(|error| errors::at(partition, &error))?,
            StartAt::Timestamp { unix_ms } => {
                let one = std::slice::from_ref(partition);
                metadata_calls::find_offsets_at(consumer, one, unix_ms, READ_COMMITTED)
                    .map(|found| found.first().map_or(Offset::Beginning, |offset| Offset::Offset(*offset)))
                    .map_err(|error| errors::at(partition, &error))?
            }
        };
        list.set_partition_offset(&partition.topic, partition.partition, begin)
            .map_err(|error| errors::at(&asked, &error))?;
    }
    Ok((list, assignments))
}

/// A list of committed offsets as data.
pub(super) fn assignments(list: &TopicPartitionList) -> Vec<Assignment> {
    let elements = list.elements();
    let pairs = elements.iter().zip(raw::metadata(list));
    pairs
        .map(|(element, metadata)| Assignment {
            partition: TopicPartition::new(element.topic(), element.partition()),
            committed: match element.offset() {
                Offset::Offset(offset) => Some(CommittedOffset { offset, metadata }),
                _ => None,
            },
        })
        .collect()
}
