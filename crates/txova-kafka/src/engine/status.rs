//! What the engine can tell about itself: what is where, and what holds things up. Reading it changes nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::record::TopicPartition;

use super::time::Moment;
use super::{Counts, Engine, State};

/// A picture of the engine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    pub partitions: Vec<PartitionStatus>,
    /// Handlers running.
    pub running: usize,
    /// Records taken and not settled.
    pub in_flight_records: usize,
    pub in_flight_bytes: usize,
    pub counts: Counts,
}

/// One assigned partition.
#[derive(Clone, Debug)]
pub(crate) struct PartitionStatus {
    pub partition: TopicPartition,
    /// The next offset the group would go on from after a crash now.
    pub position: Option<i64>,
    /// One past the last record taken.
    pub next_offset: Option<i64>,
    pub in_flight_records: usize,
    pub running: usize,
    pub paused: bool,
    /// Why nothing starts here, if so: the dead-letter topic does not answer.
    pub pinned: Option<(Duration, String)>,
    /// The record that holds the commit position.
    pub oldest: Option<Stuck>,
}

/// A record that is not settled, and why.
#[derive(Clone, Debug)]
pub(crate) struct Stuck {
    pub offset: i64,
    pub state: RecordState,
    /// How long it has been in this state.
    pub since: Duration,
    pub attempts: u32,
    pub handler: Option<Arc<str>>,
    pub last_error: Option<String>,
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordState {
    Waiting,
    Running,
    BackingOff,
    DeadLettering,
    DeadLetterDown,
}

impl<R: Clone> Engine<R> {
    pub(crate) fn status(&self, now: Moment) -> Status {
        Status {
            partitions: self
                .partitions
                .iter()
                .map(|(slot, _)| slot)
                .filter_map(|slot| self.of(slot, now))
                .collect(),
            running: self.running,
            in_flight_records: self.live.len(),
            in_flight_bytes: self.bytes,
            counts: self.counts,
        }
    }

    fn of(&self, slot: usize, now: Moment) -> Option<PartitionStatus> {
        let partition = self.partitions.get(slot)?;
        let oldest =
            partition.window.front().and_then(|index| self.live.get(index as usize)).map(|live| Stuck {
                offset: live.offset,
                state: match live.state {
                    State::Waiting | State::Ready => RecordState::Waiting,
                    State::Running => RecordState::Running,
                    State::BackingOff => RecordState::BackingOff,
                    State::DeadLettering => RecordState::DeadLettering,
                    State::DeadLetterDown => RecordState::DeadLetterDown,
                },
                since: now.since(live.since),
                attempts: live.attempts,
                handler: live.failure.as_ref().map(|failure| failure.handler.clone()),
                last_error: live.failure.as_ref().map(|failure| failure.message.clone()),
            });
        Some(PartitionStatus {
            partition: partition.name.clone(),
            position: partition.window.position(),
            next_offset: partition.window.next_offset(),
            in_flight_records: partition.records,
            running: partition.running,
            paused: partition.paused,
            pinned: partition
                .pinned
                .as_ref()
                .map(|pinned| (now.since(pinned.since), pinned.error.to_string())),
            oldest,
        })
    }
}
