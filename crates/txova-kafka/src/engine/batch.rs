//! Batches: records of one partition that their handler takes together. A record must never be in a batch while an
//! earlier one of its lane is anywhere but before it in the same batch, and one that failed never shares one again.

use std::time::Duration;

use crate::outcome::{BatchOutcome, ErrorClass, Failure, HandlerId, Outcome};

use super::breaker::HeldHandlers;
use super::mutation::{Mutation, broken};
use super::partition::Ready;
use super::time::{Moment, Now};
use super::{Engine, Settled, Start, State, Ticket};

/// How large the batches of one handler may get, and how long they may fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchLimits {
    pub max_records: usize,
    /// One record larger than this is a batch of its own.
    pub max_bytes: usize,
    /// From the moment the first record could have started alone.
    pub max_wait: Duration,
}

/// A batch that is filling. The first record's timer says when it starts, full or not.
#[derive(Default)]
pub(super) struct Forming {
    records: Vec<u32>,
    bytes: usize,
}

impl<R: Clone> Engine<R> {
    /// Puts the first record of a lane into the forming batch, and those behind it that go with it.
    pub(super) fn gather(&mut self, batch: u32, index: u32, now: Now) {
        if !self.fits(batch, index) {
            self.close_batch_of(batch, index);
        }
        self.join(batch, index, now);
        let mut last = index;
        while let Some(next) = self.follower(last, State::Waiting) {
            if !self.gather_behind(Some(batch), next, now) {
                return;
            }
            last = next;
        }
    }

    /// Puts a record behind the one before it in its lane, which is in the forming batch of `batch`; false where it does
    /// not go with it and waits.
    pub(super) fn gather_behind(&mut self, batch: Option<u32>, index: u32, now: Now) -> bool {
        let Some(batch) = batch else { return false };
        let of_same = self.live.get(index as usize).is_some_and(|live| live.batch == Some(batch));
        let is_forming = |engine: &Self| engine.forming_of(batch, index).is_some();
        let joins = of_same && is_forming(self) && self.fits(batch, index);
        if joins {
            self.join(batch, index, now);
        }
        joins
    }

    fn join(&mut self, batch: u32, index: u32, now: Now) {
        let Some(limits) = self.settings.batches.get(batch as usize).copied() else { return };
        let Some(live) = self.live.get_mut(index as usize) else { return };
        live.state = State::Gathering;
        live.wake_at = None;
        let ticket = Ticket { index, serial: live.serial };
        let Some(partition) = self.partitions.get_mut(live.partition) else { return };
        let paused = partition.paused;
        let forming = partition.forming.entry(batch).or_default();
        forming.records.push(index);
        forming.bytes += live.bytes;
        let records = forming.records.len();
        if records >= limits.max_records && !broken(Mutation::BatchesHaveNoEnd) {
            self.close_batch_of(batch, index);
        } else if records == 1 {
            // What cannot grow does not wait; what else is freed at this moment still comes along.
            self.set_timer(ticket, if paused { now.at } else { now.at + limits.max_wait });
        }
    }

    fn forming_of(&self, batch: u32, index: u32) -> Option<&Forming> {
        let slot = self.live.get(index as usize)?.partition;
        self.partitions.get(slot)?.forming.get(&batch)
    }

    fn fits(&self, batch: u32, index: u32) -> bool {
        if broken(Mutation::BatchesHaveNoEnd) {
            return true;
        }
        let bytes = self.live.get(index as usize).map_or(0, |live| live.bytes);
        let limit = self.settings.batches.get(batch as usize).map_or(0, |limits| limits.max_bytes);
        self.forming_of(batch, index).is_none_or(|forming| forming.bytes + bytes <= limit)
    }

    /// The record behind this one in its lane, where it is in `state`.
    fn follower(&self, index: u32, state: State) -> Option<u32> {
        let next = self.live.get(index as usize)?.behind?;
        self.live.get(next as usize).filter(|live| live.state == state).map(|_| next)
    }

    fn close_batch_of(&mut self, batch: u32, index: u32) {
        let Some(slot) = self.live.get(index as usize).map(|live| live.partition) else { return };
        let forming = self.partitions.get_mut(slot).and_then(|partition| partition.forming.remove(&batch));
        let Some(mut records) = forming.map(|forming| forming.records) else { return };
        records.sort_by_key(|index| self.live.get(*index as usize).map(|live| live.offset));
        self.queue(slot, Ready::Batch(records));
    }

    /// The timer of a record that began a batch rings.
    pub(super) fn close_batch_in_time(&mut self, ticket: Ticket) {
        let batch = self.find(ticket).and_then(|live| live.batch);
        if let Some(batch) = batch.filter(|_| !broken(Mutation::BatchesWaitToBeFull)) {
            self.close_batch_of(batch, ticket.index);
        }
    }

    /// What fills in this partition starts at once: nothing more is taken that could join.
    pub(super) fn hurry_batches(&mut self, slot: usize) {
        let Some(partition) = self.partitions.get(slot) else { return };
        let first = partition.forming.values().filter_map(|forming| forming.records.first().copied());
        for index in first.collect::<Vec<_>>() {
            let Some(live) = self.live.get(index as usize) else { continue };
            if live.wake_at > Some(Moment::default()) {
                self.set_timer(Ticket { index, serial: live.serial }, Moment::default());
            }
        }
    }

