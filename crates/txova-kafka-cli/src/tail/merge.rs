//! Records of many partitions in the order of time. Order inside a partition is kept, whatever the clocks of producers
//! said. It must never read anything by itself.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;
use txova_kafka::{Record, TopicPartition};

/// How long a record that has just been written waits for older ones of other partitions.
const WINDOW: Duration = Duration::from_millis(200);
/// How long history waits for a partition that gives nothing: its last offsets may hold no record.
const STALL: Duration = Duration::from_secs(2);
/// Records that wait, at most: beyond that a partition that is slow is no longer waited for.
const WAITING: usize = 100_000;

pub(super) struct Merge {
    logs: BTreeMap<TopicPartition, Log>,
    /// Whether what comes behind the ends is wanted, too.
    follows: bool,
    waiting: usize,
    heard_at: Option<Instant>,
}

struct Log {
    queue: VecDeque<(Record, Instant)>,
    /// Where the next record is read, and where the history ends.
    history: Range<i64>,
}

impl Log {
    fn is_caught_up(&self) -> bool {
        self.history.start >= self.history.end
    }

    fn timestamp(&self) -> Option<i64> {
        self.queue.front().map(|(record, _)| record.timestamp_ms.unwrap_or_default())
    }
}

impl Merge {
    /// Partitions with what is there of each: where reading starts, and where the log ends now.
    pub(super) fn new(logs: impl Iterator<Item = (TopicPartition, Range<i64>)>, follows: bool) -> Self {
        let logs = logs.map(|(partition, history)| (partition, Log { queue: VecDeque::new(), history }));
        Self { logs: logs.collect(), follows, waiting: 0, heard_at: None }
    }

    pub(super) fn push(&mut self, partition: TopicPartition, record: Record, now: Instant) {
        self.heard_at = Some(now);
        let Some(log) = self.logs.get_mut(&partition) else { return };
        let is_history = record.offset < log.history.end;
        log.history.start = log.history.start.max(record.offset + 1);
        if is_history || self.follows {
            log.queue.push_back((record, now));
            self.waiting += 1;
        }
    }

    /// The record that is next, once it is known to be.
    pub(super) fn next(&mut self, now: Instant) -> Option<(TopicPartition, Record)> {
        self.give_up_on_the_silent(now);
        if self.waits_for_history() {
            return None;
        }
        let is_past = !self.is_caught_up();
        let heads = self.logs.iter().filter_map(|(partition, log)| Some((log.timestamp()?, partition)));
        let partition = heads.min()?.1.clone();
        // In history all that is older is there already; of what is new somebody may still be late.
        let is_due = is_past
            || !self.follows
            || self.waiting >= WAITING
            || self.logs.values().any(|log| log.queue.front().is_some_and(|(_, came)| *came + WINDOW <= now));
        let log = self.logs.get_mut(&partition).filter(|_| is_due)?;
        let (record, _) = log.queue.pop_front()?;
        self.waiting -= 1;
        Some((partition, record))
    }

    /// When it is worth asking again, where nothing comes meanwhile.
    pub(super) fn due(&self, now: Instant) -> Instant {
        let came = self.logs.values().filter_map(|log| log.queue.front()).map(|(_, came)| *came + WINDOW);
        let stalled = self.heard_at.unwrap_or(now) + STALL;
        match self.waits_for_history() {
            true => stalled,
            false => came.min().unwrap_or(now + STALL).max(now),
        }
    }

    /// Whether all that is wanted was given.
    pub(super) fn is_over(&self) -> bool {
        !self.follows && self.is_caught_up() && self.waiting == 0
    }

    fn is_caught_up(&self) -> bool {
        self.logs.values().all(Log::is_caught_up)
    }

    fn waits_for_history(&self) -> bool {
        self.waiting < WAITING && self.logs.values().any(|log| !log.is_caught_up() && log.queue.is_empty())
    }

    fn give_up_on_the_silent(&mut self, now: Instant) {
        let heard_at = *self.heard_at.get_or_insert(now);
        if self.waits_for_history() && heard_at + STALL <= now {
            for log in self.logs.values_mut().filter(|log| log.queue.is_empty()) {
                log.history.end = log.history.start;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: i32) -> TopicPartition {
        TopicPartition::new("rides", partition)
    }

    fn record(offset: i64, timestamp_ms: i64) -> Record {
        Record::copy_from(offset, Some(timestamp_ms), None, None, std::iter::empty::<(&str, Option<&[u8]>)>())
    }

    fn taken(merge: &mut Merge, now: Instant) -> Vec<(i32, i64)> {
        std::iter::from_fn(|| merge.next(now)).map(|(at, record)| (at.partition, record.offset)).collect()
    }

    #[test]
    fn history_comes_in_the_order_of_time_and_waits_for_the_partition_that_is_late() {
        let now = Instant::now();
        let mut merge = Merge::new([(at(0), 0..3), (at(1), 0..2)].into_iter(), false);
        for (offset, time) in [(0, 10), (1, 30), (2, 20)] {
            merge.push(at(0), record(offset, time), now);
        }
        assert_eq!(taken(&mut merge, now), [], "the other one may have older records");
        merge.push(at(1), record(0, 15), now);
        assert_eq!(taken(&mut merge, now), [(0, 0), (1, 0)]);
        merge.push(at(1), record(1, 25), now);
        // A clock that went back does not change the order inside a partition.
        assert_eq!(taken(&mut merge, now), [(1, 1), (0, 1), (0, 2)]);
        assert!(merge.is_over());
    }

    #[test]
    fn what_is_written_meanwhile_is_not_shown_where_only_history_is_wanted() {
        let now = Instant::now();
        let mut merge = Merge::new([(at(0), 0..1)].into_iter(), false);
        merge.push(at(0), record(0, 10), now);
        merge.push(at(0), record(1, 11), now);
        assert_eq!(taken(&mut merge, now), [(0, 0)]);
        assert!(merge.is_over());
    }

    #[test]
    fn a_partition_whose_last_offsets_hold_nothing_is_not_waited_for_for_ever() {
        let now = Instant::now();
        let mut merge = Merge::new([(at(0), 0..2), (at(1), 0..9)].into_iter(), false);
        merge.push(at(0), record(1, 10), now);
        assert_eq!(taken(&mut merge, now), []);
        assert_eq!(merge.due(now), now + STALL);
        assert_eq!(taken(&mut merge, now + STALL), [(0, 1)]);
        assert!(merge.is_over());
    }

    #[test]
    fn what_is_new_waits_a_moment_for_what_is_older() {
        let now = Instant::now();
        let mut merge = Merge::new([(at(0), 5..5), (at(1), 7..7)].into_iter(), true);
        merge.push(at(0), record(5, 110), now);
        assert_eq!(taken(&mut merge, now), []);
        merge.push(at(1), record(7, 100), now + WINDOW / 2);
        assert_eq!(taken(&mut merge, now + WINDOW), [(1, 7), (0, 5)]);
        assert!(!merge.is_over());
    }
}
