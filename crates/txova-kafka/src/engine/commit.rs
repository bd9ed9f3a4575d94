//! When offsets are committed and what is written with them. It must never commit an offset with an unsettled record
//! below it that the metadata does not name.

use std::time::Duration;

use crate::client_error::{ClientError, ClientErrorKind};
use crate::transport::CommitEntry;

use super::mutation::{Mutation, broken};
use super::offset_map::{self, Failing, OffsetMap};
use super::settings::Settings;
use super::time::{Moment, Now};
use super::{Engine, Live};

/// One commit is under way at a time; what settles meanwhile goes with the next.
#[derive(Default)]
pub(super) struct Commits {
    in_flight: Option<Vec<InFlight>>,
    /// Records settled since the last commit was handed out, and those that were until then.
    settled: usize,
    settled_in_flight: usize,
    due: Option<Moment>,
    not_before: Moment,
    failures_in_a_row: u32,
    /// Bytes of metadata the broker took less of than it should.
    metadata_limit: Option<usize>,
}

struct InFlight {
    slot: usize,
    epoch: u64,
    offset: i64,
    told_to: i64,
}

impl Commits {
    /// A record is settled: a commit is due by count, or by time after the first.
    pub(super) fn settled(&mut self, now: Now, settings: &Settings) {
        self.settled += 1;
        self.touched(now, settings);
        if self.settled >= settings.commit_every_records {
            self.due = Some(now.at);
        }
    }

    /// Something is worth a commit.
    pub(super) fn touched(&mut self, now: Now, settings: &Settings) {
        self.due.get_or_insert(now.at + settings.commit_interval);
    }

    /// Records settled that no commit under way covers.
    pub(super) fn waiting(&self) -> usize {
        self.settled
    }

    /// Records that the commit under way covers.
    pub(super) fn under_way(&self) -> usize {
        self.settled_in_flight
    }

    /// Whether the answer for a partition is out.
    pub(super) fn is_under_way(&self, slot: usize, epoch: u64) -> bool {
        self.in_flight.iter().flatten().any(|it| (it.slot, it.epoch) == (slot, epoch))
    }

    pub(super) fn wake_at(&self) -> Option<Moment> {
        if self.in_flight.is_some() { None } else { self.due.map(|due| due.max(self.not_before)) }
    }
}

impl<R: Clone> Engine<R> {
    pub(super) fn commit_due(&mut self, now: Now) -> Option<Vec<CommitEntry>> {
        if self.commits.wake_at().is_none_or(|at| at > now.at) {
            return None;
        }
        self.commits.due = None;
        let settled = std::mem::take(&mut self.commits.settled);
        let changed = self.partitions.iter().filter(|(slot, partition)| {
            partition.changed && !self.leaving.gives_back(*slot, partition.epoch)
        });
        let slots: Vec<usize> = changed.map(|(slot, _)| slot).collect();
        let mut in_flight = Vec::with_capacity(slots.len());
        let mut entries = Vec::with_capacity(slots.len());
        for slot in slots {
            let Some(entry) = self.entry(slot) else { continue };
            let Some(partition) = self.partitions.get_mut(slot) else { continue };
            partition.changed = false;
            let (epoch, offset, told_to) = (partition.epoch, entry.offset, partition.telling_to);
            in_flight.push(InFlight { slot, epoch, offset, told_to });
            entries.push(entry);
        }
        if entries.is_empty() {
            return None;
        }
        self.commits.in_flight = Some(in_flight);
        self.commits.settled_in_flight = settled;
        Some(entries)
    }

    /// The broker has answered [`super::Action::Commit`].
    pub(crate) fn committed(&mut self, answer: Result<(), &ClientError>, now: Now) {
        let Some(in_flight) = self.commits.in_flight.take() else { return };
        let settled = std::mem::take(&mut self.commits.settled_in_flight);
        match answer {
            Ok(()) => {
                self.tally.rest().commits += 1;
                self.commits.failures_in_a_row = 0;
                self.commits.not_before = now.at;
            }
            Err(error) => {
                self.tally.rest().commit_failures += 1;
                if error.kind == ClientErrorKind::OffsetMetadataTooLarge {
                    let limit = self.commits.metadata_limit.unwrap_or(self.settings.max_metadata_bytes);
                    let half = limit / 2;
                    self.commits.metadata_limit = Some(if half < 64 { 0 } else { half }); // less holds nothing
                }
                let doublings = self.commits.failures_in_a_row.min(5);
                self.commits.failures_in_a_row += 1;
                self.commits.not_before = now.at + Duration::from_millis(100 << doublings);
                self.commits.touched(now, &self.settings);
                self.commits.settled += settled;
            }
        }
        for InFlight { slot, epoch, offset, told_to } in in_flight {
            match self.partitions.get_mut(slot).filter(|partition| partition.epoch == epoch) {
                Some(partition) if answer.is_ok() => {
                    partition.committed = Some(offset);
                    partition.told_to = told_to;
                }
                Some(partition) => partition.changed = !broken(Mutation::ForgetsRefusedCommits),
                None => {}
            }
        }
    }

    /// What there is to commit of a partition: its position, and the map of what lies above. `None` while nothing is
    /// known of it; and with transactions while the map has no room for all that was told before: what is published must
    /// not become undone. Also notices how full the map is.
    pub(super) fn entry(&mut self, slot: usize) -> Option<CommitEntry> {
        let limit = self.commits.metadata_limit.unwrap_or(self.settings.max_metadata_bytes);
        let partition = self.partitions.get(slot).filter(|partition| !partition.went_back)?;
        let mut offset = partition.window.position()?;
        let next_offset = partition.window.next_offset().unwrap_or(offset);
        let (rest, rest_failing) = partition.restored.rest(next_offset);
        let mut map = OffsetMap { done: partition.window.done(), failing: Vec::new() };
        map.done.extend(rest.into_iter().filter(|_| !broken(Mutation::ForgetsMapNotRefetched)));
        let failing = partition.failing.iter().filter_map(|(_, index)| self.live.get(*index as usize));
        map.failing.extend(failing.filter_map(Live::failing));
        map.failing.extend(rest_failing);
        if broken(Mutation::CommitsPastUnsettled)
            || broken(Mutation::CommitsUnrunWhenLeaving) && partition.draining
        {
            (offset, map) = (next_offset, OffsetMap::default());
        }
        let encoded = offset_map::encode(offset, &map, limit);
        let last_done = map.done.last().map_or(offset, |run| run.end);
        let used = encoded.text.len();
        let (name, epoch) = (partition.name.clone(), partition.epoch);
        let entry = CommitEntry { partition: name, epoch, offset, metadata: encoded.text };
        let partition = self.partitions.get_mut(slot)?;
        partition.map_bytes = used;
        partition.telling_to = encoded.told_to.min(last_done);
        let untells = encoded.told_to < partition.told_to && offset < partition.told_to;
        if !encoded.complete || used * 4 >= limit * 3 {
            partition.map_full = limit > 0 || self.settings.transactions;
        } else if used * 2 <= limit {
            partition.map_full = false;
        }
        self.update_pause(slot);
        (!untells || !self.settings.transactions).then_some(entry)
    }
}

impl<R> Live<R> {
    fn failing(&self) -> Option<Failing> {
        let first_failure_s = self.first_failure_ms?.div_euclid(1000);
        (self.attempts > 0).then_some(Failing {
            offset: self.offset,
            attempts: self.attempts,
            first_failure_s,
        })
    }
}
