//! What follows an outcome: settled, tried again later, or dead-lettered. A record that waits for its next attempt holds
//! its key and nothing else; one whose dead letter is not taken holds its partition.

use std::cmp::Reverse;

use crate::client_error::ClientError;
use crate::outcome::{ErrorClass, Failure, HandlerId, Outcome};

use super::held::Judged;
use super::leave::StopReason;
use super::mutation::{Mutation, broken};
use super::partition::Pinned;
use super::time::{Moment, Now};
use super::{Action, DeadLetterOrder, Engine, Live, Settled, State, Ticket};

impl<R: Clone> Engine<R> {
    /// A handler has ended. Answers with the record it has handled; `None` where it failed, or nobody wants to know.
    pub(crate) fn outcome(&mut self, ticket: Ticket, outcome: Outcome, now: Now) -> Option<Settled> {
        let live = self.find(ticket).filter(|live| live.state == State::Running)?;
        let slot = live.partition;
        let probed = self.breakers.take_probe(ticket);
        self.run_ended(slot, 1, matches!(outcome, Outcome::Held(_) | Outcome::NotRun));
        self.heard(ticket, outcome, probed, now)
    }

    /// What a handler said of one record, alone or in a batch; `probed` where it was a probe.
    pub(super) fn heard(
        &mut self,
        ticket: Ticket,
        outcome: Outcome,
        probed: Option<HandlerId>,
        now: Now,
    ) -> Option<Settled> {
        match outcome {
            Outcome::Handled(handler) => {
                let (slot, offset) = self.find(ticket).map(|live| (live.partition, live.offset))?;
                self.count(slot).handled += 1;
                self.succeeded(Some(handler), probed, now);
                self.settle(ticket.index, now);
                let partition = self.partitions.get(slot)?;
                let (name, epoch) = (partition.name.clone(), partition.epoch);
                Some(Settled { ticket, partition: name, epoch, offset })
            }
            Outcome::Failed(failure) => {
                self.failed(ticket, failure, probed, now);
                None
            }
            Outcome::Held(handler) => {
                self.came_back(ticket, handler, now);
                None
            }
            Outcome::NotRun => {
                match self.held_by(ticket.index) {
                    Some((handler, ticket)) => self.wait_for(handler, ticket, now),
                    None => self.make_ready(ticket.index, now),
                }
                None
            }
        }
    }

    /// A handler has ended, or was not run at all.
    pub(super) fn run_ended(&mut self, slot: usize, records: usize, is_unrun: bool) {
        match is_unrun {
            true => {
                self.count(slot).started -= 1;
                self.give_tokens_back(records);
            }
            false => self.leaving.ended(),
        }
        self.running -= 1;
        self.with_handlers -= records;
        if let Some(partition) = self.partitions.get_mut(slot) {
            partition.running -= 1;
        }
    }

    pub(super) fn failed(
        &mut self,
        ticket: Ticket,
        failure: Box<Failure>,
        probed: Option<HandlerId>,
        now: Now,
    ) {
        let retry = self.settings.retry_by(failure.by).clone();
        let Some(live) = self.find(ticket) else { return };
        let slot = live.partition;
        if failure.class == ErrorClass::Skip {
            self.count(slot).skipped += 1;
            self.succeeded(failure.by, probed, now);
            return self.settle(ticket.index, now);
        }
        let offset = live.offset;
        if failure.class == ErrorClass::Stop {
            live.state = State::BackingOff; // not settled, and never started again here
            live.failure = Some(failure.clone());
            let partition = self.partitions.get(slot).map(|partition| partition.name.clone());
            return self.stop(StopReason::Handler { partition, offset, failure });
        }
        let attempts = live.attempts + 1;
        let first_ms = live.first_failure_ms.unwrap_or(now.unix_ms);
        let at = retry.at(now.at, attempts, live.jitter_place(), failure.retry_after);
        let elapsed_ms =
            now.unix_ms.saturating_sub(first_ms).saturating_add(at.since(now.at).as_millis() as i64);
        let exhausted = attempts > retry.max_retries
            || retry.max_elapsed.is_some_and(|limit| i128::from(elapsed_ms) > limit.as_millis() as i128);
        let again = failure.class == ErrorClass::Transient && !exhausted;
        if let Judged::Waits(handler) = self.judge(ticket, &failure, !again, probed, now)
            && !broken(Mutation::DeadLettersTheOutage)
        {
            return self.wait_after_failure(ticket, handler, failure, now);
        }
        let Some(live) = self.find(ticket) else { return };
        live.count_failure(now);
        live.failure = Some(failure);
        if again {
            self.back_off(ticket, at);
            let freed = self.find(ticket).filter(|_| broken(Mutation::FreesKeyInBackOff));
            if let Some(next) = freed.and_then(|live| live.behind.take()) {
                self.make_ready(next, now);
            }
        }
        self.remember_failing(ticket);
        self.count(slot).failed += 1;
        self.commits.touched(now, &self.settings);
        if !again {
            self.dead_letter(ticket);
        }
    }

