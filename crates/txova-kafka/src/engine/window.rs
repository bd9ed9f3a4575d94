//! The window of a partition: every record taken and not yet passed by the commit position, in offset order. It must
//! never assume that offsets follow each other: compaction and transaction markers leave gaps.

use std::collections::VecDeque;
use std::ops::Range;

use super::mutation::{Mutation, broken};

/// Where a record sits in the window: stays the same while records before it leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64);

const DONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Slot {
    offset: i64,
    /// Index of the live record; `DONE` when it is settled.
    live: u32,
}

/// Records of a partition between the commit position and the last one taken.
#[derive(Default)]
pub(super) struct Window {
    slots: VecDeque<Slot>,
    first: u64,
    /// One past the last offset taken.
    next_offset: Option<i64>,
}

impl Window {
    pub(super) fn starting_at(offset: Option<i64>) -> Self {
        Self { next_offset: offset, ..Self::default() }
    }

    /// The lowest offset that may still be taken; `None` before anything is known.
    pub(super) fn next_offset(&self) -> Option<i64> {
        self.next_offset
    }

    pub(super) fn push(&mut self, offset: i64, live: u32) -> Place {
        if let Some(gap) = self.next_offset.filter(|next| *next < offset && broken(Mutation::WaitsAtGaps)) {
            self.slots.push_back(Slot { offset: gap, live: DONE - 1 });
        }
        let place = Place(self.first + self.slots.len() as u64);
        self.slots.push_back(Slot { offset, live });
        self.next_offset = Some(offset + 1);
        place
    }

    /// Takes a record that needs no handling: it was done before this assignment.
    pub(super) fn push_done(&mut self, offset: i64) {
        self.next_offset = Some(offset + 1);
        if !self.slots.is_empty() {
            self.slots.push_back(Slot { offset, live: DONE });
        }
    }

    /// Marks a record settled and lets go of all settled ones at the front.
    pub(super) fn settle(&mut self, place: Place) {
        if let Some(slot) = self.slots.get_mut((place.0 - self.first) as usize) {
            slot.live = DONE;
        }
        while self.slots.front().is_some_and(|slot| slot.live == DONE) {
            self.slots.pop_front();
            self.first += 1;
        }
    }

    /// The offset to commit: that of the first unsettled record, else one past the last taken.
    pub(super) fn position(&self) -> Option<i64> {
        self.slots.front().map(|slot| slot.offset).or(self.next_offset)
    }

    /// The first unsettled record.
    pub(super) fn front(&self) -> Option<u32> {
        self.slots.front().map(|slot| slot.live)
    }

    /// Offsets from the commit position to the last one taken.
    pub(super) fn span(&self) -> i64 {
        match (self.slots.front(), self.next_offset) {
            (Some(front), Some(next)) => next - front.offset,
            _ => 0,
        }
    }

    /// Unsettled records, in offset order.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = u32> + '_ {
        self.slots.iter().map(|slot| slot.live).filter(|live| *live != DONE)
    }

    /// Runs of settled records above the position. Offsets between two settled neighbours that no record has are done.
    pub(super) fn done(&self) -> Vec<Range<i64>> {
        let mut runs: Vec<Range<i64>> = Vec::new();
        let mut open = false;
        for slot in &self.slots {
            match (slot.live == DONE, runs.last_mut()) {
                (true, Some(run)) if open => run.end = slot.offset + 1,
                (true, _) => runs.push(slot.offset..slot.offset + 1),
                (false, _) => {}
            }
            open = slot.live == DONE;
        }
        runs
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "a list of one run is what is meant")]
mod tests {
    use super::*;

    #[test]
    fn the_position_waits_for_the_first_unsettled_record_and_passes_gaps() {
        let mut window = Window::starting_at(Some(10));
        let places: Vec<_> = [10, 15, 16, 40].into_iter().map(|offset| window.push(offset, 0)).collect();
        window.settle(places[1]);
        window.settle(places[3]);
        assert_eq!((window.position(), window.done()), (Some(10), vec![15..16, 40..41]));
        window.settle(places[2]);
        assert_eq!((window.position(), window.done()), (Some(10), vec![15..41]));
        window.settle(places[0]);
        assert_eq!((window.position(), window.done(), window.span()), (Some(41), vec![], 0));
    }

    #[test]
    fn nothing_is_known_before_the_first_record_of_a_fresh_group() {
        let mut window = Window::starting_at(None);
        assert_eq!((window.position(), window.next_offset()), (None, None));
        window.push_done(7);
        assert_eq!((window.position(), window.span()), (Some(8), 0));
    }
}
