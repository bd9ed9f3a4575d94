//! What is still open on the cluster: records a group has not settled, records nobody has answered for. It must never
//! change anything.

use super::{Cluster, MemberId};
use crate::record::{Record, TopicPartition};

/// A partition that a group is not done with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenPartition {
    pub partition: TopicPartition,
    /// Who has it; `None` while it moves.
    pub owner: Option<MemberId>,
    /// The first offset that is not settled.
    pub from: i64,
    /// Records there from that offset on.
    pub records: usize,
}

impl Cluster {
    /// The partitions of `topics` that `group` is not done with: records behind the committed offset (behind where the
    /// owner began, where nothing is committed), or nobody to handle the next.
    pub(crate) fn open_partitions(&self, group: &str, topics: &[String]) -> Vec<OpenPartition> {
        let state = self.shared.lock();
        let group = state.groups.get(group);
        let mut open = Vec::new();
        for (topic, logs) in topics.iter().filter_map(|topic| state.topics.get_key_value(topic.as_str())) {
            for (index, log) in logs.iter().enumerate() {
                let partition = TopicPartition::new(topic.clone(), index as i32);
                let owner = group.and_then(|group| group.owners.get(&partition)).map(|owner| owner.member);
                let began = || {
                    let member = group?.members.get(&owner?)?;
                    Some(member.fetching.get(&partition)?.start)
                };
                let committed = group.and_then(|group| group.committed.get(&partition));
                let from = committed.map(|committed| committed.offset).or_else(began).unwrap_or(0);
                let records = log.count_from(from);
                if records > 0 || owner.is_none() {
                    open.push(OpenPartition { partition, owner, from: from.max(log.low()), records });
                }
            }
        }
        open
    }

    /// Records handed to producers that have no answer yet.
    pub(crate) fn unanswered(&self) -> usize {
        self.shared.unanswered()
    }

    /// Wakes those who wait for a change.
    pub(crate) fn nudge(&self) {
        self.shared.update(|_| ());
    }

    /// The record at a place; `None` where there is none, or none any more.
    pub(crate) fn record(&self, partition: &TopicPartition, offset: i64) -> Option<Record> {
        self.shared.lock().log(partition).ok()?.get(offset).cloned()
    }

    /// The records of all topics that the logs still hold, in the order in which they were written.
    pub fn written(&self) -> Vec<(TopicPartition, Record)> {
        let state = self.shared.lock();
        let still = |(partition, offset): &(TopicPartition, i64)| {
            let record = state.log(partition).ok()?.get(*offset)?;
            Some((partition.clone(), record.clone()))
        };
        state.written.iter().filter_map(still).collect()
    }
}
