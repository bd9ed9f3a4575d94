//! Keeps an outage out of the dead letters: a handler whose world is away is held back and probed until it is well. It
//! must never lose a record, change the order of a key, or hold back a handler for records that are to blame themselves.
//!
//! What counts. Only verdicts of handlers that ran, each handler for itself. Bytes that are no event, an unknown type, a
//! payload that cannot be read: no world's fault, and none of them counts, at whatever rate. A handler is held back when
//!
//! - it fails [`failures`](BreakerSettings::failures) records in a row in the same way (all transient, or all
//!   permanent), without one success between; a record that is tried again counts once; or
//! - at least so many of its recent records were to be dead-lettered, and they are at least the
//!   [`share`](BreakerSettings::share) of them. Recent are the last five times `failures`.
//!
//! Either way they must be of [`keys`](BreakerSettings::keys) keys at least: one ride that is broken is no outage. A
//! record without a key is a key of its own here. A batch that fails as a whole says nothing yet: its records are tried
//! alone, and those count.
//!
//! What waits. Nothing of that handler starts; all else goes on. The engine does not know a record's handler before it
//! starts, so each start names the handlers that are held back, and a record of one of them comes back unrun
//! ([`Outcome::Held`](crate::outcome::Outcome::Held)). It keeps its place in its key's lane, so order holds; it counts
//! against the limits of intake, so at last fetching pauses; it is not settled, so nothing is committed past it. What ran
//! when the handler was held back may end. A transient failure then is the world's and not the record's: the attempt has
//! its number and does not count, and the record is never dead-lettered for it. The same holds for the failures by which
//! the handler came to be held back, so that an outage with many restarts in it spends no attempt either. A permanent
//! failure is the record's and is dead-lettered as ever: at most those that ran, then one a probe.
//!
//! How it heals. One of the waiting records at a time runs as a probe, the one first that waits longest. Ok or skip heals:
//! all that waits is ready again, and counting begins anew. A transient failure sends the probe to the end of the line, so
//! that the next one is of another key, after a back-off that doubles as a retry's does, up to
//! [`probe_max`](BreakerSettings::probe_max): so soon an outage's end is seen, however long it was. A permanent failure is a
//! dead letter, and the next probe follows after the shortest back-off: poison among the probes delays and never decides.
//! There is always a next probe while a record waits in a partition that may start anything; one that was lost with its
//! partition, or runs into its time limit, is followed by another. So it stays held back only while nothing it has within
//! reach succeeds, which is what an outage is; [`Status`](super::Status) says so all the while.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::outcome::{ErrorClass, Failure, HandlerId};

use super::Ticket;
use super::settings::BreakerSettings;
use super::time::Moment;

/// Recent are so many times the failures that open.
const RECENT: u64 = 5;

/// Handlers that must not run now; `None` where all may.
pub(crate) type HeldHandlers = Option<Arc<[HandlerId]>>;

#[derive(Default)]
pub(super) struct Breakers {
    /// By handler; of those in `open` without meaning.
    closed: Vec<Track>,
    open: BTreeMap<HandlerId, Open>,
    /// The keys of `open`, to be handed out with each start.
    names: HeldHandlers,
}

/// What a handler that is not held back did lately.
#[derive(Default)]
struct Track {
    transient: InARow,
    permanent: InARow,
    recent: Recent,
}

/// Records that failed since the last success.
#[derive(Default)]
struct InARow(HashMap<Ticket, Failing>);

#[derive(Clone, Copy)]
struct Failing {
    key: u64,
    /// Attempts it has spent since.
    attempts: u32,
}

/// The last records that ended: how many, and which of them were to be dead-lettered.
#[derive(Default)]
struct Recent {
    ended: u64,
    /// When by count, and the key.
    dead: VecDeque<(u64, u64)>,
}

/// A handler that is held back.
pub(super) struct Open {
    pub(super) since: Moment,
    /// The last failure seen.
    pub(super) failure: Box<Failure>,
    /// Its records, the one that waits longest first. Some may be gone.
    pub(super) waiting: VecDeque<Ticket>,
    pub(super) probe: Option<Ticket>,
    /// Probes that failed in a row and could have passed.
    pub(super) failed_probes: u32,
    pub(super) probe_at: Moment,
    /// All that wait are in partitions that start nothing.
    pub(super) blocked: bool,
}

impl Open {
    pub(super) fn wants_probe(&self, now: Moment) -> bool {
        self.is_idle() && self.probe_at <= now
    }

    fn is_idle(&self) -> bool {
        self.probe.is_none() && !self.waiting.is_empty() && !self.blocked
    }
}

/// A failed attempt as the breaker sees it.
pub(super) struct Failed<'a> {
    pub failure: &'a Failure,
    pub ticket: Ticket,
    pub key: u64,
    /// It would be dead-lettered.
    pub is_last: bool,
}

impl Breakers {
    /// The handlers held back, for a start.
    pub(super) fn names(&self) -> HeldHandlers {
        self.names.clone()
    }

    pub(super) fn is_open(&self, handler: Option<HandlerId>) -> bool {
        self.names.is_some() && handler.is_some_and(|handler| self.open.contains_key(&handler))
    }

