//! The account of a run: what was acknowledged, what was handled, in which order, how long it took. It must never know
//! where events go.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::beat::Beat;

/// Longer than anything that is measured here: an hour.
const LONGEST_US: u64 = 3_600_000_000;

pub(super) struct Ledger {
    /// Tells events of this run from those of others.
    pub run: String,
    pub began: Instant,
    pub total: u64,
    pub keys: u32,
    /// Events whose time has come so far.
    pub sent: AtomicU64,
    pub acknowledged: AtomicU64,
    pub failed: AtomicU64,
    /// Handled for the first time.
    pub first: AtomicU64,
    /// Handled once more.
    pub again: AtomicU64,
    pub out_of_order: AtomicU64,
    /// Whether all has been sent and answered.
    pub over: AtomicBool,
    acked: Bits,
    seen: Bits,
    /// For each partition, the first and the last offset an event of this run has.
    offsets: Vec<[AtomicI64; 2]>,
    /// For each key, one past the newest of its events that was handled.
    newest: Vec<AtomicU64>,
    times: Mutex<Times>,
}

/// How long things took, in microseconds.
#[derive(Clone, Debug)]
pub(super) struct Times {
    /// From when an event was due to its acknowledgement.
    pub publish: Histogram<u64>,
    /// From when it was due to its handler.
    pub through: Histogram<u64>,
    /// The same since somebody last looked.
    pub publish_now: Histogram<u64>,
    pub through_now: Histogram<u64>,
}

impl Times {
    fn new() -> Self {
        let empty = || {
            Histogram::new_with_max(LONGEST_US, 3).expect("invariant: three digits up to an hour can be kept")
        };
        Self { publish: empty(), through: empty(), publish_now: empty(), through_now: empty() }
    }
}

impl Ledger {
    pub(super) fn new(total: u64, keys: u32, partitions: i32) -> Self {
        Self {
            run: uuid::Uuid::now_v7().simple().to_string(),
            began: Instant::now(),
            total,
            keys,
            sent: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            first: AtomicU64::new(0),
            again: AtomicU64::new(0),
            out_of_order: AtomicU64::new(0),
            over: AtomicBool::new(false),
            acked: Bits::new(total),
            seen: Bits::new(total),
            offsets: (0..partitions).map(|_| [AtomicI64::new(i64::MAX), AtomicI64::new(-1)]).collect(),
            newest: (0..keys).map(|_| AtomicU64::new(0)).collect(),
            times: Mutex::new(Times::new()),
        }
    }

    pub(super) fn now_us(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    /// The broker has this event, which was due then.
    pub(super) fn acknowledged(&self, number: u64, due_us: u64, partition: i32, offset: i64) {
        if let Some([first, last]) = self.offsets.get(partition as usize) {
            first.fetch_min(offset, Relaxed);
            last.fetch_max(offset, Relaxed);
        }
        let took_us = self.now_us().saturating_sub(due_us);
        self.acked.set(number);
        self.acknowledged.fetch_add(1, Relaxed);
        let mut times = self.times();
        times.publish.saturating_record(took_us);
        times.publish_now.saturating_record(took_us);
    }

    /// One past the last offset an event of this run has in that partition.
    pub(super) fn end(&self, partition: i32) -> Option<i64> {
        let [_, last] = self.offsets.get(partition as usize)?;
        Some(last.load(Relaxed) + 1).filter(|end| *end > 0)
    }

    /// The first offset an event of this run has in that partition.
    pub(super) fn first_offset(&self, partition: i32) -> Option<i64> {
        let [first, _] = self.offsets.get(partition as usize)?;
        Some(first.load(Relaxed)).filter(|first| *first != i64::MAX)
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    /// A handler has this event.
    pub(super) fn handled(&self, beat: &Beat) {
        if !self.seen.set(beat.number) {
            self.again.fetch_add(1, Relaxed);
            return; // a repetition is late by nature
        }
        let took_us = self.now_us().saturating_sub(beat.due_us);
        // Handlers of a key do not overlap: what is read here is what the one before it wrote.
        if let Some(newest) = self.newest.get(beat.key as usize)
            && newest.fetch_max(beat.number + 1, Relaxed) > beat.number
        {
            self.out_of_order.fetch_add(1, Relaxed);
        }
        {
            let mut times = self.times();
            times.through.saturating_record(took_us);
            times.through_now.saturating_record(took_us);
        }
        self.first.fetch_add(1, Relaxed);
    }

    /// Acknowledged events that no handler has had.
    pub(super) fn missing(&self) -> u64 {
        self.acked.without(&self.seen)
    }

    /// Waits until every acknowledged event was handled.
    pub(super) async fn all_handled(&self) {
        while self.missing() > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The times, those since the last call forgotten behind it.
    pub(super) fn take_times(&self) -> Times {
        let mut times = self.times();
        let taken = times.clone();
        times.publish_now.reset();
        times.through_now.reset();
        taken
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A bit for each event.
struct Bits(Vec<AtomicU64>);

impl Bits {
    fn new(count: u64) -> Self {
        Self((0..count.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    /// Answers whether it was not set; one that does not exist is never.
    fn set(&self, number: u64) -> bool {
        let Some(word) = self.0.get((number / 64) as usize) else { return false };
        let bit = 1 << (number % 64);
        word.fetch_or(bit, Relaxed) & bit == 0
    }

    /// How many are set here and not there.
    fn without(&self, other: &Self) -> u64 {
        let words = self.0.iter().zip(&other.0);
        words.map(|(here, there)| u64::from((here.load(Relaxed) & !there.load(Relaxed)).count_ones())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(ledger: &Ledger, number: u64) -> Beat {
        let key = (number % u64::from(ledger.keys)) as u32;
        Beat { run: ledger.run.clone(), number, key, due_us: 0, padding: String::new() }
    }

    #[test]
    fn what_is_acknowledged_and_not_handled_is_missing() {
        let ledger = Ledger::new(200, 3, 1);
        (0..150).for_each(|number| ledger.acknowledged(number, 0, 0, 40 + number as i64));
        assert_eq!((ledger.first_offset(0), ledger.end(0), ledger.end(1)), (Some(40), Some(190), None));
        (0..150).filter(|number| *number != 77).for_each(|number| ledger.handled(&beat(&ledger, number)));
        assert_eq!((ledger.missing(), ledger.out_of_order.load(Relaxed)), (1, 0));
        ledger.handled(&beat(&ledger, 77));
        assert_eq!(
            (ledger.missing(), ledger.out_of_order.load(Relaxed)),
            (0, 1),
            "late, and behind its key's later ones"
        );
    }

    #[test]
    fn a_repetition_is_counted_as_one_and_is_not_out_of_order() {
        let ledger = Ledger::new(10, 2, 1);
        for number in [0, 2, 4, 2, 0, 6, 1, 3] {
            ledger.handled(&beat(&ledger, number));
        }
        let counts = [&ledger.first, &ledger.again, &ledger.out_of_order].map(|count| count.load(Relaxed));
        assert_eq!(counts, [6, 2, 0]);
    }

    #[test]
    fn times_since_the_last_look_are_forgotten_and_those_of_the_run_are_not() {
        let ledger = Ledger::new(10, 2, 1);
        ledger.acknowledged(0, 0, 0, 0);
        assert_eq!(ledger.take_times().publish_now.len(), 1);
        let times = ledger.take_times();
        assert_eq!((times.publish_now.len(), times.publish.len()), (0, 1));
    }
}
