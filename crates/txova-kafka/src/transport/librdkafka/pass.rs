//! What one pass of the polling thread has read, by partition. Pure bookkeeping: no calls.

use rdkafka::message::{BorrowedMessage, Message as _};

use super::super::Batch;
use super::raw;
use super::slots::Slot;
use crate::record::Pack;

#[derive(Debug, Default)]
pub(super) struct Pass {
    /// With the places of their slots; the last is the one that is added to.
    batches: Vec<(usize, Batch)>,
    /// Records of the last batch that are not in it yet.
    pack: Pack,
}

impl Pass {
    /// The place of the slot that is added to, where it is this partition's.
    pub(super) fn current(&self, topic: &str, partition: i32) -> Option<usize> {
        let (place, Batch { partition: name, .. }) = self.batches.last()?;
        (name.partition == partition && name.topic.as_ref() == topic).then_some(*place)
    }

    /// What is added from now on belongs to this slot.
    pub(super) fn turn_to(&mut self, place: usize, slot: &Slot) {
        self.unpack();
        match self.batches.iter().position(|(known, _)| *known == place) {
            Some(found) => {
                let end = self.batches.len() - 1;
                self.batches.swap(found, end);
            }
            None => {
                let (partition, epoch) = (slot.partition.clone(), slot.epoch);
                self.batches.push((place, Batch { partition, epoch, records: Vec::new() }));
            }
        }
    }

    /// Adds a record to the current slot's batch; returns its size.
    pub(super) fn add(&mut self, message: &BorrowedMessage<'_>) -> usize {
        let (offset, timestamp_ms) = (message.offset(), message.timestamp().to_millis());
        let headers = raw::headers(message);
        let size = self.pack.add(offset, timestamp_ms, message.key(), message.payload(), headers);
        if self.pack.is_full() {
            self.unpack();
        }
        size
    }

    /// The batches, which are no longer here afterwards.
    pub(super) fn end(&mut self) -> impl Iterator<Item = Batch> {
        self.unpack();
        self.batches.drain(..).map(|(_, batch)| batch)
    }

    fn unpack(&mut self) {
        if let Some((_, batch)) = self.batches.last_mut() {
            self.pack.unpack_into(&mut batch.records);
        }
    }
}
