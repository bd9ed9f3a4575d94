//! A consumer group as its coordinator keeps it: members, generations, who owns what, what is committed. It must never
//! know how records reach a member.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::MemberId;
use super::assignor::assign;
use super::faults::CommitFault;
use super::inspect::CommitRecord;
use super::log::Log;
use super::member::Member;
use super::transactions::TransactionId;
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::TopicPartition;
use crate::transport::{CommitEntry, Committed, GroupEvent, fenced};

/// What Kafka's brokers take as a commit's metadata.
const MAX_METADATA_BYTES: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Group {
    pub generation: u64,
    pub members: BTreeMap<MemberId, Member>,
    pub owners: BTreeMap<TopicPartition, Owner>,
    pub pins: BTreeMap<TopicPartition, MemberId>,
    /// Who has gone and left a name behind, under which it may come back.
    pub away: BTreeMap<String, MemberId>,
    pub committed: BTreeMap<TopicPartition, Committed>,
    /// What transactions that have not ended are to commit.
    pub pending: BTreeMap<TransactionId, Vec<CommitEntry>>,
    pub commit_faults: VecDeque<CommitFault>,
    pub commit_delay: Duration,
}

/// Who has a partition, as the coordinator sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub member: MemberId,
    /// The owner was asked to give it back, and has until then.
    pub revoking_until: Option<Instant>,
}

impl Group {
    /// Works out who should have what and takes the next step there: asks owners for what must move, and gives out what
    /// nobody has. What was asked for is given out by a later call, when it has been released.
    pub(super) fn rebalance(&mut self, topics: &BTreeMap<Arc<str>, Vec<Log>>, eager: bool) {
        self.generation += 1;
        let subscribers = self.subscribers(topics);
        let current =
            self.owners.iter().map(|(partition, owner)| (partition.clone(), owner.member)).collect();
        let target = assign(&subscribers, &current, &self.pins);
        let moves: Vec<TopicPartition> = self
            .owners
            .iter()
            .filter(|(partition, owner)| eager || target.get(*partition) != Some(&owner.member))
            .map(|(partition, _)| partition.clone())
            .collect();
        self.ask_back(&moves);
        if eager && !self.owners.is_empty() {
            return;
        }
        let busy = self.busy();
        let mut given: BTreeMap<MemberId, Vec<TopicPartition>> = BTreeMap::new();
        for (partition, member) in target {
            let has_owner = self.owners.contains_key(&partition);
            if !has_owner && !busy.contains(&member) && !self.is_pending(&partition) {
                self.owners.insert(partition.clone(), Owner { member, revoking_until: None });
                given.entry(member).or_default().push(partition);
            }
        }
        for (id, partitions) in given {
            if let Some(member) = self.members.get_mut(&id) {
                member.assign(partitions, &self.committed, topics);
            }
        }
    }

    /// Announces a revocation to the owners of `partitions`. One that still answers an earlier revocation is not asked:
    /// its answer brings the next rebalance.
    pub(super) fn ask_back(&mut self, partitions: &[TopicPartition]) {
        let busy = self.busy();
        let mut asked: BTreeMap<MemberId, Vec<TopicPartition>> = BTreeMap::new();
        for partition in partitions {
            let Some(owner) = self.owners.get_mut(partition) else { continue };
            let Some(member) = self.members.get(&owner.member) else { continue };
            if !busy.contains(&owner.member) {
                owner.revoking_until = Some(Instant::now() + member.options.revoke_timeout);
                asked.entry(owner.member).or_default().push(partition.clone());
            }
        }
        for (id, partitions) in asked {
            if let Some(member) = self.members.get_mut(&id) {
                member.revocations += 1;
                member.tell(GroupEvent::Revoked { partitions });
            }
        }
    }

    /// Takes back what `member` was asked for. Answers whether there was anything.
    pub(super) fn take_back(&mut self, id: MemberId) -> bool {
        let taken = self.partitions_where(|owner| owner.member == id && owner.revoking_until.is_some());
        for partition in &taken {
            self.owners.remove(partition);
            if let Some(member) = self.members.get_mut(&id) {
                member.fetching.remove(partition);
            }
        }
        !taken.is_empty()
    }

    /// When the member's time to answer a revocation is up.
    pub(super) fn revoke_deadline(&self, id: MemberId) -> Option<Instant> {
        self.owners.values().filter(|owner| owner.member == id).filter_map(|owner| owner.revoking_until).min()
    }

    /// The coordinator no longer counts on this member; what it had is free. The member is not told.
    pub(super) fn forget(&mut self, id: MemberId) {
        for partition in self.partitions_where(|owner| owner.member == id) {
            self.owners.remove(&partition);
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.expelled = true;
        }
    }

    /// An expelled member finds out: everything it believed to have is lost, and it joins anew.
    pub(super) fn find_out(&mut self, id: MemberId) {
        if let Some(member) = self.members.get_mut(&id)
            && member.expelled
            && !member.fenced
        {
            member.expelled = false;
            let all: Vec<TopicPartition> = member.fetching.keys().cloned().collect();
            member.lose(all);
        }
    }

