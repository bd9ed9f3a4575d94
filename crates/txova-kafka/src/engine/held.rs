//! Records of a handler that is held back: taken out of the way, probed one at a time, let go. When and why a handler is
//! held back is in `breaker.rs`.

use std::sync::Arc;

use crate::outcome::{ErrorClass, Failure, HandlerId};

use super::breaker::{Failed, HeldHandlers};
use super::mutation::{Mutation, broken};
use super::time::{Moment, Now};
use super::{Action, Engine, Retry, Start, State, Ticket};

/// A handler is held back, or no more.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum BreakerChange {
    Opened { handler: Arc<str>, failure: Box<Failure> },
    Healed { handler: Arc<str>, records: usize },
}

/// What the breaker makes of an attempt that ended.
pub(super) enum Judged {
    /// It is the record's own.
    Counts,
    /// It is the world's: the record waits for its handler.
    Waits(HandlerId),
}

impl<R: Clone> Engine<R> {
    /// A handler said ok or skip.
    pub(super) fn succeeded(&mut self, handler: Option<HandlerId>, probed: Option<HandlerId>, now: Now) {
        let Some(settings) = &self.settings.breaker else { return };
        match (handler, probed) {
            (_, Some(probed)) => self.heal(probed, now),
            (Some(handler), None) if broken(Mutation::HealsByAnySuccess) => self.heal(handler, now),
            (Some(handler), None) if !self.breakers.is_open(Some(handler)) => {
                self.breakers.succeeded(handler, settings);
            }
            _ => {} // it began before the handler was held back, and says nothing of now
        }
    }

    /// A handler failed; `is_last` where the record would be dead-lettered for it.
    pub(super) fn judge(
        &mut self,
        ticket: Ticket,
        failure: &Failure,
        is_last: bool,
        probed: Option<HandlerId>,
        now: Now,
    ) -> Judged {
        let Some(settings) = self.settings.breaker.clone() else { return Judged::Counts };
        let is_transient = failure.class == ErrorClass::Transient;
        if let Some(probed) = probed {
            self.probe_failed(probed, failure, now);
        }
        let Some(handler) = failure.by else { return Judged::Counts };
        if let Some(open) = self.breakers.of(handler) {
            *open.failure = failure.clone();
        } else {
            let Some(live) = self.find(ticket) else { return Judged::Counts };
            let failed = Failed { failure, ticket, key: live.key, is_last };
            if !self.breakers.failed(handler, &failed, &settings) || broken(Mutation::NeverHoldsBack) {
                return Judged::Counts;
            }
            let probe_at = self.next_probe_at(handler, 1, failure, now);
            let spent = self.breakers.hold(handler, Box::new(failure.clone()), now.at, probe_at);
            self.give_attempts_back(spent, is_transient.then_some(ticket), now);
            self.tally.rest().holds += 1;
            self.actions.push_back(Action::Breaker(BreakerChange::Opened {
                handler: failure.handler.clone(),
                failure: Box::new(failure.clone()),
            }));
        }
        match is_transient {
            true => Judged::Waits(handler),
            false => Judged::Counts,
        }
    }

    /// What failed in the row that told of the outage failed for it. The last of the row, where it is of it, has not been
    /// counted yet.
    fn give_attempts_back(&mut self, spent: Vec<(Ticket, u32)>, last: Option<Ticket>, now: Now) {
        for (ticket, attempts) in spent {
            let attempts = attempts - u32::from(Some(ticket) == last);
            let is_given_up = |state| matches!(state, State::DeadLettering | State::DeadLetterDown);
            let Some(live) = self.find(ticket).filter(|live| !is_given_up(live.state)) else { continue };
            let Some(first_ms) = live.first_failure_ms.filter(|_| attempts > 0) else { continue };
            live.attempts = live.attempts.saturating_sub(attempts);
            live.spare(attempts, first_ms);
            if live.attempts == 0 {
                live.first_failure_ms = None;
            }
            let slot = live.partition;
            if let Some(partition) = self.partitions.get_mut(slot) {
                partition.changed = true;
            }
            self.commits.touched(now, &self.settings);
        }
    }

    /// The handler held back that a transient failure is of.
    pub(super) fn waits_in_outage(&self, failure: &Failure) -> Option<HandlerId> {
        let is_open = failure.class == ErrorClass::Transient && self.breakers.is_open(failure.by);
        failure.by.filter(|_| is_open)
    }

    fn probe_failed(&mut self, handler: HandlerId, failure: &Failure, now: Now) {
        let Some(open) = self.breakers.of(handler) else { return };
        if failure.class == ErrorClass::Transient {
            open.failed_probes = open.failed_probes.saturating_add(1);
        }
        let failed = if failure.class == ErrorClass::Transient { open.failed_probes } else { 1 };
        let probe_at = self.next_probe_at(handler, failed, failure, now);
        if let Some(open) = self.breakers.of(handler) {
            open.probe_at = probe_at;
        }
    }

