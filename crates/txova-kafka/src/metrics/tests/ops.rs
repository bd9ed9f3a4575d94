//! Dashboard, alerts and runbook fit the table and each other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;

const PANEL: (u32, u32) = (8, 7);
const PANELS_A_ROW: u32 = 3;

fn ops(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ops").join(file)
}

fn read(file: &str) -> String {
    std::fs::read_to_string(ops(file)).unwrap()
}

/// Sections of the dashboard, and what of the table each holds.
const SECTIONS: [(&str, &[&str]); 4] = [
    ("Publishing", &["kafka_messages_produced", "kafka_produce_", "kafka_publish"]),
    ("Lag", &["kafka_consumer_lag", "kafka_consumer_commit_age", "kafka_consumer_offset_map"]),
    ("Dead letters and failures", &["kafka_dead_letter", "kafka_consume_errors", "kafka_consumer_retries"]),
    ("Consuming", &["kafka_"]),
];

fn section_of(metric: &Metric) -> usize {
    let holds =
        |(_, prefixes): &(&str, &[&str])| prefixes.iter().any(|prefix| metric.name.starts_with(prefix));
    SECTIONS.iter().position(holds).unwrap()
}

/// The numbers that say at a glance whether the platform's targets are kept.
fn targets() -> [(&'static str, String, &'static str, f64); 4] {
    let rate = |name: &str| format!("sum(rate(${{prefix}}{name}[$__rate_interval]))");
    [
        (
            "Publish p99 (target 50 ms)",
            format!(
                "histogram_quantile(0.99, sum by (le) (rate(${{prefix}}{}_bucket[$__rate_interval])))",
                PUBLISH_SECONDS.name
            ),
            "s",
            0.05,
        ),
        (
            "Largest lag (target 1,000 records)",
            format!("max(sum by (group, topic) (${{prefix}}{}))", LAG.name),
            "short",
            1_000.0,
        ),
        (
            "Dead letters (target 0.1 %)",
            format!("{} / {}", rate(DEAD_LETTERS.name), rate(CONSUMED.name)),
            "percentunit",
            0.001,
        ),
        ("Stuck partitions", format!("sum(${{prefix}}{})", STUCK_PARTITIONS.name), "short", 1.0),
    ]
}

fn queries(metric: &Metric) -> Vec<(String, String)> {
    let name = format!("${{prefix}}{}", metric.name);
    let by: Vec<&str> = metric.labels.iter().copied().filter(|label| *label != "partition").collect();
    let legend = by.iter().map(|label| format!("{{{{{label}}}}}")).collect::<Vec<_>>().join(" ");
    let by = by.join(", ");
    match metric.kind {
        Kind::Counter => vec![(format!("sum by ({by}) (rate({name}[$__rate_interval]))"), legend)],
        Kind::Gauge if metric.unit.starts_with('0') || metric.unit == "seconds" => {
            vec![(format!("max by ({by}) ({name})"), legend)]
        }
        Kind::Gauge => vec![(format!("sum by ({by}) ({name})"), legend)],
        Kind::Histogram => {
            let of = |quantile: f64| {
                let rates = format!("sum by (le, {by}) (rate({name}_bucket[$__rate_interval]))");
                (
                    format!("histogram_quantile({quantile}, {rates})"),
                    format!("p{} {legend}", quantile * 100.0),
                )
            };
            vec![of(0.5), of(0.99)]
        }
    }
}

fn unit(metric: &Metric) -> &'static str {
    match (metric.unit, metric.kind) {
        ("seconds", _) => "s",
        ("bytes", _) => "bytes",
        ("0 to 1", _) => "percentunit",
        (_, Kind::Counter) => "cps",
        _ => "short",
    }
}

fn panel(title: &str, kind: &str, queries: Vec<(String, String)>, unit: &str) -> Value {
    let targets = queries.into_iter().zip('A'..).map(|((expression, legend), id)| {
        json!({ "refId": id.to_string(), "expr": expression, "legendFormat": legend })
    });
    json!({
        "title": title,
        "type": kind,
        "datasource": { "type": "prometheus", "uid": "${datasource}" },
        "targets": targets.collect::<Vec<_>>(),
        "fieldConfig": { "defaults": { "unit": unit }, "overrides": [] },
    })
}

