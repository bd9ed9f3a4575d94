//! Time as the engine knows it: it is told, and never asks a clock.

use std::ops::Add;
use std::time::Duration;

/// Microseconds on a clock that never goes back; only differences mean anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Moment(pub u64);

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Moment {
    /// How long it is since `earlier`; zero where that lies ahead.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// What both clocks say: the one for waiting, and the calendar's for what people read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Now {
    pub at: Moment,
    /// Milliseconds since 1970, UTC. May jump.
    pub unix_ms: i64,
}