    /// As a retry of the handler, but no longer than a probe may take: however long an outage was, its end is soon seen.
    fn next_probe_at(&self, handler: HandlerId, failed: u32, failure: &Failure, now: Now) -> Moment {
        let retry = self.settings.retry_by(Some(handler));
        let probe_max = self.settings.breaker.as_ref().map_or(retry.max_backoff, |breaker| breaker.probe_max);
        let max_backoff = retry.max_backoff.min(probe_max);
        let probes = Retry { max_backoff, ..retry.clone() };
        probes.at(now.at, failed, u64::from(handler.0), failure.retry_after)
    }

    /// The record came back unrun.
    pub(super) fn came_back(&mut self, ticket: Ticket, handler: HandlerId, now: Now) {
        match self.breakers.is_open(Some(handler)) {
            true => self.wait_for(handler, ticket, now),
            false => self.make_ready(ticket.index, now), // healed meanwhile
        }
    }

    /// Puts a record among those that wait for its handler.
    pub(super) fn wait_for(&mut self, handler: HandlerId, ticket: Ticket, now: Now) {
        let Some(live) = self.find(ticket) else { return };
        live.state = State::Held;
        live.since = now.at;
        if let Some(open) = self.breakers.of(handler) {
            match broken(Mutation::ProbesTheSameAgain) {
                true => open.waiting.push_front(ticket),
                false => open.waiting.push_back(ticket),
            }
            open.blocked = false;
        }
    }

    /// The handler a record is known to be for, where that is held back now.
    pub(super) fn held_by(&self, index: u32) -> Option<(HandlerId, Ticket)> {
        let live = self.live.get(index as usize)?;
        let by = live.failure.as_ref().and_then(|failure| failure.by);
        let by = by.filter(|by| self.breakers.is_open(Some(*by)))?;
        Some((by, Ticket { index, serial: live.serial }))
    }

    /// A probe that is due.
    pub(super) fn next_probe(&mut self, now: Now) -> Option<Start<R>> {
        if self.probe_at().is_none_or(|at| at > now.at) {
            return None;
        }
        let due =
            |(handler, open): (HandlerId, &super::breaker::Open)| open.wants_probe(now.at).then_some(handler);
        let due: Vec<HandlerId> = self.breakers.open().filter_map(due).collect();
        due.into_iter().find_map(|handler| self.probe(handler, now))
    }

    /// Starts the record that waits longest among those whose partition may start anything.
    fn probe(&mut self, handler: HandlerId, now: Now) -> Option<Start<R>> {
        let (live, partitions) = (&self.live, &self.partitions);
        let open = self.breakers.of(handler)?;
        let found =
            |ticket: &Ticket| live.get(ticket.index as usize).filter(|live| live.serial == ticket.serial);
        open.waiting.retain(|ticket| found(ticket).is_some());
        if open.waiting.is_empty() {
            return None;
        }
        let may_start = |ticket: &Ticket| {
            let partition = found(ticket).and_then(|live| partitions.get(live.partition));
            partition.is_some_and(|partition| partition.may_start())
        };
        let Some(place) = open.waiting.iter().position(may_start) else {
            open.blocked = true;
            return None;
        };
        let ticket = open.waiting.remove(place)?;
        open.probe = Some(ticket);
        let others = self
            .breakers
            .names()
            .map(|names| names.iter().copied().filter(|name| *name != handler).collect());
        let others: HeldHandlers = others.filter(|names: &Arc<[HandlerId]>| !names.is_empty());
        let slot = self.live.get(ticket.index as usize)?.partition;
        self.run_begins(slot, 1, now);
        self.begin(ticket.index, State::Running, others, now)
    }

    /// The world of a handler is well: what waited for it may start.
    fn heal(&mut self, handler: HandlerId, now: Now) {
        let Some(open) = self.breakers.heal(handler) else { return };
        let mut waiting: Vec<Ticket> = open.waiting.into();
        waiting.retain(|ticket| self.find(*ticket).is_some());
        waiting.sort_by_key(|ticket| ticket.serial); // the oldest first, as before
        self.actions.push_back(Action::Breaker(BreakerChange::Healed {
            handler: open.failure.handler,
            records: waiting.len(),
        }));
        for ticket in waiting {
            if let Some(live) = self.find(ticket) {
                live.begun_at = None; // it is not its own fault that it waited
            }
            if !broken(Mutation::ForgetsTheHeld) {
                self.make_ready(ticket.index, now);
            }
        }
    }

    /// A transient failure that is the world's: no attempt of the record's is spent.
    pub(super) fn wait_after_failure(
        &mut self,
        ticket: Ticket,
        handler: HandlerId,
        failure: Box<Failure>,
        now: Now,
    ) {
        let retry_after = failure.retry_after;
        let Some(live) = self.find(ticket) else { return };
        live.failure = Some(failure);
        live.since = now.at;
        live.last_failure_ms = now.unix_ms;
        live.spare(1, now.unix_ms);
        let slot = live.partition;
        self.count(slot).failed += 1;
        match retry_after {
            // Among those that wait when its own time has come.
            Some(delay) => self.back_off(ticket, now.at + delay),
            None => {
                self.count(slot).retried += 1;
                self.wait_for(handler, ticket, now);
            }
        }
    }

    /// When a probe wants to start.
    pub(super) fn probe_at(&self) -> Option<Moment> {
        self.breakers.probe_at().filter(|_| !broken(Mutation::NeverProbes))
    }
}
