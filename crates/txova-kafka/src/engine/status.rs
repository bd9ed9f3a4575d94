//! What the engine can tell about itself: what is where, and what holds things up. Reading it changes nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::record::TopicPartition;

use crate::outcome::ErrorClass;

use super::breaker::Open;
use super::time::Moment;
use super::{Counts, Engine, Stuck, Ticket};

/// What an app has in hand.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Status {
    /// The partitions assigned to this member.
    pub partitions: Vec<PartitionStatus>,
    /// Handlers running.
    pub running: usize,
    /// Records taken and not settled.
    pub in_flight_records: usize,
    /// Bytes of them.
    pub in_flight_bytes: usize,
    /// What an operator has paused. That is no trouble, and nothing there counts as stuck.
    pub paused: Vec<Paused>,
    /// Whether records wait for nothing but the rate limit.
    pub is_throttled: bool,
    /// Of each partition the record that holds it up, where one does: it came to a handler longer ago than
    /// `consumer.stuck_after_ms`, or its dead letter is not taken.
    pub stuck: Vec<Stuck>,
    /// Handlers that are held back because their world seems to be away.
    pub held_handlers: Vec<HeldHandler>,
    /// What happened since the start.
    pub counts: Counts,
    /// The same for each topic that was ever assigned; commits belong to none.
    pub topics: Vec<(Arc<str>, Counts)>,
}

/// An operator's pause, until the same is resumed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Paused {
    /// The topic; `None` is the whole app.
    pub topic: Option<Arc<str>>,
    /// How long.
    pub since: Duration,
}

/// A handler that nothing starts for but a probe at a time: what it needs seems to be away.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HeldHandler {
    /// Its name.
    pub handler: Arc<str>,
    /// How long.
    pub since: Duration,
    /// Records that wait for it, the probe among them.
    pub records: usize,
    /// Probes that failed in a row and could have passed.
    pub failed_probes: u32,
    /// Until the next probe; `None` while one runs or no record waits.
    pub next_probe_in: Option<Duration>,
    /// The class of the last failure.
    pub class: ErrorClass,
    /// What it said.
    pub last_error: String,
}

/// One assigned partition.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartitionStatus {
    /// Which one.
    pub partition: TopicPartition,
    /// The next offset the group would go on from after a crash now.
    pub position: Option<i64>,
    /// The last position the broker has acknowledged.
    pub committed: Option<i64>,
    /// How full the last commit's metadata was, 0 to 1; intake pauses at three quarters.
    pub map_share: f64,
    /// One past the last record taken.
    pub next_offset: Option<i64>,
    /// Records taken and not settled.
    pub in_flight_records: usize,
    /// Handlers running.
    pub running: usize,
    /// Whether fetching is paused: there is no room, its dead letters are not taken, or an operator wants it so.
    pub paused: bool,
    /// Whether an operator has paused it, alone or with all.
    pub paused_by_operator: bool,
    /// Since when and why nothing starts here, if so: its dead letters are not taken, or it is not known which of its keys
    /// have open ones (`consumer.follow_dead_letters`).
    pub pinned: Option<(Duration, String)>,
    /// The record that holds the commit position.
    pub oldest: Option<Stuck>,
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
            paused: self.pauses.told(now),
            is_throttled: self.throttled_until().is_some(),
            stuck: self.stuck(now),
            held_handlers: self.breakers.open().map(|(_, open)| self.held_handler(open, now)).collect(),
            counts: self.tally.all(),
            topics: self.tally.by_topic(),
        }
    }

    fn held_handler(&self, open: &Open, now: Moment) -> HeldHandler {
        let waits = |ticket: &&Ticket| {
            self.live.get(ticket.index as usize).is_some_and(|live| live.serial == ticket.serial)
        };
        let idle = open.probe.is_none() && !open.waiting.is_empty();
        HeldHandler {
            handler: open.failure.handler.clone(),
            since: now.since(open.since),
            records: open.waiting.iter().chain(&open.probe).filter(waits).count(),
            failed_probes: open.failed_probes,
            next_probe_in: idle.then(|| open.probe_at.since(now)),
            class: open.failure.class,
            last_error: open.failure.told().to_owned(),
        }
    }

    /// The record that holds each assigned partition's commit position, where one does.
    pub(crate) fn oldest(&self) -> impl Iterator<Item = (&TopicPartition, &R)> {
        self.partitions.iter().filter_map(|(_, partition)| {
            let live = self.live.get(partition.window.front()? as usize)?;
            Some((&partition.name, &live.record))
        })
    }

    fn of(&self, slot: usize, now: Moment) -> Option<PartitionStatus> {
        let partition = self.partitions.get(slot)?;
        let oldest = partition.window.front().and_then(|index| self.told(index, now));
        Some(PartitionStatus {
            partition: partition.name.clone(),
            position: partition.window.position(),
            committed: partition.committed,
            map_share: partition.map_bytes as f64 / self.settings.max_metadata_bytes.max(1) as f64,
            next_offset: partition.window.next_offset(),
            in_flight_records: partition.records,
            running: partition.running,
            paused: partition.paused,
            paused_by_operator: partition.by_operator,
            pinned: match (&partition.pinned, &partition.on_hold) {
                (Some(pinned), _) => Some((now.since(pinned.since), pinned.error.to_string())),
                (None, Some((since, why))) => Some((now.since(*since), why.clone())),
                (None, None) => None,
            },
            oldest,
        })
    }
}
