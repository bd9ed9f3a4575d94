//! What starts next, where the rate lets anything: probes of handlers held back, then partitions in turn, and in each the
//! oldest record that waits for no other.

use super::breaker::HeldHandlers;
use super::mutation::{Mutation, broken};
use super::partition::{Partition, Ready};
use super::time::Now;
use super::{Action, Engine, Start, State, Ticket};
use crate::record::TopicPartition;

impl<R: Clone> Engine<R> {
    /// Nothing of its lane is before it any more. In a batch whose outcome is being heard, its own is still to come.
    pub(super) fn lead(&mut self, index: u32, now: Now) {
        if self.live.get(index as usize).is_some_and(|live| live.state == State::Waiting) {
            self.make_ready(index, now);
        }
    }

    pub(super) fn make_ready(&mut self, index: u32, now: Now) {
        let Some(live) = self.live.get_mut(index as usize) else { return };
        live.since = now.at;
        match live.batch {
            Some(batch) => self.gather(batch, index, now),
            None => {
                let slot = live.partition;
                self.queue(slot, Ready::One(index));
            }
        }
    }

    /// The run waits for its turn.
    pub(super) fn queue(&mut self, slot: usize, run: Ready) {
        let records = match &run {
            Ready::One(index) => std::slice::from_ref(index),
            Ready::Batch(indexes) => indexes,
        };
        for index in records {
            if let Some(live) = self.live.get_mut(*index as usize) {
                live.state = State::Ready;
            }
        }
        if let Some(partition) = self.partitions.get_mut(slot) {
            partition.ready.push_back(run);
        }
        self.enter_rotation(slot);
    }

    /// Nothing more starts in this partition until it is let go.
    pub(crate) fn hold(&mut self, name: &TopicPartition, why: String, now: Now) {
        let partition = self.by_name.get(name).and_then(|slot| self.partitions.get_mut(*slot));
        if let Some(partition) = partition {
            let since = partition.on_hold.take().map_or(now.at, |(since, _)| since);
            partition.on_hold = Some((since, why));
        }
    }

    /// What waits in a held partition may start.
    pub(crate) fn let_go(&mut self, name: &TopicPartition) {
        let Some(&slot) = self.by_name.get(name) else { return };
        if let Some(partition) = self.partitions.get_mut(slot) {
            partition.on_hold = None;
        }
        self.breakers.unblock();
        self.enter_rotation(slot);
    }

    pub(super) fn enter_rotation(&mut self, slot: usize) {
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        if !partition.in_rotation && !partition.ready.is_empty() && partition.may_start() {
            partition.in_rotation = true;
            self.rotation.push_back(slot);
        }
    }

    pub(super) fn start_next(&mut self, now: Now) -> Option<Action<R>> {
        while self.may_begin() && !self.is_throttled(now) {
            if let Some(probe) = self.next_probe(now) {
                return Some(Action::Start(probe));
            }
            let slot = *self.rotation.front()?;
            let may_start = self.partitions.get(slot).is_some_and(Partition::may_start);
            if may_start && self.overfills_a_transaction(self.next_run(slot)) {
                return None;
            }
            self.rotation.pop_front();
            let Some(partition) = self.partitions.get_mut(slot) else { continue };
            partition.in_rotation = false;
            if !may_start {
                continue;
            }
            let Some(run) = partition.ready.pop_front() else { continue };
            self.enter_rotation(slot);
            let held = self.breakers.names().filter(|_| !broken(Mutation::StartsTheHeld));
            return match run {
                Ready::One(index) => {
                    if let Some((handler, ticket)) = self.held_by(index) {
                        self.wait_for(handler, ticket, now);
                        continue;
                    }
                    self.run_begins(slot, 1, now);
                    self.begin(index, State::Running, held, now).map(Action::Start)
                }
                Ready::Batch(indexes) => {
                    self.run_begins(slot, indexes.len(), now);
                    self.begin_batch(indexes, &held, now).map(Action::StartBatch)
                }
            };
        }
        None
    }

    /// Whether anything may begin at all.
    pub(super) fn may_begin(&self) -> bool {
        !self.leaving.wants_to_stop()
            && self.running < self.settings.concurrency
            && !self.overfills_a_transaction(1)
    }

    pub(super) fn run_begins(&mut self, slot: usize, records: usize, now: Now) {
        if let Some(partition) = self.partitions.get_mut(slot) {
            partition.running += 1;
        }
        self.running += 1;
        self.count(slot).started += 1;
        self.spend(records, now);
    }

    /// With a handler from now on.
    pub(super) fn begin(
        &mut self,
        index: u32,
        state: State,
        held: HeldHandlers,
        now: Now,
    ) -> Option<Start<R>> {
        let live = self.live.get_mut(index as usize)?;
        live.state = state;
        live.since = now.at;
        live.begun_at.get_or_insert(now.at);
        self.with_handlers += 1;
        Some(Start {
            ticket: Ticket { index, serial: live.serial },
            partition: self.partitions.get(live.partition)?.name.clone(),
            record: live.record.clone(),
            attempt: live.tries() + 1,
            first_failure_ms: live.first_try_failed_ms(),
            taken_ms: live.taken_ms,
            held,
        })
    }

    /// How many records the next run of a partition has.
    fn next_run(&self, slot: usize) -> usize {
        match self.partitions.get(slot).and_then(|partition| partition.ready.front()) {
            Some(Ready::Batch(indexes)) => indexes.len(),
            Some(Ready::One(_)) | None => 1,
        }
    }

    /// Whether a run of so many records must wait for a commit: with what is settled and what may settle soon they would be
    /// more than one transaction has. So none grows however long the one before it takes, and what one that failed leaves to
    /// the next is no more than as much again. A run that is more by itself starts alone.
    fn overfills_a_transaction(&self, records: usize) -> bool {
        if !self.settings.transactions || broken(Mutation::OverfillsTransactions) {
            return false;
        }
        let most = self.settings.commit_every_records;
        let waiting = self.commits.waiting() + self.with_handlers;
        let uncommitted = waiting + self.commits.under_way();
        waiting > 0 && waiting + records > most || uncommitted > 0 && uncommitted + records > 2 * most
    }
}
