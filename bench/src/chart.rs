//! Rows as one HTML page with a bar chart a workload, drawn in SVG: no script, nothing fetched.

use std::fmt::Write as _;

use crate::rows::Row;

const BAR: usize = 22;
const WIDTH: f64 = 420.0;

/// The page.
pub(crate) fn page(rows: &[Row], settings: &[(String, String, String)]) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>txova-kafka bench</title><style>\
         body{font:14px system-ui,sans-serif;margin:2rem auto;max-width:60rem;color:#222}\
         h2{margin:2rem 0 .3rem}p{color:#666}text{font:12px system-ui,sans-serif}\
         .ours{fill:#0b7285}.other{fill:#adb5bd}.bound{fill:#495057}</style>\
         <h1>txova-kafka bench</h1><p>Medians; the thin line is the spread from the lowest to the highest run. \
         Dark: the bare client or the plain loop. Compare within a workload only.</p>",
    );
    let mut workloads: Vec<&str> = Vec::new();
    for row in rows {
        if !workloads.contains(&row.workload.as_str()) {
            workloads.push(&row.workload);
        }
    }
    for workload in workloads {
        let _ = write!(page, "<h2>{}</h2>", escape(workload));
        for metric in ["throughput", "latency p99", "cpu", "peak memory", "redelivered"] {
            let of: Vec<_> =
                rows.iter().filter(|row| row.workload == workload && row.metric == metric).collect();
            if !of.is_empty() {
                bars(&mut page, metric, &of);
            }
        }
    }
    page.push_str("<h2>Settings</h2><table>");
    for (workload, system, words) in settings {
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(workload),
            escape(system),
            escape(words)
        );
    }
    page.push_str("</table></html>\n");
    page
}

fn bars(page: &mut String, metric: &str, rows: &[&Row]) {
    let most = rows.iter().map(|row| row.max).fold(f64::MIN_POSITIVE, f64::max);
    let unit = rows.first().map_or("", |row| row.unit.as_str());
    let height = rows.len() * BAR + 24;
    let _ = write!(
        page,
        "<svg width=\"760\" height=\"{height}\" role=\"img\" aria-label=\"{0}\"><text x=\"0\" y=\"14\">{0}, {1}</text>",
        escape(metric),
        escape(unit)
    );
    for (index, row) in rows.iter().enumerate() {
        let y = index * BAR + 24;
        let scaled = |value: f64| value / most * WIDTH;
        let class = match row.system.as_str() {
            "raw" | "plain-loop" => "bound",
            system if system.starts_with("txova-kafka") => "ours",
            _ => "other",
        };
        let _ = write!(
            page,
            "<text x=\"0\" y=\"{ty}\">{system}</text><rect class=\"{class}\" x=\"170\" y=\"{y}\" width=\"{width:.1}\" \
             height=\"14\"/><line x1=\"{x1:.1}\" x2=\"{x2:.1}\" y1=\"{ly}\" y2=\"{ly}\" stroke=\"#000\"/>\
             <text x=\"{vx:.1}\" y=\"{ty}\">{value}{ratio}</text>",
            ty = y + 12,
            ly = y + 7,
            system = escape(&row.system),
            width = scaled(row.median),
            x1 = 170.0 + scaled(row.min),
            x2 = 170.0 + scaled(row.max),
            vx = 176.0 + scaled(row.max),
            value = number(row.median),
            ratio = row.ratio_to_raw.map_or_else(String::new, |ratio| format!(" ({ratio:.2})")),
        );
    }
    page.push_str("</svg><br>");
}

fn number(value: f64) -> String {
    if value >= 1_000.0 { format!("{:.0}k", value / 1_000.0) } else { format!("{value:.2}") }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
