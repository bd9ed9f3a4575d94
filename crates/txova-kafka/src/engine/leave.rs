//! Giving partitions back and closing: what runs may end until a deadline, what has not begun goes back uncommitted. It
//! must never commit work that did not end, nor wait without a limit.

use std::collections::VecDeque;
use std::fmt;

use crate::client_error::ClientError;
use crate::outcome::Failure;
use crate::record::TopicPartition;
use crate::transport::CommitEntry;

use super::mutation::{Mutation, broken};
use super::partition::Partition;
use super::time::{Moment, Now};
use super::{Action, Engine, State, Ticket};

#[derive(Default)]
pub(super) struct Leaving {
    revocations: VecDeque<Revocation>,
    closing: Option<Closing>,
    stop: Option<StopReason>,
}

/// Partitions the group takes back, by slot and epoch.
struct Revocation {
    slots: Vec<(usize, u64)>,
    deadline: Moment,
}

struct Closing {
    deadline: Moment,
    /// Whether [`Action::Close`] is out.
    sent: bool,
    report: CloseReport,
}

/// What became of the work that was under way when the app closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseReport {
    /// Handlers that were running and ended in time.
    pub drained: usize,
    /// Records whose handler did not end in time: not committed, they come again.
    pub abandoned: Vec<(TopicPartition, i64)>,
    /// Records that were fetched and had not begun: not committed, they come again.
    pub returned: usize,
    /// The offset committed for each partition.
    pub committed: Vec<(TopicPartition, i64)>,
    /// Why the last commit failed, if it did.
    pub commit_error: Option<ClientError>,
}

impl fmt::Display for CloseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { drained, abandoned, returned, committed, commit_error } = self;
        write!(f, "{drained} running handlers ended in time, {} did not", abandoned.len())?;
        for (partition, offset) in abandoned.iter().take(3) {
            write!(f, " ({partition} offset {offset})")?;
        }
        write!(f, "; {returned} records go back unstarted; {} partitions committed", committed.len())?;
        match commit_error {
            Some(error) => write!(f, "; the last commit failed: {error}"),
            None => Ok(()),
        }
    }
}

/// Why the engine wants to stop.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StopReason {
    /// A handler said so.
    Handler { partition: Option<TopicPartition>, offset: i64, failure: Box<Failure> },
    /// The client cannot go on.
    Client(ClientError),
    /// The log has gone back behind what was committed.
    WentBack { partition: TopicPartition, expected: i64, found: i64 },
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handler { partition, offset, failure } => {
                write!(f, "handler {} asked to stop at ", failure.handler)?;
                if let Some(partition) = partition {
                    write!(f, "{partition} ")?;
                }
                write!(f, "offset {offset}: {}", failure.told())
            }
            Self::Client(error) => write!(f, "the Kafka client cannot go on: {error}"),
            Self::WentBack { partition, expected, found } => write!(
                f,
                "{partition} has gone back from offset {expected} to {found}: the topic was made anew or cut off; \
                 nothing is committed until somebody decides where to go on"
            ),
        }
    }
}

impl Leaving {
    pub(super) fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Whether a partition waits for [`Action::Release`], which carries its last commit.
    pub(super) fn gives_back(&self, slot: usize, epoch: u64) -> bool {
        self.revocations.iter().any(|revocation| revocation.slots.contains(&(slot, epoch)))
    }

    pub(super) fn wants_to_stop(&self) -> bool {
        self.stop.is_some()
    }

    /// A handler has ended by itself.
    pub(super) fn ended(&mut self) {
        if let Some(closing) = &mut self.closing {
            closing.report.drained += 1;
        }
    }

    pub(super) fn wake_at(&self) -> Option<Moment> {
        let closing = self.closing.as_ref().filter(|closing| !closing.sent).map(|closing| closing.deadline);
        let revocation = self.revocations.front().map(|revocation| revocation.deadline);
        revocation.into_iter().chain(closing).min()
    }
}

impl<R: Clone> Engine<R> {
    /// The group takes these back. [`Action::Release`] follows when what runs there has ended, at the deadline at last.
    pub(crate) fn revoked(&mut self, names: &[TopicPartition], deadline: Moment) {
        let mut slots = Vec::with_capacity(names.len());
        for name in names {
            let Some(&slot) = self.by_name.get(name) else { continue };
            if let Some(partition) = self.partitions.get_mut(slot) {
                partition.draining = true;
                slots.push((slot, partition.epoch));
            }
        }
        self.leaving.revocations.push_back(Revocation { slots, deadline });
    }

    /// These belong to somebody else already.
    pub(crate) fn lost(&mut self, names: &[TopicPartition], _now: Now) {
        for name in names {
            if let Some(&slot) = self.by_name.get(name).filter(|_| !broken(Mutation::KeepsLostPartitions)) {
                self.drop_partition(slot);
            }
        }
        self.update_all_pauses();
    }

    /// Starts nothing more; [`Action::Close`] follows when what runs has ended, at the deadline at last. A second call
    /// can bring the deadline nearer.
    pub(crate) fn close(&mut self, deadline: Moment) {
        for (_, partition) in &mut self.partitions {
            partition.draining = true;
        }
        let closing = self.leaving.closing.get_or_insert_with(|| Closing {
            deadline,
            sent: false,
            report: CloseReport::default(),
        });
        closing.deadline = closing.deadline.min(deadline);
    }

