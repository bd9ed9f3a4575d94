//! What the engine is set to, already validated.

use std::collections::HashMap;
use std::time::Duration;

use crate::config::Order;
use crate::outcome::HandlerId;

use super::batch::BatchLimits;
use super::time::Moment;

/// The engine's settings.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub order: Order,
    /// Handlers running at once.
    pub concurrency: usize,
    /// Records that start in a second, retries and probes too; `None` for any number.
    pub rate_limit_per_second: Option<u32>,
    /// Records taken and not settled, over all partitions.
    pub max_in_flight_records: usize,
    /// Bytes of them.
    pub max_in_flight_bytes: usize,
    pub retry: Retry,
    /// Handlers that have their own.
    pub retry_of: HashMap<HandlerId, Retry>,
    /// How large batches may get, and how long they fill; records name theirs by its place here.
    pub batches: Vec<BatchLimits>,
    /// When a handler is held back; `None` for never.
    pub breaker: Option<BreakerSettings>,
    /// A record that came to a handler so long ago and is not settled is told as stuck.
    pub stuck_after: Duration,
    /// A commit is due after so many settled records …
    pub commit_every_records: usize,
    /// … or this long after the first of them.
    pub commit_interval: Duration,
    /// Commits are transactions, which carry what handlers published: so each has `commit_every_records` at most, twice that
    /// behind one that failed, and a partition is not given back before its own is answered.
    pub transactions: bool,
    /// The longest text a commit may carry.
    pub max_metadata_bytes: usize,
    /// Offsets between a partition's commit position and the last record taken, before intake pauses.
    pub max_window: i64,
}

/// When a handler that fails is held back, as `engine/breaker.rs` says.
#[derive(Clone, Debug)]
pub(crate) struct BreakerSettings {
    /// Records that fail in a row, or are to be dead-lettered among the recent ones.
    pub failures: u32,
    /// Keys they must be of.
    pub keys: u32,
    /// Share of the recent records that is to be dead-lettered, 0 to 1.
    pub share: f64,
    /// The longest back-off between two probes.
    pub probe_max: Duration,
}

/// When a failed record is tried again, and when no more.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    /// Attempts after the first.
    pub max_retries: u32,
    pub backoff: Duration,
    pub max_backoff: Duration,
    /// Share of the back-off that varies, 0 to 1.
    pub jitter: f64,
    /// Total time from the first failure after which no further attempt is made.
    pub max_elapsed: Option<Duration>,
    /// Tells one app's jitter from another's.
    pub seed: u64,
}

impl Settings {
    /// The retries of the handler whose verdict it is.
    pub(crate) fn retry_by(&self, handler: Option<HandlerId>) -> &Retry {
        handler.and_then(|handler| self.retry_of.get(&handler)).unwrap_or(&self.retry)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            order: Order::Key,
            concurrency: 100,
            rate_limit_per_second: None,
            max_in_flight_records: 10_000,
            max_in_flight_bytes: 64 << 20,
            retry: Retry::default(),
            retry_of: HashMap::new(),
            batches: Vec::new(),
            breaker: None,
            stuck_after: Duration::from_secs(300),
            commit_every_records: 1_000,
            commit_interval: Duration::from_millis(200),
            transactions: false,
            max_metadata_bytes: 4_096,
            max_window: 262_144,
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_retries: 3,
            backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(30),
            jitter: 0.2,
            max_elapsed: None,
            seed: 0,
        }
    }
}

impl Retry {
    /// When the attempt after `failed` failed ones may start. Doubles each time up to the limit; the jitter comes from
    /// the record's place, so that it is the same each time it is computed.
    pub(crate) fn at(&self, now: Moment, failed: u32, place: u64, retry_after: Option<Duration>) -> Moment {
        let doubled =
            self.backoff.saturating_mul(1u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX));
        let spread = self.jitter * (unit(self.seed ^ place, failed) * 2.0 - 1.0);
        let delay = doubled.min(self.max_backoff).mul_f64((1.0 + spread).max(0.0));
        now + delay.max(retry_after.unwrap_or_default())
    }
}

/// A number in [0, 1) that depends on nothing but its arguments (SplitMix64's finish, doi:10.1145/2660193.2660195).
fn unit(place: u64, failed: u32) -> f64 {
    let mut z = place.wrapping_add(u64::from(failed).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_doubles_up_to_its_limit_and_varies_by_its_share_only() {
        let retry = Retry { max_backoff: Duration::from_secs(6), ..Retry::default() };
        for (failed, base_ms) in [(1, 1000), (2, 2000), (3, 4000), (4, 6000), (40, 6000)] {
            for place in 0..200 {
                let delay = retry.at(Moment(0), failed, place, None).0 / 1000;
                assert!((base_ms * 8 / 10..=base_ms * 12 / 10).contains(&delay), "{failed}: {delay} ms");
            }
        }
    }

    #[test]
    fn the_handlers_own_delay_wins_where_it_is_longer() {
        let retry = Retry::default();
        assert_eq!(retry.at(Moment(0), 1, 0, Some(Duration::from_secs(60))), Moment(60_000_000));
        assert!(retry.at(Moment(0), 1, 0, Some(Duration::from_millis(1))) > Moment(700_000));
    }
}
