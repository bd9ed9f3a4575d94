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
    /// How many settled ones there are in a row, at the first and the last of each row: so that a commit steps over a row,
    /// however long it is.
    row: u32,
}

impl Slot {
    fn new(offset: i64, live: u32) -> Self {
        Self { offset, live, row: 0 }
    }

    fn is_done(&self) -> bool {
        self.live == DONE
    }
}

/// Records of a partition between the commit position and the last one taken.
#[derive(Default)]
pub(super) struct Window {
    slots: VecDeque<Slot>,
    first: u64,
    /// How many of them are settled.
    done: usize,
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
            self.slots.push_back(Slot::new(gap, DONE - 1));
        }
        let place = Place(self.first + self.slots.len() as u64);
        self.slots.push_back(Slot::new(offset, live));
        self.next_offset = Some(offset + 1);
        place
    }

    /// Takes a record that needs no handling: it was done before this assignment.
    pub(super) fn push_done(&mut self, offset: i64) {
        self.next_offset = Some(offset + 1);
        if !self.slots.is_empty() {
            self.slots.push_back(Slot::new(offset, DONE));
            self.join_row(self.slots.len() - 1);
        }
    }

    /// Marks a record settled and lets go of all settled ones at the front.
    pub(super) fn settle(&mut self, place: Place) {
        let index = (place.0 - self.first) as usize;
        if let Some(slot) = self.slots.get_mut(index).filter(|slot| !slot.is_done()) {
            slot.live = DONE;
            self.join_row(index);
        }
        if let Some(front) = self.slots.front().filter(|slot| slot.is_done()) {
            let row = front.row as usize;
            self.slots.drain(..row);
            self.first += row as u64;
            self.done -= row;
        }
    }

    /// The one at `index` is settled now: it makes one row with its settled neighbours.
    fn join_row(&mut self, index: usize) {
        let row = |index: Option<usize>| {
            let slot = index.and_then(|index| self.slots.get(index)).filter(|slot| slot.is_done());
            slot.map_or(0, |slot| slot.row as usize)
        };
        let (before, after) = (row(index.checked_sub(1)), row(index.checked_add(1)));
        let (first, last) = (index - before, index + after);
        for end in [first, last] {
            if let Some(slot) = self.slots.get_mut(end) {
                slot.row = (last - first + 1) as u32;
            }
        }
        self.done += 1;
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
        self.slots.iter().filter(|slot| !slot.is_done()).map(|slot| slot.live)
    }

    /// Runs of settled records above the position. Offsets between two settled neighbours that no record has are done.
    pub(super) fn done(&self) -> Vec<Range<i64>> {
        let (mut runs, mut index, mut left) = (Vec::new(), 0, self.done);
        while let Some(slot) = self.slots.get(index).filter(|_| left > 0) {
            let row = if slot.is_done() { slot.row as usize } else { 0 };
            if let Some(last) = row.checked_sub(1).and_then(|more| self.slots.get(index + more)) {
                runs.push(slot.offset..last.offset + 1);
            }
            left -= row;
            index += row.max(1);
        }
        runs
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "a list of one run is what is meant")]
mod tests {
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn however_records_settle_the_window_tells_the_same_as_one_that_is_read_through(
            steps in prop::collection::vec((0..3u8, 0..64usize, 1..4i64), 0..200)
        ) {
            let (mut window, mut next, mut all) = (Window::starting_at(Some(0)), 0, Vec::new());
            let mut places = Vec::new();
            for (step, which, gap) in steps {
                match step {
                    0 => {
                        places.push((window.push(next, 0), all.len()));
                        all.push((next, false));
                        next += gap;
                    }
                    1 => {
                        window.push_done(next);
                        all.push((next, true));
                        next += gap;
                    }
                    _ if places.is_empty() => {}
                    _ => {
                        let (place, index) = places.swap_remove(which % places.len());
                        window.settle(place);
                        all[index].1 = true;
                    }
                }
                let above: Vec<(i64, bool)> = all.iter().copied().skip_while(|(_, done)| *done).collect();
                let mut done: Vec<Range<i64>> = Vec::new();
                for (before, (offset, is_done)) in std::iter::once(&(-1, false)).chain(&above).zip(&above) {
                    match done.last_mut() {
                        Some(run) if *is_done && before.1 => run.end = offset + 1,
                        _ if *is_done => done.push(*offset..offset + 1),
                        _ => {}
                    }
                }
                let position = above.first().map(|(offset, _)| *offset).or(all.last().map(|(offset, _)| offset + 1));
                prop_assert_eq!(window.position(), position.or(Some(0)));
                prop_assert_eq!(window.done(), done);
                prop_assert_eq!(window.unsettled().count(), places.len());
            }
        }
    }

    #[test]
    fn nothing_is_known_before_the_first_record_of_a_fresh_group() {
        let mut window = Window::starting_at(None);
        assert_eq!((window.position(), window.next_offset()), (None, None));
        window.push_done(7);
        assert_eq!((window.position(), window.span()), (Some(8), 0));
    }
}
