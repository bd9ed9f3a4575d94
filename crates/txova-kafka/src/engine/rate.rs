//! How many records start in a second. It must never let more start in any time than that time allows, nor hold one back
//! that it does allow.

use super::mutation::{Mutation, broken};
use super::time::{Moment, Now};
use super::{Engine, Settings};

const SECOND_NS: u64 = 1_000_000_000;
/// So much of a second's records may start at once: a tenth, and one at least.
const BURST_SHARE: u64 = 10;

/// A bucket of tokens, one for each record that starts. What is kept is when it will be full again (the generic cell rate
/// algorithm of ITU-T I.371), so that nothing has to be filled as time passes.
pub(super) struct Rate {
    /// Between two records, in nanoseconds; so is all that follows.
    gap: u64,
    /// How much earlier than in turn a record may start.
    slack: u64,
    full_at: u64,
    /// Records wait until then for nothing but a token.
    throttled_until: Option<Moment>,
}

impl Rate {
    pub(super) fn new(settings: &Settings) -> Option<Self> {
        let per_second = u64::from(settings.rate_limit_per_second?).max(1);
        let gap = SECOND_NS.div_ceil(per_second);
        let slack = (per_second / BURST_SHARE).max(1).saturating_sub(1) * gap;
        Some(Self { gap, slack, full_at: 0, throttled_until: None })
    }

    fn opens_at(&self) -> Moment {
        Moment(self.full_at.saturating_sub(self.slack).div_ceil(1_000))
    }
}

impl<R: Clone> Engine<R> {
    /// Whether what wants to start has to wait for a token. A batch is more than one: it starts whole where there is a token
    /// at all, and the next run waits until all of it is paid.
    pub(super) fn is_throttled(&mut self, now: Now) -> bool {
        let wanted = !self.rotation.is_empty() || self.probe_at().is_some_and(|at| at <= now.at);
        let Some(rate) = &mut self.rate else { return false };
        let opens_at = Some(rate.opens_at());
        rate.throttled_until = opens_at.filter(|at| *at > now.at && wanted && !broken(Mutation::IgnoresRate));
        rate.throttled_until.is_some()
    }

    /// Until when records wait for a token, where they do.
    pub(super) fn throttled_until(&self) -> Option<Moment> {
        let until = self.rate.as_ref().and_then(|rate| rate.throttled_until);
        until.filter(|_| self.may_begin() && !broken(Mutation::SleepsOnWhenThrottled))
    }

    /// So many records start.
    pub(super) fn spend(&mut self, records: usize, now: Now) {
        if let Some(rate) = &mut self.rate {
            let now_ns = now.at.0.saturating_mul(1_000);
            rate.full_at = rate.full_at.max(now_ns).saturating_add(rate.gap.saturating_mul(records as u64));
        }
    }

    /// So many did not run after all.
    pub(super) fn give_tokens_back(&mut self, records: usize) {
        if let Some(rate) = &mut self.rate {
            rate.full_at = rate.full_at.saturating_sub(rate.gap.saturating_mul(records as u64));
        }
    }
}
