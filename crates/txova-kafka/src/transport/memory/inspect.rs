//! What a test can look at and do to the logs directly. It must never change what a member sees in a way no broker could.

use std::fmt;

use tokio::time::Instant;

use super::{Cluster, MemberId};
use crate::client_error::ClientError;
use crate::record::{OutgoingRecord, Record, TopicPartition};
use crate::transport::Delivery;

/// One partition's commit as a group's coordinator kept it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitRecord {
    /// The group.
    pub group: String,
    /// Who committed.
    pub member: MemberId,
    /// The group's generation at that moment.
    pub generation: u64,
    /// The partition.
    pub partition: TopicPartition,
    /// The next offset to read.
    pub offset: i64,
    /// The text kept with it.
    pub metadata: String,
    /// When, on tokio's clock.
    pub at: Instant,
}

/// A member of a group as its coordinator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberView {
    /// Its id.
    pub id: MemberId,
    /// The topics it subscribed to.
    pub topics: Vec<String>,
    /// What it has, in order.
    pub partitions: Vec<TopicPartition>,
    /// Those of them it was asked to give back and has not yet.
    pub revoking: Vec<TopicPartition>,
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "member-{}", self.0)
    }
}

impl Cluster {
    /// Makes a topic. One that exists is left as it is.
    pub fn create_topic(&self, name: &str, partitions: i32) {
        self.shared.update(|state| state.create_topic(name, partitions));
    }

    /// Gives a topic `count` more partitions; groups that subscribed to it get them. Keys move, as on a real cluster.
    ///
    /// # Errors
    /// `UnknownTopic`.
    pub fn add_partitions(&self, topic: &str, count: u32) -> Result<(), ClientError> {
        self.shared.update(|state| state.add_partitions(topic, count))
    }

    /// Writes a record at once, past every scripted fault.
    ///
    /// # Errors
    /// `UnknownTopic` where the topic or partition does not exist and is not made on demand; `TooLarge`.
    pub fn produce(&self, record: OutgoingRecord) -> Result<Delivery, ClientError> {
        self.shared.update(|state| {
            let place = state.place(&record)?;
            state.append(&place, &record)
        })
    }

    /// Gives out `count` offsets that hold no record, as transaction markers do. Answers the new end.
    ///
    /// # Errors
    /// `UnknownTopic`.
    pub fn skip_offsets(&self, partition: &TopicPartition, count: u32) -> Result<i64, ClientError> {
        self.shared.update(|state| {
            let log = state.log_mut(partition)?;
            log.skip(count);
            Ok(log.end())
        })
    }

    /// Removes one record and leaves its offset empty, as compaction does. Answers whether it was there.
    ///
    /// # Errors
    /// `UnknownTopic`.
    pub fn compact_away(&self, partition: &TopicPartition, offset: i64) -> Result<bool, ClientError> {
        self.shared.update(|state| Ok(state.log_mut(partition)?.remove(offset)))
    }

    /// Removes what is before `offset`, as retention does. Who reads there is out of range.
    ///
    /// # Errors
    /// `UnknownTopic`.
    pub fn delete_records_before(&self, partition: &TopicPartition, offset: i64) -> Result<(), ClientError> {
        self.shared.update(|state| {
            state.log_mut(partition)?.delete_before(offset);
            Ok(())
        })
    }

    /// The records a topic's log holds, by partition and offset. Empty where there is no such topic.
    pub fn records(&self, topic: &str) -> Vec<(TopicPartition, Record)> {
        let state = self.shared.lock();
        let Some((topic, logs)) = state.topics.get_key_value(topic) else { return Vec::new() };
        let of_log = |(index, log): (usize, &super::log::Log)| {
            let partition = TopicPartition::new(topic.clone(), index as i32);
            log.records().map(|record| (partition.clone(), record.clone())).collect::<Vec<_>>()
        };
        logs.iter().enumerate().flat_map(of_log).collect()
    }

    /// The first offset and the end offset of a partition.
    ///
    /// # Errors
    /// `UnknownTopic`.
    pub fn ends(&self, partition: &TopicPartition) -> Result<(i64, i64), ClientError> {
        let state = self.shared.lock();
        let log = state.log(partition)?;
        Ok((log.low(), log.end()))
    }

    /// What a group has committed for a partition: the next offset to read, and the text kept with it.
    pub fn committed_by(&self, group: &str, partition: &TopicPartition) -> Option<(i64, String)> {
        let state = self.shared.lock();
        let committed = state.groups.get(group)?.committed.get(partition)?;
        Some((committed.offset, committed.metadata.clone()))
    }

    /// Every commit that was kept, oldest first, those answered with an error among them.
    pub fn commits(&self) -> Vec<CommitRecord> {
        self.shared.lock().commits.clone()
    }

    /// A group's members, oldest first. Empty where there is no such group.
    pub fn members(&self, group: &str) -> Vec<MemberView> {
        let state = self.shared.lock();
        let Some(group) = state.groups.get(group) else { return Vec::new() };
        let view = |id: MemberId, topics: &[String]| {
            let owned = group.owners.iter().filter(|(_, owner)| owner.member == id);
            MemberView {
                id,
                topics: topics.to_vec(),
                partitions: owned.clone().map(|(partition, _)| partition.clone()).collect(),
                revoking: owned
                    .filter(|(_, owner)| owner.revoking_until.is_some())
                    .map(|(partition, _)| partition.clone())
                    .collect(),
            }
        };
        group.members.iter().map(|(id, member)| view(*id, &member.options.topics)).collect()
    }

    /// A group's generation: it grows with each rebalance. 0 where there is no such group.
    pub fn generation(&self, group: &str) -> u64 {
        self.shared.lock().groups.get(group).map_or(0, |group| group.generation)
    }

    /// Records between what a group has committed and the ends of `topic`. What it never committed counts from the first
    /// record.
    pub fn lag(&self, group: &str, topic: &str) -> i64 {
        let state = self.shared.lock();
        let Some((topic, logs)) = state.topics.get_key_value(topic) else { return 0 };
        let of_log = |(index, log): (usize, &super::log::Log)| {
            let partition = TopicPartition::new(topic.clone(), index as i32);
            let committed = state.groups.get(group).and_then(|group| group.committed.get(&partition));
            log.end()
                - committed.map_or(log.low(), |committed| committed.offset.max(log.low())).min(log.end())
        };
        logs.iter().enumerate().map(of_log).sum()
    }

    /// Waits until `holds`, looking again at each change of the cluster. Waits for ever where it never does: put a
    /// timeout around it. Cancelling it changes nothing.
    pub async fn wait_until(&self, mut holds: impl FnMut(&Cluster) -> bool) {
        let mut changes = self.shared.changes();
        loop {
            changes.hear();
            if holds(self) {
                return;
            }
            changes.changed().await;
        }
    }
}