    /// The broker has answered [`Action::Close`].
    pub(crate) fn closed(&mut self, answer: Result<(), ClientError>) -> CloseReport {
        let mut report = self.leaving.closing.take().map(|closing| closing.report).unwrap_or_default();
        if let Err(error) = answer {
            report.commit_error = Some(error);
            report.committed.clear();
        }
        report
    }

    pub(crate) fn stop(&mut self, reason: StopReason) {
        self.leaving.stop.get_or_insert(reason);
    }

    /// Why the engine wants to stop; whoever drives it then calls [`Self::close`].
    pub(crate) fn stop_reason(&self) -> Option<&StopReason> {
        self.leaving.stop.as_ref()
    }

    pub(super) fn finish_leaving(&mut self, now: Now) {
        let closing_deadline = self.leaving.closing.as_ref().map(|closing| closing.deadline);
        while let Some(revocation) = self.leaving.revocations.front() {
            let deadline =
                closing_deadline.map_or(revocation.deadline, |closing| closing.min(revocation.deadline));
            if deadline > now.at && !self.is_quiet(&revocation.slots) {
                break;
            }
            let Some(revocation) = self.leaving.revocations.pop_front() else { break };
            let mut entries = Vec::new();
            for (slot, epoch) in revocation.slots {
                if self.partitions.get(slot).is_some_and(|partition| partition.epoch == epoch) {
                    entries.extend(self.entry_if_worth_it(slot));
                    self.drop_partition(slot);
                }
            }
            self.actions.push_back(Action::Release(entries));
            self.update_all_pauses();
        }
        self.finish_closing(now);
    }

    fn finish_closing(&mut self, now: Now) {
        let Some(closing) = self.leaving.closing.as_ref().filter(|closing| !closing.sent) else { return };
        let all: Vec<_> = self.partitions.iter().map(|(slot, partition)| (slot, partition.epoch)).collect();
        let in_time = closing.deadline > now.at || broken(Mutation::CloseIgnoresDeadline);
        if in_time && !self.is_quiet(&all) {
            return;
        }
        let mut entries = Vec::new();
        for (slot, _) in all {
            entries.extend(self.entry_if_worth_it(slot));
            self.drop_partition(slot);
        }
        if let Some(closing) = &mut self.leaving.closing {
            closing.sent = true;
            closing.report.committed =
                entries.iter().map(|entry| (entry.partition.clone(), entry.offset)).collect();
        }
        self.actions.push_back(Action::Close(entries));
    }

    fn is_quiet(&self, slots: &[(usize, u64)]) -> bool {
        slots.iter().all(|(slot, epoch)| {
            let partition = self.partitions.get(*slot).filter(|partition| partition.epoch == *epoch);
            let is_quiet =
                partition.is_none_or(|partition| partition.running == 0 && partition.dead_lettering == 0);
            is_quiet && !self.has_transaction(*slot)
        })
    }

    /// Whether a transaction with what was published for a partition is under way: a later commit must not say that its
    /// records are done before it is known that what they published is written.
    fn has_transaction(&self, slot: usize) -> bool {
        let under_way = |partition: &Partition| self.commits.is_under_way(slot, partition.epoch);
        self.settings.transactions
            && !broken(Mutation::GivesBackDuringTransaction)
            && self.partitions.get(slot).is_some_and(under_way)
    }

    /// A last commit also repeats one whose answer is still out: the later one wins, and it says at least as much. Not so
    /// a transaction whose answer is out at the deadline: without it nothing more can be said.
    fn entry_if_worth_it(&mut self, slot: usize) -> Option<CommitEntry> {
        if self.has_transaction(slot) {
            return None;
        }
        let entry = self.entry(slot)?;
        let partition = self.partitions.get(slot)?;
        (partition.changed || partition.committed != Some(entry.offset) || !entry.metadata.is_empty())
            .then_some(entry)
    }

    /// Forgets a partition and all that is under way there, also what was not carried out yet.
    pub(super) fn drop_partition(&mut self, slot: usize) {
        let Some(partition) = self.partitions.try_remove(slot) else { return };
        self.by_name.remove(&partition.name);
        self.rotation.retain(|other| *other != slot);
        self.actions.retain(|action| match action {
            Action::Pause(name) | Action::Resume(name) => *name != partition.name,
            Action::DeadLetter(order) => order.partition != partition.name,
            _ => true,
        });
        for index in partition.window.unsettled() {
            let Some(live) = self.live.try_remove(index as usize) else { continue };
            self.bytes -= live.bytes;
            if let Some(Closing { report, .. }) = &mut self.leaving.closing {
                match live.state {
                    State::Running | State::Batched | State::DeadLettering => {
                        report.abandoned.push((partition.name.clone(), live.offset));
                    }
                    _ => report.returned += 1,
                }
            }
            if matches!(live.state, State::Running | State::Batched) {
                self.with_handlers -= 1;
            }
            if live.state == State::Running {
                self.running -= 1;
                let ticket = Ticket { index, serial: live.serial };
                self.breakers.lost(ticket);
                self.actions.push_back(Action::Cancel(ticket));
            }
        }
    }
}
