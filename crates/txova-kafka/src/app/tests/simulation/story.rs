//! What really happened, as handlers see it, and what must hold at the moment a handler starts. It must never ask an app
//! how it is.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::super::{GROUP, TOPIC};
use super::letters::Letters;
use crate::config::Order;
use crate::engine::offset_map;
use crate::extract::Attempt;
use crate::outcome::ErrorClass;
use crate::record::{OutgoingRecord, TopicPartition};
use crate::testing::{Cluster, MemberId};

/// `TXOVA_SIM_TELL=1` prints what happens: for looking into a seed.
static TELL: LazyLock<bool> = LazyLock::new(|| std::env::var_os("TXOVA_SIM_TELL").is_some());

/// Partition and offset.
pub(super) type At = (i32, i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// Fails by chance.
    Sound,
    /// Every attempt fails and could pass.
    Flawed,
    /// Every attempt fails for good.
    Poison,
    /// No event: no handler ever sees it.
    Garbage,
    /// No value: no handler ever sees it, and it is ignored.
    Tombstone,
}

pub(super) struct Written {
    pub nature: Nature,
    pub sent: OutgoingRecord,
    /// When a handler first said ok or skip.
    pub settled_at: Option<Instant>,
    /// Runs that ended in an error, a panic or too late.
    pub failures: u32,
    pub failed_for_good: bool,
    /// Every run of it.
    pub runs: Vec<usize>,
}

pub(super) struct Run {
    pub member: usize,
    pub at: At,
    pub began: Instant,
    /// How it ended; `None` while it runs.
    pub end: Option<(Instant, End)>,
    pub attempt: u32,
    /// Its member had been thrown out and did not know.
    unnoticed: bool,
    token: Attempt,
    /// When it was first seen to have been told that its partition goes.
    told: Option<Instant>,
}

impl Run {
    pub(super) fn told(&mut self) -> Option<Instant> {
        if self.told.is_none() && self.token.is_cancelled() {
            self.told = Some(Instant::now());
        }
        self.told
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Handled,
    Failed(ErrorClass),
    Panicked,
    TimedOut,
    Aborted,
}

/// What the script did to a member, and what its handlers said.
pub(super) struct MemberFacts {
    pub id: Option<MemberId>,
    pub crashed: bool,
    /// One of its handlers said stop …
    pub stopped: bool,
    /// … in an assignment that was not over.
    pub must_stop: bool,
    pub ended: bool,
    /// When its partitions were taken without asking.
    pub forced: BTreeMap<i32, Instant>,
}

pub(super) struct Facts {
    pub began: Instant,
    pub violation: Option<String>,
    pub events: BTreeMap<&'static str, usize>,
    pub digest: u64,
    pub written: BTreeMap<At, Written>,
    pub runs: Vec<Run>,
    /// Those that have not ended.
    pub running: Vec<usize>,
    pub members: Vec<MemberFacts>,
    pub letters: Letters,
    pub calm: bool,
    /// Where the clock landed after its jumps: there what should come in order comes at once.
    pub landings: Vec<Instant>,
    pub order: Order,
    pub concurrency: usize,
    pub processing_timeout: Duration,
}

/// The facts of one world, shared with its handlers.
#[derive(Clone)]
pub(super) struct Story {
    facts: Arc<Mutex<Facts>>,
    pub cluster: Cluster,
}

impl Story {
    pub(super) fn new(cluster: Cluster, facts: Facts) -> Self {
        Self { facts: Arc::new(Mutex::new(facts)), cluster }
    }

    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A handler begins. The number of the run, and how many the record had before.
    pub(super) fn started(&self, member: usize, at: At, attempt: &Attempt) -> (usize, usize) {
        let mut facts = self.facts();
        facts.letters.look(&self.cluster);
        facts.check_start(member, at, attempt, &self.cluster);
        let run = facts.runs.len();
        facts.tell(&format!("start {member} {at:?} {}", attempt.number()));
        let began = Instant::now();
        let (number, token) = (attempt.number(), attempt.clone());
        let unnoticed = !facts.is_owner(member, at.0, &self.cluster);
        facts.runs.push(Run { member, at, began, end: None, attempt: number, unnoticed, token, told: None });
        facts.running.push(run);
        let before = facts.written.get_mut(&at).map_or(0, |written| {
            written.runs.push(run);
            written.runs.len() - 1
        });
        (run, before)
    }

