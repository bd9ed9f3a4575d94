//! Lets so many letters pass a second. It must never let go of more than it was asked for at once.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

pub(super) struct Pace {
    per_second: Option<u32>,
    next: Instant,
}

impl Pace {
    pub(super) fn new(per_second: Option<u32>) -> Self {
        Self { per_second, next: Instant::now() }
    }

    /// The most letters that go in one piece: a quarter of a second's.
    pub(super) fn piece(&self, most: usize) -> usize {
        self.per_second.map_or(most, |rate| (rate as usize / 4).clamp(1, most))
    }

    /// Waits until so many may go.
    pub(super) async fn wait(&mut self, letters: usize) {
        let Some(rate) = self.per_second else { return };
        sleep_until(self.next).await;
        let takes = Duration::from_secs_f64(letters as f64 / f64::from(rate));
        self.next = self.next.max(Instant::now()) + takes;
    }
}
