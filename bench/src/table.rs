//! Rows as a table for a person.

use crate::plan::Workload;
use crate::rows::Row;

const FIGURES: [(&str, &str, usize); 11] = [
    ("throughput", "records/s", 0),
    ("time", "s", 2),
    ("latency p50", "p50 ms", 2),
    ("latency p99", "p99 ms", 2),
    ("latency p99.9", "p99.9 ms", 2),
    ("cpu", "CPU s/M", 2),
    ("peak memory", "MiB", 0),
    ("peak in flight", "in flight", 0),
    ("first record", "first ms", 0),
    ("redelivered", "again", 0),
    ("dead letters", "letters", 0),
];

/// Prints a workload's rows: a line a system, each figure's median with its spread.
pub(crate) fn print(workload: &Workload, rows: &[Row]) {
    println!("\n{}: {}", workload.name, workload.about);
    let shown: Vec<_> =
        FIGURES.iter().filter(|(metric, ..)| rows.iter().any(|row| row.metric == *metric)).collect();
    let mut heads = vec![format!("{:<24}", "")];
    heads.extend(shown.iter().map(|(_, head, _)| format!("{head:>22}")));
    heads.push(format!("{:>8}", "to raw"));
    println!("{}", heads.concat());
    let mut systems: Vec<&str> = Vec::new();
    for row in rows {
        if !systems.contains(&row.system.as_str()) {
            systems.push(&row.system);
        }
    }
    for system in systems {
        let of = |metric: &str| rows.iter().find(|row| row.system == system && row.metric == metric);
        let mut cells = vec![format!("{system:<24}")];
        cells.extend(shown.iter().map(|(metric, _, digits)| match of(metric) {
            Some(row) => {
                let spread = format!("{:.2$}–{:.2$}", row.min, row.max, digits);
                format!("{:>22}", format!("{:.1$} ({spread})", row.median, digits))
            }
            None => format!("{:>22}", "–"),
        }));
        let ratio = of("latency p99").or_else(|| of("throughput")).and_then(|row| row.ratio_to_raw);
        cells.push(ratio.map_or_else(|| format!("{:>8}", ""), |ratio| format!("{ratio:>8.2}")));
        println!("{}", cells.concat());
    }
}
