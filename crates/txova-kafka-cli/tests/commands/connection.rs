//! What all commands share: how a cluster is named, and what is said when it is not there.

use std::time::{Duration, Instant};

use crate::clusters::Dev;
use crate::run::{command, on, ran, run};

/// Nobody listens on the discard port of this machine, and the system says so at once.
const NOWHERE: &str = "127.0.0.1:9";

/// A file that goes away with the test.
struct File(std::path::PathBuf);

impl File {
    fn new(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("txova-cli-{}.toml", uuid::Uuid::new_v4()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_broker_that_is_not_there_is_named_with_its_cause_and_soon() {
    let began = Instant::now();
    on(NOWHERE, &["lag"]).failed(3, &[NOWHERE, "--brokers", "Connection refused", "Is Kafka running there"]);
    // Five seconds are promised; a machine that is busy with other things gets more.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let output = command(&["groups", "ls"]).env("TXOVA_KAFKA_BROKERS", NOWHERE).output().unwrap();
    ran(output).failed(3, &[NOWHERE, "TXOVA_KAFKA_BROKERS"]);
}

#[test]
fn nothing_named_and_nonsense_named_is_told_before_anything_is_tried() {
    run(&["tail"]).failed(2, &["no Kafka is named", "--brokers", "txova-kafka dev"]);
    on("nonsense", &["lag"]).failed(2, &["--brokers nonsense: expected host:port"]);
    run(&["lag", "--config", "/no/such/file.toml"]).failed(2, &["/no/such/file.toml"]);
    let output = command(&["lag"]).env("TXOVA_KAFKA_BROKER", NOWHERE).output().unwrap();
    ran(output).failed(2, &["TXOVA_KAFKA_BROKER", "did you mean `TXOVA_KAFKA_BROKERS`"]);
}

#[test]
fn a_file_with_profiles_names_the_cluster_and_a_flag_wins() {
    let dev = Dev::start(&[]);
    let text = format!(
        "connection.brokers = [\"{NOWHERE}\"]\n[profiles.dev.connection]\nbrokers = [\"{}\"]\n",
        dev.brokers
    );
    let file = File::new(&text);
    let lag = ["lag", "somebody", "--config", file.name()];
    run(&lag).failed(3, &[NOWHERE, "the file"]);
    run(&[&lag[..], &["--profile", "dev"]].concat()).ok();
    run(&[&lag[..], &["--brokers", &dev.brokers]].concat()).ok();
    run(&[&lag[..], &["--profile", "prod"]].concat())
        .failed(2, &["--profile prod: expected one of the profiles"]);
    let output = command(&["lag", "somebody"])
        .env("TXOVA_KAFKA_CONFIG", file.name())
        .env("TXOVA_KAFKA_PROFILE", "dev")
        .output();
    ran(output.unwrap()).ok();
}

#[test]
fn a_password_is_never_shown() {
    let file = File::new(
        "[connection]\nbrokers = [\"127.0.0.1:9\"]\nsecurity_protocol = \"sasl_plaintext\"\n\
         [connection.sasl]\nmechanism = \"nonsense\"\nusername = \"me\"\npassword = \"hunter2\"\n",
    );
    let refused = run(&["lag", "--config", file.name()]).failed(2, &["mechanism", "line 5"]);
    assert!(!format!("{refused:?}").contains("hunter2"));
}
