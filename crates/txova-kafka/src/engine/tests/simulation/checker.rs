//! Keeps its own account of what every member was told and did, and compares it with what the engines say. It must never
//! ask an engine anything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::lease::{Lease, Stage};
use super::log::{Entry, Log};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::config::Order;
use crate::engine::offset_map::{self, OffsetMap};
use crate::engine::{CloseReport, DeadLetterOrder, Moment, Now, Offered, Settings, Start};
use crate::outcome::{ErrorClass, Outcome};
use crate::transport::{CommitEntry, Committed};

pub(super) struct Checker {
    pub settings: Settings,
    /// The first sentence that did not hold.
    pub violation: Option<String>,
    /// What happened, by count: a world where nothing happens proves nothing.
    pub events: BTreeMap<&'static str, usize>,
    /// Records to which no handler said ok or skip yet, and whose dead letter is not acknowledged.
    unsettled: Vec<BTreeSet<i64>>,
    leases: BTreeMap<(usize, i32), Lease>,
    members: BTreeMap<usize, Member>,
}

#[derive(Default)]
struct Member {
    stopped: bool,
    closing: Option<Closing>,
    revoke_by: Option<Moment>,
    /// The broker refused a map of this member's for its length: it may write less.
    cut: bool,
    /// What the commit under way tells of, by epoch.
    commit: Option<Vec<(i32, u64)>>,
    /// After a refusal the next commit may take its time.
    no_commit_before: Moment,
}

struct Closing {
    deadline: Moment,
    drained: usize,
    abandoned: usize,
    returned: usize,
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

    pub(super) fn all_is_settled(&self) -> bool {
        self.unsettled.iter().all(BTreeSet::is_empty)
    }

    pub(super) fn lease(&self, m: usize, p: i32) -> Option<&Lease> {
        self.leases.get(&(m, p))
    }

