//! One partition's log: records with rising offsets, with holes where compaction or markers were. It must never know who
//! reads it.

use std::collections::VecDeque;

use crate::record::{OutgoingRecord, Record};

/// A partition's log.
#[derive(Debug, Default)]
pub(super) struct Log {
    records: VecDeque<Record>,
    low: i64,
    end: i64,
}

impl Log {
    /// The first offset a reader may ask for.
    pub(super) fn low(&self) -> i64 {
        self.low
    }

    /// One past the last offset given out.
    pub(super) fn end(&self) -> i64 {
        self.end
    }

    /// Writes a record; answers its offset.
    pub(super) fn append(&mut self, record: &OutgoingRecord, now_ms: i64) -> i64 {
        let offset = self.end;
        let headers = record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
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
        self.low = offset.clamp(self.low, self.end);
        while self.records.front().is_some_and(|record| record.offset < self.low) {
            self.records.pop_front();
        }
    }

    /// Whether there is a record at `from` or behind it.
    pub(super) fn has_record_from(&self, from: i64) -> bool {
        self.records.back().is_some_and(|record| record.offset >= from)
    }

    /// The offset of the first record whose timestamp is at or behind `unix_ms`; the end where there is none.
    pub(super) fn offset_at(&self, unix_ms: i64) -> i64 {
        let first = self.records.iter().find(|record| record.timestamp_ms.is_some_and(|at| at >= unix_ms));
        first.map_or(self.end, |record| record.offset)
    }

    /// Up to `limit` records from `from` on, and where to go on reading.
    pub(super) fn read(&self, from: i64, limit: usize) -> (Vec<Record>, i64) {
        let first = self.records.partition_point(|record| record.offset < from);
        let records: Vec<Record> = self.records.range(first..).take(limit).cloned().collect();
        let reached_end = first + records.len() == self.records.len();
        let next = match records.last() {
            Some(last) if !reached_end => last.offset + 1,
            _ => self.end.max(from),
        };
        (records, next)
    }

    /// Every record in it.
    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
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
