//! The checker's account of one assignment of one partition to one member.

use std::collections::BTreeMap;
use std::time::Duration;

use super::log::Entry;
use crate::engine::offset_map::{Failing, OffsetMap};
use crate::engine::{BatchLimits, Moment, Now};
use crate::outcome::HandlerId;

pub(super) struct Lease {
    pub epoch: u64,
    /// The lowest offset that is new.
    pub next: Option<i64>,
    /// What came with the committed offset.
    base: OffsetMap,
    pub taken: BTreeMap<i64, Taken>,
    /// Nothing starts any more.
    pub draining: bool,
    /// It is being given back, and the release carries the last commit.
    pub revoked: bool,
    pub pinned: bool,
    /// Since when there is something that no commit has told.
    pub untold_since: Option<Moment>,
    /// Records settled since the last commit.
    pub untold: usize,
}

pub(super) struct Taken {
    pub handler: HandlerId,
    pub key: Option<u64>,
    pub lane: Option<u64>,
    pub bytes: usize,
    /// The batches it goes with, while it has not failed.
    pub batch: Option<u32>,
    /// Since when it was seen to wait for nothing but its batch.
    free_since: Option<Moment>,
    /// It failed with its batch, and has a run alone to come.
    pub owed: bool,
    pub stage: Stage,
    /// Attempts that failed and count.
    pub attempts: u32,
    /// Those that failed in an outage.
    pub spared: u32,
    pub first_failure_ms: Option<i64>,
    /// The next attempt may not start before.
    pub not_before: Moment,
    /// … and not after, as far as it depends on time.
    pub not_after: Moment,
    /// Its last failure allows a dead letter.
    pub may_be_dead: bool,
    /// It failed here, so its handler is known.
    pub is_known: bool,
    /// Its last failure was in an outage and did not count.
    pub is_spared: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Waiting,
    /// With a handler; the first of its batch.
    Running,
    /// With a handler, in the batch of another.
    Batched,
    BackingOff,
    /// Its dead letter is being written.
    Writing,
    /// Its dead letter was refused.
    Down,
    Stopped,
    /// Its handler is held back.
    Held,
    Settled,
}

impl Taken {
    /// It failed in an outage, which costs it nothing.
    pub(super) fn waits_in_outage(&mut self, retry_after: Option<Duration>, now: Now) {
        self.becomes(if retry_after.is_some() { Stage::BackingOff } else { Stage::Held });
        self.not_before = now.at + retry_after.unwrap_or_default();
        self.not_after = self.not_before;
        self.may_be_dead = false;
        self.is_spared = true;
        self.spared += 1;
        self.is_known = true;
    }

    pub(super) fn becomes(&mut self, stage: Stage) {
        self.stage = stage;
        self.free_since = None;
    }
}

impl Lease {
    pub(super) fn new(epoch: u64, next: Option<i64>, base: OffsetMap) -> Self {
        Self {
            epoch,
            next,
            base,
            taken: BTreeMap::new(),
            draining: false,
            revoked: false,
            pinned: false,
            untold_since: None,
            untold: 0,
        }
    }

    pub(super) fn take(&mut self, entry: Entry, lane: Option<u64>, now: Now) {
        let done = self.base.done.iter().any(|run| run.contains(&entry.offset));
        let failing = self.base.failing.iter().find(|failing| failing.offset == entry.offset);
        let taken = Taken {
            handler: entry.handler,
            key: entry.key,
            lane,
            bytes: entry.bytes,
            batch: entry.batch.filter(|_| failing.is_none()),
            free_since: None,
            owed: false,
            stage: if done { Stage::Settled } else { Stage::Waiting },
            attempts: failing.map_or(0, |failing| failing.attempts),
            spared: 0,
            first_failure_ms: failing.map(|failing| failing.first_failure_s * 1000),
            not_before: now.at,
            not_after: now.at,
            may_be_dead: false,
            is_known: false,
            is_spared: false,
        };
        while self.taken.first_entry().is_some_and(|first| first.get().stage == Stage::Settled) {
            self.taken.pop_first();
        }
        if done {
            self.settled(now);
        } else if self.next.is_none() {
            self.changed(now);
        }
        self.taken.insert(entry.offset, taken);
        self.next = Some(entry.offset + 1);
    }

    /// Something is worth a commit.
    pub(super) fn changed(&mut self, now: Now) {
        self.untold_since.get_or_insert(now.at);
    }

    pub(super) fn settled(&mut self, now: Now) {
        self.untold += 1;
        self.changed(now);
    }

