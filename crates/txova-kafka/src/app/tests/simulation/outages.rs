//! What must hold while what handlers need is away: one probe at a time, and no dead letters for it.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::story::{At, End, Facts};
use crate::outcome::ErrorClass;

impl Facts {
    /// Takes note of a run that ended. What the app makes of it may come at the same moment, and never before; what is over
    /// may fail and count no more.
    pub(super) fn note_row(&mut self, m: usize, at: At, end: End, is_over: bool) {
        let Some(limit) = self.held_after else { return };
        let member = &mut self.members[m];
        match end {
            End::Handled | End::Failed(ErrorClass::Skip) => {
                member.row.clear();
                member.held_since = None;
            }
            End::Failed(ErrorClass::Transient) | End::Panicked | End::TimedOut if !is_over => {
                member.row.insert(at);
                if member.row.len() >= limit && member.held_since.is_none() {
                    member.held_since = Some(Instant::now());
                }
            }
            _ => {}
        }
    }

    /// Where a member's handler fails record after record, one runs at a time.
    pub(super) fn check_held(&mut self, m: usize, at: At, now: Instant) {
        let Some(since) = self.members[m].held_since.filter(|since| *since < now) else { return };
        let running = self.running.iter().map(|run| &self.runs[*run]);
        let mut beside =
            running.filter(|run| run.member == m && run.began > since && !run.token.is_cancelled());
        let found = beside.next().map(|run| run.at);
        self.saw("probe");
        self.holds(found.is_none(), || {
            format!("outage: {at:?} starts at member {m} beside {found:?}, and all its records fail since {since:?}")
        });
    }

    /// Dead letters of records that failed last in an outage: fewer for each member than it takes to notice it.
    pub(super) fn check_letters_of_outages(&mut self) {
        let Some(limit) = self.held_after else { return };
        let mut letters: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for at in self.letters.by_origin.keys() {
            let outage = self.written.get(at).and_then(|written| written.failed_in_outage);
            if let Some(outage) = outage {
                *letters.entry(outage).or_default() += 1;
            }
        }
        for ((outage, m), count) in letters {
            self.saw("dead letter in an outage, before it was noticed");
            self.holds(count < limit, || {
                format!(
                    "outage {outage}: member {m} wrote {count} dead letters, and {limit} failures tell it"
                )
            });
        }
    }
}
