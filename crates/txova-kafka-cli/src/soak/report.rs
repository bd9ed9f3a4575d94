//! What a run came to: numbers, targets, a verdict; as JSON and for people. It must never measure.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use hdrhistogram::Histogram;
use serde::Serialize;
use txova_events::Time;

use super::ledger::Ledger;
use super::watch::{Second, Watch, at, ms};
use crate::paint::{Paint, thousands};

/// The platform's four.
const PUBLISH_P99_MS: f64 = 50.0;
const LAG_RECORDS: u64 = 1_000;
const DEAD_LETTERS_PERCENT: f64 = 0.1;

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Settings {
    pub brokers: String,
    pub rate: u32,
    pub duration_s: f64,
    pub keys: u32,
    pub bytes: u32,
    pub partitions: i32,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// Every target met, nothing lost, nothing refused.
    pub ok: bool,
    pub ended: Time,
    pub settings: Settings,
    pub totals: Totals,
    pub targets: Vec<Target>,
    /// From when an event was due to its acknowledgement.
    pub publish: Spread,
    /// From when it was due to its handler.
    pub through: Spread,
    pub seconds: Vec<Second>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Totals {
    pub sent: u64,
    pub acknowledged: u64,
    pub failed: u64,
    pub handled: u64,
    pub handled_again: u64,
    pub retried: u64,
    pub dead_lettered: u64,
    pub lost: u64,
    pub out_of_order: u64,
}

/// A promise or a target, and whether it was kept.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Target {
    pub target: String,
    /// `null` where nothing was measured, which is not met.
    pub measured: Option<f64>,
    pub unit: &'static str,
    pub met: bool,
}

/// Milliseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Spread {
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub p999_ms: Option<f64>,
    pub max_ms: Option<f64>,
}

impl Spread {
    fn of(times: &Histogram<u64>) -> Self {
        let max_ms = (!times.is_empty()).then(|| times.max() as f64 / 1_000.0);
        Self { p50_ms: at(times, 0.5), p99_ms: at(times, 0.99), p999_ms: at(times, 0.999), max_ms }
    }
}

impl Report {
    pub(super) async fn new(settings: Settings, ledger: &Arc<Ledger>, watch: Watch) -> Self {
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Relaxed);
        let totals = Totals {
            sent: count(&ledger.sent),
            acknowledged: count(&ledger.acknowledged),
            failed: count(&ledger.failed),
            handled: count(&ledger.first),
            handled_again: count(&ledger.again),
            retried: watch.retried,
            dead_lettered: watch.dead_lettered,
            // A dead letter is kept, and no loss.
            lost: ledger.missing().saturating_sub(watch.dead_lettered),
            out_of_order: count(&ledger.out_of_order),
        };
        let (publish, through) = match &watch.times {
            Some(times) => (Spread::of(&times.publish), Spread::of(&times.through)),
            None => (Spread::default(), Spread::default()),
        };
        Self::judged(settings, totals, publish, through, watch.seconds)
    }

    fn judged(
        settings: Settings,
        totals: Totals,
        publish: Spread,
        through: Spread,
        seconds: Vec<Second>,
    ) -> Self {
        let lag = seconds.iter().filter_map(|second| second.lag).max();
        let seen = totals.handled + totals.dead_lettered;
        let percent = |part: u64| (seen > 0).then(|| part as f64 * 100.0 / seen as f64);
        let (dead, order) = (
            percent(totals.dead_lettered),
            percent(totals.handled - totals.out_of_order.min(totals.handled)),
        );
        let target = |target: &str, measured: Option<f64>, unit, met: bool| Target {
            target: target.to_owned(),
            measured,
            unit,
            met: met && measured.is_some(),
        };
        let none = |name: &str, number: u64| target(name, Some(number as f64), "events", number == 0);
        let targets = vec![
            target(
                "publish p99 < 50 ms",
                publish.p99_ms,
                "ms",
                publish.p99_ms.is_some_and(|p99| p99 < PUBLISH_P99_MS),
            ),
            target(
                "consumer lag < 1000 records",
                lag.map(|lag| lag as f64),
                "records",
                lag.is_some_and(|lag| lag < LAG_RECORDS),
            ),
            target("dead letters < 0.1 %", dead, "%", dead.is_some_and(|dead| dead < DEAD_LETTERS_PERCENT)),
            target("order kept for 100 %", order, "%", totals.out_of_order == 0),
            none("nothing lost", totals.lost),
            none("nothing refused", totals.failed),
        ];
        let ok = targets.iter().all(|target| target.met);
        Self { ok, ended: to_the_second(Time::now()), settings, totals, targets, publish, through, seconds }
    }

    /// For people.
    pub(super) fn show(&self, paint: Paint) -> String {
        let Settings { rate, duration_s, keys, partitions, .. } = &self.settings;
        let Totals { acknowledged, handled, handled_again, retried, .. } = &self.totals;
        let mut text = format!(
            "\n  {} events a second for {duration_s:.0} s, {} keys, {partitions} partitions, at {}\n\n",
            thousands(u64::from(*rate)),
            thousands(u64::from(*keys)),
            self.settings.brokers
        );
        let spread = |name: &str, count: u64, spread: &Spread| {
            let Spread { p50_ms, p99_ms, p999_ms, max_ms } = spread;
            let times = [p50_ms, p99_ms, p999_ms, max_ms].map(|value| format!("{:>11}", ms(*value)));
            format!("  {name:<12}{:>12}{}\n", thousands(count), times.concat())
        };
        text += &paint.faint(format!(
            "  {:<12}{:>12}{:>11}{:>11}{:>11}{:>11}",
            "", "events", "p50", "p99", "p99.9", "max"
        ));
        text += "\n";
        text += &spread("published", *acknowledged, &self.publish);
        text += &spread("handled", *handled, &self.through);
        text += &format!("\n  {handled_again} handled again, {retried} retried\n\n");
        for target in &self.targets {
            let verdict = if target.met { paint.good("met   ") } else { paint.bad("missed") };
            text += &format!("  {verdict}  {:<30}{:>16}\n", target.target, target.shown());
        }
        let verdict = match self.ok {
            true => paint.good("Every target is met; nothing was lost, and all of it was in order."),
            false => paint.bad("Not every target is met: see above."),
        };
        text + &format!("\n  {}\n", paint.bold(verdict))
    }
}

