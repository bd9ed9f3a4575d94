//! Which try at the record this is, and how long it may take. Knows the attempt and nothing of the event.

use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use txova_events::Time;

use super::{FromEvent, Incoming};
use crate::outcome::HandlerError;

/// Which try at the record this is, how long it may take, and whether it is still wanted.
///
/// ```
/// use txova_kafka::{Attempt, HandlerError};
/// # async fn import_next_page() -> Result<bool, HandlerError> { Ok(false) }
///
/// async fn import(attempt: Attempt) -> Result<(), HandlerError> {
///     while import_next_page().await? {
///         if attempt.is_cancelled() || attempt.remaining().as_secs() < 2 {
///             return Err(HandlerError::transient("no time for another page")); // the next try goes on from here
///         }
///     }
///     Ok(())
/// }
/// # txova_kafka::Router::new().on("import.*", import);
/// ```
#[derive(Clone, Debug)]
pub struct Attempt {
    number: u32,
    first_failure: Option<Time>,
    deadline: Instant,
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

    /// When this try is ended, at its next await, and counts as a transient failure: `processing_timeout_ms` after it
    /// began, on tokio's clock. Give it on to what the handler calls.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The time left until the [`deadline`](Self::deadline); zero behind it.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Whether the app has begun to close, or the record's partition is to go to another member. What the handler answers
    /// within `shutdown_timeout_ms` or `revoke_timeout_ms` of that still counts; after it the handler is ended, and the
    /// record is handled again.
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
            deadline: attempt.deadline,
            cancelled: attempt.cancelled.clone(),
        })
    }
}
