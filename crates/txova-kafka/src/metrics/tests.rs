//! Goal: what is measured is what the table says, no more and no less, under the names dashboards know.
//! Method: the table against its page; a recorder that keeps everything while services run in memory, on a paused clock.

use super::*;

mod consumer;
mod heard;
mod ops;
mod over_the_client;
mod publisher;
mod whole;

/// The page `table.md`, from the table.
fn page() -> String {
    let mut text =
        String::from("| metric | type | labels | unit | the question it answers |\n|---|---|---|---|---|\n");
    for metric in TABLE {
        let Metric { name, kind, labels, unit, question } = metric;
        let row = format!("| `{name}` | {kind} | {} | {unit} | {question} |\n", labels.join(", "));
        text.push_str(&row);
    }
    text
}

#[test]
fn the_documented_table_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/metrics/table.md");
    let expected = page();
    if std::env::var_os("TXOVA_BLESS").is_some() {
        std::fs::write(path, &expected).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert_eq!(written, expected, "run the test again with TXOVA_BLESS=1 to write the table anew");
}

#[test]
fn names_are_those_that_dashboards_of_other_services_use_and_no_two_are_alike() {
    for (name, labels) in [
        ("kafka_messages_produced_total", &["topic"][..]),
        ("kafka_messages_consumed_total", &["topic", "group"]),
        ("kafka_consumer_lag", &["topic", "partition", "group"]),
        ("kafka_produce_errors_total", &["topic"]),
        ("kafka_consume_errors_total", &["topic"]),
    ] {
        let metric = TABLE.iter().find(|metric| metric.name == name);
        assert_eq!(metric.map(|metric| metric.labels), Some(labels), "{name}");
    }
    for metric in TABLE {
        assert_eq!(TABLE.iter().filter(|other| other.name == metric.name).count(), 1, "{}", metric.name);
        let is_total = metric.name.ends_with("_total");
        assert_eq!(is_total, metric.kind == Kind::Counter, "{}: counters end in _total", metric.name);
        assert!(metric.question.contains('?'), "{}", metric.name);
    }
}
