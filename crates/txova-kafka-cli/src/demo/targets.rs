//! The four targets the platform holds its event traffic to, and whether a run met them.

use std::time::Duration;

use serde::Serialize;

const PUBLISH_P99_MS: f64 = 50.0;
pub(crate) const LAG_RECORDS: i64 = 1_000;
const DEAD_LETTERS_PERCENT: f64 = 0.1;

/// What the verdicts are about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    pub publish_p99_us: Option<u64>,
    pub lag: i64,
    pub lag_in_outage: i64,
    pub recovered_after: Option<Duration>,
    pub lag_at_end: i64,
    pub handled: u64,
    pub dead_lettered: u64,
    /// Of the dead letters, those about the records the demo spoilt itself.
    pub planted: u64,
    pub expected: u64,
    pub out_of_order: u64,
}

/// One target and its verdict.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Target {
    /// In words, with its unit.
    pub target: String,
    pub limit: f64,
    /// `null` where nothing was measured, which is not met.
    pub measured: Option<f64>,
    pub met: bool,
    /// What exactly was measured.
    pub how: String,
}

/// All four.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Targets {
    pub publish_p99_ms: Target,
    pub consumer_lag: Target,
    pub dlq_rate_percent: Target,
    pub order_percent: Target,
}

impl Targets {
    pub(crate) fn judge(measured: &Measured) -> Self {
        let p99 = measured.publish_p99_us.map(|us| us as f64 / 1_000.0);
        let seen = measured.handled + measured.dead_lettered;
        let own = measured.dead_lettered.saturating_sub(measured.planted);
        let (rate, raw_rate) =
            (percent(own, seen - measured.planted.min(seen)), percent(measured.dead_lettered, seen));
        let order = percent(measured.expected.saturating_sub(measured.out_of_order), measured.expected);
        Self {
            publish_p99_ms: Target {
                target: "publish p99 < 50 ms".to_owned(),
                limit: PUBLISH_P99_MS,
                measured: p99,
                met: p99.is_some_and(|p99| p99 < PUBLISH_P99_MS),
                how: "from the call to the acknowledgement, the slower of the two publishers".to_owned(),
            },
            consumer_lag: Target {
                target: "consumer lag < 1000 records".to_owned(),
                limit: LAG_RECORDS as f64,
                measured: Some(measured.lag as f64),
                met: measured.lag < LAG_RECORDS,
                how: format!(
                    "the highest of any group, all partitions together, outside the outage; {} in it, {}, {} at the end",
                    measured.lag_in_outage,
                    match measured.recovered_after {
                        Some(after) => format!("worked off {:.1} s after it", after.as_secs_f64()),
                        None => "not worked off when it was last looked at".to_owned(),
                    },
                    measured.lag_at_end
                ),
            },
            dlq_rate_percent: Target {
                target: "dead letters < 0.1 %".to_owned(),
                limit: DEAD_LETTERS_PERCENT,
                measured: rate.map(rounded),
                met: rate.is_some_and(|rate| rate < DEAD_LETTERS_PERCENT),
                how: format!(
                    "of all records handled, without the {} letters about poison the demo planted; {:.3} % with them",
                    measured.planted,
                    raw_rate.unwrap_or_default()
                ),
            },
            order_percent: Target {
                target: "order kept for 100 %".to_owned(),
                limit: 100.0,
                measured: order,
                met: measured.expected > 0 && measured.out_of_order == 0,
                how: format!(
                    "each of {} events looked at where it was handled, against the others of its key",
                    measured.expected
                ),
            },
        }
    }

    pub(crate) fn all(&self) -> [(&Target, &'static str); 4] {
        [
            (&self.publish_p99_ms, "ms"),
            (&self.consumer_lag, "records"),
            (&self.dlq_rate_percent, "%"),
            (&self.order_percent, "%"),
        ]
    }
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

fn rounded(percent: f64) -> f64 {
    (percent * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_measured_meets_nothing_it_needs() {
        let targets = Targets::judge(&Measured::default());
        assert!(!targets.publish_p99_ms.met && !targets.dlq_rate_percent.met && !targets.order_percent.met);
    }

    #[test]
    fn a_run_at_its_limits_misses_and_just_below_meets() {
        let at = Measured {
            publish_p99_us: Some(50_000),
            lag: 1_000,
            handled: 999,
            dead_lettered: 1,
            expected: 1_000,
            out_of_order: 1,
            ..Measured::default()
        };
        assert_eq!(Targets::judge(&at).all().map(|(target, _)| target.met), [false; 4]);
        let below = Measured { publish_p99_us: Some(49_999), lag: 999, planted: 1, out_of_order: 0, ..at };
        let targets = Targets::judge(&below);
        assert_eq!(targets.all().map(|(target, _)| target.met), [true; 4]);
        assert!(
            targets.dlq_rate_percent.how.contains("0.100 % with them"),
            "{}",
            targets.dlq_rate_percent.how
        );
    }
}
