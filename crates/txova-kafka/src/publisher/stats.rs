//! What a publisher has done, as numbers. Knows nothing of how.

use std::fmt;

/// What a publisher has done so far and what is under way, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublisherStats {
    /// Records the broker has acknowledged.
    pub published: u64,
    /// Records that had their place and were not acknowledged in the end.
    pub failed: u64,
    /// Calls that never got a place: invalid, too large, buffer full, closed.
    pub refused: u64,
    /// Records that have their place and no answer yet.
    pub in_flight: usize,
    /// Their bytes: keys, values and headers.
    pub in_flight_bytes: usize,
    /// Calls that wait for a place.
    pub waiting: usize,
    /// From the call to the acknowledgement, for half of the acknowledged records; `None` before the first.
    pub latency_p50_us: Option<u64>,
    /// The same for 99 of 100. Both are rounded up by at most a sixteenth.
    pub latency_p99_us: Option<u64>,
}

/// What became of the records that were under way when a publisher was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseReport {
    /// Acknowledged since the call.
    pub acknowledged: u64,
    /// Not acknowledged, and told so, since the call.
    pub failed: u64,
    /// Without an answer at the deadline: each may have been written or not.
    pub unanswered: u64,
}

impl CloseReport {
    pub(super) fn between(before: &PublisherStats, after: &PublisherStats) -> Self {
        Self {
            acknowledged: after.published - before.published,
            failed: after.failed - before.failed,
            unanswered: after.in_flight as u64,
        }
    }

    /// Whether everything was acknowledged.
    pub fn is_clean(&self) -> bool {
        self.failed == 0 && self.unanswered == 0
    }
}

impl fmt::Display for CloseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, failed, unanswered } = self;
        write!(f, "{acknowledged} acknowledged, {failed} failed, {unanswered} unanswered")
    }
}
