//! Scripted trouble: what a test can make the cluster do to its members and producers. It must never do what a real
//! cluster could not.

use std::time::Duration;

use super::group::Group;
use super::member::{Member, Position};
use super::state::{State, TopicTrouble};
use super::{Cluster, MemberId};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::TopicPartition;
use crate::transport::GroupEvent;

/// What happens to one commit. Where a member commits in transactions it does not rest before it knows how its transaction
/// has ended, and answers so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitFault {
    /// Nothing is kept; the answer is an error of this kind.
    Refused(ClientErrorKind),
    /// It is kept, and the answer is `TimedOut`; in a transaction it is `Ok`, and late.
    WrittenButTimedOut,
    /// Nothing is kept, and the answer is `TimedOut`, as late as can be.
    Unanswered,
}

/// What happens to one produced record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProduceFault {
    /// It is not written; the answer is an error of this kind.
    Refused(ClientErrorKind),
    /// It is written, and the answer is `TimedOutMaybeWritten`.
    WrittenButTimedOut,
}

/// Trouble with commits and with producing.
impl Cluster {
    /// The next `count` commits of `group` meet `fault`, behind those scripted before.
    pub fn fail_commits(&self, group: &str, count: usize, fault: CommitFault) {
        self.with_group_made(group, |group| group.commit_faults.extend(std::iter::repeat_n(fault, count)));
    }

    /// Commits of `group` are kept at once and answered after `delay`, until this is set to zero again.
    pub fn delay_commits(&self, group: &str, delay: Duration) {
        self.with_group_made(group, |group| group.commit_delay = delay);
    }

    /// The next `count` records producers send to `topic` meet `fault`, behind those scripted before.
    pub fn fail_produces(&self, topic: &str, count: usize, fault: ProduceFault) {
        self.with_trouble(topic, |trouble| trouble.produce_faults.extend(std::iter::repeat_n(fault, count)));
    }

    /// No record gets into `topic`: those sent wait, in order, until [`Self::produce_up`] or the delivery timeout.
    pub fn produce_down(&self, topic: &str) {
        self.with_trouble(topic, |trouble| trouble.down = true);
    }

    /// Records get into `topic` again.
    pub fn produce_up(&self, topic: &str) {
        self.with_trouble(topic, |trouble| trouble.down = false);
    }

    /// Each batch fetched from `topic` takes `delay` to arrive, until this is set to zero again.
    pub fn delay_fetches(&self, topic: &str, delay: Duration) {
        self.with_trouble(topic, |trouble| trouble.fetch_delay = delay);
    }

    /// Every answer takes `latency` longer, of fetches, commits, produced records and admin calls, until this is set to
    /// zero again. A commit or a call whose own timeout is shorter times out.
    pub fn slow_down(&self, latency: Duration) {
        self.shared.update(|state| state.settings.latency = latency);
    }

    /// No broker answers any more. Members are told so; fetches and rebalances stop, commits and admin calls wait for
    /// their timeouts, produced records wait for theirs.
    pub fn broker_away(&self) {
        self.shared.update(|state| {
            state.broker_away = true;
            for member in state.groups.values().flat_map(|group| group.members.values()) {
                member.tell(GroupEvent::Trouble(unreachable_error()));
            }
        });
    }

    /// The brokers answer again.
    pub fn broker_back(&self) {
        self.shared.update(|state| {
            state.broker_away = false;
            state.rebalance_all();
        });
    }
}

/// Trouble with a group. Each answers an error of the kind `Config` where the group, the member or the owner it names
/// does not exist: a script that misses its target is a mistake in the test.
impl Cluster {
    /// Asks the partition's owner to give it back now, as a rebalance would. The group then gives it to whoever has the
    /// fewest, which can be the same member; see [`Self::move_to`].
    ///
    /// # Errors
    /// `Config` where nobody has it.
    pub fn revoke(&self, group: &str, partition: &TopicPartition) -> Result<(), ClientError> {
        self.with_owned(group, partition, |state| {
            if let Some(group) = state.groups.get_mut(group) {
                group.ask_back(std::slice::from_ref(partition));
            }
        })
    }

    /// Asks a member to give back everything it has, as an eager rebalance would.
    ///
    /// # Errors
    /// `Config` where there is no such member.
    pub fn revoke_all(&self, group: &str, member: MemberId) -> Result<(), ClientError> {
        self.with_member(group, member, |_| ())?;
        self.shared.update(|state| {
            if let Some(group) = state.groups.get_mut(group) {
                let owned = group.owners.iter().filter(|(_, owner)| owner.member == member);
                let owned: Vec<TopicPartition> = owned.map(|(partition, _)| partition.clone()).collect();
                group.ask_back(&owned);
            }
        });
        Ok(())
    }

    /// Takes the partition from its owner without asking; the owner is told that it is lost. The group gives it out
    /// again, as in [`Self::revoke`].
    ///
    /// # Errors
    /// `Config` where nobody has it.
    pub fn lose(&self, group: &str, partition: &TopicPartition) -> Result<(), ClientError> {
        self.with_owned(group, partition, |state| {
            if let Some(kept) = state.groups.get_mut(group) {
                kept.lose(std::slice::from_ref(partition));
                state.rebalance(group);
            }
        })
    }

    /// Has `member` own the partition from now on; its owner is asked to give it back first.
    ///
    /// # Errors
    /// `Config` where there is no such member.
    pub fn move_to(
        &self,
        group: &str,
        partition: &TopicPartition,
        member: MemberId,
    ) -> Result<(), ClientError> {
        self.with_member(group, member, |_| ())?;
        self.shared.update(|state| {
            if let Some(kept) = state.groups.get_mut(group) {
                kept.pins.insert(partition.clone(), member);
                state.rebalance(group);
            }
        });
        Ok(())
    }

