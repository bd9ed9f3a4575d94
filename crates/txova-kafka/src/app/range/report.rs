//! What a bounded run did, for people and for code. It must never decide anything.

use std::fmt;

use crate::engine::Counts;
use crate::outcome::ErrorClass;
use crate::record::TopicPartition;
use crate::transport::ReadRange;

use super::Offsets;

/// What became of every record a bounded run has read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RangeReport {
    /// The partitions, each with its stretch.
    pub parts: Vec<RangePart>,
    /// Records taken from the log.
    pub read: u64,
    /// Records a handler said ok to.
    pub handled: u64,
    /// Records settled by `skip`, or passed over by the policy for such records.
    pub skipped: u64,
    /// Records that could not be handled and are kept as dead letters.
    pub dead_lettered: u64,
    /// Records that could not be handled and are kept nowhere: the run was to write no dead letters.
    pub failed: u64,
    /// The first 1,000 of `failed`.
    pub failures: Vec<FailedRecord>,
    /// Attempts put off to a later one.
    pub retried: u64,
}

/// The stretch of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RangePart {
    /// The partition.
    pub partition: TopicPartition,
    /// Its first offset.
    pub from: i64,
    /// The offset behind its last.
    pub to: i64,
    /// What lies before this offset is settled; `to` when all is. A run that was closed goes on from here.
    pub position: i64,
}

/// A record that could not be handled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedRecord {
    /// Where it is.
    pub partition: TopicPartition,
    /// Its offset.
    pub offset: i64,
    /// Attempts that failed.
    pub attempts: u32,
    /// The handler; `-` where none was reached.
    pub handler: String,
    /// The last error's class.
    pub class: ErrorClass,
    /// The last error.
    pub error: String,
}

impl RangeReport {
    pub(super) fn new(
        ranges: &[ReadRange],
        read_to: &Option<Offsets>,
        positions: &Offsets,
        counts: Counts,
        failures: Vec<FailedRecord>,
        dead_letters: bool,
    ) -> Self {
        let part = |range: &ReadRange| {
            let position = positions.get(&range.partition).copied().unwrap_or(range.start);
            // Behind the last record there may be offsets without one.
            let all_read = read_to.as_ref().map(|read_to| read_to.get(&range.partition).copied());
            let is_done = all_read.is_some_and(|last| last.is_none_or(|last| position >= last));
            let position = if is_done { range.end.max(range.start) } else { position };
            let to = range.end.max(range.start);
            RangePart { partition: range.partition.clone(), from: range.start, to, position }
        };
        let Counts { received, handled, skipped, retried, dead_lettered: given_up, .. } = counts;
        let (dead_lettered, failed) = if dead_letters { (given_up, 0) } else { (0, given_up) };
        let parts = ranges.iter().map(part).collect();
        Self { parts, read: received, handled, skipped, dead_lettered, failed, failures, retried }
    }

    /// Whether every record of the stretch is settled.
    pub fn is_complete(&self) -> bool {
        self.parts.iter().all(|part| part.position == part.to)
    }
}

impl fmt::Display for RangeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parts, read, handled, skipped, dead_lettered, failed, failures, retried: _ } = self;
        let state = if self.is_complete() { "complete" } else { "ended early" };
        write!(
            f,
            "{state}: {read} records read from {} partitions, {handled} handled, {skipped} skipped",
            parts.len()
        )?;
        write!(f, ", {dead_lettered} dead-lettered, {failed} failed")?;
        for part in parts.iter().filter(|part| part.position != part.to) {
            write!(
                f,
                "\n{} goes on at offset {} of {} to {}",
                part.partition, part.position, part.from, part.to
            )?;
        }
        for failure in failures.iter().take(20) {
            let FailedRecord { partition, offset, attempts, handler, class, error } = failure;
            write!(f, "\n{partition} offset {offset}, {handler}, attempt {attempts}, {class}: {error}")?;
        }
        match failed.saturating_sub(20) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}
