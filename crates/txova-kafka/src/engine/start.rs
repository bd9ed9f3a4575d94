//! What starts next: partitions in turn, and in each the oldest record that waits for no other.

use super::time::Now;
use super::{Engine, Start, State, Ticket};

impl<R: Clone> Engine<R> {
    pub(super) fn make_ready(&mut self, index: u32, now: Now) {
        let Some(live) = self.live.get_mut(index as usize) else { return };
        live.state = State::Ready;
        live.since = now.at;
        let slot = live.partition;
        if let Some(partition) = self.partitions.get_mut(slot) {
            partition.ready.push_back(index);
        }
        self.enter_rotation(slot);
    }

    pub(super) fn enter_rotation(&mut self, slot: usize) {
        let Some(partition) = self.partitions.get_mut(slot) else { return };
        if !partition.in_rotation && !partition.ready.is_empty() && partition.may_start() {
            partition.in_rotation = true;
            self.rotation.push_back(slot);
        }
    }

    pub(super) fn start_next(&mut self, now: Now) -> Option<Start<R>> {
        if self.leaving.wants_to_stop() {
            return None;
        }
        while self.running < self.settings.concurrency {
            let slot = self.rotation.pop_front()?;
            let Some(partition) = self.partitions.get_mut(slot) else { continue };
            partition.in_rotation = false;
            if !partition.may_start() {
                continue;
            }
            let Some(index) = partition.ready.pop_front() else { continue };
            let Some(live) = self.live.get_mut(index as usize) else { continue };
            live.state = State::Running;
            live.since = now.at;
            let start = Start {
                ticket: Ticket { index, serial: live.serial },
                partition: partition.name.clone(),
                record: live.record.clone(),
                attempt: live.attempts + 1,
                first_failure_ms: live.first_failure_ms,
            };
            partition.running += 1;
            self.running += 1;
            self.counts.started += 1;
            self.enter_rotation(slot);
            return Some(start);
        }
        None
    }
}
