//! `tail`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::clusters::Dev;
use crate::run::{command, on, run, run_with};

fn seeded() -> Dev {
    let dev = Dev::start(&[]);
    let examples = run(&["events", "example", "--rides", "2"]).ok().out;
    run_with(&["publish", "--brokers", &dev.brokers], &examples).ok();
    dev
}

#[test]
fn what_is_there_is_shown_filtered_by_type_key_and_text() {
    let dev = seeded();
    let shown = |filter: &[&str]| {
        let from = if filter.contains(&"--from") { &[][..] } else { &["--from", "earliest"] };
        let arguments = [&["tail", "--no-follow", "--json"], from, filter].concat();
        on(&dev.brokers, &arguments).ok().objects()
    };
    assert_eq!(shown(&[]).len(), 56);
    assert_eq!(shown(&["--type", "payment.*", "--type", "ride.rated"]).len(), 10);
    let key = shown(&["--type", "ride.rated"])[0]["key"].as_str().unwrap().to_owned();
    assert_eq!(shown(&["--key", &key, "--type", "ride.*"]).len(), 7);
    assert_eq!(shown(&["--text", &key, "--type", "payment.*"]).len(), 1, "the payment names its ride");
    assert_eq!(shown(&["-n", "3"]).len(), 3);
    assert_eq!(shown(&["--from", "latest"]).len(), 0);
    assert_eq!(
        on(&dev.brokers, &["tail", "txova.rides.v1", "--from", "earliest", "--no-follow"])
            .ok()
            .out
            .lines()
            .count(),
        14
    );
}

#[test]
fn all_of_a_record_is_shown_over_several_lines() {
    let dev = seeded();
    on(&dev.brokers, &["tail", "--from", "earliest", "--no-follow", "--pretty", "--type", "ride.rated"])
        .ok()
        .says(&["ride.rated  txova.rides.v1-", "key: ", "event_type: ride.rated", "\"rated_by\": \""]);
}

#[test]
fn what_comes_is_shown_as_it_comes() {
    let dev = Dev::start(&[]);
    let mut tail = command(&["tail", "--json", "--from", "earliest", "--brokers", &dev.brokers])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(tail.stdout.take().unwrap());
    for seed in ["1", "2"] {
        let example = run(&["events", "example", "ride.rated", "--seed", seed]).ok().out;
        run_with(&["publish", "--brokers", &dev.brokers], &example).ok();
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let id = serde_json::from_str::<serde_json::Value>(&example).unwrap()["id"].clone();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap()["value"]["id"], id);
    }
    tail.kill().unwrap();
    tail.wait().unwrap();
}

#[test]
fn slips_are_told_before_anything_is_waited_for() {
    let dev = Dev::start(&[]);
    on(&dev.brokers, &["tail", "txova.ride.v1"]).failed(2, &["txova.ride.v1 (did you mean txova.rides.v1?)"]);
    on(&dev.brokers, &["tail", "--type", "ride.ratd"]).failed(2, &["did you mean ride.rated?"]);
    run(&["tail", "--from", "yesterday"]).failed(2, &["--from", "15m"]);
    run(&["tail", "-n", "0"]).failed(2, &["--limit"]);
    run(&["tail", "--json", "--pretty"]).failed(2, &["--pretty"]);
}
