//! Batches in these worlds: how they end, and what the checker holds against them.

use std::time::Duration;

use super::checker::Checker;
use super::lease::Stage;
use super::log::Log;
use super::world::{Work, World};
use crate::engine::{Now, Start};
use crate::outcome::{BatchOutcome, ErrorClass, Failure, HandlerId, Outcome};

impl World {
    /// A batch ends: as a whole, or record by record, or before it began.
    pub(super) fn end_batch(&mut self, m: usize, works: &[Work]) {
        let unread: Vec<usize> = (0..works.len()).filter(|_| self.dice.chance(5)).collect();
        let each: Vec<Option<Failure>> = works.iter().map(|work| self.failure_of(work.at)).collect();
        let failed = each.into_iter().enumerate();
        let failed = failed.filter_map(|(place, failure)| Some((place, Box::new(failure?))));
        let failed: Vec<(usize, Box<Failure>)> = failed.collect();
        let ok = self.ok(works[0].at);
        let by = self.logs[works[0].at.0 as usize].entries[&works[0].at.1].handler;
        let outcome = match failed.first().cloned() {
            _ if !unread.is_empty() => BatchOutcome::NotRun(unread),
            None => BatchOutcome::Whole(ok),
            Some((_, failure)) if self.dice.chance(40) => BatchOutcome::Whole(Outcome::Failed(failure)),
            Some(_) => BatchOutcome::Parts { by, failed },
        };
        self.checker.ended_batch(m, works, &outcome, self.now);
        let tickets: Vec<_> = works.iter().map(|work| work.ticket).collect();
        self.members[m].engine.batch_outcome(&tickets, outcome, self.now);
    }
}

impl Checker {
    /// True where the handler runs.
    pub(super) fn started_batch(
        &mut self,
        m: usize,
        starts: &[Start<i64>],
        handler: HandlerId,
        logs: &[Log],
        now: Now,
    ) -> bool {
        let offsets: Vec<i64> = starts.iter().map(|start| start.record).collect();
        let p = starts[0].partition.partition;
        let at = format!("the batch {p}@{offsets:?} at member {m}");
        let alike = starts.iter().all(|start| start.partition.partition == p);
        self.holds(alike && offsets.is_sorted(), || format!("{at} is not of one partition, in order"));
        let taken = |lease: &super::lease::Lease| -> Vec<(Option<u32>, usize)> {
            let taken = offsets.iter().filter_map(|offset| lease.taken.get(offset));
            taken.map(|taken| (taken.batch, taken.bytes)).collect()
        };
        let taken = self.lease(m, p).map(taken).unwrap_or_default();
        let number = taken.first().and_then(|(batch, _)| *batch);
        let of_one = number.is_some() && taken.iter().all(|(batch, _)| *batch == number);
        self.holds(of_one, || format!("{at} is of several handlers, or of records that failed before"));
        let limits = number.and_then(|number| self.settings.batches.get(number as usize).copied());
        let bytes: usize = taken.iter().map(|(_, bytes)| bytes).sum();
        let fits = limits.is_some_and(|limits| {
            offsets.len() == 1 || offsets.len() <= limits.max_records && bytes <= limits.max_bytes
        });
        self.holds(fits, || format!("bounded: {at} has {bytes} bytes, and the limits are {limits:?}"));
        self.run_began(m, starts.len());
        for (place, start) in starts.iter().enumerate() {
            self.record_started(m, start, &offsets[..place], logs, now);
        }
        let held = starts[0].held.as_deref().unwrap_or_default();
        let is_probe = self.is_away(m, handler) && !held.contains(&handler);
        self.holds(!is_probe, || format!("outage: {at} starts, and its handler is held back"));
        let runs = self.may_run(m, (p, offsets[0]), handler, held, now);
        if runs {
            self.rate_spent(m, starts.len(), now);
            self.saw("batch");
        } else {
            self.came_back(m, p, &offsets);
        }
        runs
    }