    pub(super) fn hurry_all_batches(&mut self) {
        if self.settings.batches.is_empty() {
            return;
        }
        let slots: Vec<usize> = self.partitions.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.hurry_batches(slot);
        }
    }

    pub(super) fn begin_batch(
        &mut self,
        records: Vec<u32>,
        held: &HeldHandlers,
        now: Now,
    ) -> Option<Vec<Start<R>>> {
        let states = std::iter::once(State::Running).chain(std::iter::repeat(State::Batched));
        records
            .into_iter()
            .zip(states)
            .map(|(index, state)| self.begin(index, state, held.clone(), now))
            .collect()
    }

    /// A run over a batch has ended; the tickets are those of its start, in order. Answers with the records it has handled.
    pub(crate) fn batch_outcome(
        &mut self,
        tickets: &[Ticket],
        outcome: BatchOutcome,
        now: Now,
    ) -> Vec<Settled> {
        let Some(&first) = tickets.first() else { return Vec::new() };
        let Some(live) = self.find(first).filter(|live| live.state == State::Running) else {
            return Vec::new();
        };
        let slot = live.partition;
        let is_unrun = matches!(outcome, BatchOutcome::Whole(Outcome::Held(_)));
        self.run_ended(slot, tickets.len(), is_unrun);
        match outcome {
            BatchOutcome::Whole(Outcome::Failed(failure)) if tickets.len() > 1 && splits(&failure) => {
                self.split(tickets, &failure, now);
                Vec::new()
            }
            BatchOutcome::Whole(outcome) => self.parts(tickets, |_| outcome.clone(), now),
            BatchOutcome::Parts { by, failed } => {
                let mut failed = failed.into_iter().peekable();
                let said = |place| match failed.next_if(|(at, _)| *at == place) {
                    Some((_, failure)) => Outcome::Failed(failure),
                    None => Outcome::Handled(by),
                };
                self.parts(tickets, said, now)
            }
            BatchOutcome::NotRun(places) => {
                let apart = places.iter().filter_map(|place| tickets.get(*place));
                for ticket in apart {
                    self.find(*ticket).into_iter().for_each(|live| live.batch = None);
                }
                self.gather_anew(tickets, now);
                self.hurry_batches(slot);
                Vec::new()
            }
        }
    }

    /// Each record's own outcome. One behind another of its lane that is not settled waits for it, whatever was said of it.
    fn parts(
        &mut self,
        tickets: &[Ticket],
        mut said: impl FnMut(usize) -> Outcome,
        now: Now,
    ) -> Vec<Settled> {
        let mut settled = Vec::new();
        for (place, ticket) in tickets.iter().enumerate() {
            let outcome = said(place);
            let Some(live) = self.find(*ticket) else { continue };
            if !matches!(live.state, State::Running | State::Batched) {
                continue;
            }
            if broken(Mutation::BatchSettlesFailed) {
                self.settle(ticket.index, now);
            } else {
                settled.extend(self.heard(*ticket, outcome, None, now));
            }
            self.hold_back(*ticket);
        }
        settled
    }

    /// The run has not begun: each record is where it was before.
    fn gather_anew(&mut self, tickets: &[Ticket], now: Now) {
        let mut leading = Vec::new();
        for ticket in tickets {
            let Some(live) = self.find(*ticket) else { continue };
            if matches!(live.state, State::Running | State::Batched) {
                live.state = State::Waiting;
                leading.push(ticket.index);
                self.hold_back(*ticket);
            }
        }
        for index in leading {
            self.make_ready(index, now);
        }
    }

    /// A failure of the whole is that of no record in particular: it counts for each, is the last of none, and from now on
    /// each is handled alone.
    fn split(&mut self, tickets: &[Ticket], failure: &Failure, now: Now) {
        if let Some(handler) = self.waits_in_outage(failure) {
            return self.wait_together(tickets, handler, failure, now);
        }
        let retry = self.settings.retry_by(failure.by).clone();
        let spoils = broken(Mutation::BatchSpoilsAll);
        for ticket in tickets {
            let Some(live) = self.find(*ticket) else { continue };
            live.count_failure(now);
            live.failure = Some(Box::new(failure.clone()));
            let (of, waits) = (live.partition, live.state == State::Waiting);
            let at = retry.at(now.at, live.attempts, live.jitter_place(), failure.retry_after);
            self.remember_failing(*ticket);
            self.count(of).failed += 1;
            if waits {
                continue;
            }
            self.hold_back(*ticket);
            match failure.class {
                _ if spoils => self.failed(*ticket, Box::new(failure.clone()), None, now),
                ErrorClass::Transient => self.back_off(*ticket, at),
                _ => self.make_ready(ticket.index, now),
            }
        }
        self.commits.touched(now, &self.settings);
    }

    /// A batch failed that ran when its handler came to be held back: it is the world's fault, and nobody is to blame.
    fn wait_together(&mut self, tickets: &[Ticket], handler: HandlerId, failure: &Failure, now: Now) {
        for ticket in tickets {
            let Some(live) = self.find(*ticket) else { continue };
            if live.state != State::Waiting {
                self.hold_back(*ticket);
                self.wait_after_failure(*ticket, handler, Box::new(failure.clone()), now);
            }
        }
    }

    /// What is behind this record in its lane, and in its batch, waits for it.
    fn hold_back(&mut self, ticket: Ticket) {
        if self.find(ticket).is_none() || broken(Mutation::BatchFreesKey) {
            return; // settled
        }
        let mut last = ticket.index;
        while let Some(next) = self.follower(last, State::Batched) {
            if let Some(live) = self.live.get_mut(next as usize) {
                live.state = State::Waiting;
            }
            last = next;
        }
    }
}

/// Whether it can be that of a single record. What is skipped or stopped needs none to blame.
fn splits(failure: &Failure) -> bool {
    matches!(failure.class, ErrorClass::Transient | ErrorClass::Permanent)
}