    /// Takes partitions away from their owners at once and tells them.
    pub(super) fn lose(&mut self, partitions: &[TopicPartition]) {
        let mut lost: BTreeMap<MemberId, Vec<TopicPartition>> = BTreeMap::new();
        for partition in partitions {
            if let Some(owner) = self.owners.remove(partition) {
                lost.entry(owner.member).or_default().push(partition.clone());
            }
        }
        for (id, partitions) in lost {
            if let Some(member) = self.members.get_mut(&id) {
                member.lose(partitions);
            }
        }
    }

    /// Checks a commit and keeps it. What was kept goes to `history`, whatever the answer says.
    pub(super) fn commit(
        &mut self,
        name: &str,
        id: MemberId,
        entries: &[CommitEntry],
        history: &mut Vec<CommitRecord>,
    ) -> Result<(), ClientError> {
        let fault = self.commit_faults.pop_front();
        if let Some(CommitFault::Refused(kind)) = fault {
            return Err(refused(name, kind));
        }
        self.check(name, id, entries)?;
        if fault == Some(CommitFault::Unanswered) {
            return Err(unanswered(name));
        }
        let mut answer = Ok(());
        for entry in entries {
            match check_metadata(entry) {
                Ok(()) => self.keep(name, id, entry, history),
                Err(error) => answer = Err(error),
            }
        }
        match fault {
            Some(CommitFault::WrittenButTimedOut) => Err(unanswered(name)),
            _ => answer,
        }
    }

    /// Whether a member may speak for what it wants to commit.
    pub(super) fn check(&self, name: &str, id: MemberId, entries: &[CommitEntry]) -> Result<(), ClientError> {
        let stale = |what: String| Err(ClientError::new(ClientErrorKind::StaleMember, what));
        match self.members.get(&id) {
            None => return stale(format!("{id} is no member of group {name}")),
            Some(member) if member.fenced => {
                return Err(fenced(name, member.options.instance.as_deref().unwrap_or_default()));
            }
            Some(member) if member.expelled => {
                return stale(format!("{id} was expelled from group {name}: its generation is over"));
            }
            Some(_) => {}
        }
        for entry in entries {
            if self.owners.get(&entry.partition).map(|owner| owner.member) != Some(id) {
                let text = format!("{id} of group {name} does not have {} any more", entry.partition);
                return stale(text);
            }
            let known = self.members.get(&id).and_then(|member| member.fetching.get(&entry.partition));
            if known.map(|position| position.epoch) != Some(entry.epoch) {
                return stale(format!(
                    "the assignment of {} to {id} of group {name} is over",
                    entry.partition
                ));
            }
        }
        Ok(())
    }

    pub(super) fn keep(
        &mut self,
        name: &str,
        id: MemberId,
        entry: &CommitEntry,
        history: &mut Vec<CommitRecord>,
    ) {
        let committed = Committed { offset: entry.offset, metadata: entry.metadata.clone() };
        self.committed.insert(entry.partition.clone(), committed);
        history.push(CommitRecord {
            group: name.to_owned(),
            member: id,
            generation: self.generation,
            partition: entry.partition.clone(),
            offset: entry.offset,
            metadata: entry.metadata.clone(),
            at: Instant::now(),
        });
    }

    /// Whether a transaction that has not ended is to commit for it: who gets it now could not know where to begin.
    pub(super) fn is_pending(&self, partition: &TopicPartition) -> bool {
        self.pending.values().flatten().any(|entry| entry.partition == *partition)
    }

    pub(super) fn subscribers(
        &self,
        topics: &BTreeMap<Arc<str>, Vec<Log>>,
    ) -> BTreeMap<TopicPartition, Vec<MemberId>> {
        let mut subscribers = BTreeMap::new();
        for (topic, logs) in topics {
            let wants = |member: &Member| !member.expelled && member.subscribes(topic);
            let members: Vec<MemberId> =
                self.members.iter().filter(|(_, member)| wants(member)).map(|(id, _)| *id).collect();
            if !members.is_empty() {
                let partitions = (0..logs.len() as i32).map(|p| TopicPartition::new(topic.clone(), p));
                subscribers.extend(partitions.map(|partition| (partition, members.clone())));
            }
        }
        subscribers
    }

    fn busy(&self) -> BTreeSet<MemberId> {
        let revoking = self.owners.values().filter(|owner| owner.revoking_until.is_some());
        revoking.map(|owner| owner.member).collect()
    }

    pub(super) fn partitions_where(&self, holds: impl Fn(&Owner) -> bool) -> Vec<TopicPartition> {
        self.owners.iter().filter(|(_, owner)| holds(owner)).map(|(partition, _)| partition.clone()).collect()
    }
}

pub(super) fn check_metadata(entry: &CommitEntry) -> Result<(), ClientError> {
    if entry.metadata.len() <= MAX_METADATA_BYTES {
        return Ok(());
    }
    let text = format!(
        "the metadata committed for {} has {} bytes; a broker takes {MAX_METADATA_BYTES}",
        entry.partition,
        entry.metadata.len()
    );
    Err(ClientError::new(ClientErrorKind::OffsetMetadataTooLarge, text))
}

pub(super) fn refused(group: &str, kind: ClientErrorKind) -> ClientError {
    ClientError::new(kind, format!("commit of group {group} refused by a script: {kind:?}"))
}

pub(super) fn unanswered(group: &str) -> ClientError {
    let text = format!("commit of group {group}: no answer in time (by a script)");
    ClientError::new(ClientErrorKind::TimedOut, text)
}