fn to_the_second(time: Time) -> Time {
    Time::from_unix_ms(time.unix_ms() / 1_000 * 1_000).unwrap_or(time)
}

impl Target {
    pub(super) fn shown(&self) -> String {
        match self.measured {
            None => "not measured".to_owned(),
            Some(measured) => {
                let number = format!("{measured:.3}");
                format!("{} {}", number.trim_end_matches('0').trim_end_matches('.'), self.unit)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(in super::super) fn settings() -> Settings {
        let brokers = "127.0.0.1:9092".to_owned();
        Settings { brokers, rate: 1_000, duration_s: 30.0, keys: 100, bytes: 200, partitions: 12 }
    }

    fn judged(totals: Totals, p99_ms: Option<f64>, lag: Option<u64>) -> Vec<bool> {
        let publish = Spread { p99_ms, ..Spread::default() };
        let seconds = vec![Second { lag: Some(3), ..Second::default() }, Second { lag, ..Second::default() }];
        let report = Report::judged(settings(), totals, publish, Spread::default(), seconds);
        assert_eq!(report.ok, report.targets.iter().all(|target| target.met));
        report.targets.iter().map(|target| target.met).collect()
    }

    #[test]
    fn a_run_at_its_limits_misses_and_just_below_meets() {
        let good = Totals { handled: 1_001, dead_lettered: 1, ..Totals::default() };
        assert_eq!(judged(good.clone(), Some(49.9), Some(999)), [true; 6]);
        let bad = Totals { handled: 999, dead_lettered: 1, lost: 1, out_of_order: 1, failed: 1, ..good };
        assert_eq!(judged(bad, Some(50.0), Some(1_000)), [false; 6]);
    }

    #[test]
    fn what_was_not_measured_is_not_met() {
        let seconds = Vec::new();
        let report =
            Report::judged(settings(), Totals::default(), Spread::default(), Spread::default(), seconds);
        let met: Vec<bool> = report.targets.iter().map(|target| target.met).collect();
        assert_eq!(met, [false, false, false, false, true, true]);
        assert_eq!(report.targets[0].shown(), "not measured");
    }
}
