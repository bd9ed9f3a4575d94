//! Which try at the record this is. Knows the attempt and nothing of the event.

use tokio_util::sync::CancellationToken;
use txova_events::Time;

use super::{FromEvent, Incoming};
use crate::outcome::HandlerError;

/// Which try at the record this is, and whether it is still wanted.
#[derive(Clone, Debug)]
pub struct Attempt {
    number: u32,
    first_failure: Option<Time>,
    cancelled: CancellationToken,
}

impl Attempt {
    /// 1 for the first try; counts on through restarts and rebalances.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether the record was tried before: what the handler does may have been done already.
    pub fn is_retry(&self) -> bool {
        self.number > 1
    }

    /// When the first try failed; `None` at the first.
    pub fn first_failure(&self) -> Option<Time> {
        self.first_failure
    }

    /// Whether the app closes without waiting, or the record's partition went to another member: what the handler
    /// answers now no longer counts, and the record will be handled again.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }

    /// Waits until [`is_cancelled`](Self::is_cancelled).
    ///
    /// # Cancellation
    /// May be dropped at any time.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }
}

impl FromEvent for Attempt {
    fn from_event(incoming: &Incoming<'_>) -> Result<Self, HandlerError> {
        let attempt = incoming.attempt;
        Ok(Self {
            number: attempt.number,
            first_failure: attempt.first_failure.and_then(Time::from_datetime),
            cancelled: attempt.cancelled.clone(),
        })
    }
}
