//! Goal: the demo does as a person finds it: nothing lost, nothing out of order, every line accounted for, and wrong
//! input told with its place.
//! Method: the binary itself, on the mock cluster, and on the cluster that TXOVA_KAFKA_BROKERS names where it is set.

#![allow(clippy::unwrap_used)] // a test says what it expects by failing

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_txova-kafka"));
    command.arg("demo").args(arguments).env_remove("TXOVA_KAFKA_BROKERS");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn holds(report: &Value, trips: u64) {
    assert_eq!(report["lost"], 0, "{report}");
    assert_eq!(report["out_of_order"], 0, "{report}");
    assert_eq!(report["trips"]["read"], trips, "{report}");
    let sum = report["trips"]["accepted"].as_u64().unwrap() + report["trips"]["refused"].as_u64().unwrap();
    assert_eq!(sum, trips, "every line is accounted for: {report}");
    assert_eq!(report["trips"]["refused"], 3, "lines 81, 118 and 179 of the real trips have no distance");
    let payment = &report["services"]["payment-service"];
    assert_eq!(payment["replayed"], 3, "{report}");
    assert!(payment["retried"].as_u64().unwrap() > 0, "an outage without a retry is none: {report}");
    for service in ["ride-service", "payment-service", "notification-service"] {
        let service = &report["services"][service];
        assert!(service["handled"].as_u64().unwrap() > 200, "{report}");
        assert!(service["dead_lettered"].as_u64().unwrap() >= 2, "the poison ends there: {report}");
    }
    assert_eq!(report["targets"].as_object().unwrap().len(), 4);
}

#[test]
fn the_demo_on_the_mock_cluster_loses_nothing_and_repairs_what_it_refused() {
    holds(&report(&demo(&["--json", "--limit", "200"]).output().unwrap()), 200);
}

#[test]
fn the_demo_on_a_real_kafka_can_run_again_and_again() {
    let Some(brokers) = std::env::var("TXOVA_KAFKA_BROKERS").ok().filter(|brokers| !brokers.is_empty())
    else {
        eprintln!("left out: no real Kafka (TXOVA_KAFKA_BROKERS names none)");
        return;
    };
    for _ in 0..2 {
        holds(&report(&demo(&["--json", "--limit", "200", "--brokers", &brokers]).output().unwrap()), 200);
    }
}

#[test]
fn a_broker_that_is_not_there_is_named_while_it_is_still_tried() {
    let mut running =
        demo(&["--brokers", "127.0.0.1:1"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(running.stderr.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("127.0.0.1:1"), "{first}");
    assert!(running.try_wait().unwrap().is_none(), "it goes on trying after the first word");
    running.kill().unwrap();
    running.wait().unwrap();
}

#[test]
fn wrong_trips_are_told_with_file_line_and_column() {
    let folder = std::env::temp_dir().join(format!("txova-demo-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("trips.csv");
    std::fs::write(&file, "pickup,dropoff\n1,2\n").unwrap();
    let output = demo(&["--trips", file.to_str().unwrap()]).output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("trips.csv:1:1") && said.contains("pickup_time"), "{said}");

    let output = demo(&["--trips", "/no/such/file.csv"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("/no/such/file.csv"));
}