    /// The member's session ends: the others get what it had, it is told that all is lost, and it joins anew.
    ///
    /// # Errors
    /// `Config` where there is no such member.
    pub fn expel(&self, group: &str, member: MemberId) -> Result<(), ClientError> {
        self.expel_unnoticed(group, member)?;
        self.tell_expelled(group, member)
    }

    /// The member's session ends and it does not know, as after a long stop: the others get what it had, while it goes on
    /// reading under its old epoch. It finds out by its next commit, which is refused, or by [`Self::tell_expelled`].
    ///
    /// # Errors
    /// `Config` where there is no such member.
    pub fn expel_unnoticed(&self, group: &str, member: MemberId) -> Result<(), ClientError> {
        self.with_member(group, member, |_| ())?;
        self.shared.update(|state| {
            if let Some(kept) = state.groups.get_mut(group) {
                kept.forget(member);
                state.rebalance(group);
            }
        });
        Ok(())
    }

    /// An expelled member finds out: it is told that all is lost, and joins anew.
    ///
    /// # Errors
    /// `Config` where there is no such member.
    pub fn tell_expelled(&self, group: &str, member: MemberId) -> Result<(), ClientError> {
        self.with_member(group, member, |_| ())?;
        self.shared.update(|state| {
            if let Some(kept) = state.groups.get_mut(group) {
                kept.find_out(member);
                state.rebalance(group);
            }
        });
        Ok(())
    }

    /// Tells a member of trouble it goes on through.
    ///
    /// # Errors
    /// `Config` where there is no such member.
    pub fn trouble(&self, group: &str, member: MemberId, error: ClientError) -> Result<(), ClientError> {
        self.with_member(group, member, |member| member.tell(GroupEvent::Trouble(error)))
    }

    /// Tells a member of an error it cannot go on after.
    ///
    /// # Errors
    /// `Config` where there is no such member.
    pub fn fatal(&self, group: &str, member: MemberId, error: ClientError) -> Result<(), ClientError> {
        self.with_member(group, member, |member| member.tell(GroupEvent::Fatal(error)))
    }

    /// Delivers the partition's records from `offset` on to its reader once more, as races of pause and resume do.
    ///
    /// # Errors
    /// `Config` where nobody has it.
    pub fn redeliver_from(
        &self,
        group: &str,
        partition: &TopicPartition,
        offset: i64,
    ) -> Result<(), ClientError> {
        self.with_position(group, partition, |position| position.offset = offset.min(position.offset))
    }

    /// Holds back the next batch of the partition, and what follows it, until [`Self::release_held`]. When the partition
    /// has moved on by then, the batch arrives late: under its ended epoch.
    ///
    /// # Errors
    /// `Config` where nobody has it.
    pub fn hold_next_batch(&self, group: &str, partition: &TopicPartition) -> Result<(), ClientError> {
        self.with_position(group, partition, |position| position.hold_next = true)
    }

    /// Delivers what [`Self::hold_next_batch`] holds back in the group. Answers how many batches there were.
    pub fn release_held(&self, group: &str) -> usize {
        self.with_group_made(group, |group| {
            let release = |member: &mut Member| {
                for position in member.fetching.values_mut() {
                    position.hold_next = false;
                    position.holding = false;
                }
                let held = member.held.len();
                member.late.extend(member.held.drain(..));
                held
            };
            group.members.values_mut().map(release).sum()
        })
    }
}

impl Cluster {
    /// A script may name a group before anybody joined it.
    fn with_group_made<T>(&self, group: &str, change: impl FnOnce(&mut Group) -> T) -> T {
        self.shared.update(|state| change(state.groups.entry(group.to_owned()).or_default()))
    }

    fn with_trouble(&self, topic: &str, change: impl FnOnce(&mut TopicTrouble)) {
        self.shared.update(|state| change(state.trouble.entry(topic.to_owned()).or_default()));
    }

    fn with_owned(
        &self,
        group: &str,
        partition: &TopicPartition,
        change: impl FnOnce(&mut State),
    ) -> Result<(), ClientError> {
        self.shared.update(|state| {
            let kept = state.groups.get(group);
            if !kept.is_some_and(|kept| kept.owners.contains_key(partition)) {
                return Err(misses(format!("nobody in group {group} has {partition}")));
            }
            change(state);
            Ok(())
        })
    }

    fn with_member(
        &self,
        group: &str,
        member: MemberId,
        change: impl FnOnce(&mut Member),
    ) -> Result<(), ClientError> {
        self.shared.update(|state| {
            let kept = state.groups.get_mut(group).and_then(|group| group.members.get_mut(&member));
            change(kept.ok_or_else(|| misses(format!("group {group} has no {member}")))?);
            Ok(())
        })
    }

    fn with_position(
        &self,
        group: &str,
        partition: &TopicPartition,
        change: impl FnOnce(&mut Position),
    ) -> Result<(), ClientError> {
        self.with_owned(group, partition, |state| {
            let Some(kept) = state.groups.get_mut(group) else { return };
            let owner = kept.owners.get(partition).map(|owner| owner.member);
            let member = owner.and_then(|owner| kept.members.get_mut(&owner));
            if let Some(position) = member.and_then(|member| member.fetching.get_mut(partition)) {
                change(position);
            }
        })
    }
}

pub(super) fn unreachable_error() -> ClientError {
    ClientError::new(ClientErrorKind::Unreachable, "no broker of the in-memory cluster answers")
}

fn misses(what: String) -> ClientError {
    ClientError::new(ClientErrorKind::Config, what)
}
