//! Latencies in a fixed number of counters: no allocation, no lock, an error of at most a sixteenth. Knows only
//! microseconds.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters for each power of two.
const STEPS: usize = 16;
/// Powers of two: up to 2^36 µs, 19 hours; what is longer counts as that.
const OCTAVES: usize = 33;
const BUCKETS: usize = OCTAVES * STEPS;

pub(super) struct Histogram {
    buckets: Box<[AtomicU64]>,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect() }
    }

    pub(super) fn record(&self, latency_us: u64) {
        self.buckets[bucket(latency_us)].fetch_add(1, Ordering::Relaxed);
    }

    /// The latencies that each of `quantiles` (ascending, 0 to 1) stays within; `None` where nothing was recorded.
    pub(super) fn quantiles<const N: usize>(&self, quantiles: [f64; N]) -> Option<[u64; N]> {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return None;
        }
        Some(quantiles.map(|quantile| {
            let rank = ((total as f64 * quantile).ceil() as u64).clamp(1, total);
            let mut seen = 0;
            let reached = counts.iter().position(|count| {
                seen += count;
                seen >= rank
            });
            upper_bound(reached.unwrap_or(BUCKETS - 1))
        }))
    }
}

/// Below 16 one counter a microsecond, then 16 for each power of two.
fn bucket(latency_us: u64) -> usize {
    if latency_us < STEPS as u64 {
        return latency_us as usize;
    }
    let octave = latency_us.ilog2() as usize - 3; // 16..32 is octave 1
    let step = (latency_us >> (octave - 1)) as usize - STEPS;
    (octave * STEPS + step).min(BUCKETS - 1)
}

/// The largest value that a bucket counts.
fn upper_bound(bucket: usize) -> u64 {
    let (octave, step) = (bucket / STEPS, (bucket % STEPS) as u64);
    match octave {
        0 => step,
        _ => ((STEPS as u64 + step + 1) << (octave - 1)) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_recorded_has_no_quantiles() {
        assert_eq!(Histogram::new().quantiles([0.5]), None);
    }

    #[test]
    fn every_value_is_within_a_sixteenth_of_its_buckets_bound() {
        let values =
            (0..2_000).chain((11..36).flat_map(|power| [(1u64 << power) - 1, 1 << power, (1 << power) + 1]));
        for value in values {
            let bound = upper_bound(bucket(value));
            assert!(bound >= value && bound - value <= value / 16, "{value} is counted as {bound}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let histogram = Histogram::new();
        (1..=1_000).for_each(|value| histogram.record(value));
        let [half, nearly_all, all] = histogram.quantiles([0.5, 0.99, 1.0]).unwrap();
        assert!((500..=531).contains(&half), "{half}");
        assert!((990..=1_052).contains(&nearly_all), "{nearly_all}");
        assert!((1_000..=1_062).contains(&all), "{all}");
    }
}
