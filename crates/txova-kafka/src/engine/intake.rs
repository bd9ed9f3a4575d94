//! Taking partitions and records in, and saying when there is no more room. It must never take a record twice in one
//! assignment, nor one above the limits.

use crate::config::Order;
use crate::record::TopicPartition;
use crate::transport::Assignment;

use super::mutation::{Mutation, broken};
use super::offset_map::{self, OffsetMap};
use super::partition::Partition;
use super::time::Now;
use super::{Action, Engine, Live, State};

/// A record as the engine sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Incoming<R> {
    pub offset: i64,
    /// The key's hash; `None` is a null key.
    pub key_hash: Option<u64>,
    pub bytes: usize,
    /// The batches it is for, by their place in [`super::Settings::batches`]; `None` is handled alone.
    pub batch: Option<u32>,
    pub record: R,
}

/// What became of a record that was offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Offered<R> {
    /// Taken, or known already.
    Taken,
    /// There is no room: offer it again later.
    NoRoom(Incoming<R>),
    /// Its assignment is over.
    Stale,
    /// The log has gone back behind where this assignment began: the topic was made anew or cut off. Going on would
    /// take new records for old ones.
    WentBack {
        /// The offset expected at least.
        expected: i64,
    },
}

impl<R: Clone> Engine<R> {
    /// These partitions are ours. Answers with the metadata that could not be read, for a warning.
    pub(crate) fn assigned(
        &mut self,
        epoch: u64,
        assignments: Vec<Assignment>,
        _now: Now,
    ) -> Vec<(TopicPartition, offset_map::OffsetMapError)> {
        let mut unreadable = Vec::new();
        for Assignment { partition: name, committed } in assignments {
            if let Some(&old) = self.by_name.get(&name) {
                let was_paused = self.partitions.get(old).is_some_and(|partition| partition.paused);
                self.drop_partition(old);
                if was_paused {
                    self.actions.push_back(Action::Resume(name.clone()));
                }
            }
            let start = committed.as_ref().map(|committed| committed.offset);
            let map = committed.map_or(Ok(OffsetMap::default()), |committed| {
                offset_map::decode(committed.offset, &committed.metadata)
            });
            let mut map = map.unwrap_or_else(|error| {
                unreadable.push((name.clone(), error));
                OffsetMap::default()
            });
            if broken(Mutation::ForgetsMapAtAssignment) {
                map.done.clear();
            }
            if broken(Mutation::ForgetsAttemptsAtAssignment) {
                map.failing.clear();
            }
            let mut partition = Partition::new(name.clone(), self.tally.slot(&name.topic), epoch, start, map);
            partition.draining = self.leaving.is_closing();
            self.heed_pause_of(&mut partition);
            let slot = self.partitions.insert(partition);
            self.by_name.insert(name, slot);
        }
        self.update_all_pauses();
        unreadable
    }

    /// Offers a record of a partition in offset order.
    pub(crate) fn offer(
        &mut self,
        name: &TopicPartition,
        epoch: u64,
        incoming: Incoming<R>,
        now: Now,
    ) -> Offered<R> {
        let is_last = self.partitions.get(self.last_offered).is_some_and(|last| last.name == *name);
        let found = if is_last { Some(self.last_offered) } else { self.by_name.get(name).copied() };
        let Some(slot) = found else { return Offered::Stale };
        self.last_offered = slot;
        let has_room = self.has_room(incoming.bytes);
        let Some(partition) = self.partitions.get_mut(slot) else { return Offered::Stale };
        let stale = partition.epoch != epoch && !broken(Mutation::TakesRecordsOfOldEpochs);
        if stale || partition.draining {
            return Offered::Stale;
        }
        let offset = incoming.offset;
        if let Some(expected) = partition.start.filter(|start| offset < *start) {
            let untouched = partition.window.next_offset() == Some(expected);
            if !untouched {
                partition.went_back = true;
                return Offered::WentBack { expected };
            }
            // The committed offset was out of range and the client began anew before it: nothing taken is at stake.
            let (paused, by_operator) = (partition.paused, partition.by_operator);
            let on_hold = partition.on_hold.take();
            *partition =
                Partition::new(name.clone(), partition.topic, epoch, Some(offset), OffsetMap::default());
            (partition.paused, partition.by_operator, partition.on_hold) = (paused, by_operator, on_hold);
            partition.changed = true;
        }
        let again = partition.window.next_offset().is_some_and(|next| offset < next);
        if again && !broken(Mutation::TakesDuplicates) {
            return Offered::Taken; // a pause and a resume crossed, and the client fetched again
        }
        if !has_room {
            self.hurry_all_batches();
            return Offered::NoRoom(incoming);
        }
        if partition.start.is_none() {
            // Committed before anything is settled: a crash now, and a start at the log's end would pass over it.
            partition.start = Some(offset);
            partition.changed = true;
            self.commits.touched(now, &self.settings);
        }
        if partition.restored.take_done(offset) {
            partition.window.push_done(offset);
            partition.changed = true;
            let counts = self.count(slot);
            counts.received += 1;
            counts.known += 1;
            self.commits.settled(now, &self.settings);
            self.update_pause(slot);
            return Offered::Taken;
        }
        self.count(slot).received += 1;
        self.take(slot, incoming, now);
        self.update_pause(slot);
        if !self.has_room(0) {
            self.hurry_all_batches();
        }
        Offered::Taken
    }