    pub(super) fn ended(&self, run: usize, end: End) {
        self.facts().ended(run, end);
    }
}

impl Facts {
    pub(super) fn holds(&mut self, truth: bool, sentence: impl FnOnce() -> String) {
        if !truth && self.violation.is_none() {
            let at = self.began.elapsed();
            self.violation = Some(format!("after {at:?}: {}", sentence()));
        }
    }

    pub(super) fn saw(&mut self, event: &'static str) {
        *self.events.entry(event).or_default() += 1;
    }

    /// Adds to the digest (FNV-1a).
    pub(super) fn tell(&mut self, what: &str) {
        let at = self.began.elapsed().as_micros() as u64;
        if *TELL {
            eprintln!("{at:>12} {what}");
        }
        for byte in at.to_le_bytes().into_iter().chain(what.bytes()) {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// Records that must not run beside each other share a lane; `None` may run beside anything.
    fn lane(&self, at: At) -> Option<&[u8]> {
        match self.order {
            Order::None => None,
            Order::Partition => Some(&[]),
            Order::Key => Some(self.written.get(&at)?.sent.key.as_deref().unwrap_or(&[])),
        }
    }

    pub(super) fn settled_at(&self, at: At) -> Option<Instant> {
        let written = self.written.get(&at)?;
        let settled = if written.nature == Nature::Tombstone { Some(self.began) } else { written.settled_at };
        let letter = self.letters.first_at(at);
        settled.into_iter().chain(letter).min()
    }

    fn check_start(&mut self, m: usize, at: At, attempt: &Attempt, cluster: &Cluster) {
        let now = Instant::now();
        let n = attempt.number();
        let known = self.written.contains_key(&at);
        self.holds(known, || format!("{at:?} was never written, and member {m} handles it"));
        self.holds(!attempt.is_cancelled(), || {
            format!("epoch: {at:?} starts at member {m} in an assignment that is over")
        });
        let gone = self.members[m].ended || self.members[m].crashed;
        self.holds(!gone, || format!("epoch: {at:?} starts at member {m}, which has ended"));
        let beside = self.running.iter().map(|run| &self.runs[*run]);
        let beside = beside.filter(|run| run.member == m && !run.token.is_cancelled()).count();
        let most = self.concurrency;
        self.holds(beside < most, || format!("bounded: member {m} runs {} at once", beside + 1));
        if self.is_owner(m, at.0, cluster) {
            self.check_overlap(m, at);
        }
        self.check_lane(m, at);
        self.check_again(m, at, n);
        self.check_committed(m, at, n, cluster, now);
    }

    /// Whether the group counts on this member for the partition. One that was thrown out and does not know goes on.
    fn is_owner(&self, m: usize, p: i32, cluster: &Cluster) -> bool {
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
        member.crashed || forced || run.unnoticed
    }

    fn check_overlap(&mut self, m: usize, at: At) {
        let lane = self.lane(at);
        let beside = self.running.iter().map(|run| &self.runs[*run]).find(|run| {
            let same_lane = run.at.0 == at.0 && lane.is_some() && self.lane(run.at) == lane;
            (same_lane || run.at == at) && !self.is_excused(run, m)
        });
        let found = beside.map(|run| (run.member, run.at));
        self.holds(found.is_none(), || {
            format!("key-order: {at:?} starts at member {m} beside {found:?} (member, record)")
        });
    }

    /// Records of a lane start in order, each after the one before is settled.
    fn check_lane(&mut self, m: usize, at: At) {
        let Some(lane) = self.lane(at) else { return };
        let before = self.written.range((at.0, 0)..at).map(|(before, _)| *before);
        let unsettled = before
            .filter(|before| self.lane(*before) == Some(lane))
            .find(|before| self.settled_at(*before).is_none());
        self.holds(unsettled.is_none(), || {
            format!("key-order: {at:?} starts at member {m} while {unsettled:?} before it is not settled")
        });
    }

    /// Inside one assignment a record starts again only after a failure that could pass, and its attempts count on.
    fn check_again(&mut self, m: usize, at: At, n: u32) {
        let Some(written) = self.written.get(&at) else { return };
        let failures = written.failures;
        let last = written.runs.last().map(|run| &self.runs[*run]);
        let elsewhere = last.is_some_and(|run| run.member != m);
        let here = last.filter(|run| run.member == m && !run.token.is_cancelled());
        let again = here.map(|run| (run.attempt, run.end.map(|(_, end)| end)));
        if elsewhere {
            self.saw("started again by another member");
        }
        if n > 1 {
            self.saw("tried again");
        }
        self.holds(n <= failures + 1, || {
            format!("attempts persist: attempt {n} of {at:?} starts, and {failures} have failed")
        });
        let Some((before, end)) = again else { return };
        let failed = matches!(end, Some(End::Failed(ErrorClass::Transient) | End::Panicked | End::TimedOut));
        self.holds(failed && n == before + 1, || {
            format!("{at:?} starts at member {m} as attempt {n} after attempt {before}, which ended {end:?}")
        });
    }

    /// What the group's commit says of a record holds for whoever has the partition.
    fn check_committed(&mut self, m: usize, at: At, n: u32, cluster: &Cluster, now: Instant) {
        let partition = TopicPartition::new(TOPIC, at.0);
        let is_owner = self.is_owner(m, at.0, cluster);
        let just_forced = self.members[m].forced.get(&at.0) == Some(&now);
        let committed = cluster.committed_by(GROUP, &partition).filter(|_| is_owner && !just_forced);
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

    fn ended(&mut self, run: usize, mut end: End) {
        let now = Instant::now();
        let limit = self.processing_timeout;
        self.running.retain(|other| *other != run);
        let Some(known) = self.runs.get_mut(run) else { return };
        let (at, m, cancelled) = (known.at, known.member, known.token.is_cancelled());
        if end == End::Aborted && now - known.began >= limit {
            end = End::TimedOut;
        }
        known.end = Some((now, end));
        let ran = now - known.began;
        let crashed = self.members[m].crashed || self.members[m].ended;
        self.holds(end != End::Aborted || cancelled || crashed, || {
            format!("{at:?} is ended at member {m} after {ran:?} and was not told before")
        });
        self.holds(ran <= limit || self.events.contains_key("clock jumps"), || {
            format!("{at:?} runs for {ran:?} at member {m}, longer than {limit:?}")
        });
        if end != End::Aborted {
            self.tell(&format!("end {m} {at:?} {end:?}")); // aborts at one moment have no order
        }
        let event = match end {
            End::Handled => "handled",
            End::Failed(_) => "failed",
            End::Panicked => "panicked",
            End::TimedOut => "ended by timeout",
            End::Aborted => "ended by abort",
        };
        self.saw(event);
        if end == End::Failed(ErrorClass::Stop) {
            self.members[m].stopped = true;
            self.members[m].must_stop |= !cancelled;
        }
        let Some(written) = self.written.get_mut(&at) else { return };
        match end {
            End::Handled | End::Failed(ErrorClass::Skip) => {
                written.settled_at.get_or_insert(now);
            }
            End::Failed(ErrorClass::Permanent) => {
                written.failed_for_good = true;
                written.failures += 1;
            }
            End::Failed(ErrorClass::Transient) | End::Panicked | End::TimedOut => written.failures += 1,
            End::Failed(ErrorClass::Stop) | End::Aborted => {}
        }
    }
}
