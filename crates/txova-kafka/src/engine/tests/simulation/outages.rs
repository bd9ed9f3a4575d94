//! The checker's own account of handlers held back: when one must be, when not, and who may start then.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::checker::Checker;
use super::lease::{Stage, Taken};
use crate::engine::{BreakerChange, Moment, Now, Settings};
use crate::outcome::{ErrorClass, Failure, HandlerId};

/// What one member's handler did lately.
#[derive(Default)]
pub(super) struct Account {
    /// Records that failed since the last success, transiently and for good.
    rows: [BTreeMap<Place, (Key, u32)>; 2],
    /// The last records that ended; the key where it was to be a dead letter.
    recent: VecDeque<Option<Key>>,
    pub(super) outage: Option<Outage>,
    /// The last change the engine has not told of.
    untold: Option<bool>,
}

/// A handler that must be held back.
pub(super) struct Outage {
    pub(super) probe: Option<(i32, i64)>,
    failed: u32,
    /// The next probe may not start before, and must have by `latest`.
    earliest: Moment,
    latest: Moment,
    last: Option<(i32, i64)>,
    /// What waited when the last probe failed.
    waited: BTreeSet<(i32, i64)>,
}

/// Partition, offset, epoch.
type Place = (i32, i64, u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Of(u64),
    None(Place),
}

/// An attempt that ended.
pub(super) struct Ended {
    pub handler: HandlerId,
    pub place: Place,
    pub key: Option<u64>,
}

impl Checker {
    fn account(&mut self, m: usize, handler: HandlerId) -> &mut Account {
        self.members.get_mut(&m).expect("it runs").accounts.entry(handler).or_default()
    }

    pub(super) fn is_away(&self, m: usize, handler: HandlerId) -> bool {
        self.members[&m].accounts.get(&handler).is_some_and(|account| account.outage.is_some())
    }

    /// A handler said ok or skip.
    pub(super) fn did_well(&mut self, m: usize, ended: &Ended, now: Now) {
        let Some(settings) = self.settings.breaker.clone() else { return };
        let account = self.account(m, ended.handler);
        if account.outage.is_none() {
            account.rows = Default::default();
            account.remember(None, settings.failures);
            return;
        }
        let (p, offset, _) = ended.place;
        if account.outage.as_ref().is_some_and(|outage| outage.probe == Some((p, offset))) {
            account.outage = None;
            account.untold = Some(false);
            self.saw("healed");
            for (_, lease) in self.leases.range_mut((m, i32::MIN)..=(m, i32::MAX)) {
                let of_handler = lease.taken.values_mut().filter(|taken| taken.handler == ended.handler);
                let rang = |taken: &Taken| taken.stage == Stage::BackingOff && taken.not_after <= now.at;
                let waiting = of_handler.filter(|taken| taken.stage == Stage::Held || rang(taken));
                waiting.for_each(|taken| taken.becomes(Stage::Waiting));
            }
        }
    }