    pub(super) fn ended_batch(&mut self, m: usize, works: &[Work], outcome: &BatchOutcome, now: Now) {
        let (p, epoch) = (works[0].at.0, works[0].epoch);
        if !self.run_ended(m, p, epoch) {
            return;
        }
        let offsets: Vec<i64> = works.iter().map(|work| work.at.1).collect();
        let all = |outcome: &Outcome| vec![outcome.clone(); works.len()];
        let said: Vec<Outcome> = match outcome {
            BatchOutcome::Whole(Outcome::Failed(failure)) if splits(failure) && works.len() > 1 => {
                return self.split(m, p, &offsets, failure, now);
            }
            BatchOutcome::Whole(outcome) => all(outcome),
            BatchOutcome::Parts { by, failed } => {
                self.saw("batch with failures");
                let mut said = all(&Outcome::Handled(*by));
                for (place, failure) in failed {
                    said[*place] = Outcome::Failed(failure.clone());
                }
                said
            }
            BatchOutcome::NotRun(places) => {
                self.saw("batch with what cannot be read");
                for (place, offset) in offsets.iter().enumerate() {
                    self.waits(m, p, *offset, places.contains(&place));
                }
                return;
            }
        };
        for (offset, said) in offsets.iter().zip(said) {
            let behind = self.lease(m, p).and_then(|lease| lease.unsettled_of_lane_before(*offset));
            if behind.is_none() {
                self.record_ended(m, (p, *offset), &said, now);
            } else {
                self.saw("held back in its batch");
                self.waits(m, p, *offset, false);
            }
        }
    }

    /// The batch failed as a whole: an attempt of each, and the last of none.
    fn split(&mut self, m: usize, p: i32, offsets: &[i64], failure: &Failure, now: Now) {
        self.saw("batch failed as a whole");
        let handler = self.lease(m, p).and_then(|lease| Some(lease.taken.get(offsets.first()?)?.handler));
        let is_away = handler.is_some_and(|handler| self.is_away(m, handler));
        if is_away && failure.class == ErrorClass::Transient {
            return self.waits_together(m, p, offsets, failure, now);
        }
        let retry = self.settings.retry.clone();
        for offset in offsets {
            let behind = self.lease(m, p).and_then(|lease| lease.unsettled_of_lane_before(*offset));
            let Some(lease) = self.leases.get_mut(&(m, p)) else { return };
            lease.changed(now);
            let Some(taken) = lease.taken.get_mut(offset) else { return };
            taken.attempts += 1;
            taken.batch = None;
            taken.owed = true;
            taken.is_known = true;
            taken.is_spared = false;
            taken.may_be_dead = false;
            taken.first_failure_ms.get_or_insert(now.unix_ms);
            if behind.is_some() || failure.class == ErrorClass::Permanent {
                taken.becomes(Stage::Waiting);
                continue;
            }
            let delay = retry.backoff.min(retry.max_backoff);
            let after = failure.retry_after.unwrap_or_default();
            let moment = Duration::from_micros(1);
            taken.becomes(Stage::BackingOff);
            taken.not_before = now.at + delay.mul_f64(1.0 - retry.jitter).max(after).saturating_sub(moment);
            taken.not_after = now.at + delay.mul_f64(1.0 + retry.jitter).max(after) + moment;
        }
    }

    /// It is the fault of none, and all wait.
    fn waits_together(&mut self, m: usize, p: i32, offsets: &[i64], failure: &Failure, now: Now) {
        self.saw("batch failed in an outage");
        for offset in offsets {
            let Some(lease) = self.leases.get_mut(&(m, p)) else { return };
            let behind = lease.unsettled_of_lane_before(*offset).is_some();
            let Some(taken) = lease.taken.get_mut(offset) else { return };
            match behind {
                true => taken.becomes(Stage::Waiting),
                false => taken.waits_in_outage(failure.retry_after, now),
            }
        }
    }

    fn waits(&mut self, m: usize, p: i32, offset: i64, apart: bool) {
        if let Some(taken) = self.leases.get_mut(&(m, p)).and_then(|lease| lease.taken.get_mut(&offset)) {
            taken.becomes(Stage::Waiting);
            taken.batch = taken.batch.filter(|_| !apart);
        }
    }
}

fn splits(failure: &Failure) -> bool {
    matches!(failure.class, ErrorClass::Transient | ErrorClass::Permanent)
}
