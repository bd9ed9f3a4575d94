//! The signal that something changed. Whoever waits is woken in the order in which the waiting began, so that a run
//! repeats exactly: tokio's `watch` wakes by chance.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Raises the signal.
#[derive(Debug, Default)]
pub(super) struct Signal(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    raised: AtomicU64,
    waiting: Notify,
}

/// Hears the signal, from when it was made.
#[derive(Debug)]
pub(super) struct Changes {
    signal: Arc<Inner>,
    seen: u64,
}

impl Signal {
    pub(super) fn raise(&self) {
        self.0.raised.fetch_add(1, Ordering::SeqCst);
        self.0.waiting.notify_waiters();
    }

    pub(super) fn changes(&self) -> Changes {
        Changes { signal: self.0.clone(), seen: self.0.raised.load(Ordering::SeqCst) }
    }
}

impl Changes {
    /// What was raised until now counts as heard.
    pub(super) fn hear(&mut self) {
        self.seen = self.signal.raised.load(Ordering::SeqCst);
    }

    /// Waits until the signal is raised once more than was heard. Cancel-safe.
    pub(super) async fn changed(&mut self) {
        let signal = self.signal.clone();
        let mut notified = std::pin::pin!(signal.waiting.notified());
        notified.as_mut().enable(); // before the look, or a signal between the two would be missed
        let before = self.seen;
        self.hear();
        if self.seen == before {
            notified.await;
            self.hear();
        }
    }
}