    /// A handler failed. True where it is the world's fault, and the record waits.
    pub(super) fn did_ill(
        &mut self,
        m: usize,
        ended: &Ended,
        failure: &Failure,
        is_last: bool,
        now: Now,
    ) -> bool {
        let Some(settings) = self.settings.breaker.clone() else { return false };
        let is_transient = failure.class == ErrorClass::Transient;
        let wait = |failed| waits(&self.settings, failed, failure.retry_after, now.at);
        let (first, held) = (wait(1), self.held(m, ended.handler));
        let again = |failed: u32| wait(failed);
        let (p, offset, _) = ended.place;
        let mut event = None;
        let mut spent = BTreeMap::new();
        let account = self.members.get_mut(&m).expect("it runs").accounts.entry(ended.handler).or_default();
        if let Some(outage) = &mut account.outage {
            if outage.probe.take_if(|probe| *probe == (p, offset)).is_some() {
                outage.failed += u32::from(is_transient);
                (outage.earliest, outage.latest) = if is_transient { again(outage.failed) } else { first };
                outage.last = Some((p, offset));
                outage.waited = held;
                event = Some(if is_transient { "probe failed" } else { "probe failed for good" });
            }
        } else {
            let key = ended.key.map_or(Key::None(ended.place), Key::Of);
            let row = &mut account.rows[usize::from(!is_transient)];
            let is_full = row.len() >= settings.failures as usize;
            let adds_nothing = is_full && row.values().any(|(known, _)| *known == key);
            match row.get_mut(&ended.place) {
                Some((_, attempts)) => *attempts += 1,
                None if adds_nothing => {}
                None => drop(row.insert(ended.place, (key, 1))),
            }
            let enough = |keys: Vec<Key>| {
                let different = keys.iter().collect::<BTreeSet<_>>().len();
                keys.len() >= settings.failures as usize && different >= settings.keys as usize
            };
            let in_a_row = enough(row.values().map(|(key, _)| *key).collect());
            if is_last {
                account.remember(Some(key), settings.failures);
            }
            let dead: Vec<Key> = account.recent.iter().flatten().copied().collect();
            let share = dead.len() as f64 >= account.recent.len() as f64 * settings.share;
            if in_a_row || is_last && share && enough(dead) {
                let (earliest, latest) = first;
                spent = std::mem::take(&mut account.rows[0]);
                *account = Account {
                    outage: Some(Outage {
                        probe: None,
                        failed: 0,
                        earliest,
                        latest,
                        last: None,
                        waited: BTreeSet::new(),
                    }),
                    untold: Some(true),
                    ..Account::default()
                };
                event = Some(if in_a_row { "held back for a row" } else { "held back for a share" });
            }
        }
        let away = account.outage.is_some();
        event.into_iter().for_each(|event| self.saw(event));
        self.give_attempts_back(m, spent, is_transient.then_some(ended.place), now);
        away && is_transient
    }

    fn give_attempts_back(
        &mut self,
        m: usize,
        spent: BTreeMap<Place, (Key, u32)>,
        last: Option<Place>,
        now: Now,
    ) {
        for ((p, offset, epoch), (_, attempts)) in spent {
            let lease = self.leases.get_mut(&(m, p)).filter(|lease| lease.epoch == epoch);
            let Some(lease) = lease else { continue };
            let Some(taken) = lease.taken.get_mut(&offset) else { continue };
            if matches!(taken.stage, Stage::Writing | Stage::Down | Stage::Settled) {
                continue;
            }
            let attempts = attempts - u32::from(Some((p, offset, epoch)) == last);
            if attempts == 0 {
                continue;
            }
            taken.attempts -= attempts;
            taken.spared += attempts;
            taken.first_failure_ms = taken.first_failure_ms.filter(|_| taken.attempts > 0);
            lease.changed(now);
        }
    }

    fn held(&self, m: usize, handler: HandlerId) -> BTreeSet<(i32, i64)> {
        let of_lease = self.leases_of(m).filter(|(_, lease)| !lease.pinned && !lease.draining);
        let of_lease = of_lease.filter(|(p, _)| !self.is_paused(m, *p));
        let held = of_lease.flat_map(|(p, lease)| {
            let waiting =
                lease.taken.iter().filter(|(_, it)| it.handler == handler && it.stage == Stage::Held);
            waiting.map(move |(offset, _)| (p, *offset))
        });
        held.collect()
    }

    /// A start names the handlers held back. False where it comes back unrun.
    pub(super) fn may_run(
        &mut self,
        m: usize,
        (p, offset): (i32, i64),
        handler: HandlerId,
        named: &[HandlerId],
        now: Now,
    ) -> bool {
        let away: Vec<HandlerId> = self.members[&m]
            .accounts
            .iter()
            .filter(|(_, account)| account.outage.is_some())
            .map(|(handler, _)| *handler)
            .collect();
        let is_probe = away.contains(&handler) && !named.contains(&handler);
        let expected: Vec<HandlerId> =
            away.iter().copied().filter(|other| !is_probe || *other != handler).collect();
        self.holds(named == expected, || {
            format!("outage: {p}@{offset} starts with {named:?} held back, and {away:?} are, it is for {handler:?}")
        });
        if !is_probe {
            return !named.contains(&handler);
        }
        let held = self.held(m, handler);
        let outage = self.account(m, handler).outage.as_mut().expect("it is away");
        let (early, second) = (now.at < outage.earliest, outage.probe.replace((p, offset)));
        let others =
            outage.waited.iter().filter(|other| **other != (p, offset) && held.contains(other)).count();
        let same = outage.last == Some((p, offset)) && others > 0;
        self.saw("probe");
        self.holds(!early, || format!("outage: the probe {p}@{offset} comes before its back-off is over"));
        self.holds(second.is_none(), || format!("outage: {p}@{offset} is a second probe beside {second:?}"));
        self.holds(!same, || format!("outage: {p}@{offset} is probed again, and {others} others wait"));
        true
    }

