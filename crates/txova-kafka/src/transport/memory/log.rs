//! One partition's log: records with rising offsets, with holes where compaction or markers were. It must never know who
//! reads it: all that is asked of it is answered as to a reader that sees what is committed, and nothing else.

use std::collections::{BTreeMap, VecDeque};

use super::transactions::TransactionId;
use crate::record::{OutgoingRecord, Record};

/// A partition's log.
#[derive(Debug, Default)]
pub(super) struct Log {
    records: VecDeque<Record>,
    /// Records of transactions that have not ended, by offset. Nobody sees beyond the first.
    open: BTreeMap<i64, TransactionId>,
    low: i64,
    end: i64,
}

impl Log {
    /// The first offset a reader may ask for.
    pub(super) fn low(&self) -> i64 {
        self.low
    }

    /// One past the last offset a reader may see: the last stable offset, in Kafka's words.
    pub(super) fn end(&self) -> i64 {
        self.open.keys().next().copied().unwrap_or(self.end)
    }

    /// Whether there is such an offset, or will be when what is open has ended.
    pub(super) fn is_in_range(&self, offset: i64) -> bool {
        (self.low..=self.end).contains(&offset)
    }

    /// Writes a record; answers its offset.
    pub(super) fn append(&mut self, record: &OutgoingRecord, now_ms: i64) -> i64 {
        let offset = self.end;
        let headers = record.headers.iter().map(|(name, value)| (&**name, value.as_deref()));
        self.records.push_back(Record::copy_from(
            offset,
            Some(record.timestamp_ms.unwrap_or(now_ms)),
            record.key.as_deref(),
            record.value.as_deref(),
            headers,
        ));
        self.end += 1;
        offset
    }

    /// Writes a record of a transaction that goes on; answers its offset.
    pub(super) fn append_open(
        &mut self,
        record: &OutgoingRecord,
        now_ms: i64,
        transaction: TransactionId,
    ) -> i64 {
        let offset = self.append(record, now_ms);
        self.open.insert(offset, transaction);
        offset
    }

    /// Ends a transaction: its records are seen, or gone for good. The marker takes an offset.
    pub(super) fn end_transaction(&mut self, transaction: TransactionId, is_committed: bool) {
        let of_it: Vec<i64> =
            self.open.iter().filter(|(_, whose)| **whose == transaction).map(|(offset, _)| *offset).collect();
        for offset in of_it {
            self.open.remove(&offset);
            if !is_committed {
                self.remove(offset);
            }
        }
        self.skip(1);
    }

    /// Gives out `count` offsets that hold no record, as transaction markers do.
    pub(super) fn skip(&mut self, count: u32) {
        self.end += i64::from(count);
    }

    /// Removes one record and leaves its offset empty, as compaction does. Answers whether it was there.
    pub(super) fn remove(&mut self, offset: i64) -> bool {
        match self.records.binary_search_by_key(&offset, |record| record.offset) {
            Ok(index) => self.records.remove(index).is_some(),
            Err(_) => false,
        }
    }

    /// Removes what is before `offset`, as retention does.
    pub(super) fn delete_before(&mut self, offset: i64) {
        self.low = offset.clamp(self.low, self.end());
        while self.records.front().is_some_and(|record| record.offset < self.low) {
            self.records.pop_front();
        }
    }

    /// Whether there is a record at `from` or behind it.
    pub(super) fn has_record_from(&self, from: i64) -> bool {
        let first = self.records.partition_point(|record| record.offset < from);
        self.records.get(first).is_some_and(|record| record.offset < self.end())
    }

    /// How many records there are at `from` and behind it.
    pub(super) fn count_from(&self, from: i64) -> usize {
        let before = |offset: i64| self.records.partition_point(|record| record.offset < offset);
        before(self.end()).saturating_sub(before(from))
    }

    /// The record at `offset`; `None` where there is none, or none any more.
    pub(super) fn get(&self, offset: i64) -> Option<&Record> {
        let index = self.records.binary_search_by_key(&offset, |record| record.offset).ok()?;
        self.records.get(index).filter(|record| record.offset < self.end())
    }

    /// The offset of the first record whose timestamp is at or behind `unix_ms`; the end where there is none.
    pub(super) fn offset_at(&self, unix_ms: i64) -> i64 {
        let first = self.records().find(|record| record.timestamp_ms.is_some_and(|at| at >= unix_ms));
        first.map_or(self.end(), |record| record.offset)
    }

    /// Up to `limit` records from `from` on, and where to go on reading.
    pub(super) fn read(&self, from: i64, limit: usize) -> (Vec<Record>, i64) {
        let first = self.records.partition_point(|record| record.offset < from);
        let end = self.end();
        let seen = self.records.range(first..).take_while(|record| record.offset < end);
        let records: Vec<Record> = seen.take(limit).cloned().collect();
        let next = records.last().map_or(from, |last| last.offset + 1);
        let next = if self.has_record_from(next) { next } else { end.max(from) };
        (records, next)
    }

    /// Every record a reader may see.
    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        let end = self.end();
        self.records.iter().take_while(move |record| record.offset < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_passes_over_holes_and_ends_behind_the_last_of_them() {
        let mut log = Log::default();
        for _ in 0..4 {
            log.append(&OutgoingRecord::default(), 0);
        }
        log.skip(2);
        assert!(log.remove(1), "offset 1 was there");
        assert!(!log.remove(1), "offset 1 is gone");
        let offsets = |(records, next): (Vec<Record>, i64)| {
            (records.iter().map(|record| record.offset).collect::<Vec<_>>(), next)
        };
        assert_eq!(offsets(log.read(0, 2)), (vec![0, 2], 3));
        assert_eq!(offsets(log.read(3, 2)), (vec![3], 6));
        assert_eq!(offsets(log.read(4, 2)), (vec![], 6));
        assert_eq!((log.low(), log.end()), (0, 6));
    }

    #[test]
    fn nobody_sees_beyond_an_open_transaction_nor_ever_what_was_aborted() {
        let (mut log, record) = (Log::default(), OutgoingRecord::default());
        let (first, second) = (TransactionId(1), TransactionId(2));
        log.append(&record, 0);
        log.append_open(&record, 0, first);
        log.append_open(&record, 0, second);
        log.append(&record, 0);
        let seen = |log: &Log| log.records().map(|record| record.offset).collect::<Vec<_>>();
        assert_eq!((seen(&log), log.end(), log.has_record_from(1)), (vec![0], 1, false));
        assert_eq!(log.read(0, 9).1, 1);
        log.end_transaction(second, true);
        assert_eq!((seen(&log), log.end()), (vec![0], 1), "the first is open still");
        log.end_transaction(first, false);
        assert_eq!((seen(&log), log.end()), (vec![0, 2, 3], 6), "two markers behind them");
        assert_eq!(log.read(3, 9).1, 6);
    }

    #[test]
    fn retention_moves_the_low_end_and_never_past_the_high_end() {
        let mut log = Log::default();
        log.append(&OutgoingRecord::default(), 0);
        log.append(&OutgoingRecord::default(), 0);
        log.delete_before(1);
        assert_eq!((log.low(), log.records().count()), (1, 1));
        log.delete_before(9);
        assert_eq!((log.low(), log.end(), log.records().count()), (2, 2, 0));
        log.delete_before(0);
        assert_eq!(log.low(), 2);
    }
}
