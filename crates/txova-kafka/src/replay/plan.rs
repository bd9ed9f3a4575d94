//! A plan: exactly which letters, and why they failed. It must never hold a query, whose answer would change.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};
use txova_events::{DeadLetter, Time, topics};

use crate::dead_letter::{EntryPlace, origin_of};

use super::pick::Pick;
use super::{Overtaken, ReplayReport};

/// What a replay would do: the exact set of letters, with a histogram of why they failed. It is data, to be kept as JSON
/// and done later: [`Replay::plan`](super::Replay::plan).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// When it was made.
    pub made_at: Option<Time>,
    /// How often what went wrong, the most frequent first.
    pub reasons: Vec<Reason>,
    /// Keys of which newer events were handled before.
    #[serde(default)]
    pub overtaken: Vec<Overtaken>,
    /// Entries that were looked at and are not in the plan, by why.
    #[serde(default)]
    pub left_out: BTreeMap<String, u64>,
    /// The letters, in the order in which they are taken up.
    pub entries: Vec<PlannedEntry>,
}

/// A letter of a plan. Place, origin and event's id must still be those when the plan is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedEntry {
    /// The entry.
    pub entry: EntryPlace,
    /// Where the record came from, as `topic/partition/offset`.
    pub origin: String,
    /// The event's id; empty where nobody knows.
    pub event_id: String,
    /// The event's type; empty where nobody knows.
    pub event_type: String,
    /// The consumer group it is for.
    pub group: String,
    /// What letters that failed alike have in common.
    pub fingerprint: String,
}

/// Letters that failed alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reason {
    /// What they have in common.
    pub fingerprint: String,
    /// How many.
    pub count: u64,
    /// The error's class; empty where nobody knows.
    pub error_class: String,
    /// The handler; empty where nobody knows.
    pub handler: String,
    /// What one of them says.
    pub example: String,
    /// The first failure of the first.
    pub first: Time,
    /// The last failure of the last.
    pub last: Time,
}

impl Reason {
    fn of(letter: &DeadLetter) -> Self {
        Self {
            fingerprint: letter.fingerprint().into_owned(),
            count: 0,
            error_class: letter.error_class.clone().unwrap_or_default(),
            handler: letter.handler.clone().unwrap_or_default(),
            example: letter.error_message.clone(),
            first: letter.first_failure,
            last: letter.last_failure,
        }
    }
}

/// Counts letters by what went wrong.
#[derive(Default)]
pub(crate) struct Histogram(HashMap<String, Reason>);

impl Histogram {
    pub(crate) fn add(&mut self, letter: &DeadLetter) {
        let reason = self.0.entry(letter.fingerprint().into_owned()).or_insert_with(|| Reason::of(letter));
        reason.count += 1;
        reason.first = reason.first.min(letter.first_failure);
        reason.last = reason.last.max(letter.last_failure);
    }

    pub(crate) fn reasons(self) -> Vec<Reason> {
        let mut reasons: Vec<_> = self.0.into_values().collect();
        reasons.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.fingerprint.cmp(&b.fingerprint)));
        reasons
    }
}

impl Plan {
    pub(super) fn new(report: &ReplayReport, beyond: usize, overtaken: Vec<Overtaken>) -> Self {
        let mut left_out = counts(report);
        if beyond > 0 {
            left_out.insert("beyond the limit".to_owned(), beyond as u64);
        }
        Self { made_at: Some(Time::now()), overtaken, left_out, ..Self::default() }
    }

    /// A letter that was read for it; one that is no longer there is left out.
    pub(super) fn add(&mut self, pick: Pick, histogram: &mut Histogram) {
        let Ok(picked) = pick.letter() else { return };
        histogram.add(&picked.letter);
        self.entries.push(PlannedEntry {
            entry: pick.place,
            origin: origin_of(&picked.letter),
            event_id: picked.letter.event_id().to_owned(),
            event_type: picked.letter.event_type().to_owned(),
            group: pick.group.to_string(),
            fingerprint: picked.letter.fingerprint().into_owned(),
        });
    }

    /// What must be found at each place.
    pub(super) fn by_place(&self) -> HashMap<EntryPlace, (String, String)> {
        let identity = |planned: &PlannedEntry| {
            (planned.entry.clone(), (planned.origin.clone(), planned.event_id.clone()))
        };
        self.entries.iter().map(identity).collect()
    }

    /// The topics its letters are about.
    pub(super) fn topics(&self) -> impl Iterator<Item = String> {
        let of = |planned: &PlannedEntry| {
            let topic = &planned.entry.topic;
            topic.strip_suffix(topics::DLQ_SUFFIX).unwrap_or(topic).to_owned()
        };
        let topics: std::collections::BTreeSet<String> = self.entries.iter().map(of).collect();
        topics.into_iter()
    }
}

fn counts(report: &ReplayReport) -> BTreeMap<String, u64> {
    let counts = [
        ("not meant", report.passed_over),
        ("no handler here", report.unhandled),
        ("decided before", report.resolved_before),
        ("of other groups", report.other_groups),
        ("naming no group", report.unnamed),
        ("unreadable", report.unreadable.len() as u64),
    ];
    counts.into_iter().filter(|(_, count)| *count > 0).map(|(what, count)| (what.to_owned(), count)).collect()
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>8}  dead letters would be replayed", self.entries.len())?;
        for reason in &self.reasons {
            let Reason { fingerprint, count, error_class, handler, example, .. } = reason;
            write!(f, "\n{count:>8}  {fingerprint}  {error_class}, {handler}: {example}")?;
        }
        for (what, count) in &self.left_out {
            write!(f, "\n{count:>8}  left out: {what}")?;
        }
        super::overtaken::show(f, &self.overtaken)
    }
}
