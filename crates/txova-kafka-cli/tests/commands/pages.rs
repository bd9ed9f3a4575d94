//! `man` and `completions`.

use crate::run::run;

#[test]
fn the_manual_has_a_page_for_the_command_and_one_for_each_of_its_commands() {
    run(&["man"]).ok().says(&[".TH", "txova\\-kafka", "Exit codes"]);
    let folder = std::env::temp_dir().join(format!("txova-man-{}", uuid::Uuid::new_v4()));
    run(&["man", "--to", folder.to_str().unwrap()]).ok();
    let pages: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    let lag = std::fs::read_to_string(folder.join("txova-kafka-lag.1")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(pages.contains(&"txova-kafka-groups-reset.1".to_owned()), "{pages:?}");
    assert!(lag.contains("\\-\\-alert"), "{lag}");
    run(&["man", "--to", "/proc/nowhere"]).failed(2, &["--to /proc/nowhere"]);
}

#[test]
fn every_shell_gets_completions_that_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        run(&["completions", shell]).ok().says(&["soak", "doctor", "brokers"]);
    }
    run(&["completions", "dos"]).failed(2, &["dos", "bash"]);
    run(&["completions"]).failed(2, &["<SHELL>"]);
    run(&["completions", "bash", "--to", "x"]).failed(2, &["--to"]);
}
