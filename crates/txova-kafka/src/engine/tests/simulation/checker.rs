//! Keeps its own account of what every member was told and did, and compares it with what the engines say. It must never
//! ask an engine anything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::lease::{Lease, Stage};
use super::log::{Entry, Log};
use super::outages::{Account, Ended};
use super::pauses::Scope;
use super::rates::Starts;
use crate::config::Order;
use crate::engine::offset_map::{self, OffsetMap};
use crate::engine::{DeadLetterOrder, Moment, Now, Offered, Settings, Start};
use crate::outcome::{ErrorClass, HandlerId, Outcome};
use crate::transport::Committed;

pub(super) struct Checker {
    pub settings: Settings,
    /// The first sentence that did not hold.
    pub violation: Option<String>,
    /// What happened, by count: a world where nothing happens proves nothing.
    pub events: BTreeMap<&'static str, usize>,
    /// Records to which no handler said ok or skip yet, and whose dead letter is not acknowledged.
    pub(super) unsettled: Vec<BTreeSet<i64>>,
    pub(super) leases: BTreeMap<(usize, i32), Lease>,
    pub(super) members: BTreeMap<usize, Member>,
}

#[derive(Default)]
pub(super) struct Member {
    pub(super) stopped: bool,
    pub(super) closing: Option<Closing>,
    pub(super) revoke_by: Option<Moment>,
    /// The broker refused a map of this member's for its length: it may write less.
    pub(super) cut: bool,
    /// What the commit under way tells of, by epoch.
    pub(super) commit: Option<Vec<(i32, u64)>>,
    /// Records settled since the last commit whose assignment is over: they count on until the next.
    pub(super) gone: usize,
    /// After a refusal the next commit may take its time.
    pub(super) no_commit_before: Moment,
    pub(super) accounts: BTreeMap<HandlerId, Account>,
    /// What an operator has paused.
    pub(super) pauses: BTreeSet<Scope>,
    pub(super) starts: Starts,
}

pub(super) struct Closing {
    pub(super) deadline: Moment,
    pub(super) drained: usize,
    pub(super) abandoned: usize,
    pub(super) returned: usize,
}

impl Checker {
    pub(super) fn new(settings: Settings, partitions: usize) -> Self {
        let unsettled = vec![BTreeSet::new(); partitions];
        Self {
            settings,
            violation: None,
            events: BTreeMap::new(),
            unsettled,
            leases: BTreeMap::new(),
            members: BTreeMap::new(),
        }
    }

    pub(super) fn holds(&mut self, truth: bool, sentence: impl FnOnce() -> String) {
        if !truth && self.violation.is_none() {
            self.violation = Some(sentence());
        }
    }

    pub(super) fn saw(&mut self, event: &'static str) {
        *self.events.entry(event).or_default() += 1;
    }

    pub(super) fn produced(&mut self, p: usize, offset: i64) {
        self.unsettled[p].insert(offset);
    }

    /// What was before `start` is gone, handled or not.
    pub(super) fn removed(&mut self, p: usize, start: i64) {
        self.unsettled[p] = self.unsettled[p].split_off(&start);
        self.saw("retention");
    }

    pub(super) fn all_is_settled(&self) -> bool {
        self.unsettled.iter().all(BTreeSet::is_empty)
    }

    pub(super) fn lease(&self, m: usize, p: i32) -> Option<&Lease> {
        self.leases.get(&(m, p))
    }

    pub(super) fn leases_of(&self, m: usize) -> impl Iterator<Item = (i32, &Lease)> {
        self.leases.range((m, i32::MIN)..=(m, i32::MAX)).map(|((_, p), lease)| (*p, lease))
    }

    /// A process began; what it was before is gone.
    pub(super) fn began(&mut self, m: usize) {
        self.leases.retain(|(member, _), _| *member != m);
        self.members.insert(m, Member::default());
    }

    pub(super) fn assigned(&mut self, m: usize, p: i32, epoch: u64, committed: Option<&Committed>) {
        let map = committed.map(|committed| offset_map::decode(committed.offset, &committed.metadata));
        let map = map.unwrap_or(Ok(OffsetMap::default())).expect("what was committed was checked");
        let mut lease = Lease::new(epoch, committed.map(|committed| committed.offset), map);
        lease.draining = self.members[&m].closing.is_some();
        self.leases.insert((m, p), lease);
    }

