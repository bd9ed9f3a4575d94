//! `publish`.

use crate::clusters::Dev;
use crate::run::{on, run, run_with};

const RATED: &str = r#"{"type":"ride.rated","payload":{"ride_id":"1badcdae-43a0-4406-8c2b-5b76332ff894","rating":5,"rated_by":"rider"}}"#;

#[test]
fn a_dry_run_checks_and_needs_no_kafka() {
    let examples = run(&["events", "example", "--rides", "3"]).ok().out;
    run_with(&["publish", "--dry-run"], &examples)
        .ok()
        .says(&["84 events keep the contract. Nothing was published."]);
    let told = run_with(&["publish", "--dry-run", "--json"], RATED).ok().objects().remove(0);
    assert_eq!((&told["topic"], &told["line"]), (&"txova.rides.v1".into(), &1.into()));
}

#[test]
fn events_are_published_as_they_are_and_read_back() {
    let dev = Dev::start(&[]);
    let example = run(&["events", "example", "payment.failed"]).ok().out;
    let published =
        run_with(&["publish", "--brokers", &dev.brokers, "--json"], &example).ok().objects().remove(0);
    assert_eq!(published["offset"], 0);
    let read = on(&dev.brokers, &["tail", "--from", "earliest", "--no-follow", "--json"]).ok().objects();
    assert_eq!(read[0]["value"], serde_json::from_str::<serde_json::Value>(&example).unwrap());
    assert_eq!(read[0]["key"], published["key"]);
    assert_eq!(read[0]["headers"][0][1], "payment.failed");
}

#[test]
fn a_payload_alone_is_enough_with_its_type() {
    let dev = Dev::start(&[]);
    let payload = r#"{"ride_id":"1badcdae-43a0-4406-8c2b-5b76332ff894","rating":5,"rated_by":"rider"}"#;
    run_with(&["publish", "--brokers", &dev.brokers, "--type", "ride.rated", "--source", "someone"], payload)
        .ok()
        .says(&["1 event is published: 1 to txova.rides.v1"]);
    let read = on(&dev.brokers, &["tail", "--from", "earliest", "--no-follow", "--json"]).ok().objects();
    assert_eq!(read[0]["value"]["source"], "someone");
}

#[test]
fn every_mistake_is_told_with_its_line_and_nothing_is_published() {
    let dev = Dev::start(&[]);
    let input = format!(
        "{RATED}\n{}\n\nnonsense\n{}\n",
        RATED.replace("\"rating\"", "\"rateing\""),
        RATED.replace("5,", "6,"),
    );
    run_with(&["publish", "--brokers", &dev.brokers], &input).failed(
        1,
        &[
            "standard input:2: field `payload.rateing`: the contract has no such field (did you mean rating?)",
            "standard input:4: expected a JSON object",
            "standard input:5: field `payload.rating`",
            "3 of 4 events break the contract. Nothing was published.",
        ],
    );
    let read = on(&dev.brokers, &["tail", "--from", "earliest", "--no-follow", "--json"]).ok();
    assert_eq!(read.out, "");
}

#[test]
fn what_cannot_be_done_is_told() {
    run(&["publish", "/no/such/file.json"]).failed(2, &["/no/such/file.json"]);
    run(&["publish", "--type", "ride.rate"]).failed(2, &["ride.rate", "did you mean ride.rated?"]);
    run_with(&["publish", "--brokers", "127.0.0.1:9"], RATED).failed(3, &["127.0.0.1:9"]);
}
