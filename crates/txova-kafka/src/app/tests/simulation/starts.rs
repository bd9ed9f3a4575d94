//! What must hold at the moment a handler starts: by what handlers saw before, and by what the group knows.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::super::{GROUP, TOPIC};
use super::story::{At, End, Facts, Run};
use crate::engine::offset_map;
use crate::extract::Attempt;
use crate::outcome::ErrorClass;
use crate::record::TopicPartition;
use crate::testing::Cluster;

impl Facts {
    /// A record is with a handler, in the batch whose first run is `leader`.
    pub(super) fn check_start(
        &mut self,
        m: usize,
        (at, n): (At, u32),
        leader: usize,
        attempt: &Attempt,
        cluster: &Cluster,
    ) {
        let now = Instant::now();
        let known = self.written.contains_key(&at);
        self.holds(known, || format!("{at:?} was never written, and member {m} handles it"));
        self.holds(!attempt.is_cancelled(), || {
            format!("epoch: {at:?} starts at member {m} in an assignment that is over")
        });
        let gone = self.members[m].ended || self.members[m].crashed;
        self.holds(!gone, || format!("epoch: {at:?} starts at member {m}, which has ended"));
        let paused = self.members[m].is_paused;
        self.holds(!paused, || {
            format!("paused: {at:?} starts at member {m}, and its operator wants nothing to")
        });
        let beside = self.running.iter().map(|run| &self.runs[*run]);
        let beside = beside.filter(|run| run.member == m && !run.token.is_cancelled());
        let leaders: BTreeSet<usize> =
            beside.map(|run| run.leader).filter(|other| *other != leader).collect();
        let beside = leaders.len();
        let most = self.concurrency;
        self.holds(beside < most, || format!("bounded: member {m} runs {} at once", beside + 1));
        if self.is_owner(m, at.0, cluster) {
            self.check_overlap(m, at, leader);
        }
        if leader == self.runs.len() {
            self.check_rate(m, at, now); // a batch begins whole
        }
        self.check_lane(m, at, leader);
        self.check_followed(m, at);
        self.check_held(m, at, leader, now);
        self.check_again(m, at, n);
        self.check_committed(m, at, n, cluster, now);
    }

    /// In no time that ends now may more have started than it allows.
    fn check_rate(&mut self, m: usize, at: At, now: Instant) {
        let Some(rate) = self.rate.map(f64::from) else { return };
        let burst = (rate / 10.0).floor().max(1.0);
        let began = self.runs.iter().rev().filter(|run| run.member == m).map(|run| run.began);
        let windows = began.zip(2..).take(64).map(|(began, count)| (count, (now - began).as_secs_f64()));
        let too_many = windows.filter(|(count, span)| f64::from(*count) > burst + rate * span + 1e-6).last();
        if self.runs.last().is_some_and(|run| run.member == m && run.began < now) {
            self.saw("start under a rate limit");
        }
        self.holds(too_many.is_none(), || {
            format!("rate: {at:?} starts at member {m} and is one too many (records, seconds): {too_many:?}")
        });
    }

    /// Whether the group counts on this member for the partition. One that was thrown out and does not know goes on.
    pub(super) fn is_owner(&self, m: usize, p: i32, cluster: &Cluster) -> bool {
        let partition = TopicPartition::new(TOPIC, p);
        let id = self.members[m].id;
        cluster
            .members(GROUP)
            .iter()
            .any(|member| Some(member.id) == id && member.partitions.contains(&partition))
    }

    /// Whether a run may still be there although its record is another's: taken by force, or on its way to its end.
    fn is_excused(&self, run: &Run, m: usize) -> bool {
        let member = &self.members[run.member];
        if run.member == m {
            return run.token.is_cancelled();
        }
        let forced = member.forced.get(&run.at.0).is_some_and(|at| *at >= run.began);
        // In the moment in which it is back after a stop it has not heard what the group did meanwhile.
        let is_back = self.landings.contains(&run.began);
        member.crashed || forced || run.unnoticed || is_back
    }

    fn check_overlap(&mut self, m: usize, at: At, leader: usize) {
        let lane = self.lane(at);
        let others = self.running.iter().map(|run| &self.runs[*run]).filter(|run| run.leader != leader);
        let beside = others.into_iter().find(|run| {
            let same_lane = run.at.0 == at.0 && lane.is_some() && self.lane(run.at) == lane;
            (same_lane || run.at == at) && !self.is_excused(run, m)
        });
        let found = beside.map(|run| (run.member, run.at));
        self.holds(found.is_none(), || {
            format!("key-order: {at:?} starts at member {m} beside {found:?} (member, record)")
        });
    }

