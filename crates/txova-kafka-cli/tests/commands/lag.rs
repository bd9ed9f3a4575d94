//! `lag`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::clusters::{Dev, group, real, topic};
use crate::run::{command, on, run};

#[test]
fn on_a_cluster_that_lists_no_groups_those_that_are_named_are_shown() {
    let dev = Dev::start(&[]);
    on(&dev.brokers, &["lag", "somebody"]).ok().says(&["somebody has committed nothing"]);
    on(&dev.brokers, &["lag"])
        .failed(2, &["this cluster does not list its groups: name those that are meant"]);
    on(&dev.brokers, &["lag", "somebody", "--topic", "nowhere"]).failed(3, &["nowhere"]);
    run(&["lag", "--alert", "many"]).failed(2, &["--alert"]);
    run(&["lag", "--watch=soon"]).failed(2, &["--watch", "expected a time span"]);
}

#[test]
fn a_real_groups_lag_is_told_and_above_the_alert_the_exit_code_says_so() {
    let Some(brokers) = real("lag of a real group") else { return };
    let topic = topic(&brokers, 9);
    let group = group(&brokers, &topic, 2);
    let told = on(&brokers, &["lag", &group, "--json"]).ok().objects().remove(0);
    let row = &told["groups"][0]["topics"][0];
    assert_eq!((&row["topic"], &row["lag"], &row["open"]), (&(&*topic).into(), &7.into(), &7.into()));
    assert_eq!(told["groups"][0]["state"], "empty");
    on(&brokers, &["lag", &group]).ok().says(&["1 group, 7 records to handle", &topic]);
    on(&brokers, &["lag", &group, "--partitions"]).ok().says(&[&format!("{topic}-0")]);
    assert_eq!(on(&brokers, &["lag", &group, "--alert", "7"]).code, 0);
    assert_eq!(on(&brokers, &["lag", &group, "--alert", "6"]).code, 1);
    on(&brokers, &["lag", &format!("{group}x")])
        .failed(2, &["the cluster has no group", "did you mean", &group]);
}

#[test]
fn a_watch_looks_again_and_again() {
    let Some(brokers) = real("lag --watch") else { return };
    let topic = topic(&brokers, 3);
    let group = group(&brokers, &topic, 1);
    let mut watch = command(&["lag", &group, "--watch=100ms", "--json", "--brokers", &brokers])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(watch.stdout.take().unwrap());
    for _ in 0..3 {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap()["open"], 2);
    }
    watch.kill().unwrap();
    watch.wait().unwrap();
}
