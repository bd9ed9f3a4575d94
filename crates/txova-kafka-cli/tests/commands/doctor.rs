//! `doctor`.

use crate::clusters::{Dev, Secured, real};
use crate::run::{command, on, ran, run};

#[test]
fn a_cluster_that_is_well_is_told_line_by_line_and_what_it_does_not_tell_is_left_out() {
    let dev = Dev::start(&[]);
    on(&dev.brokers, &["doctor"]).ok().says(&[
        "ok    settings",
        "ok    connection",
        "skip  broker 1",
        "14 of 14 are there",
        "ok    partitions",
        "ok    publish",
        "ok    read",
        "0 failures",
    ]);
    let told = on(&dev.brokers, &["doctor", "--json", "--no-probe"]).ok().objects().remove(0);
    assert_eq!(told["ok"], true);
    assert!(told["checks"].as_array().unwrap().iter().all(|check| check["what"] != "publish"), "{told}");
}

#[test]
fn a_real_kafka_tells_its_version_its_settings_and_its_clock() {
    let Some(brokers) = real("doctor") else { return };
    // Whatever the cluster is like: what is judged here is that each question has its answer.
    let told = on(&brokers, &["doctor", "--json", "--layout", "development"]).objects().remove(0);
    let checks = told["checks"].as_array().unwrap();
    let found = |what: &str| {
        let check = checks.iter().find(|check| check["what"] == what);
        check.unwrap_or_else(|| panic!("{what} in {told}"))["found"].as_str().unwrap().to_owned()
    };
    assert!(found("connection").contains("broker"), "{told}");
    assert!(
        checks.iter().any(|check| check["found"].as_str().unwrap().contains("speaks as Kafka")),
        "{told}"
    );
    assert!(found("publish").contains("acknowledged after"), "{told}");
    assert!(found("read").contains("read back"), "{told}");
    assert!(found("clocks").contains("clock"), "{told}");
}

#[test]
fn what_keeps_one_out_is_told_apart_with_what_to_do() {
    let dev = Dev::start(&[]);
    on("127.0.0.1:9", &["doctor"]).failed(1, &[]).says(&[
        "FAIL  connection",
        "Connection refused",
        "→ Is Kafka running there",
    ]);
    let output =
        command(&["doctor", "--brokers", &dev.brokers]).env("TXOVA_KAFKA_SECURITY_PROTOCOL", "tls").output();
    ran(output.unwrap()).failed(1, &[]).says(&["FAIL  tls", "connection.security_protocol"]);
    run(&["doctor"]).failed(2, &["no Kafka is named"]);
    on(&dev.brokers, &["doctor", "--layout", "staging"]).failed(2, &["--layout"]);
}

#[test]
fn three_brokers_behind_tls_and_a_log_in_are_told_one_by_one_and_a_wrong_key_or_name_apart() {
    if real("doctor over TLS").is_none() {
        return;
    }
    let cluster = Secured::start(3);
    on(&cluster.plain, &["doctor", "--no-probe"]).failed(1, &[]).says(&[
        "ok    broker 1",
        "ok    broker 3",
        "FAIL  topics",
        "→ Make them with `txova-kafka topics apply production`",
    ]);
    let secure = |changed: Option<(&str, &str)>| {
        let mut doctor = command(&["doctor", "--no-probe"]);
        doctor.envs(cluster.variables.iter().map(|(name, value)| (name, value)));
        ran(doctor.envs(changed).output().unwrap())
    };
    secure(None).failed(1, &[]).says(&[
        "as writer by scram_sha_512",
        "3 brokers",
        "or may this user not see them",
    ]);
    let file = |name: &str| {
        let (_, file) = cluster.variables.iter().find(|(name, _)| name.ends_with("CA_FILE")).unwrap();
        file.replace("/ca.pem", name)
    };
    secure(Some(("TXOVA_KAFKA_TLS_CA_FILE", &file("/other-ca.pem")))).failed(1, &[]).says(&[
        "FAIL  tls",
        "certificate verify failed",
        "→ Do `connection.security_protocol`",
    ]);
    secure(Some(("TXOVA_KAFKA_SASL_PASSWORD_FILE", &file("/ca.pem")))).failed(1, &[]).says(&[
        "FAIL  authentication",
        "invalid credentials",
        "→ Are `connection.sasl.mechanism`",
    ]);
}
