//! What must hold while what handlers need is away: one probe at a time, and no dead letters for it.

use std::collections::BTreeMap;

use tokio::time::Instant;
use txova_events::DeadLetter;

use super::letters::follows;
use super::story::{At, End, Facts, Row, Run};
use crate::outcome::ErrorClass;

impl Facts {
    /// Takes note of a run that ended. What the app makes of it may come at the same moment, and never before; what is over
    /// may fail and count no more.
    pub(super) fn note_row(&mut self, run: usize, end: End) {
        let run = &self.runs[run];
        let handler = self.handler(run.at);
        let row = &mut self.members[run.member].rows[handler];
        match end {
            End::Handled | End::Failed(ErrorClass::Skip) => *row = Row::default(),
            // A batch that fails as a whole is nobody's failure yet.
            End::Panicked | End::TimedOut if run.has_others => {}
            End::Failed(ErrorClass::Transient) | End::Panicked | End::TimedOut => {
                row.fresh.push((run.at, Instant::now(), run.token.clone()));
            }
            _ => {}
        }
    }

    /// Where a member's handler fails record after record, one runs at a time.
    pub(super) fn check_held(&mut self, m: usize, at: At, leader: usize, now: Instant) {
        let Some(limit) = self.held_after else { return };
        let handler = self.handler(at);
        let row = &mut self.members[m].rows[handler];
        row.count(limit, now);
        let Some(since) = row.held_since.filter(|since| *since < now) else { return };
        let running = self.running.iter().map(|run| &self.runs[*run]);
        let same = |run: &&Run| run.member == m && run.leader != leader && self.handler(run.at) == handler;
        let mut beside = running.filter(same).filter(|run| run.began > since && !run.token.is_cancelled());
        let found = beside.next().map(|run| run.at);
        self.saw("probe");
        self.holds(found.is_none(), || {
            format!("outage: {at:?} starts at member {m} beside {found:?}, and all its records fail since {since:?}")
        });
    }

    /// Dead letters of records that failed last in an outage: fewer for each member than it takes to notice it.
    pub(super) fn check_letters_of_outages(&mut self) {
        let Some(limit) = self.held_after else { return };
        let mut letters: BTreeMap<(usize, usize, usize), usize> = BTreeMap::new();
        let has_failed =
            |letters: &[(Instant, DeadLetter)]| letters.iter().any(|(_, it)| follows(it).is_none());
        for (at, _) in self.letters.by_origin.iter().filter(|(_, letters)| has_failed(letters)) {
            let outage = self.written.get(at).and_then(|written| written.failed_in_outage);
            if let Some((outage, m)) = outage {
                *letters.entry((outage, m, self.handler(*at))).or_default() += 1;
            }
        }
        for ((outage, m, _), count) in letters {
            self.saw("dead letter in an outage, before it was noticed");
            self.holds(count < limit, || {
                format!(
                    "outage {outage}: member {m} wrote {count} dead letters, and {limit} failures tell it"
                )
            });
        }
    }
}

impl Row {
    /// In the moment in which a run ends its assignment may end as well, before the app hears of the run: what is over
    /// when that moment has passed is not counted.
    fn count(&mut self, limit: usize, now: Instant) {
        let (past, fresh) = self.fresh.drain(..).partition::<Vec<_>, _>(|(_, ended, _)| *ended < now);
        self.fresh = fresh;
        for (at, ended, _) in past.into_iter().filter(|(.., token)| !token.is_cancelled()) {
            self.failed.insert(at);
            if self.failed.len() >= limit {
                self.held_since.get_or_insert(ended);
            }
        }
    }
}