fn dashboard() -> Value {
    let mut panels = Vec::new();
    let mut y = 0;
    for (x, (title, expression, unit, limit)) in (0..).zip(targets()) {
        let mut panel = panel(title, "stat", vec![(expression, String::new())], unit);
        panel["fieldConfig"]["defaults"]["thresholds"] = json!({
            "mode": "absolute",
            "steps": [{ "color": "green", "value": null }, { "color": "red", "value": limit }],
        });
        panel["gridPos"] = json!({ "x": x * 6, "y": y, "w": 6, "h": 4 });
        panels.push(panel);
    }
    y += 4;
    for (section, (title, _)) in SECTIONS.iter().enumerate() {
        let row = json!({ "x": 0, "y": y, "w": 24, "h": 1 });
        panels
            .push(json!({ "title": title, "type": "row", "collapsed": false, "gridPos": row, "panels": [] }));
        y += 1;
        let of_section: Vec<_> = TABLE.iter().filter(|metric| section_of(metric) == section).collect();
        for (place, metric) in (0..).zip(&of_section) {
            let mut panel = panel(metric.question, "timeseries", queries(metric), unit(metric));
            panel["description"] = format!("{} ({})", metric.name, metric.unit).into();
            let (x, row) = (place % PANELS_A_ROW, place / PANELS_A_ROW);
            panel["gridPos"] =
                json!({ "x": x * PANEL.0, "y": y + row * PANEL.1, "w": PANEL.0, "h": PANEL.1 });
            panels.push(panel);
        }
        y += (of_section.len() as u32).div_ceil(PANELS_A_ROW) * PANEL.1;
    }
    for (id, panel) in (1..).zip(&mut panels) {
        panel["id"] = id.into();
    }
    json!({
        "title": "txova-kafka",
        "uid": "txova-kafka",
        "description": "Events of the platform's services. Made from the table of metrics; do not edit by hand.",
        "tags": ["kafka", "txova"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": { "from": "now-3h", "to": "now" },
        "templating": { "list": [
            { "name": "datasource", "type": "datasource", "query": "prometheus" },
            {
                "name": "prefix",
                "type": "textbox",
                "label": "namespace and subsystem",
                "query": "txova_",
                "current": { "text": "txova_", "value": "txova_" },
            },
        ] },
        "panels": panels,
    })
}

#[test]
fn the_dashboard_is_made_from_the_table() {
    let expected = format!("{:#}\n", dashboard());
    if std::env::var_os("TXOVA_BLESS").is_some() {
        std::fs::write(ops("grafana-dashboard.json"), &expected).unwrap();
    }
    let written = read("grafana-dashboard.json");
    assert!(written == expected, "run the test again with TXOVA_BLESS=1 to write the dashboard anew");
    for metric in TABLE {
        assert!(written.contains(&format!("${{prefix}}{}", metric.name)), "{} is on no panel", metric.name);
    }
}

/// Names of metrics in a text, without what a histogram adds to its own.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_name(c));
    let names = words.filter_map(|word| {
        word.strip_prefix("txova_").or_else(|| word.starts_with("kafka_").then_some(word))
    });
    names.filter(|name| name.starts_with("kafka_")).map(|name| name.trim_end_matches("_bucket")).collect()
}

#[test]
fn alerts_and_runbook_speak_of_metrics_that_there_are() {
    for file in ["alerts.yaml", "alerts_test.yaml", "RUNBOOK.md"] {
        let text = read(file);
        let found = metrics_in(&text);
        assert!(found.len() > 4, "{file}: {found:?}");
        for name in found {
            let known = name == "kafka_" || TABLE.iter().any(|metric| metric.name == name);
            assert!(known, "{file} speaks of {name}, which is not in the table");
        }
    }
}

#[test]
fn every_alert_has_a_test_and_a_page_that_says_what_it_means_what_shows_more_and_what_repairs() {
    let (alerts, tests, runbook) = (read("alerts.yaml"), read("alerts_test.yaml"), read("RUNBOOK.md"));
    let names: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let links = alerts.lines().filter_map(|line| line.trim().strip_prefix("runbook_url: "));
    let anchors: Vec<&str> = links.filter_map(|link| Some(link.split_once("/ops/RUNBOOK.md#")?.1)).collect();
    assert_eq!(anchors, names.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>());
    for name in &names {
        let fires = tests.split("alertname: ").any(|test| {
            test.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with("exp_alerts"))
        });
        assert!(fires, "no test sees {name} fire");
        let page = runbook.split("\n## ").find(|page| page.starts_with(&format!("{name}\n")));
        let page = page.unwrap_or_else(|| panic!("the runbook has no page {name}"));
        for part in ["**Means**", "**Look**", "**Repair**", "```sh\ntxova-kafka "] {
            assert!(page.contains(part), "the page {name} has no {part:?}");
        }
    }
    assert_eq!(runbook.matches("\n## ").count(), names.len(), "a page is of no alert");
}
