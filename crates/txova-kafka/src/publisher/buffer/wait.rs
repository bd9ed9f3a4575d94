//! A call that waits for a place. It must never know what becomes of the record afterwards.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Buffer, Waiting};
use crate::publisher::breaker::Verdict;

/// A place in the queue for a place; dropped, it is given up.
pub(super) struct Wait {
    pub(super) buffer: Arc<Buffer>,
    pub(super) ticket: u64,
    pub(super) granted: oneshot::Receiver<()>,
}

impl Wait {
    /// False where the place was granted already.
    pub(super) fn withdraw(&self) -> bool {
        let mut state = self.buffer.lock();
        let withdrawn = state.waiting.remove(&self.ticket);
        if let Some(Waiting { placed, .. }) = &withdrawn {
            state.breaker.end(placed.pass, placed.since, Verdict::Unknown, Instant::now());
        }
        // Those behind may fit where this one did not.
        state.grant(self.buffer.limits);
        state.gauge();
        drop(state);
        self.buffer.hand_over_ready();
        withdrawn.is_some()
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.withdraw();
    }
}
