//! Numbers and ids that a seed repeats. It must never know what they are for, nor be taken for chance.

use uuid::{Builder, Uuid};

/// SplitMix64 (doi:10.1145/2660193.2660195).
pub(super) struct Numbers(u64);

impl Numbers {
    /// Numbers of a seed; another `about` gives others that have nothing to do with them.
    pub(super) fn new(seed: u64, about: &str) -> Self {
        // FNV-1a: one text for each use, so that a new one leaves the numbers of the others as they are
        let salt = about.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(seed ^ salt)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number from `low` to before `high`.
    pub(super) fn within(&mut self, low: i64, high: i64) -> i64 {
        let span = high.saturating_sub(low).max(1) as u64;
        low + (self.next() % span) as i64
    }

    /// A number from `low` to before `high`.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * ((self.next() >> 11) as f64 / (1u64 << 53) as f64)
    }

    /// One of `all`, which must not be empty.
    pub(super) fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        let index = (self.next() % all.len().max(1) as u64) as usize;
        all.get(index).cloned().expect("invariant: there is something to pick from")
    }

    /// A UUID of version 7 of that moment.
    pub(super) fn uuid(&mut self, unix_ms: i64) -> Uuid {
        let mut bytes = [0; 10];
        let random = self.next().to_le_bytes().into_iter().chain(self.next().to_le_bytes());
        bytes.iter_mut().zip(random).for_each(|(byte, random)| *byte = random);
        Builder::from_unix_timestamp_millis(unix_ms.max(0) as u64, &bytes).into_uuid()
    }
}
