//! `topics`.

use crate::clusters::{Dev, TIMEOUT, kafka, real, wait};
use crate::run::{on, run};

#[test]
fn what_cannot_be_done_is_told() {
    run(&["topics", "plan"]).failed(2, &["<LAYOUT>"]);
    run(&["topics", "plan", "staging"]).failed(2, &["production", "development"]);
    let dev = Dev::start(&[]);
    on(&dev.brokers, &["topics", "plan", "development", "--topic", "txova.ride.v1"])
        .failed(2, &["txova.ride.v1", "did you mean txova.rides.v1?"]);
    on(&dev.brokers, &["topics", "verify", "development", "--topic", "txova.rides.v1"])
        .failed(3, &["does not tell its topics' settings"]);
}

/// One test for the whole life: the platform's topics have fixed names, and a cluster has them once.
#[test]
fn missing_topics_are_made_drift_is_told_and_nothing_is_lost_without_the_word() {
    let Some(brokers) = real("topics plan, apply, verify") else { return };
    let only = ["development", "--topic", "txova.safety.v1", "--topic", "txova.safety.v1.dlq"];
    let topics = |what: &str, more: &[&str]| on(&brokers, &[&["topics", what], &only[..], more].concat());
    topics("apply", &["--yes", "--shrink-retention"]).ok();
    topics("verify", &[]).ok().says(&["2 topics as the development layout says"]);
    topics("apply", &["--yes"]).ok().says(&["2 topics as the development layout says"]);

    // Somebody keeps records longer than the layout says.
    let week = vec![("retention.ms".to_owned(), "604800000".to_owned())];
    wait(kafka(&brokers).admin().change_topic("txova.safety.v1", week, TIMEOUT)).unwrap();
    let plan = topics("plan", &["--json"]);
    assert_eq!(plan.code, 1, "{plan:?}");
    let finding = &plan.objects()[0]["findings"][0];
    assert_eq!((&finding["what"], &finding["action"]), (&"retention.ms".into(), &"needs_the_word".into()));
    let left = topics("apply", &["--yes"]);
    assert_eq!(left.code, 1, "it is still not as the layout says: {left:?}");
    left.says(&["only with --shrink-retention", "kept 7 d", "kept 1 d"]);
    assert_eq!(topics("plan", &[]).code, 1);

    let unsaid = topics("apply", &["--shrink-retention"]);
    assert!(unsaid.code == 1 && unsaid.err.contains("Nothing was changed"), "{unsaid:?}");
    topics("apply", &["--yes", "--shrink-retention"]).ok().says(&["done txova.safety.v1 retention.ms"]);
    topics("verify", &["--json"]).ok();

    let production = on(&brokers, &["topics", "plan", "production", "--topic", "txova.safety.v1"]);
    assert_eq!(production.code, 1, "{production:?}");
    production.says(&["only with --add-partitions", "kafka-reassign-partitions"]);
}
