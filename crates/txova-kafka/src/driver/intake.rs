//! Batches on their way into the engine. What is beyond its partition's share of the room waits here alone, and the others
//! go on: one that is stuck must not take their room, however much of it was fetched before it could be paused. Where there
//! is no room at all, no batch is taken from the client.

use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasher as _;
use std::vec;

use foldhash::fast::FixedState;
use tracing::debug;

use crate::engine::{Engine, Incoming, Now, Offered, StopReason};
use crate::record::{Record, TopicPartition};
use crate::transport::Batch;

use super::handlers::Handlers;
use super::mutation::{Mutation, broken};

#[derive(Default)]
pub(super) struct Intake {
    fresh: Option<Held>,
    /// What found no room, in the order it came.
    waiting: BTreeMap<TopicPartition, VecDeque<Held>>,
    /// Of what waits.
    bytes: usize,
}

impl Intake {
    pub(super) fn put(&mut self, batch: Batch) {
        self.fresh = Some(Held::new(batch));
    }

    /// Whether another batch may be taken from the client. What waits is no more than `most_bytes` and a batch.
    pub(super) fn is_open(&self, engine: &Engine<Record>, most_bytes: usize) -> bool {
        let waits_alone = |waiting: &VecDeque<Held>| {
            waiting.front().and_then(|held| held.is_over_share(engine)) == Some(true)
        };
        engine.has_room(0) && self.bytes < most_bytes && self.waiting.values().all(waits_alone)
    }

    /// Whether something that found no room has some by now.
    pub(super) fn fits(&self, engine: &Engine<Record>) -> bool {
        self.waiting.values().any(|waiting| first_fits(waiting, engine))
    }

    /// Offers what there is until there is no room; why the app must not go on, if so.
    pub(super) fn feed(
        &mut self,
        engine: &mut Engine<Record>,
        handlers: &Handlers,
        now: Now,
    ) -> Option<StopReason> {
        let ready = self.waiting.iter().filter(|(_, waiting)| first_fits(waiting, engine));
        let ready: Vec<TopicPartition> = ready.map(|(partition, _)| partition.clone()).collect();
        for partition in ready {
            let Some(mut waiting) = self.waiting.remove(&partition) else { continue };
            while let Some(mut held) = waiting.pop_front() {
                self.bytes -= held.bytes;
                match held.feed(engine, handlers, now) {
                    Fed::All => {}
                    fed @ (Fed::NoRoom | Fed::OverShare) => {
                        if matches!(fed, Fed::OverShare) {
                            engine.set_aside(&partition, true);
                        }
                        waiting.push_front(self.measured(held));
                        break;
                    }
                    Fed::WentBack(reason) => return Some(reason),
                }
            }
            match waiting.is_empty() {
                true => engine.set_aside(&partition, false),
                false => drop(self.waiting.insert(partition, waiting)),
            }
        }
        let mut fresh = self.fresh.take()?;
        if !self.waiting.contains_key(&fresh.partition) {
            match fresh.feed(engine, handlers, now) {
                Fed::All => return None,
                Fed::WentBack(reason) => return Some(reason),
                Fed::NoRoom | Fed::OverShare if broken(Mutation::DropsHeldRecords) => return None,
                Fed::NoRoom => {}
                Fed::OverShare => engine.set_aside(&fresh.partition, true),
            }
        }
        let fresh = self.measured(fresh);
        self.waiting.entry(fresh.partition.clone()).or_default().push_back(fresh);
        None
    }

    /// An assignment is over.
    pub(super) fn forget(&mut self, partition: &TopicPartition) {
        let gone = self.waiting.remove(partition).into_iter().flatten();
        self.bytes -= gone.map(|held| held.bytes).sum::<usize>();
        self.fresh.take_if(|fresh| fresh.partition == *partition);
    }

    fn measured(&mut self, mut held: Held) -> Held {
        let first = held.first.as_ref().map_or(0, |first| first.bytes);
        held.bytes = first + held.records.as_slice().iter().map(Record::size_bytes).sum::<usize>();
        self.bytes += held.bytes;
        held
    }
}

fn first_fits(waiting: &VecDeque<Held>, engine: &Engine<Record>) -> bool {
    waiting.front().is_some_and(|held| held.fits(engine))
}

/// A batch, or what is left of it.
struct Held {
    partition: TopicPartition,
    epoch: u64,
    first: Option<Incoming<Record>>,
    records: vec::IntoIter<Record>,
    /// As it was measured last.
    bytes: usize,
}

enum Fed {
    All,
    NoRoom,
    OverShare,
    WentBack(StopReason),
}

impl Held {
    fn new(batch: Batch) -> Self {
        Self {
            partition: batch.partition,
            epoch: batch.epoch,
            first: None,
            records: batch.records.into_iter(),
            bytes: 0,
        }
    }

    fn fits(&self, engine: &Engine<Record>) -> bool {
        let first = self.first.as_ref().map(|first| first.bytes);
        let bytes = first.or_else(|| self.records.as_slice().first().map(Record::size_bytes));
        match self.is_over_share(engine) {
            None => true, // it goes nowhere
            Some(is_over_share) => !is_over_share && engine.has_room(bytes.unwrap_or(0)),
        }
    }

    fn is_over_share(&self, engine: &Engine<Record>) -> Option<bool> {
        engine.is_over_share(&self.partition, self.epoch)
    }

    fn feed(&mut self, engine: &mut Engine<Record>, handlers: &Handlers, now: Now) -> Fed {
        let incoming = |record| incoming(record, handlers);
        let mut is_over_share = self.is_over_share(engine) == Some(true);
        while let Some(incoming) = self.first.take().or_else(|| self.records.next().map(incoming)) {
            if is_over_share {
                self.first = Some(incoming);
                return Fed::OverShare;
            }
            let found = incoming.offset;
            match engine.offer(&self.partition, self.epoch, incoming, now) {
                Offered::Taken => is_over_share = engine.last_is_over_share(),
                Offered::NoRoom(incoming) => {
                    self.first = Some(incoming);
                    return Fed::NoRoom;
                }
                Offered::Stale => {
                    debug!(partition = %self.partition, epoch = self.epoch, "records of an assignment that is over");
                    return Fed::All;
                }
                Offered::WentBack { expected } => {
                    let partition = self.partition.clone();
                    return Fed::WentBack(StopReason::WentBack { partition, expected, found });
                }
            }
        }
        Fed::All
    }
}

/// Keys with the same hash share a lane, which costs them concurrency and nothing else.
fn incoming(record: Record, handlers: &Handlers) -> Incoming<Record> {
    let key_hash = record.key.as_deref().map(|key| FixedState::default().hash_one(key));
    let batch = handlers.batch_of(&record);
    Incoming { offset: record.offset, key_hash, bytes: record.size_bytes(), batch, record }
}
