//! `events`.

use crate::run::run;

#[test]
fn help_names_what_there_is() {
    run(&["events", "--help"]).ok().says(&["ls", "show", "example"]);
    run(&["events", "example", "--help"]).ok().says(&["--seed", "--rides", "TYPE"]);
}

#[test]
fn ls_lists_all_28_and_those_of_a_prefix() {
    let all = run(&["events", "ls", "--json"]).ok().objects();
    assert_eq!(all.len(), 28);
    assert_eq!(all[27]["type"], "safety.trip_shared");
    let rides = run(&["events", "ls", "ride."]).ok();
    assert_eq!(rides.out.lines().count(), 1 + 7, "{rides:?}");
    assert!(!rides.out.contains('\x1b'), "no colours in a pipe");
}

#[test]
fn show_tells_every_field_and_an_example_of_the_event() {
    run(&["events", "show", "payment.initiated"]).ok().says(&[
        "published to txova.payments.v1, keyed by payment_id",
        "cash | mpesa | card | wallet",
        "\"type\": \"payment.initiated\"",
    ]);
    run(&["events", "show", "driver.location_updated"]).ok().says(&["also accepted from txova.drivers.v1"]);
    let shown = run(&["events", "show", "user.suspended", "--json"]).ok().objects().remove(0);
    assert_eq!(shown["fields"][2]["optional"], true);
    assert_eq!(shown["example"]["type"], "user.suspended");
}

#[test]
fn examples_are_the_same_for_a_seed_and_keep_the_contract() {
    let examples = run(&["events", "example"]).ok();
    assert_eq!(examples.objects().len(), 28);
    assert_eq!(run(&["events", "example", "--seed", "1"]).out, examples.out);
    let two = run(&["events", "example", "ride.rated", "--rides", "2", "--seed", "7"]).ok().objects();
    assert_ne!(two[0]["payload"]["ride_id"], two[1]["payload"]["ride_id"]);
}

#[test]
fn a_type_that_is_none_is_told_with_the_likest() {
    run(&["events", "show", "ride.complet"])
        .failed(2, &["ride.complet is none", "did you mean ride.completed?"]);
    run(&["events", "example", "nonsense"]).failed(2, &["nonsense is none of the platform's events"]);
    run(&["events", "ls", "order."]).failed(2, &["no event's type begins with order."]);
    run(&["events", "example", "--seed=-1"]).failed(2, &["--seed"]);
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let mut child = crate::run::command(&["events", "example", "--rides", "2000"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
}