    /// A commit was sent.
    pub(super) fn told(&mut self) {
        self.untold = 0;
        self.untold_since = None;
    }

    fn unsettled(&self) -> impl Iterator<Item = (i64, &Taken)> {
        self.taken
            .iter()
            .filter(|(_, taken)| taken.stage != Stage::Settled)
            .map(|(offset, taken)| (*offset, taken))
    }

    /// Records taken and not settled, and their bytes.
    pub(super) fn in_flight(&self) -> (usize, usize) {
        self.unsettled().fold((0, 0), |(records, bytes), (_, taken)| (records + 1, bytes + taken.bytes))
    }

    pub(super) fn with_handlers(&self) -> usize {
        self.count(Stage::Running) + self.count(Stage::Batched)
    }

    pub(super) fn count(&self, stage: Stage) -> usize {
        self.taken.values().filter(|taken| taken.stage == stage).count()
    }

    pub(super) fn unsettled_of_lane_before(&self, offset: i64) -> Option<i64> {
        let lane = self.taken.get(&offset)?.lane?;
        self.unsettled()
            .find(|(before, taken)| *before < offset && taken.lane == Some(lane))
            .map(|(before, _)| before)
    }

    /// A record that could start now: nothing before it in its lane, no back-off that lasts, no batch that may still fill.
    pub(super) fn idle(
        &self,
        now: Now,
        batches: &[BatchLimits],
        is_away: impl Fn(HandlerId) -> bool,
    ) -> Option<i64> {
        let due = |taken: &Taken| match (taken.stage, taken.batch) {
            // One that failed is known to be for a handler that is held back, and waits with the others.
            (Stage::Waiting | Stage::BackingOff, _) if taken.is_known && is_away(taken.handler) => false,
            (Stage::Waiting, None) => true,
            (Stage::Waiting, Some(batch)) => {
                let wait = batches[batch as usize].max_wait;
                taken.free_since.is_some_and(|since| since + wait <= now.at)
            }
            (Stage::BackingOff, None) => now.at > taken.not_after,
            (Stage::BackingOff, Some(batch)) => now.at > taken.not_after + batches[batch as usize].max_wait,
            _ => false,
        };
        let mut due = self.unsettled().filter(|(_, taken)| !self.pinned && due(taken));
        due.find(|(offset, _)| self.unsettled_of_lane_before(*offset).is_none()).map(|(offset, _)| offset)
    }

    /// Notes which records wait for nothing but their batch.
    pub(super) fn note_free(&mut self, now: Now) {
        let free: Vec<i64> = self
            .unsettled()
            .filter(|(_, taken)| taken.stage == Stage::Waiting && taken.free_since.is_none())
            .map(|(offset, _)| offset)
            .filter(|offset| self.unsettled_of_lane_before(*offset).is_none())
            .collect();
        for offset in free {
            if let Some(taken) = self.taken.get_mut(&offset) {
                taken.free_since = Some(now.at);
            }
        }
    }

    /// Where the group should go on.
    pub(super) fn position(&self) -> Option<i64> {
        self.unsettled().next().map(|(offset, _)| offset).or(self.next)
    }

    /// Compares a map with this account: what it tells must be so, and when it is whole, it must tell all.
    pub(super) fn what_is_wrong_with(&self, map: &OffsetMap, position: i64, whole: bool) -> Option<String> {
        let next = self.next?;
        let mut failing: Vec<Failing> = Vec::new();
        for (offset, taken) in self.unsettled().filter(|(_, taken)| taken.attempts > 0) {
            let first_failure_s = taken.first_failure_ms?.div_euclid(1000).max(0);
            failing.push(Failing { offset, attempts: taken.attempts, first_failure_s });
        }
        failing.extend(self.base.failing.iter().filter(|failing| failing.offset >= next));
        if !failing.starts_with(&map.failing) || whole && failing.len() != map.failing.len() {
            return Some(format!("attempts persist: {:?} are failing, not {:?}", failing, map.failing));
        }
        let covered = |offset: i64| offset < position || map.done.iter().any(|run| run.contains(&offset));
        let settled =
            self.taken.iter().filter(|(_, taken)| taken.stage == Stage::Settled).map(|(offset, _)| *offset);
        let before = self.base.done.iter().filter(|run| run.end > next);
        let before = before.flat_map(|run| [run.start.max(next), run.end - 1]);
        let mut known = settled.chain(before);
        let lost = known.find(|offset| whole && !covered(*offset))?;
        Some(format!(
            "commit-covers-settled: {lost} is settled and not in {map:?}; known before: {:?}",
            self.base
        ))
    }
}
