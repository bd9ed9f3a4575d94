//! The driver's clock: tokio's, so that a paused one moves all of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::engine::{Moment, Now};

pub(super) struct Clock {
    start: Instant,
    start_unix_ms: i64,
}

impl Clock {
    pub(super) fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), start_unix_ms: since_1970.as_millis() as i64 }
    }

    pub(super) fn now(&self) -> Now {
        self.at(Instant::now())
    }

    pub(super) fn at(&self, instant: Instant) -> Now {
        let passed = instant.saturating_duration_since(self.start);
        Now { at: Moment(passed.as_micros() as u64), unix_ms: self.start_unix_ms + passed.as_millis() as i64 }
    }

    pub(super) fn instant(&self, at: Moment) -> Instant {
        self.start + Duration::from_micros(at.0)
    }
}