    pub(super) fn offered(
        &mut self,
        m: usize,
        p: i32,
        epoch: u64,
        entry: Entry,
        answer: &Offered<i64>,
        now: Now,
    ) {
        let (records, bytes) =
            self.leases_of(m).map(|(_, lease)| lease.in_flight()).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        let room = records == 0
            || records < self.settings.max_in_flight_records
                && bytes + entry.bytes <= self.settings.max_in_flight_bytes;
        let lane = match self.settings.order {
            Order::Key => Some(entry.key.unwrap_or(0)),
            Order::Partition => Some(0),
            Order::None => None,
        };
        let lease = self.leases.get_mut(&(m, p)).filter(|lease| lease.epoch == epoch && !lease.draining);
        let expected = match &lease {
            None => "stale",
            Some(lease) if lease.next.is_some_and(|next| entry.offset < next) => "taken",
            Some(_) if !room => "no room",
            Some(_) => "taken anew",
        };
        let got = match answer {
            Offered::Taken => "taken",
            Offered::NoRoom(_) => "no room",
            Offered::Stale => "stale",
            Offered::WentBack { .. } => "went back",
        };
        if let (Some(lease), "taken anew", "taken") = (lease, expected, got) {
            lease.take(entry, lane, now);
            if lease.taken[&entry.offset].stage == Stage::Settled {
                self.saw("known to be done");
            }
        }
        self.saw(expected);
        let invariant = if expected == "stale" { "epoch" } else { "bounded" };
        let offset = entry.offset;
        self.holds(expected.starts_with(got), || {
            format!("{invariant}: {p}@{offset} in epoch {epoch} was answered with {got}, not {expected}")
        });
    }

    /// True where the handler runs.
    pub(super) fn started(
        &mut self,
        m: usize,
        start: &Start<i64>,
        handler: HandlerId,
        logs: &[Log],
        now: Now,
    ) -> bool {
        let (p, offset) = (start.partition.partition, start.record);
        let held = start.held.as_deref().unwrap_or_default();
        let runs = self.may_run(m, (p, offset), handler, held, now);
        let taken = self.lease(m, p).and_then(|lease| lease.taken.get(&offset));
        let goes_with_batches = taken.is_some_and(|taken| taken.batch.is_some());
        let is_probe = self.is_away(m, handler) && !held.contains(&handler);
        self.holds(!goes_with_batches || is_probe, || format!("{p}@{offset} is alone and goes with batches"));
        self.run_began(m, 1);
        self.record_started(m, start, &[], logs, now);
        match runs {
            true => self.rate_spent(m, 1, now),
            false => self.came_back(m, p, &[offset]),
        }
        runs
    }

    /// One handler more runs, over so many records.
    pub(super) fn run_began(&mut self, m: usize, records: usize) {
        let running = self.leases_of(m).map(|(_, lease)| lease.count(Stage::Running)).sum::<usize>();
        self.holds(running < self.settings.concurrency, || format!("bounded: member {m} runs one too many"));
        let with_handlers: usize = self.leases_of(m).map(|(_, lease)| lease.with_handlers()).sum();
        let staying = self.leases_of(m).filter(|(_, lease)| !lease.revoked); // the others have one of their own
        let untold: usize = staying.map(|(_, lease)| lease.untold).sum();
        // A partition whose map has no room for what was told waits for its gaps to close, and not for a transaction: were
        // what it has settled counted, nothing could start that closes them.
        let waiting = if self.maps_are_short(m) { 0 } else { untold } + with_handlers;
        let most = self.settings.commit_every_records;
        let fits = !self.settings.transactions || waiting == 0 || waiting + records <= most;
        self.holds(fits, || {
            format!(
                "bounded: member {m} starts {records} records and has {waiting} for a transaction of {most}"
            )
        });
        let member = &self.members[&m];
        let going = !member.stopped && member.closing.is_none();
        self.holds(going, || {
            format!("close is bounded: member {m} starts something after a stop or a close")
        });
    }

