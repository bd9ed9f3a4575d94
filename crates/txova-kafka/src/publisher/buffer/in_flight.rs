//! A record that the client has, and its one answer. It must never know who waits for places.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::Buffer;
use crate::publisher::Published;
use crate::publisher::answer::Answer;
use crate::publisher::error::{Place, PublishError};

/// A record the client has. Ends exactly once: dropped without an answer, it says so.
pub(super) struct InFlight {
    pub(super) buffer: Arc<Buffer>,
    pub(super) size_bytes: usize,
    pub(super) since: Instant,
    pub(super) pending: Option<(Place, Answer)>,
}

impl InFlight {
    pub(super) fn end(mut self, result: impl FnOnce(Place) -> Result<Published, PublishError>) {
        self.end_once(result);
    }

    fn end_once(&mut self, result: impl FnOnce(Place) -> Result<Published, PublishError>) {
        let Some((place, answer)) = self.pending.take() else { return };
        let result = result(place);
        let is_published = result.is_ok();
        if is_published {
            let latency_us = self.since.elapsed().as_micros();
            self.buffer.latencies.record(u64::try_from(latency_us).unwrap_or(u64::MAX));
        }
        self.buffer.answered(self.size_bytes, is_published); // first: who has the answer finds it counted
        answer.give(result);
        self.buffer.told();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.end_once(|place| Err(PublishError::unanswered(place)));
    }
}

/// Whoever comes first has it.
pub(super) fn take(slot: &Mutex<Option<InFlight>>) -> Option<InFlight> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}