    pub(super) fn open(&self) -> impl Iterator<Item = (HandlerId, &Open)> {
        self.open.iter().map(|(handler, open)| (*handler, open))
    }

    pub(super) fn of(&mut self, handler: HandlerId) -> Option<&mut Open> {
        self.open.get_mut(&handler)
    }

    /// A handler that is not held back said ok or skip.
    pub(super) fn succeeded(&mut self, handler: HandlerId, settings: &BreakerSettings) {
        let track = self.track(handler);
        track.transient.0.clear();
        track.permanent.0.clear();
        track.recent.ended(settings);
    }

    /// A handler that is not held back failed; true where it must be from now on.
    pub(super) fn failed(
        &mut self,
        handler: HandlerId,
        failed: &Failed<'_>,
        settings: &BreakerSettings,
    ) -> bool {
        let track = self.track(handler);
        let in_a_row = match failed.failure.class {
            ErrorClass::Permanent => &mut track.permanent,
            _ => &mut track.transient,
        };
        let all_fail = in_a_row.add(failed.ticket, failed.key, settings);
        let many_die = failed.is_last && track.recent.ended_dead(failed.key, settings);
        all_fail || many_die
    }

    /// Begins to hold a handler back. Answers with the records that failed transiently in a row before, and the attempts
    /// they spent on it.
    pub(super) fn hold(
        &mut self,
        handler: HandlerId,
        failure: Box<Failure>,
        now: Moment,
        probe_at: Moment,
    ) -> Vec<(Ticket, u32)> {
        let before = std::mem::take(self.track(handler));
        let (waiting, probe, failed_probes, blocked) = (VecDeque::new(), None, 0, false);
        let open = Open { since: now, failure, waiting, probe, failed_probes, probe_at, blocked };
        self.open.insert(handler, open);
        self.name();
        before.transient.0.into_iter().map(|(ticket, failing)| (ticket, failing.attempts)).collect()
    }

    /// Holds a handler back no more. Answers with the records that wait.
    pub(super) fn heal(&mut self, handler: HandlerId) -> Option<Open> {
        let open = self.open.remove(&handler)?;
        self.name();
        Some(open)
    }

    /// The handler whose probe this was.
    pub(super) fn take_probe(&mut self, ticket: Ticket) -> Option<HandlerId> {
        let (handler, open) = self.open.iter_mut().find(|(_, open)| open.probe == Some(ticket))?;
        open.probe = None;
        Some(*handler)
    }

    /// A record that ran is gone with its assignment: where it was a probe, another one follows at once.
    pub(super) fn lost(&mut self, ticket: Ticket) {
        if let Some(open) = self.take_probe(ticket).and_then(|handler| self.open.get_mut(&handler)) {
            open.probe_at = Moment::default();
        }
    }

    /// When the next probe is due.
    pub(super) fn probe_at(&self) -> Option<Moment> {
        let idle = self.open.values().filter(|open| open.is_idle());
        idle.map(|open| open.probe_at).min()
    }

    /// A partition starts records again.
    pub(super) fn unblock(&mut self) {
        self.open.values_mut().for_each(|open| open.blocked = false);
    }

    fn track(&mut self, handler: HandlerId) -> &mut Track {
        let at = handler.0 as usize;
        if self.closed.len() <= at {
            self.closed.resize_with(at + 1, Track::default);
        }
        &mut self.closed[at]
    }

    fn name(&mut self) {
        let names: Vec<HandlerId> = self.open.keys().copied().collect();
        self.names = (!names.is_empty()).then(|| names.into());
    }
}

impl InARow {
    fn add(&mut self, ticket: Ticket, key: u64, settings: &BreakerSettings) -> bool {
        let enough = self.0.len() >= settings.failures as usize;
        if let Some(failing) = self.0.get_mut(&ticket) {
            failing.attempts += 1;
        } else if !enough || self.0.values().all(|failing| failing.key != key) {
            self.0.insert(ticket, Failing { key, attempts: 1 }); // more than enough of one key prove nothing further
        }
        self.0.len() >= settings.failures as usize
            && has_keys(self.0.values().map(|failing| failing.key), settings)
    }
}

impl Recent {
    fn ended(&mut self, settings: &BreakerSettings) {
        self.ended += 1;
        let span = RECENT * u64::from(settings.failures);
        while self.dead.front().is_some_and(|(at, _)| at + span <= self.ended) {
            self.dead.pop_front();
        }
    }

    fn ended_dead(&mut self, key: u64, settings: &BreakerSettings) -> bool {
        self.ended(settings);
        self.dead.push_back((self.ended, key));
        let (dead, all) =
            (self.dead.len() as f64, self.ended.min(RECENT * u64::from(settings.failures)) as f64);
        self.dead.len() >= settings.failures as usize
            && dead >= all * settings.share
            && has_keys(self.dead.iter().map(|(_, key)| *key), settings)
    }
}

fn has_keys(keys: impl Iterator<Item = u64>, settings: &BreakerSettings) -> bool {
    keys.collect::<HashSet<u64>>().len() >= settings.keys as usize
}