    /// A record is with a handler; those `before` it are in the same batch.
    pub(super) fn record_started(
        &mut self,
        m: usize,
        start: &Start<i64>,
        before: &[i64],
        logs: &[Log],
        now: Now,
    ) {
        let (p, offset) = (start.partition.partition, start.record);
        let at = format!("{p}@{offset} at member {m}");
        if let Some(key) = self.lane(p, offset, logs) {
            let mut earlier = self.unsettled[p as usize].range(..offset).filter(|at| !before.contains(at));
            let first = earlier.find(|earlier| self.lane(p, **earlier, logs) == Some(key)).copied();
            self.holds(first.is_none(), || {
                format!("key-order: {at} started before {first:?} of its key was settled")
            });
        }
        let paused = self.is_paused(m, p);
        self.holds(!paused, || format!("paused: {at} started, and its operator wants nothing to"));
        let max_retries = self.settings.retry.max_retries;
        let Some(lease) = self.leases.get_mut(&(m, p)) else {
            return self.holds(false, || format!("epoch: {at} started without an assignment"));
        };
        let pinned = lease.pinned;
        let draining = lease.draining;
        let behind = lease.unsettled_of_lane_before(offset).filter(|earlier| !before.contains(earlier));
        let Some(taken) = lease.taken.get_mut(&offset) else {
            return self.holds(false, || format!("epoch: {at} started and was not taken in this assignment"));
        };
        let stage = taken.stage;
        let early = now.at < taken.not_before;
        let spared = taken.spared;
        let (attempts, is_spared, owed) = (taken.attempts, taken.is_spared, std::mem::take(&mut taken.owed));
        taken.becomes(if before.is_empty() { Stage::Running } else { Stage::Batched });
        self.holds(!draining, || format!("epoch: {at} started while its partition is given back"));
        self.holds(!pinned, || format!("a down DLQ pins: {at} started while its partition is pinned"));
        self.holds(matches!(stage, Stage::Waiting | Stage::BackingOff | Stage::Held), || {
            format!("settled: {at} started again and was {stage:?}")
        });
        self.holds(behind.is_none(), || format!("key-order: {at} overtook {behind:?} of its key"));
        self.holds(!early, || format!("retry: {at} started before its back-off was over"));
        self.holds(stage != Stage::BackingOff || is_spared || owed || attempts <= max_retries, || {
            format!("retry: {at} started once too often")
        });
        if stage == Stage::Waiting && attempts > 0 && !owed {
            self.saw("attempts restored");
        }
        self.saw("start");
        let attempt = start.attempt;
        self.holds(attempt == attempts + spared + 1, || {
            format!("attempts persist: {at} started as attempt {attempt} after {attempts} failed ones")
        });
    }

    fn lane(&self, p: i32, offset: i64, logs: &[Log]) -> Option<u64> {
        match self.settings.order {
            Order::Key => logs[p as usize].entries.get(&offset).map(|entry| entry.key.unwrap_or(0)),
            Order::Partition => Some(0),
            Order::None => None,
        }
    }

    /// A handler ended. One whose assignment is over says nothing any more.
    pub(super) fn ended(
        &mut self,
        m: usize,
        (p, offset): (i32, i64),
        epoch: u64,
        outcome: &Outcome,
        now: Now,
    ) {
        if self.run_ended(m, p, epoch) {
            self.record_ended(m, (p, offset), outcome, now);
        }
    }

    /// A handler's run ended; false where its assignment is over.
    pub(super) fn run_ended(&mut self, m: usize, p: i32, epoch: u64) -> bool {
        let counts = self.lease(m, p).is_some_and(|lease| lease.epoch == epoch);
        let member = self.members.get_mut(&m).expect("it runs");
        if let Some(closing) = member.closing.as_mut().filter(|_| counts) {
            closing.drained += 1;
        }
        counts
    }

