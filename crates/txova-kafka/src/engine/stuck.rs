//! A record that is not settled, and what it waits for. Telling it changes nothing, and shows a key to nobody who does not
//! ask for it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::record::{ReadableKey, TopicPartition};

use super::time::Moment;
use super::{Engine, Live, State, Ticket};

/// A record that is not settled, and why. In words it names everything but its key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stuck {
    /// Its topic and partition.
    pub partition: TopicPartition,
    /// Its offset.
    pub offset: i64,
    /// Its key; `None` where it has none. It is for whoever asks an [`AppHandle`](crate::AppHandle), and in no log, metric
    /// or answer of the health endpoints.
    pub key: Option<ReadableKey>,
    /// Where it is.
    pub state: RecordState,
    /// How long it has been there.
    pub since: Duration,
    /// How long this member has had it.
    pub taken: Duration,
    /// How long ago it first came to a handler here; `None` where it has not.
    pub begun: Option<Duration>,
    /// Attempts that failed, here and before: one that runs is the next.
    pub attempts: u32,
    /// When the first attempt failed, in milliseconds since 1970, UTC.
    pub first_failure_ms: Option<i64>,
    /// The handler that failed last, or would get it.
    pub handler: Option<Arc<str>>,
    /// What it said.
    pub last_error: Option<String>,
    /// Until it is tried again, or its dead letter is written again; `None` where it waits for no time.
    pub next_in: Option<Duration>,
    /// Why its dead letter was not taken.
    pub dead_letter_error: Option<String>,
    pub(crate) ticket: Ticket,
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordState {
    /// Behind another of its key, for its batch to fill, or for a free handler.
    Waiting,
    /// With a handler.
    Running,
    /// Failed, and waiting for its next attempt.
    BackingOff,
    /// Its dead letter is being written.
    DeadLettering,
    /// Its dead letter was not taken and is written again later.
    DeadLetterDown,
    /// Its handler is held back.
    Held,
    /// Its operator has paused it.
    Paused,
}

impl Stuck {
    /// What it waits for and how it came to that, without its place.
    pub(crate) fn why(&self) -> String {
        let since = format!("for {:.3} s", self.since.as_secs_f64());
        let again = self.next_in.map(|next| format!(" in {:.3} s", next.as_secs_f64())).unwrap_or_default();
        let handler = self.handler.as_deref().unwrap_or("-");
        let waits = match (self.state, &self.dead_letter_error) {
            (RecordState::Waiting, _) => format!("it waits {since} for its turn"),
            (RecordState::Running, _) => format!("its handler runs {since}"),
            (RecordState::BackingOff, _) => format!("it is tried again{again}"),
            (RecordState::Held, _) => format!("its handler is held back, {since}"),
            (RecordState::Paused, _) => "an operator has paused it".to_owned(),
            (RecordState::DeadLettering | RecordState::DeadLetterDown, Some(error)) => {
                format!("its dead letter is not taken ({error}) and is written again{again}")
            }
            (RecordState::DeadLettering | RecordState::DeadLetterDown, None) => {
                format!("its dead letter is not taken yet, {since}")
            }
        };
        match &self.last_error {
            Some(error) => format!("{waits}; {handler} had failed: {error} (attempt {})", self.attempts),
            None => format!("{waits} ({handler})"),
        }
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, offset, taken, .. } = self;
        write!(f, "{partition} offset {offset}, taken {} s ago: {}", taken.as_secs(), self.why())
    }
}

impl<R: Clone> Engine<R> {
    /// Of each partition the record that came to a handler longest ago, where that is too long ago, or whose dead letter is
    /// not taken.
    pub(super) fn stuck(&self, now: Moment) -> Vec<Stuck> {
        let mut longest: BTreeMap<&TopicPartition, (Moment, u32)> = BTreeMap::new();
        for (index, live) in &self.live {
            let Some(partition) = self.partitions.get(live.partition) else { continue };
            let Some(begun) = live.begun_at else { continue };
            let too_long = now.since(begun) >= self.settings.stuck_after;
            let is_stuck = too_long && live.told_state(partition.by_operator) != RecordState::Paused;
            if is_stuck || live.dead_letter_tries > 0 {
                let found = (begun, index as u32);
                let first = longest.entry(&partition.name).or_insert(found);
                *first = found.min(*first);
            }
        }
        longest.values().filter_map(|(_, index)| self.told(*index, now)).collect()
    }

    pub(super) fn told(&self, index: u32, now: Moment) -> Option<Stuck> {
        let live = self.live.get(index as usize)?;
        let partition = self.partitions.get(live.partition)?;
        let waits = matches!(live.state, State::BackingOff | State::DeadLetterDown);
        let refused = partition.pinned.as_ref().filter(|_| live.dead_letter_tries > 0);
        Some(Stuck {
            partition: partition.name.clone(),
            offset: live.offset,
            key: None,
            state: live.told_state(partition.by_operator),
            since: now.since(live.since),
            taken: now.since(live.taken_at),
            begun: live.begun_at.map(|at| now.since(at)),
            attempts: live.tries(),
            first_failure_ms: live.first_try_failed_ms(),
            handler: live.failure.as_ref().map(|failure| failure.handler.clone()),
            last_error: live.failure.as_ref().map(|failure| failure.told().to_owned()),
            next_in: live.wake_at.filter(|_| waits).map(|at| at.since(now)),
            dead_letter_error: refused.map(|pinned| pinned.error.to_string()),
            ticket: Ticket { index, serial: live.serial },
        })
    }

    /// The record that `ticket` names, for more to tell of it.
    pub(crate) fn record(&self, ticket: Ticket) -> Option<&R> {
        let live = self.live.get(ticket.index as usize).filter(|live| live.serial == ticket.serial);
        live.map(|live| &live.record)
    }
}

impl<R> Live<R> {
    fn told_state(&self, is_paused: bool) -> RecordState {
        match self.state {
            State::Running | State::Batched => RecordState::Running,
            State::DeadLettering => RecordState::DeadLettering,
            State::DeadLetterDown => RecordState::DeadLetterDown,
            _ if is_paused => RecordState::Paused,
            State::Waiting | State::Gathering | State::Ready => RecordState::Waiting,
            State::BackingOff => RecordState::BackingOff,
            State::Held => RecordState::Held,
        }
    }
}