    /// These were not run after all: each waits for its handler, or for the one before it in its lane.
    pub(super) fn came_back(&mut self, m: usize, p: i32, offsets: &[i64]) {
        self.saw(if offsets.len() > 1 { "batch came back unrun" } else { "came back unrun" });
        let Some(lease) = self.leases.get_mut(&(m, p)) else { return };
        for offset in offsets {
            let behind = lease.unsettled_of_lane_before(*offset).is_some();
            if let Some(taken) = lease.taken.get_mut(offset) {
                taken.becomes(if behind { Stage::Waiting } else { Stage::Held });
            }
        }
    }

    /// An assignment is over: a probe there is followed at once.
    pub(super) fn probes_lost(&mut self, m: usize, p: i32) {
        for account in self.members.get_mut(&m).expect("it runs").accounts.values_mut() {
            let Some(outage) = &mut account.outage else { continue };
            outage.waited.retain(|(of, _)| *of != p);
            if outage.probe.take_if(|probe| probe.0 == p).is_some() {
                (outage.earliest, outage.latest) = Default::default();
            }
        }
    }

    /// The engine tells of a change, for the log.
    pub(super) fn told_of(&mut self, m: usize, change: &BreakerChange) {
        let (name, opened) = match change {
            BreakerChange::Opened { handler, .. } => (handler, true),
            BreakerChange::Healed { handler, .. } => (handler, false),
        };
        let handler = HandlerId(name.trim_start_matches("bill ").parse().unwrap_or(0));
        let own = self.account(m, handler).untold.take();
        self.holds(own == Some(opened), || {
            format!("outage: member {m} says that {name} is held back: {opened}, not {own:?}")
        });
    }

    /// Nothing is left to be done: no change untold, and no probe that is due.
    pub(super) fn rested_in_outages(&mut self, m: usize, free: bool, now: Now) {
        let handlers: Vec<HandlerId> = self.members[&m].accounts.keys().copied().collect();
        for handler in handlers {
            let held = self.held(m, handler).len();
            let account = self.account(m, handler);
            let untold = account.untold.is_some();
            let Some(outage) = &account.outage else {
                self.holds(!untold, || {
                    format!("outage: {handler:?} healed at member {m}, and nobody is told")
                });
                continue;
            };
            let idle = outage.probe.is_none();
            let missing = idle && now.at > outage.latest && held > 0 && free;
            self.holds(!missing, || {
                format!("outage: {held} wait for {handler:?} at member {m}, and none is probed")
            });
            self.holds(!untold, || format!("outage: {handler:?} should be held back at member {m}"));
        }
    }
}

impl Account {
    fn remember(&mut self, dead: Option<Key>, failures: u32) {
        self.recent.push_back(dead);
        while self.recent.len() > 5 * failures as usize {
            self.recent.pop_front();
        }
    }
}

/// When the next probe comes at the soonest and at the latest.
fn waits(settings: &Settings, failed: u32, retry_after: Option<Duration>, now: Moment) -> (Moment, Moment) {
    let retry = &settings.retry;
    let most = settings
        .breaker
        .as_ref()
        .map_or(retry.max_backoff, |breaker| breaker.probe_max.min(retry.max_backoff));
    let delay = retry.backoff.saturating_mul(1 << failed.saturating_sub(1).min(20)).min(most);
    let [shortest, longest] = [1.0 - retry.jitter, 1.0 + retry.jitter]
        .map(|share| delay.mul_f64(share).max(retry_after.unwrap_or_default()));
    (now + shortest.saturating_sub(Duration::from_micros(1)), now + longest + Duration::from_micros(1))
}