    /// What a handler said of one record.
    pub(super) fn record_ended(&mut self, m: usize, (p, offset): (i32, i64), outcome: &Outcome, now: Now) {
        let retry = self.settings.retry.clone();
        let Some(lease) = self.leases.get_mut(&(m, p)) else { return };
        let epoch = lease.epoch;
        let Some(taken) = lease.taken.get_mut(&offset) else { return };
        let ended = Ended { handler: taken.handler, place: (p, offset, epoch), key: taken.key };
        let member = self.members.get_mut(&m).expect("it runs");
        let failure = match outcome {
            Outcome::Handled(_) | Outcome::Held(_) | Outcome::NotRun => None,
            Outcome::Failed(failure) => (failure.class != ErrorClass::Skip).then_some(failure),
        };
        let Some(failure) = failure else {
            taken.stage = Stage::Settled;
            lease.settled(now);
            self.unsettled[p as usize].remove(&offset);
            return self.did_well(m, &ended, now);
        };
        if failure.class == ErrorClass::Stop {
            taken.becomes(Stage::Stopped);
            member.stopped = true;
            return self.saw("stop");
        }
        let attempts = taken.attempts + 1;
        let first = taken.first_failure_ms.unwrap_or(now.unix_ms);
        let delay = retry.backoff.saturating_mul(1 << (attempts - 1).min(20)).min(retry.max_backoff);
        let shortest = delay.mul_f64(1.0 - retry.jitter).max(failure.retry_after.unwrap_or_default());
        let longest = delay.mul_f64(1.0 + retry.jitter).max(failure.retry_after.unwrap_or_default());
        let over = |delay: Duration, limit: Duration| {
            now.unix_ms - first + delay.as_millis() as i64 > limit.as_millis() as i64
        };
        let last = failure.class == ErrorClass::Permanent
            || attempts > retry.max_retries
            || retry.max_elapsed.is_some_and(|limit| over(shortest, limit + Duration::from_millis(1)));
        let waits = self.did_ill(m, &ended, failure, last, now);
        let Some(lease) = self.leases.get_mut(&(m, p)) else { return };
        let Some(taken) = lease.taken.get_mut(&offset) else { return };
        taken.is_known = true;
        if waits {
            taken.waits_in_outage(failure.retry_after, now);
            return self.saw("failure in an outage");
        }
        taken.is_spared = false;
        taken.attempts += 1; // fewer than before, where an outage was told by this
        taken.batch = None;
        taken.first_failure_ms.get_or_insert(now.unix_ms);
        let longer = longest + Duration::from_millis(1);
        taken.may_be_dead = last || retry.max_elapsed.is_some_and(|limit| over(longer, limit));
        let stage = if last { Stage::Writing } else { Stage::BackingOff };
        taken.becomes(stage);
        taken.not_after = now.at + longest + Duration::from_micros(1);
        taken.not_before = now.at + shortest.saturating_sub(Duration::from_micros(1));
        lease.changed(now);
        self.saw(if last { "failure for good" } else { "failure" });
    }

    pub(super) fn ordered_dead_letter(&mut self, m: usize, order: &DeadLetterOrder<i64>) {
        let (p, offset) = (order.partition.partition, order.record);
        let at = format!("the dead letter of {p}@{offset} at member {m}");
        let Some(taken) = self.leases.get_mut(&(m, p)).and_then(|lease| lease.taken.get_mut(&offset)) else {
            return self.holds(false, || format!("epoch: {at} is written without an assignment"));
        };
        let (stage, may) = (taken.stage, taken.may_be_dead);
        let attempts = taken.attempts + taken.spared;
        taken.stage = Stage::Writing;
        let fits = matches!(stage, Stage::Writing | Stage::Down | Stage::BackingOff) && may;
        self.holds(fits, || format!("nothing dropped: {at} is written and the record was {stage:?}"));
        let told = order.attempts;
        self.holds(told == attempts, || {
            format!("attempts persist: {at} tells of {told} attempts, not {attempts}")
        });
    }

    pub(super) fn dead_lettered(
        &mut self,
        m: usize,
        (p, offset): (i32, i64),
        epoch: u64,
        written: bool,
        now: Now,
    ) {
        let Some(lease) = self.leases.get_mut(&(m, p)).filter(|lease| lease.epoch == epoch) else { return };
        lease.pinned = !written;
        let Some(taken) = lease.taken.get_mut(&offset) else { return };
        if written {
            taken.stage = Stage::Settled;
            lease.settled(now);
            self.unsettled[p as usize].remove(&offset);
        } else {
            taken.stage = Stage::Down;
        }
        self.saw(if written { "dead letter written" } else { "dead letter refused" });
    }
}