    /// Records of a lane start in order, each after the one before is settled, or right behind it in a batch.
    fn check_lane(&mut self, m: usize, at: At, leader: usize) {
        let Some(lane) = self.lane(at) else { return };
        let before = self.written.range((at.0, 0)..at).map(|(before, _)| *before);
        let unsettled = before
            .filter(|before| self.lane(*before) == Some(lane))
            .filter(|before| !self.runs[leader.min(self.runs.len())..].iter().any(|run| run.at == *before))
            .find(|before| self.settled_at(*before).is_none());
        self.holds(unsettled.is_none(), || {
            format!("key-order: {at:?} starts at member {m} while {unsettled:?} before it is not settled")
        });
    }

    /// In follow mode nothing of a key starts behind an open dead letter that its member knows: one that it wrote itself,
    /// in whichever assignment, or one that was there before it got the partition. Of what somebody else, who was thrown out,
    /// writes later it cannot know.
    fn check_followed(&mut self, m: usize, at: At) {
        if !self.follows {
            return;
        }
        let lane = self.lane(at);
        let mut earlier = self.runs.iter().rev().filter(|run| run.member == m && run.at.0 == at.0);
        let in_earlier = earlier.find(|run| run.token.is_cancelled()).map(|run| run.began);
        let before_it_came = in_earlier.into_iter().chain([self.members[m].joined]).max();
        let before = self.written.range((at.0, 0)..at).filter(|(before, _)| self.lane(**before) == lane);
        let open = before.map(|(before, _)| *before).find(|before| {
            let was_there = self.letters.first_at(*before).is_some_and(|since| Some(since) < before_it_came);
            was_there || self.letters.has_one_by(m, *before)
        });
        self.holds(open.is_none(), || {
            format!("follow: {at:?} starts at member {m}, and {open:?} before it is an open dead letter")
        });
    }

    /// Inside one assignment a record starts again only after a failure that could pass, and its attempts count on.
    fn check_again(&mut self, m: usize, at: At, n: u32) {
        let Some(written) = self.written.get(&at) else { return };
        let failures = written.failures;
        let last = written.runs.last().map(|run| &self.runs[*run]);
        let elsewhere = last.is_some_and(|run| run.member != m);
        let here = last.filter(|run| run.member == m && !run.token.is_cancelled());
        let again = here.map(|run| (run.attempt, run.end.map(|(_, end)| end), run.has_others));
        if elsewhere {
            self.saw("started again by another member");
        }
        if n > 1 {
            self.saw("tried again");
        }
        self.holds(n <= failures + 1, || {
            format!("attempts persist: attempt {n} of {at:?} starts, and {failures} have failed")
        });
        let Some((before, end, had_others)) = again else { return };
        let failed = matches!(
            end,
            Some(End::Failed(ErrorClass::Transient) | End::FailedTogether(_) | End::Panicked | End::TimedOut)
        );
        // Of a batch that fails as a whole while its handler is held back, what is behind another of its lane only waits.
        let waited = end == Some(End::HeldBack) || failed && had_others && self.can_be_held;
        let held_back = waited && n == before;
        self.holds(failed && n == before + 1 || held_back, || {
            format!("{at:?} starts at member {m} as attempt {n} after attempt {before}, which ended {end:?}")
        });
    }

    /// Whether this is the first moment the group counts on a member again that it had thrown out: the member may not have
    /// heard yet that what it had was another's meanwhile.
    fn is_just_back(&mut self, m: usize, p: i32, now: Instant) -> bool {
        let member = &mut self.members[m];
        let Some(forced) = member.forced.get(&p) else { return false };
        let back = member.back.entry(p).or_insert(now);
        if *back < *forced {
            *back = now;
        }
        *back == now
    }

    /// What the group's commit says of a record holds for whoever has the partition.
    fn check_committed(&mut self, m: usize, at: At, n: u32, cluster: &Cluster, now: Instant) {
        let partition = TopicPartition::new(TOPIC, at.0);
        let is_owner = self.is_owner(m, at.0, cluster);
        let just_back = is_owner && self.is_just_back(m, at.0, now);
        let committed = cluster.committed_by(GROUP, &partition).filter(|_| is_owner && !just_back);
        let Some((offset, metadata)) = committed else { return };
        let map = match offset_map::decode(offset, &metadata) {
            Ok(map) => map,
            Err(error) => return self.holds(false, || format!("the metadata of {partition}: {error}")),
        };
        let done = at.1 < offset || map.done.iter().any(|run| run.contains(&at.1));
        self.holds(!done, || {
            format!("{at:?} starts at member {m}, and the group has committed that it is settled")
        });
        let failing = map.failing.iter().find(|failing| failing.offset == at.1);
        let failed = failing.map_or(0, |failing| failing.attempts);
        self.holds(n > failed, || {
            format!(
                "attempts persist: {at:?} starts as attempt {n}, and the commit says that {failed} failed"
            )
        });
    }
}
