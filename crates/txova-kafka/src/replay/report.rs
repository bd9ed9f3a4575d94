//! What a replay did, for people and for code. It must never decide anything.

use std::fmt;

use crate::dead_letter::EntryPlace;

use super::Overtaken;

/// What became of every entry a replay has read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayReport {
    /// The dead-letter topics that were read. One that is not here does not exist, or this client may not see it.
    pub topics: Vec<String>,
    /// Entries of the dead-letter topics, at the start. Each is counted once below.
    pub read: u64,
    /// Entries that cannot be read; they stay as they are.
    pub unreadable: Vec<UnreadableEntry>,
    /// Letters of other consumer groups.
    pub other_groups: u64,
    /// Letters that name no consumer group, where these were not wanted.
    pub unnamed: u64,
    /// Letters about which something was decided before.
    pub resolved_before: u64,
    /// Letters the filter did not want.
    pub passed_over: u64,
    /// Letters of a type that no handler here takes; they stay open.
    pub unhandled: u64,
    /// Letters that were handled, or sent back to their topic, and recorded as such.
    pub replayed: u64,
    /// Letters that a handler, or the policy for such records, settled without handling, and that were recorded as such.
    pub skipped: u64,
    /// Letters that were set aside because they were sent back too often.
    pub quarantined: u64,
    /// Letters that were given another state because somebody wants it so.
    pub decided: u64,
    /// Letters that failed again; they stay open.
    pub failed: Vec<FailedReplay>,
    /// Letters that were not tried: beyond a limit, behind a failed one of their key, or the replay ended before. They stay
    /// open.
    pub not_reached: Vec<EntryPlace>,
    /// What a handler's `stop` said, where that ended the replay.
    pub stopped: Option<String>,
    /// Whether it was ended from outside.
    pub is_interrupted: bool,
    /// Letters of the plan that are no longer there, or in whose place another one is.
    pub gone: Vec<EntryPlace>,
    /// Keys of which newer events were handled before.
    pub overtaken: Vec<Overtaken>,
}

/// An entry of a dead-letter topic that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnreadableEntry {
    /// Where it is.
    pub place: EntryPlace,
    /// What was found and what was expected.
    pub reason: String,
}

/// A letter that failed again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedReplay {
    /// The entry.
    pub entry: EntryPlace,
    /// The event's type; empty where nobody knows.
    pub event_type: String,
    /// The event's id; empty where nobody knows.
    pub event_id: String,
    /// What went wrong, the causes behind it.
    pub error: String,
}

/// Of longer lists so many are printed.
const LISTED: usize = 20;

impl ReplayReport {
    /// All that is below `read`, added up. It is `read` unless this library is wrong.
    pub fn accounted_for(&self) -> u64 {
        let lists = self.unreadable.len() + self.failed.len() + self.not_reached.len();
        let counts = [
            self.other_groups,
            self.unnamed,
            self.resolved_before,
            self.passed_over,
            self.unhandled,
            self.replayed,
            self.skipped,
            self.quarantined,
            self.decided,
        ];
        counts.iter().sum::<u64>() + lists as u64
    }
}

impl ReplayReport {
    /// Letters about which something was done.
    pub fn done(&self) -> u64 {
        self.replayed + self.skipped + self.quarantined + self.decided
    }
}

impl fmt::Display for ReplayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = [
            ("replayed", self.replayed),
            ("skipped by a handler", self.skipped),
            ("decided", self.decided),
            ("sent back too often, set aside", self.quarantined),
            ("failed again, still open", self.failed.len() as u64),
            ("not reached, still open", self.not_reached.len() as u64),
            ("passed over by the filter", self.passed_over),
            ("no handler here, still open", self.unhandled),
            ("resolved before", self.resolved_before),
            ("of other groups", self.other_groups),
            ("naming no group", self.unnamed),
            ("unreadable, still open", self.unreadable.len() as u64),
        ];
        write!(f, "{:>8}  dead letters read", self.read)?;
        match self.topics.as_slice() {
            [] => write!(f, ": there is no dead-letter topic")?,
            topics => write!(f, " from {}", topics.join(", "))?,
        }
        for (what, count) in lines.into_iter().filter(|(_, count)| *count > 0) {
            write!(f, "\n{count:>8}  {what}")?;
        }
        if !self.gone.is_empty() {
            write!(f, "\n{:>8}  of the plan, no longer there", self.gone.len())?;
        }
        if self.is_interrupted {
            write!(f, "\ninterrupted")?;
        }
        if let Some(reason) = &self.stopped {
            write!(f, "\nstopped: {reason}")?;
        }
        for failed in self.failed.iter().take(LISTED) {
            let FailedReplay { entry, event_type, event_id, error } = failed;
            write!(f, "\nfailed {entry} {event_type} {event_id}: {error}")?;
        }
        more(f, self.failed.len(), "failed")?;
        for UnreadableEntry { place, reason } in self.unreadable.iter().take(LISTED) {
            write!(f, "\nunreadable {place}: {reason}")?;
        }
        more(f, self.unreadable.len(), "unreadable")?;
        super::overtaken::show(f, &self.overtaken)
    }
}

fn more(f: &mut fmt::Formatter<'_>, count: usize, what: &str) -> fmt::Result {
    match count.checked_sub(LISTED) {
        None | Some(0) => Ok(()),
        Some(left) => write!(f, "\n… and {left} more {what}"),
    }
}
