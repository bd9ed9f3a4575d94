//! The checker's own account of the rate: what started when, and whether one more might.

use std::collections::VecDeque;

use super::checker::Checker;
use crate::engine::{Moment, Now};

/// So far back windows are looked at.
const MOST: usize = 64;

/// What one member started.
#[derive(Default)]
pub(super) struct Starts {
    /// When, and how many records, the last ones.
    last: VecDeque<(Moment, usize)>,
    /// Tokens spent of a bucket that was full at first, and when that was true.
    spent: f64,
    at: Moment,
}

impl Checker {
    fn rate(&self) -> Option<(f64, f64)> {
        let rate = self.settings.rate_limit_per_second?;
        Some((f64::from(rate), f64::from((rate / 10).max(1))))
    }

    /// So many records began to run. In no time that ends now may more have than it allows; of a batch the first must be
    /// within it.
    pub(super) fn rate_spent(&mut self, m: usize, records: usize, now: Now) {
        let Some((rate, burst)) = self.rate() else { return };
        let starts = &mut self.members.get_mut(&m).expect("it runs").starts;
        starts.last.push_back((now.at, records));
        if starts.last.len() > MOST {
            starts.last.pop_front();
        }
        let mut begun = 1.0 - records as f64;
        let mut most = None;
        for (at, records) in starts.last.iter().rev() {
            begun += *records as f64;
            let span = now.at.since(*at).as_secs_f64();
            if begun > burst + rate * span + 1e-6 {
                most = Some((begun, span));
            }
        }
        starts.spent =
            (starts.spent - rate * now.at.since(starts.at).as_secs_f64()).max(0.0) + records as f64;
        starts.at = now.at;
        self.holds(most.is_none(), || {
            format!("rate: member {m} starts too many (records, seconds): {most:?}")
        });
    }

    /// Whether there is no token, as far as it can be told.
    pub(super) fn is_throttled(&self, m: usize, now: Now) -> bool {
        let Some((rate, burst)) = self.rate() else { return false };
        let starts = &self.members[&m].starts;
        let spent = (starts.spent - rate * now.at.since(starts.at).as_secs_f64()).max(0.0);
        burst - spent < 1.0 + 1e-3
    }
}
