//! What every command says of itself.

use crate::run::run;

/// Every command, with something its help must name.
const COMMANDS: [(&str, &str); 18] = [
    ("demo", "--trips"),
    ("dev", "--seed-trips"),
    ("events ls", "PREFIX"),
    ("events show", "TYPE"),
    ("events example", "--seed"),
    ("publish", "--dry-run"),
    ("tail", "--from"),
    ("lag", "--alert"),
    ("groups ls", "--members"),
    ("groups reset", "--to"),
    ("topics plan", "LAYOUT"),
    ("topics apply", "--yes"),
    ("topics verify", "LAYOUT"),
    ("doctor", "--no-probe"),
    ("soak", "--rate"),
    ("man", "--to"),
    ("completions", "SHELL"),
    ("help", "txova-kafka"),
];

#[test]
fn every_command_has_help_that_names_what_it_takes() {
    for (command, told) in COMMANDS {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        run(if command == "help" { &["help"] } else { &words }).ok().says(&["Usage:", told]);
    }
}

#[test]
fn every_command_that_talks_to_a_cluster_takes_the_same_flags_and_none_takes_a_password() {
    for (command, _) in COMMANDS.iter().filter(|(command, _)| !command.starts_with("events")) {
        if matches!(*command, "help" | "dev" | "man" | "completions") {
            continue;
        }
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = run(&words).ok().says(&["--brokers", "--config", "--profile", "--json", "--no-color"]);
        assert!(!help.out.to_lowercase().contains("--password"), "{}", help.out);
    }
}

#[test]
fn the_first_page_lists_the_commands_and_the_exit_codes() {
    run(&["--help"]).ok().says(&["demo", "dev", "events", "publish", "tail", "lag", "Exit codes:", "130"]);
    run(&["--version"]).ok().says(&[env!("CARGO_PKG_VERSION")]);
}

#[test]
fn what_is_no_command_and_no_flag_is_refused_with_the_likest() {
    run(&["tial"]).failed(2, &["tial", "tail"]);
    run(&["lag", "--allert", "5"]).failed(2, &["--allert", "--alert"]);
    run(&[]).failed(2, &["Usage:"]);
}
