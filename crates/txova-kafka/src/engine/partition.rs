//! One assigned partition. It must never outlive its assignment: a partition that comes back is a new one.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

use crate::client_error::ClientError;
use crate::record::TopicPartition;

use super::batch::Forming;
use super::mutation::{Mutation, broken};
use super::offset_map::{Failing, OffsetMap};
use super::tally::TopicSlot;
use super::time::Moment;
use super::window::Window;

pub(super) struct Partition {
    pub name: TopicPartition,
    pub topic: TopicSlot,
    pub epoch: u64,
    /// The committed offset it began with.
    pub start: Option<i64>,
    pub window: Window,
    /// The last record of each lane that has any.
    pub lanes: HashMap<u64, u32, BuildHasherDefault<KeepHash>>,
    /// What may start, oldest first.
    pub ready: VecDeque<Ready>,
    /// The batch that is filling, for each handler that takes batches.
    pub forming: BTreeMap<u32, Forming>,
    pub in_rotation: bool,
    /// Records taken and not settled.
    pub records: usize,
    pub bytes: usize,
    pub running: usize,
    pub dead_lettering: usize,
    pub restored: Restored,
    /// Records that failed and are not settled, by offset, with their index. Some may be excused since: their count is 0.
    pub failing: BTreeSet<(i64, u32)>,
    /// Why nothing starts here: its dead letters are not taken.
    pub pinned: Option<Pinned>,
    /// Since when nothing starts here because whoever drives the engine says so, and why.
    pub on_hold: Option<(Moment, String)>,
    /// Being given back: nothing starts any more.
    pub draining: bool,
    pub paused: bool,
    /// An operator has paused it.
    pub by_operator: bool,
    pub over_share: bool,
    /// More of it was fetched than its share, and waits outside.
    pub is_set_aside: bool,
    pub over_window: bool,
    pub map_full: bool,
    /// What is done before this offset was told by a commit, if it lies above the commit's own offset.
    pub told_to: i64,
    /// The same, of the commit that was made up last.
    pub telling_to: i64,
    /// The log is no longer the one that was read: nothing known here may be committed over it.
    pub went_back: bool,
    /// Something differs from what was last committed.
    pub changed: bool,
    /// The last position the broker acknowledged.
    pub committed: Option<i64>,
    /// Bytes of metadata in the last commit made ready.
    pub map_bytes: usize,
}

/// One run of a handler that waits for its turn.
pub(super) enum Ready {
    One(u32),
    Batch(Vec<u32>),
}

/// A partition whose dead letters the broker does not take.
#[derive(Clone, Debug)]
pub(super) struct Pinned {
    pub since: Moment,
    pub error: ClientError,
}

impl Partition {
    pub(super) fn new(
        name: TopicPartition,
        topic: TopicSlot,
        epoch: u64,
        start: Option<i64>,
        map: OffsetMap,
    ) -> Self {
        let told_to = map.done.last().map_or(0, |run| run.end);
        Self {
            name,
            topic,
            epoch,
            start,
            window: Window::starting_at(start),
            lanes: HashMap::default(),
            ready: VecDeque::new(),
            forming: BTreeMap::new(),
            in_rotation: false,
            records: 0,
            bytes: 0,
            running: 0,
            dead_lettering: 0,
            restored: Restored::new(map),
            failing: BTreeSet::new(),
            pinned: None,
            on_hold: None,
            draining: false,
            paused: false,
            by_operator: false,
            over_share: false,
            is_set_aside: false,
            over_window: false,
            map_full: false,
            told_to,
            telling_to: 0,
            went_back: false,
            changed: false,
            committed: start,
            map_bytes: 0,
        }
    }

    pub(super) fn may_start(&self) -> bool {
        (!self.draining || broken(Mutation::StartsWhileLeaving))
            && (self.pinned.is_none() || broken(Mutation::StartsWhilePinned))
            && (!self.by_operator || broken(Mutation::StartsWhilePaused))
            && self.on_hold.is_none()
    }
}

/// What the offset map of the last assignment tells of records that have not come again yet.
#[derive(Default)]
pub(super) struct Restored {
    done: VecDeque<Range<i64>>,
    failing: VecDeque<Failing>,
}

impl Restored {
    fn new(map: OffsetMap) -> Self {
        Self { done: map.done.into(), failing: map.failing.into() }
    }

    /// Whether the record at `offset` was done; forgets all before it.
    pub(super) fn take_done(&mut self, offset: i64) -> bool {
        while self.done.front().is_some_and(|run| run.end <= offset) {
            self.done.pop_front();
        }
        self.done.front().is_some_and(|run| run.start <= offset)
    }

    /// How often the record at `offset` failed; forgets all before it.
    pub(super) fn take_failing(&mut self, offset: i64) -> Option<Failing> {
        while self.failing.front().is_some_and(|failing| failing.offset < offset) {
            self.failing.pop_front();
        }
        self.failing.pop_front_if(|failing| failing.offset == offset)
    }

    /// What is told of offsets from `next_offset` on.
    pub(super) fn rest(&self, next_offset: i64) -> (Vec<Range<i64>>, Vec<Failing>) {
        let done = self.done.iter().filter(|run| run.end > next_offset);
        let done = done.map(|run| run.start.max(next_offset)..run.end).collect();
        let failing = self.failing.iter().filter(|failing| failing.offset >= next_offset).copied().collect();
        (done, failing)
    }
}

/// Keys of lanes are hashes already.
#[derive(Default)]
pub(super) struct KeepHash(u64);

impl Hasher for KeepHash {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
