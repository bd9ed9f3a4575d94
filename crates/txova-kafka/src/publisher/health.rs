//! How a publisher is, for a health check. It must never ask anybody: it tells what was seen.

use serde::Serialize;
use tokio::time::Instant;
use txova_events::Time;

use super::breaker::BreakerState;
use super::error::{PublishError, PublishErrorKind};

/// How a publisher is at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PublisherHealth {
    /// Whether the brokers answered when they were last heard of; `None` before anything was.
    pub is_reachable: Option<bool>,
    /// When a broker last acknowledged or refused a record, or answered [`check_health`](super::Publisher::check_health).
    pub last_answer: Option<Time>,
    /// What the client last said of its connections: which broker, and why.
    pub last_trouble: Option<HealthEvent>,
    /// The last event that was not published.
    pub last_error: Option<HealthEvent>,
    /// What becomes of new events.
    pub breaker: BreakerState,
    /// How full the buffer is.
    pub buffer: BufferFill,
    /// Whether [`close`](super::Publisher::close) was called.
    pub is_closed: bool,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HealthEvent {
    /// When.
    pub at: Time,
    /// What, as text; never a secret, nor an event's payload.
    pub message: String,
}

/// How full a buffer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BufferFill {
    /// Records that have their place and no answer yet.
    pub records: usize,
    /// `publisher.buffer_records`.
    pub records_limit: usize,
    /// Their bytes.
    pub bytes: usize,
    /// `publisher.buffer_bytes`.
    pub bytes_limit: usize,
    /// Calls that wait for a place.
    pub waiting: usize,
}

impl PublisherHealth {
    /// Whether new events are taken and can be expected to get through.
    pub fn is_ready(&self) -> bool {
        !self.is_closed
            && self.is_reachable != Some(false)
            && self.breaker != BreakerState::Open
            && self.buffer.waiting == 0
    }
}

/// What is remembered of a failure.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub at: Instant,
    pub message: String,
}

impl Seen {
    /// A failure without its record's key, which may be personal.
    pub(super) fn of(error: &PublishError, at: Instant) -> Self {
        Self { at, message: error.to_string() }
    }

    pub(super) fn told(self) -> HealthEvent {
        HealthEvent { at: wall(self.at), message: self.message }
    }
}

/// Whether a failure says that the cluster is away.
pub(super) fn is_away(kind: PublishErrorKind) -> bool {
    matches!(kind, PublishErrorKind::TimedOut | PublishErrorKind::Failed)
}

/// A moment of this process as a time of the world.
pub(super) fn wall(at: Instant) -> Time {
    let ago_ms = i64::try_from(at.elapsed().as_millis()).unwrap_or(i64::MAX);
    let now = Time::now();
    Time::from_unix_ms(now.unix_ms().saturating_sub(ago_ms)).unwrap_or(now)
}
