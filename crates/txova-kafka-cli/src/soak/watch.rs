//! A look at the run every second: rates, times, lag. It must never judge.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use txova_kafka::publisher::Publisher;
use txova_kafka::{AppHandle, AppStatus};

use super::ledger::{Ledger, Times};
use crate::paint::{Paint, thousands};

const BAR: usize = 40;
/// What is left over at the end of a run may be less than a second.
const SHORTEST_S: f64 = 0.5;

/// One second of the run.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Second {
    /// Since the run began.
    pub at_s: f64,
    pub acknowledged_per_s: f64,
    pub handled_per_s: f64,
    /// From when events were due to their acknowledgement; `null` where there was none.
    pub publish_p50_ms: Option<f64>,
    pub publish_p99_ms: Option<f64>,
    /// From when they were due to their handler.
    pub through_p50_ms: Option<f64>,
    pub through_p99_ms: Option<f64>,
    /// Records that were acknowledged and not committed; `null` where the consumer did not answer.
    pub lag: Option<u64>,
}

pub(super) struct Watch {
    handle: AppHandle,
    ledger: Arc<Ledger>,
    publisher: Publisher,
    pub seconds: Vec<Second>,
    pub dead_lettered: u64,
    pub retried: u64,
    /// The times of the whole run, as of the last look.
    pub times: Option<Times>,
    acknowledged: u64,
    handled: u64,
    at_s: f64,
}

impl Watch {
    pub(super) fn new(handle: &AppHandle, ledger: &Arc<Ledger>, publisher: &Publisher) -> Self {
        Self {
            handle: handle.clone(),
            at_s: ledger.began.elapsed().as_secs_f64(),
            ledger: Arc::clone(ledger),
            publisher: publisher.clone(),
            seconds: Vec::new(),
            dead_lettered: 0,
            retried: 0,
            times: None,
            acknowledged: 0,
            handled: 0,
        }
    }

    pub(super) async fn look(&mut self) {
        let at_s = self.ledger.began.elapsed().as_secs_f64();
        let times = self.ledger.take_times();
        let acknowledged = self.ledger.acknowledged.load(Relaxed);
        let handled = self.ledger.first.load(Relaxed);
        let status = self.handle.status().await;
        let took = (at_s - self.at_s).max(f64::EPSILON);
        let per_s = |now: u64, before: u64| (now.saturating_sub(before)) as f64 / took;
        let second = Second {
            at_s,
            acknowledged_per_s: per_s(acknowledged, self.acknowledged),
            handled_per_s: per_s(handled, self.handled),
            publish_p50_ms: at(&times.publish_now, 0.5),
            publish_p99_ms: at(&times.publish_now, 0.99),
            through_p50_ms: at(&times.through_now, 0.5),
            through_p99_ms: at(&times.through_now, 0.99),
            lag: status.as_ref().map(|status| self.lag(status)),
        };
        self.times = Some(times);
        // Rates of a moment say nothing.
        if took > SHORTEST_S || self.seconds.is_empty() {
            (self.at_s, self.acknowledged, self.handled) = (at_s, acknowledged, handled);
            self.seconds.push(second);
        }
        if let Some(status) = status {
            self.dead_lettered = status.engine.counts.dead_lettered;
            self.retried = status.engine.counts.retried;
        }
    }

    /// Without asking the cluster, whose answers would be part of its load.
    fn lag(&self, status: &AppStatus) -> u64 {
        let behind = status.engine.partitions.iter().map(|partition| {
            let end = self.ledger.end(partition.partition.partition);
            // Before its first commit a partition is read from the run's first record on.
            let committed =
                partition.committed.or_else(|| self.ledger.first_offset(partition.partition.partition));
            end.zip(committed).map_or(0, |(end, committed)| end.saturating_sub(committed).max(0) as u64)
        });
        behind.sum()
    }

    /// For a terminal.
    pub(super) fn picture(&self, paint: Paint, duration: Duration) -> String {
        let Some(now) = self.seconds.last() else { return String::new() };
        let sent = self.ledger.sent.load(Relaxed);
        let share = sent as f64 / self.ledger.total.max(1) as f64;
        let full = (share * BAR as f64).round() as usize;
        let bar = format!("{}{}", paint.good("█".repeat(full)), paint.faint("░".repeat(BAR - full.min(BAR))));
        let phase = if self.ledger.over.load(Relaxed) { "the rest" } else { "load" };
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "  {} {bar} {:>3.0} %  {:.0} of {:.0} s\n",
            paint.bold(format!("{phase:<10}")),
            share * 100.0,
            now.at_s,
            duration.as_secs_f64()
        );
        let row = |name: &str, total: u64, per_s: f64, p50: Option<f64>, p99: Option<f64>| {
            format!(
                "  {name:<12}{:>12}{:>10}/s   p50 {:>8}   p99 {:>8}\n",
                thousands(total),
                thousands(per_s.max(0.0) as u64),
                ms(p50),
                ms(p99)
            )
        };
        text += &row(
            "published",
            self.acknowledged,
            now.acknowledged_per_s,
            now.publish_p50_ms,
            now.publish_p99_ms,
        );
        text += &row("handled", self.handled, now.handled_per_s, now.through_p50_ms, now.through_p99_ms);
        let lag = now.lag.map_or_else(|| "–".to_owned(), thousands);
        let _ = writeln!(
            text,
            "\n  lag {lag}, {} under way, {} retried, {} dead letters, {} out of order",
            thousands(self.publisher.stats().in_flight as u64),
            self.retried,
            self.dead_lettered,
            self.ledger.out_of_order.load(Relaxed)
        );
        text
    }

    /// For standard error.
    pub(super) fn line(&self) -> String {
        let Some(now) = self.seconds.last() else { return String::new() };
        format!(
            "{:>5.0} s  {} published ({:.0}/s, p99 {}), {} handled ({:.0}/s, p99 {}), lag {}",
            now.at_s,
            thousands(self.acknowledged),
            now.acknowledged_per_s,
            ms(now.publish_p99_ms),
            thousands(self.handled),
            now.handled_per_s,
            ms(now.through_p99_ms),
            now.lag.map_or_else(|| "unknown".to_owned(), thousands),
        )
    }
}

/// Milliseconds below which that share lies.
pub(super) fn at(times: &Histogram<u64>, share: f64) -> Option<f64> {
    (!times.is_empty()).then(|| times.value_at_quantile(share) as f64 / 1_000.0)
}

pub(super) fn ms(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.1} ms"))
}
