//! What was measured, as rows: one a workload, system and figure, with its spread and its ratio to the bare client.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::child::Cost;
use crate::plan::{System, Workload};

/// A figure of a system in a workload, over all runs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub workload: String,
    pub system: String,
    pub metric: String,
    pub unit: String,
    pub median: f64,
    pub min: f64,
    pub max: f64,
    /// The median against that of the bound in the same run: the bare client, or the plain loop.
    pub ratio_to_raw: Option<f64>,
}

/// What each run of a system found.
#[derive(Clone, Debug)]
pub(crate) struct Runs {
    pub system: System,
    pub costs: Vec<Cost>,
}

impl Runs {
    fn figures(&self) -> BTreeMap<(&'static str, &'static str), Vec<f64>> {
        let mut all: BTreeMap<_, Vec<f64>> = BTreeMap::new();
        for Cost { measured, cpu_seconds, peak_mib } in &self.costs {
            let millions = measured.records as f64 / 1e6;
            let mut put = |metric, unit, value: Option<f64>| {
                if let Some(value) = value {
                    all.entry((metric, unit)).or_default().push(value);
                }
            };
            if measured.seconds > 0.0 {
                put("throughput", "records/s", Some(measured.records as f64 / measured.seconds));
                put("time", "s", Some(measured.seconds));
                put("cpu", "s/M records", Some(cpu_seconds / millions));
                put("peak memory", "MiB", Some(*peak_mib));
            }
            put("first record", "ms", measured.first_ms);
            for (name, metric) in [("p50", "latency p50"), ("p99", "latency p99"), ("p99.9", "latency p99.9")]
            {
                put(metric, "ms", measured.latency_ms.get(name).copied());
            }
            put("peak in flight", "records", measured.peak_in_flight.map(|it| it as f64));
            put("redelivered", "records", measured.redelivered.map(|it| it as f64));
            put("dead letters", "records", measured.dead_letters.map(|it| it as f64));
        }
        all
    }
}

/// All rows of a workload.
pub(crate) fn of(workload: &Workload, runs: &[Runs]) -> Vec<Row> {
    let bound = runs.iter().find(|runs| matches!(runs.system, System::Raw | System::PlainLoop));
    let bound = bound.map(Runs::figures).unwrap_or_default();
    let mut rows = Vec::new();
    for of_system in runs {
        for ((metric, unit), values) in of_system.figures() {
            let (min, median, max) = spread(&values);
            let against = bound.get(&(metric, unit)).map(|values| spread(values).1);
            rows.push(Row {
                workload: workload.name.to_owned(),
                system: of_system.system.name().to_owned(),
                metric: metric.to_owned(),
                unit: unit.to_owned(),
                median,
                min,
                max,
                ratio_to_raw: against.filter(|against| *against > 0.0).map(|against| median / against),
            });
        }
    }
    rows
}

fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median = match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    };
    (sorted.first().copied().unwrap_or(0.0), median, sorted.last().copied().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_of_runs_is_between_the_middle_two() {
        assert_eq!(spread(&[4.0, 1.0, 3.0, 2.0]), (1.0, 2.5, 4.0));
        assert_eq!(spread(&[3.0, 1.0, 2.0]), (1.0, 2.0, 3.0));
    }
}