    fn leases_of(&self, m: usize) -> impl Iterator<Item = (i32, &Lease)> {
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

    pub(super) fn started(&mut self, m: usize, start: &Start<i64>, logs: &[Log], now: Now) {
        let (p, offset) = (start.partition.partition, start.record);
        let at = format!("{p}@{offset} at member {m}");
        let running = self.leases_of(m).map(|(_, lease)| lease.count(Stage::Running)).sum::<usize>();
        self.holds(running < self.settings.concurrency, || format!("bounded: {at} is one handler too many"));
        let member = &self.members[&m];
        let going = !member.stopped && member.closing.is_none();
        self.holds(going, || format!("close is bounded: {at} started after a stop or a close"));
        if let Some(key) = self.lane(p, offset, logs) {
            let mut before = self.unsettled[p as usize].range(..offset);
            let first = before.find(|before| self.lane(p, **before, logs) == Some(key)).copied();
            self.holds(first.is_none(), || {
                format!("key-order: {at} started before {first:?} of its key was settled")
            });
        }
        let max_retries = self.settings.retry.max_retries;
        let Some(lease) = self.leases.get_mut(&(m, p)) else {
            return self.holds(false, || format!("epoch: {at} started without an assignment"));
        };
        let pinned = lease.pinned;
        let draining = lease.draining;
        let behind = lease.unsettled_of_lane_before(offset);
        let Some(taken) = lease.taken.get_mut(&offset) else {
            return self.holds(false, || format!("epoch: {at} started and was not taken in this assignment"));
        };
        let stage = taken.stage;
        let early = now.at < taken.not_before;
        let attempts = taken.attempts;
        taken.stage = Stage::Running;
        self.holds(!draining, || format!("epoch: {at} started while its partition is given back"));
        self.holds(!pinned, || format!("a down DLQ pins: {at} started while its partition is pinned"));
        self.holds(matches!(stage, Stage::Waiting | Stage::BackingOff), || {
            format!("settled: {at} started again and was {stage:?}")
        });
        self.holds(behind.is_none(), || format!("key-order: {at} overtook {behind:?} of its key"));
        self.holds(!early, || format!("retry: {at} started before its back-off was over"));
        self.holds(stage == Stage::Waiting || attempts <= max_retries, || {
            format!("retry: {at} started once too often")
        });
        if stage == Stage::Waiting && attempts > 0 {
            self.saw("attempts restored");
        }
        self.saw("start");
        let attempt = start.attempt;
        self.holds(attempt == attempts + 1, || {
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
        let retry = self.settings.retry.clone();
        let Some(lease) = self.leases.get_mut(&(m, p)).filter(|lease| lease.epoch == epoch) else { return };
        let Some(taken) = lease.taken.get_mut(&offset) else { return };
        let member = self.members.get_mut(&m).expect("it runs");
        if let Some(closing) = &mut member.closing {
            closing.drained += 1;
        }
        let failure = match outcome {
            Outcome::Handled => None,
            Outcome::Failed(failure) => (failure.class != ErrorClass::Skip).then_some(failure),
        };
        let Some(failure) = failure else {
            taken.stage = Stage::Settled;
            lease.settled(now);
            self.unsettled[p as usize].remove(&offset);
            return;
        };
        if failure.class == ErrorClass::Stop {
            taken.stage = Stage::Stopped;
            member.stopped = true;
            return self.saw("stop");
        }
        taken.attempts += 1;
        let first = *taken.first_failure_ms.get_or_insert(now.unix_ms);
        let delay = retry.backoff.saturating_mul(1 << (taken.attempts - 1).min(20)).min(retry.max_backoff);
        let shortest = delay.mul_f64(1.0 - retry.jitter).max(failure.retry_after.unwrap_or_default());
        let longest = delay.mul_f64(1.0 + retry.jitter).max(failure.retry_after.unwrap_or_default());
        let over = |delay: Duration, limit: Duration| {
            now.unix_ms - first + delay.as_millis() as i64 > limit.as_millis() as i64
        };
        let last = failure.class == ErrorClass::Permanent
            || taken.attempts > retry.max_retries
            || retry.max_elapsed.is_some_and(|limit| over(shortest, limit + Duration::from_millis(1)));
        let longer = longest + Duration::from_millis(1);
        taken.may_be_dead = last || retry.max_elapsed.is_some_and(|limit| over(longer, limit));
        let stage = if last { Stage::Writing } else { Stage::BackingOff };
        taken.stage = stage;
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
        let (stage, attempts, may) = (taken.stage, taken.attempts, taken.may_be_dead);
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

    /// A commit is sent, or the last one of an assignment.
    pub(super) fn sent(&mut self, m: usize, entries: &[CommitEntry], leaving: bool) {
        let mut told = vec![];
        for entry in entries {
            self.entry(m, entry, leaving);
            if let Some(lease) = self.leases.get_mut(&(m, entry.partition.partition)) {
                lease.told();
                told.push((entry.partition.partition, lease.epoch));
            }
        }
        let member = self.members.get_mut(&m).expect("it runs");
        if !leaving {
            let before = member.commit.replace(told);
            self.holds(before.is_none(), || format!("member {m} has two commits under way"));
        }
    }

    /// The broker has answered a commit.
    pub(super) fn answered(&mut self, m: usize, answer: &Result<(), ClientError>, now: Now) {
        let member = self.members.get_mut(&m).expect("it runs");
        let told = member.commit.take().unwrap_or_default();
        let Err(error) = answer else { return };
        member.cut |= error.kind == ClientErrorKind::OffsetMetadataTooLarge;
        member.no_commit_before = now.at + Duration::from_millis(3_200);
        for (p, epoch) in told {
            if let Some(lease) = self.leases.get_mut(&(m, p)).filter(|lease| lease.epoch == epoch) {
                lease.changed(now);
            }
        }
        self.saw("commit refused");
    }

    /// What an engine wants committed is true, and all it can tell.
    fn entry(&mut self, m: usize, entry: &CommitEntry, leaving: bool) {
        let p = entry.partition.partition;
        let at = format!("the commit of {p}@{} by member {m}", entry.offset);
        let Some(lease) = self.leases.get(&(m, p)) else {
            return self.holds(false, || format!("epoch: {at} is of no assignment"));
        };
        let (draining, position) = (lease.draining, lease.position());
        self.holds(leaving || !draining, || format!("epoch: {at} crosses a revocation"));
        self.holds(position == Some(entry.offset), || {
            format!("sparse, commit-covers-settled: {at} should be at {position:?}")
        });
        let Ok(map) = offset_map::decode(entry.offset, &entry.metadata) else {
            return self.holds(false, || format!("commit-covers-settled: {at} has metadata nobody can read"));
        };
        let limit = self.settings.max_metadata_bytes;
        self.holds(entry.metadata.len() <= limit, || format!("bounded: {at} has too much metadata"));
        let covered =
            |offset: &i64| *offset < entry.offset || map.done.iter().any(|run| run.contains(offset));
        let loose = self.unsettled[p as usize].iter().copied().find(covered);
        self.holds(loose.is_none(), || {
            format!("commit-covers-settled: {at} covers {loose:?}, which is not settled")
        });
        let kind = match (map.done.is_empty(), map.failing.is_empty()) {
            (true, true) => "commit of a position",
            (false, true) => "commit with done records",
            (true, false) => "commit with failing records",
            (false, false) => "commit with both",
        };
        self.saw(kind);
        let whole = limit >= 100 && entry.metadata.len() * 4 < limit && !self.members[&m].cut;
        let lack = self.leases[&(m, p)].what_is_wrong_with(&map, entry.offset, whole);
        self.holds(lack.is_none(), || format!("{}: {at}", lack.unwrap_or_default()));
    }

    pub(super) fn revoking(&mut self, m: usize, partitions: &[i32], deadline: Moment) {
        for p in partitions {
            if let Some(lease) = self.leases.get_mut(&(m, *p)) {
                lease.draining = true;
            }
        }
        self.members.get_mut(&m).expect("it runs").revoke_by = Some(deadline);
    }

    pub(super) fn closing(&mut self, m: usize, deadline: Moment) {
        for (_, lease) in self.leases.range_mut((m, i32::MIN)..=(m, i32::MAX)) {
            lease.draining = true;
        }
        let closing = Closing { deadline, drained: 0, abandoned: 0, returned: 0 };
        self.members.get_mut(&m).expect("it runs").closing = Some(closing);
    }

    /// An assignment is over.
    pub(super) fn over(&mut self, m: usize, p: i32) {
        let Some(lease) = self.leases.remove(&(m, p)) else { return };
        if let Some(closing) = &mut self.members.get_mut(&m).expect("it runs").closing {
            let cut_off = lease.count(Stage::Running) + lease.count(Stage::Writing);
            closing.abandoned += cut_off;
            closing.returned += lease.in_flight().0 - cut_off;
        }
    }

    pub(super) fn released(&mut self, m: usize, partitions: &[i32], now: Now) {
        let deadline = self.members.get_mut(&m).expect("it runs").revoke_by.take();
        self.left_in_time(m, partitions, deadline, now);
    }

    fn left_in_time(&mut self, m: usize, partitions: &[i32], deadline: Option<Moment>, now: Now) {
        let closing = self.members[&m].closing.as_ref().map(|closing| closing.deadline);
        let due = deadline.into_iter().chain(closing).min().is_some_and(|deadline| deadline <= now.at);
        let mut leases = partitions.iter().filter_map(|p| self.leases.get(&(m, *p)));
        let busy = leases.any(|lease| lease.count(Stage::Running) + lease.count(Stage::Writing) > 0);
        let mut leases = partitions.iter().filter_map(|p| self.leases.get(&(m, *p)));
        let untold = leases.any(|lease| lease.untold_since.is_some());
        self.holds(!untold, || format!("member {m} left without committing what it could"));
        self.holds(due || !busy, || {
            format!("close is bounded: member {m} left before its handlers ended or its deadline")
        });
    }

    pub(super) fn closed(&mut self, m: usize, now: Now) {
        let all: Vec<i32> = self.leases_of(m).map(|(p, _)| p).collect();
        self.left_in_time(m, &all, None, now);
        for p in all {
            self.over(m, p);
        }
    }

    pub(super) fn reported(&mut self, m: usize, report: &CloseReport) {
        let Some(closing) = &self.members[&m].closing else { return };
        let own = (closing.drained, closing.abandoned, closing.returned);
        let told = (report.drained, report.abandoned.len(), report.returned);
        self.holds(own == told, || {
            format!("close is bounded: the report says {told:?} (drained, abandoned, returned), not {own:?}")
        });
    }

    /// Nothing is left to be done at this moment: nothing may be overdue.
    pub(super) fn rested(
        &mut self,
        m: usize,
        wake_at: Option<Moment>,
        paused: impl Fn(i32) -> bool,
        now: Now,
    ) {
        self.holds(wake_at.is_none_or(|at| at > now.at), || {
            format!("member {m} would spin: it wants to wake in the past")
        });
        let member = &self.members[&m];
        let stopped = member.stopped;
        let late = |deadline: Option<Moment>| deadline.is_some_and(|deadline| deadline <= now.at);
        let overdue = late(member.revoke_by) || late(member.closing.as_ref().map(|closing| closing.deadline));
        let going = || self.leases_of(m).filter(|(_, lease)| !lease.draining);
        let fetching = going().find(|(p, lease)| lease.pinned && !paused(*p)).map(|(p, _)| p);
        let busy: usize = self.leases_of(m).map(|(_, lease)| lease.count(Stage::Running)).sum();
        let free = !stopped && busy < self.settings.concurrency;
        let idle = going().find_map(|(p, lease)| lease.idle(now).filter(|_| free).map(|offset| (p, offset)));
        let may_commit = self.members[&m].commit.is_none() && self.members[&m].no_commit_before <= now.at;
        let interval = self.settings.commit_interval;
        let silent = may_commit
            && going().any(|(_, lease)| lease.untold_since.is_some_and(|at| at + interval <= now.at));
        let many =
            going().map(|(_, lease)| lease.untold).sum::<usize>() >= self.settings.commit_every_records;
        self.holds(!silent, || format!("a commit of member {m} is overdue by time"));
        self.holds(!(may_commit && many), || format!("a commit of member {m} is overdue by count"));
        self.holds(!overdue, || format!("close is bounded: member {m} is past its deadline"));
        self.holds(fetching.is_none(), || format!("a down DLQ pins: {fetching:?} goes on fetching"));
        self.holds(idle.is_none(), || {
            format!("nothing dropped: {idle:?} could start at member {m} and does not")
        });
    }
}
