//! The partitions' logs: offsets with gaps, keys skewed or null, records that are sound, flawed or poison.

use std::collections::BTreeMap;

use super::dice::Dice;
use crate::outcome::HandlerId;

/// Handlers that take records one by one; those that take batches come behind.
const ALONE: usize = 2;
/// Most that there are.
pub(super) const HANDLERS: usize = ALONE + 2;

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub offset: i64,
    pub key: Option<u64>,
    pub bytes: usize,
    /// The batches its handler takes.
    pub batch: Option<u32>,
    pub nature: Nature,
    pub handler: HandlerId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// Fails by chance.
    Sound,
    /// Every attempt fails as transient.
    Flawed,
    /// The first attempt fails for good.
    Poison,
}

#[derive(Default)]
pub(super) struct Log {
    pub entries: BTreeMap<i64, Entry>,
    /// Records before were removed by retention.
    start: i64,
    end: i64,
}

impl Log {
    pub(super) fn append(&mut self, dice: &mut Dice, keys: usize, batches: usize) -> i64 {
        let gap = match dice.below(20) {
            0..14 => 0,
            14..19 => dice.between(1, 5),
            _ => dice.between(1, 3000),
        };
        let offset = self.end + gap as i64;
        let key = if dice.chance(10) { None } else { Some(dice.below(keys).min(dice.below(keys)) as u64) };
        let nature = match dice.below(100) {
            0..5 => Nature::Flawed,
            5..9 => Nature::Poison,
            _ => Nature::Sound,
        };
        let batch = (batches > 0 && dice.chance(70)).then(|| dice.below(batches) as u32);
        let handler = HandlerId(batch.map_or_else(|| dice.below(ALONE) as u32, |batch| ALONE as u32 + batch));
        let bytes = dice.between(1, 300);
        self.entries.insert(offset, Entry { offset, key, bytes, batch, nature, handler });
        self.end = offset + 1;
        offset
    }

    /// Up to `count` records from `position` on.
    pub(super) fn read(&self, position: i64, count: usize) -> Vec<Entry> {
        self.entries.range(position.max(self.start)..).take(count).map(|(_, entry)| *entry).collect()
    }

    pub(super) fn has(&self, offset: i64) -> bool {
        offset >= self.start && self.entries.contains_key(&offset)
    }

    /// Removes records up to some place; answers with it.
    pub(super) fn retain(&mut self, dice: &mut Dice) -> i64 {
        self.start += dice.below((self.end - self.start) as usize) as i64;
        self.start
    }

    /// One past the last record.
    pub(super) fn end(&self) -> i64 {
        self.end
    }
}
