//! `soak`.

use crate::clusters::{Dev, real};
use crate::run::{on, run};

/// Whether times keep their targets is up to the machine; what is lost, refused or out of order is not.
fn holds(report: &serde_json::Value, events: u64) {
    let totals = &report["totals"];
    for (what, count) in [("sent", events), ("acknowledged", events), ("handled", events)] {
        assert_eq!(totals[what], count, "{what} in {totals}");
    }
    for what in ["failed", "lost", "out_of_order", "dead_lettered"] {
        assert_eq!(totals[what], 0, "{what} in {totals}");
    }
    let targets = report["targets"].as_array().unwrap();
    assert_eq!(targets.len(), 6, "four targets and two promises");
    assert!(targets.iter().all(|target| target["measured"].is_number()), "{targets:?}");
    assert_eq!(report["ok"], targets.iter().all(|target| target["met"] == true));
}

#[test]
fn a_load_is_accounted_for_and_its_report_is_one_page_that_needs_nothing_else() {
    let dev = Dev::start(&[]);
    let folder = std::env::temp_dir().join(format!("txova-soak-{}", uuid::Uuid::new_v4()));
    let report = [
        "soak",
        "--rate",
        "200",
        "--duration",
        "3s",
        "--keys",
        "20",
        "--json",
        "--report",
        folder.to_str().unwrap(),
    ];
    let told = on(&dev.brokers, &report);
    assert!(matches!(told.code, 0 | 1), "{told:?}");
    assert!(told.err.contains("published"), "progress goes to standard error: {told:?}");
    let told = told.objects().remove(0);
    holds(&told, 600);
    let written: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("soak.json")).unwrap()).unwrap();
    assert_eq!(written["totals"], told["totals"]);
    let page = std::fs::read_to_string(folder.join("soak.html")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(page.matches("<svg").count(), 4, "four charts");
    assert!(!page.contains("http") && !page.contains("<script") && !page.contains("NaN"), "{page}");
}

#[test]
fn a_load_on_a_real_kafka_is_accounted_for() {
    let Some(brokers) = real("soak") else { return };
    let told = on(&brokers, &["soak", "--rate", "500", "--duration", "4s", "--json"]);
    assert!(matches!(told.code, 0 | 1), "{told:?}");
    holds(&told.objects().remove(0), 2_000);
}

#[test]
fn what_cannot_be_done_is_told_before_the_load() {
    run(&["soak", "--rate", "0"]).failed(2, &["--rate"]);
    on("127.0.0.1:9", &["soak", "--duration", "10ms"]).failed(2, &["--duration: expected a second or more"]);
    on("127.0.0.1:9", &["soak", "--report", "/proc/nowhere"]).failed(2, &["--report /proc/nowhere"]);
    on("127.0.0.1:9", &["soak"]).failed(3, &["127.0.0.1:9"]);
}
