//! What really happened, as handlers see it. It must never ask an app how it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::letters::Letters;
use crate::config::Order;
use crate::extract::Attempt;
use crate::outcome::ErrorClass;
use crate::record::OutgoingRecord;
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
    /// For the handler of batches, and not what its type says: no handler ever sees it.
    Illegible,
    /// No value: no handler ever sees it, and it is ignored.
    Tombstone,
}

impl Nature {
    pub(super) fn is_no_event(self) -> bool {
        matches!(self, Self::Garbage | Self::Illegible)
    }
}

pub(super) struct Written {
    pub nature: Nature,
    pub sent: OutgoingRecord,
    /// It is for the handler of batches.
    pub is_weighed: bool,
    /// When a handler first said ok or skip.
    pub settled_at: Option<Instant>,
    /// Runs that ended in an error, a panic or too late.
    pub failures: u32,
    pub failed_for_good: bool,
    /// The outage and the member of all its failures, where they were in one and could pass.
    pub failed_in_outage: Option<(usize, usize)>,
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
    /// The first run of its batch, itself where it is the first or alone.
    pub leader: usize,
    /// Others are in its batch.
    pub has_others: bool,
    /// Its member had been thrown out and did not know.
    pub unnoticed: bool,
    pub token: Attempt,
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
    /// Its batch failed, and it is not said which record it was.
    FailedTogether(ErrorClass),
    /// Behind a record of its lane, in its batch, that is not settled.
    HeldBack,
}

/// What the script did to a member, and what its handlers said.
pub(super) struct MemberFacts {
    pub id: Option<MemberId>,
    pub joined: Instant,
    pub crashed: bool,
    /// One of its handlers said stop …
    pub stopped: bool,
    /// … in an assignment that was not over.
    pub must_stop: bool,
    pub ended: bool,
    /// When its partitions were taken without asking.
    pub forced: BTreeMap<i32, Instant>,
    /// When it was first seen to have them again.
    pub back: BTreeMap<i32, Instant>,
    /// Of the handler of single events, and of that of batches.
    pub rows: [Row; 2],
    /// It has said that an operator has paused it.
    pub is_paused: bool,
}

/// Records that failed since a handler's last success, and when they became too many.
#[derive(Default)]
pub(super) struct Row {
    pub failed: BTreeSet<At>,
    /// Those that are not counted yet: when they ended, and in which assignment.
    pub fresh: Vec<(At, Instant, Attempt)>,
    pub held_since: Option<Instant>,
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
    /// Records that may start in a second at one member.
    pub rate: Option<u32>,
    /// Records that fail in a row before a handler is held back, whatever their keys.
    pub held_after: Option<usize>,
    pub can_be_held: bool,
    /// Records of a key follow its dead letters.
    pub follows: bool,
    /// What handlers need is away: all fail.
    pub is_away: bool,
    pub outages: usize,
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

    /// A handler begins with one record, or with those of a batch. The number of each run, and how many its record had
    /// before.
    pub(super) fn started(
        &self,
        member: usize,
        batch: &[(At, u32)],
        attempt: &Attempt,
    ) -> Vec<(usize, usize)> {
        let mut facts = self.facts();
        facts.letters.look(&self.cluster);
        let (leader, has_others) = (facts.runs.len(), batch.len() > 1);
        let started =
            |it: &(At, u32)| facts.started(member, *it, (leader, has_others), attempt, &self.cluster);
        batch.iter().map(started).collect()
    }

