//! A batch on its way into the engine. While there is no room it is held, and no other is taken from the client.

use std::hash::{DefaultHasher, Hasher};
use std::vec;

use tracing::debug;

use crate::engine::{Engine, Incoming, Now, Offered, StopReason};
use crate::record::{Record, TopicPartition};
use crate::transport::Batch;

use super::handlers::Handlers;

pub(super) struct Held {
    partition: TopicPartition,
    epoch: u64,
    waiting: Option<Incoming<Record>>,
    records: vec::IntoIter<Record>,
}

pub(super) enum Fed {
    All,
    NoRoom,
    WentBack(StopReason),
}

impl Held {
    pub(super) fn new(batch: Batch) -> Self {
        Self {
            partition: batch.partition,
            epoch: batch.epoch,
            waiting: None,
            records: batch.records.into_iter(),
        }
    }

    /// Whether the record that found no room has some by now.
    pub(super) fn fits(&self, engine: &Engine<Record>) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| engine.has_room(waiting.bytes))
    }

    pub(super) fn feed(&mut self, engine: &mut Engine<Record>, handlers: &Handlers, now: Now) -> Fed {
        let incoming = |record| incoming(record, handlers);
        while let Some(incoming) = self.waiting.take().or_else(|| self.records.next().map(incoming)) {
            let found = incoming.offset;
            match engine.offer(&self.partition, self.epoch, incoming, now) {
                Offered::Taken => {}
                Offered::NoRoom(incoming) => {
                    self.waiting = Some(incoming);
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
    let key_hash = record.key.as_ref().map(|key| {
        let mut hasher = DefaultHasher::new();
        hasher.write(key);
        hasher.finish()
    });
    let batch = handlers.batch_of(&record);
    Incoming { offset: record.offset, key_hash, bytes: record.size_bytes(), batch, record }
}