    /// The attempt is committed, so that a restart does not forget it.
    pub(super) fn remember_failing(&mut self, ticket: Ticket) {
        let Some((slot, offset)) = self.find(ticket).map(|live| (live.partition, live.offset)) else {
            return;
        };
        if let Some(partition) = self.partitions.get_mut(slot) {
            partition.failing.insert((offset, ticket.index));
            partition.changed = true;
        }
    }

    pub(super) fn back_off(&mut self, ticket: Ticket, until: Moment) {
        let Some(live) = self.find(ticket) else { return };
        live.state = State::BackingOff;
        let slot = live.partition;
        self.count(slot).retried += 1;
        self.set_timer(ticket, until);
    }

    /// Its timer, in place of any it has.
    pub(super) fn set_timer(&mut self, ticket: Ticket, at: Moment) {
        if let Some(live) = self.find(ticket) {
            live.wake_at = Some(at);
            self.timers.push(Reverse((at, ticket)));
        }
    }

    fn dead_letter(&mut self, ticket: Ticket) {
        let Some(live) = self.find(ticket) else { return };
        let Some(failure) = live.failure.as_deref().cloned() else { return };
        live.state = State::DeadLettering;
        let slot = live.partition;
        let (record, attempts) = (live.record.clone(), live.tries());
        let (first_failure_ms, last_failure_ms) = (live.first_try_failed_ms(), live.last_failure_ms);
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        partition.dead_lettering += 1;
        self.actions.push_back(Action::DeadLetter(Box::new(DeadLetterOrder {
            ticket,
            partition: partition.name.clone(),
            record,
            failure,
            attempts,
            first_failure_ms: first_failure_ms.unwrap_or(last_failure_ms),
            last_failure_ms,
        })));
    }

    /// The broker has answered a dead letter.
    pub(crate) fn dead_lettered(&mut self, ticket: Ticket, answer: Result<(), ClientError>, now: Now) {
        let Some(live) = self.find(ticket).filter(|live| live.state == State::DeadLettering) else { return };
        let answer = if broken(Mutation::SettlesUnwrittenDeadLetters) { Ok(()) } else { answer };
        let slot = live.partition;
        if answer.is_err() {
            live.state = State::DeadLetterDown;
            live.dead_letter_tries += 1;
        }
        let tries = live.dead_letter_tries;
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        partition.dead_lettering -= 1;
        match answer {
            Ok(()) => {
                partition.pinned = None;
                self.breakers.unblock();
                self.count(slot).dead_lettered += 1;
                self.settle(ticket.index, now);
                self.enter_rotation(slot);
            }
            Err(error) => {
                let pinned =
                    partition.pinned.get_or_insert_with(|| Pinned { since: now.at, error: error.clone() });
                pinned.error = error;
                let at = self.settings.retry.at(now.at, tries, slot as u64, None);
                self.set_timer(ticket, at);
                self.count(slot).dead_letter_failures += 1;
                self.update_pause(slot);
            }
        }
    }

    /// Acts on timers that are due.
    pub(super) fn ring(&mut self, now: Now) {
        while let Some(Reverse((at, ticket))) = self.timers.peek().copied() {
            if at > now.at {
                return;
            }
            self.timers.pop();
            let Some(live) = self.find(ticket).filter(|live| live.wake_at == Some(at)) else { continue };
            let (slot, state) = (live.partition, live.state);
            if self.partitions.get(slot).is_none_or(|partition| partition.draining) {
                continue;
            }
            match state {
                State::BackingOff => match self.held_by(ticket.index) {
                    Some((handler, ticket)) => self.wait_for(handler, ticket, now),
                    None => self.make_ready(ticket.index, now),
                },
                State::Gathering => self.close_batch_in_time(ticket),
                State::DeadLetterDown if broken(Mutation::HandlesAgainWhenDeadLetterFails) => {
                    self.make_ready(ticket.index, now);
                }
                State::DeadLetterDown => self.dead_letter(ticket),
                _ => {}
            }
        }
    }
}

impl<R> Live<R> {
    /// One attempt more has failed. From now on it is handled alone: it is known to be able to spoil a batch.
    pub(super) fn count_failure(&mut self, now: Now) {
        self.attempts += 1;
        self.batch = None;
        self.since = now.at;
        self.last_failure_ms = now.unix_ms;
        self.first_failure_ms.get_or_insert(now.unix_ms);
    }

    /// So many attempts more, which failed by now, were in an outage.
    pub(super) fn spare(&mut self, attempts: u32, first_ms: i64) {
        self.spared = self.spared.saturating_add(attempts);
        self.first_spared_ms.get_or_insert(first_ms);
    }

    /// Attempts that failed here and before, whatever for.
    pub(super) fn tries(&self) -> u32 {
        self.attempts.saturating_add(self.spared)
    }

    pub(super) fn first_try_failed_ms(&self) -> Option<i64> {
        self.first_failure_ms.into_iter().chain(self.first_spared_ms).min()
    }

    /// Where its jitter comes from.
    pub(super) fn jitter_place(&self) -> u64 {
        (self.offset as u64) ^ ((self.partition as u64) << 48)
    }
}