    /// Each run ended so, in the order of the batch.
    pub(super) fn ended(&self, runs: &[(usize, End)]) {
        let mut facts = self.facts();
        let mut open: Vec<At> = Vec::new();
        for (run, end) in runs {
            let at = facts.runs[*run].at;
            let lane = facts.lane(at);
            let is_behind = lane.is_some() && open.iter().any(|before| facts.lane(*before) == lane);
            let end = match end {
                End::Handled | End::Failed(_) if is_behind => End::HeldBack,
                end => *end,
            };
            facts.ended(*run, end);
            if !matches!(end, End::Handled | End::Failed(ErrorClass::Skip)) {
                open.push(at);
            }
        }
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
    pub(super) fn lane(&self, at: At) -> Option<&[u8]> {
        match self.order {
            Order::None => None,
            Order::Partition => Some(&[]),
            Order::Key => Some(self.written.get(&at)?.sent.key.as_deref().unwrap_or(&[])),
        }
    }

    /// The handler a record is for.
    pub(super) fn handler(&self, at: At) -> usize {
        self.written.get(&at).map_or(0, |written| usize::from(written.is_weighed))
    }

    /// Whether there is a dead letter that this record can follow.
    pub(super) fn may_follow(&self, at: At) -> bool {
        let is_before = |before: &At| before.0 == at.0 && *before < at && self.lane(*before) == self.lane(at);
        self.follows && self.letters.by_origin.keys().any(is_before)
    }

    pub(super) fn settled_at(&self, at: At) -> Option<Instant> {
        let written = self.written.get(&at)?;
        let settled = if written.nature == Nature::Tombstone { Some(self.began) } else { written.settled_at };
        let letter = self.letters.first_at(at);
        settled.into_iter().chain(letter).min()
    }

    fn started(
        &mut self,
        member: usize,
        (at, number): (At, u32),
        (leader, has_others): (usize, bool),
        attempt: &Attempt,
        cluster: &Cluster,
    ) -> (usize, usize) {
        self.check_start(member, (at, number), leader, attempt, cluster);
        let run = self.runs.len();
        self.tell(&format!("start {member} {at:?} {number}"));
        let began = Instant::now();
        let token = attempt.clone();
        let unnoticed = !self.is_owner(member, at.0, cluster);
        self.runs.push(Run {
            member,
            at,
            began,
            end: None,
            attempt: number,
            leader,
            has_others,
            unnoticed,
            token,
            told: None,
        });
        self.running.push(run);
        let before = self.written.get_mut(&at).map_or(0, |written| {
            written.runs.push(run);
            written.runs.len() - 1
        });
        (run, before)
    }

    fn ended(&mut self, run: usize, mut end: End) {
        let now = Instant::now();
        let limit = self.processing_timeout;
        self.running.retain(|other| *other != run);
        let Some(known) = self.runs.get_mut(run) else { return };
        let (at, m, cancelled) = (known.at, known.member, known.token.is_cancelled());
        let is_abort = end == End::Aborted;
        if is_abort && now - known.began >= limit {
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
        if !is_abort {
            self.tell(&format!("end {m} {at:?} {end:?}")); // aborts at one moment have no order
        }
        let event = match end {
            End::Handled => "handled",
            End::Failed(_) => "failed",
            End::Panicked => "panicked",
            End::TimedOut => "ended by timeout",
            End::Aborted => "ended by abort",
            End::FailedTogether(_) => "failed with its batch",
            End::HeldBack => "held back in its batch",
        };
        self.saw(event);
        if end == End::Failed(ErrorClass::Stop) {
            self.members[m].stopped = true;
            self.members[m].must_stop |= !cancelled;
        }
        self.note_row(run, end);
        let outage = self.is_away.then_some((self.outages, m));
        let Some(written) = self.written.get_mut(&at) else { return };
        let same = outage.filter(|_| written.failures == 0 || written.failed_in_outage == outage);
        match end {
            End::Handled | End::Failed(ErrorClass::Skip) => {
                written.settled_at.get_or_insert(now);
            }
            End::Failed(ErrorClass::Permanent) => {
                written.failed_for_good = true;
                written.failed_in_outage = None;
                written.failures += 1;
            }
            End::Failed(ErrorClass::Transient) | End::FailedTogether(_) | End::Panicked | End::TimedOut => {
                written.failures += 1;
                written.failed_in_outage = same;
            }
            End::Failed(ErrorClass::Stop) | End::Aborted | End::HeldBack => {}
        }
    }
}
