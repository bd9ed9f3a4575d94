//! When a thread last showed that it turns. Read from anywhere, it tells one that hangs from one that has nothing to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Beaten by one, read by others. One that was never beaten tells nothing.
#[derive(Clone, Debug)]
pub(crate) struct Pulse {
    began: Instant,
    /// Milliseconds from `began` to the last beat, plus one; 0 before the first.
    last_ms: Arc<AtomicU64>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { began: Instant::now(), last_ms: Arc::default() }
    }
}

impl Pulse {
    pub(crate) fn beat(&self) {
        self.last_ms.store(self.began.elapsed().as_millis() as u64 + 1, Ordering::Relaxed);
    }

    /// How long ago it was last beaten.
    pub(crate) fn age(&self) -> Option<Duration> {
        let last = self.last_ms.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.began.elapsed().saturating_sub(Duration::from_millis(last)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_tells_how_long_ago_it_was_beaten_and_nothing_before() {
        let pulse = Pulse::default();
        assert_eq!(pulse.age(), None);
        let seen_elsewhere = pulse.clone();
        pulse.beat();
        let age = seen_elsewhere.age().unwrap();
        pulse.beat();
        assert!(seen_elsewhere.age().unwrap() <= age + pulse.began.elapsed());
    }
}