    fn take(&mut self, slot: usize, incoming: Incoming<R>, now: Now) {
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        let Incoming { offset, key_hash, bytes, batch, record } = incoming;
        let lane = match self.settings.order {
            Order::Key => Some(key_hash.unwrap_or(0)), // the key of no key; a key whose hash is 0 shares its lane
            Order::Partition => Some(0),
            Order::None => None,
        };
        let entry = self.live.vacant_entry();
        let index = entry.key() as u32; // bounded by max_in_flight_records
        let failing = partition.restored.take_failing(offset);
        partition.failing.extend(failing.map(|_| (offset, index)));
        let ahead = lane.and_then(|lane| partition.lanes.insert(lane, index));
        entry.insert(Live {
            serial: self.next_serial,
            partition: slot,
            offset,
            place: partition.window.push(offset, index),
            lane,
            batch: batch.filter(|_| failing.is_none()),
            key: key_hash.unwrap_or(!self.next_serial),
            behind: None,
            bytes,
            attempts: failing.map_or(0, |failing| failing.attempts),
            first_failure_ms: failing.map(|failing| failing.first_failure_s.saturating_mul(1000)),
            spared: 0,
            first_spared_ms: None,
            last_failure_ms: 0,
            dead_letter_tries: 0,
            state: State::Waiting,
            wake_at: None,
            since: now.at,
            taken_at: now.at,
            taken_ms: now.unix_ms,
            begun_at: None,
            failure: None,
            record,
        });
        self.next_serial += 1;
        partition.records += 1;
        partition.bytes += bytes;
        self.bytes += bytes;
        let Some(ahead) = ahead.and_then(|ahead| self.live.get_mut(ahead as usize)) else {
            return self.make_ready(index, now);
        };
        ahead.behind = Some(index);
        let batch =
            ahead.batch.filter(|_| ahead.state == State::Gathering || broken(Mutation::BatchesOvertake));
        self.gather_behind(batch, index, now);
    }

    /// Whether a record of `bytes` may be taken. One larger than the whole limit is taken alone.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        broken(Mutation::IgnoresLimits)
            || self.live.is_empty()
            || (self.live.len() < self.settings.max_in_flight_records
                && self.bytes + bytes <= self.settings.max_in_flight_bytes)
    }

    /// Whether a partition holds its fair share: what more there is of it must wait, so that the others have theirs. `None`
    /// where the assignment is over: none of its records is taken any more.
    pub(crate) fn is_over_share(&self, name: &TopicPartition, epoch: u64) -> Option<bool> {
        let partition = self.partitions.get(*self.by_name.get(name)?)?;
        (partition.epoch == epoch && !partition.draining).then_some(partition.over_share)
    }

    /// As [`Self::is_over_share`], of the partition that was offered a record last.
    pub(crate) fn last_is_over_share(&self) -> bool {
        self.partitions.get(self.last_offered).is_some_and(|partition| partition.over_share)
    }

    /// Records of it wait outside, or do no more: as long as they do, no others are fetched.
    pub(crate) fn set_aside(&mut self, name: &TopicPartition, is_set_aside: bool) {
        let Some(&slot) = self.by_name.get(name) else { return };
        if let Some(partition) = self.partitions.get_mut(slot) {
            partition.is_set_aside = is_set_aside;
        }
        self.update_pause(slot);
    }

    /// A partition that holds its fair share pauses, and goes on at half of it: one that is slow or stuck must not take
    /// the room of all others.
    pub(super) fn update_pause(&mut self, slot: usize) {
        let shares = self.partitions.len().max(1);
        let share_records = (self.settings.max_in_flight_records / shares).max(1);
        let share_bytes = (self.settings.max_in_flight_bytes / shares).max(1);
        let max_window = self.settings.max_window;
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        let (records, bytes, span) = (partition.records, partition.bytes, partition.window.span());
        let had_share = partition.over_share;
        if records >= share_records || bytes >= share_bytes {
            partition.over_share = true;
        } else if records <= share_records / 2 && bytes <= share_bytes / 2 {
            partition.over_share = false;
        }
        if span >= max_window {
            partition.over_window = true;
        } else if span <= max_window / 2 {
            partition.over_window = false;
        }
        // A map can be full of what was restored and not fetched again: with nothing under way only intake shrinks it.
        let map_full = partition.map_full && records > 0;
        let is_full = partition.over_share || partition.over_window || map_full || partition.is_set_aside;
        let pause = is_full || partition.pinned.is_some() || partition.by_operator;
        let keep = partition.draining || !pause && broken(Mutation::NeverResumes);
        let has_share_now = partition.over_share && !had_share;
        let changes = pause != partition.paused && !keep;
        if changes {
            partition.paused = pause;
            let name = partition.name.clone();
            self.actions.push_back(if pause { Action::Pause(name) } else { Action::Resume(name) });
        }
        if changes || has_share_now {
            self.hurry_batches(slot);
        }
    }

    /// Shares change with the number of partitions.
    pub(super) fn update_all_pauses(&mut self) {
        let slots: Vec<usize> = self.partitions.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.update_pause(slot);
        }
    }
}
