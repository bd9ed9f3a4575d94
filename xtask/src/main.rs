//! Developer tasks: `cargo xtask --help`. Knows nothing of the crates it serves, so that it builds where they do not.

#![allow(clippy::print_stdout, reason = "a command line prints what it did")]

mod alerts;
mod fuzz;
mod hand_over;
mod kafka;
mod micro;
mod simulate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::failure;

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "What a developer of this repository does beyond cargo's own verbs"
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// A real Apache Kafka on this machine, for tests, fault runs and benchmarks.
    Kafka(kafka::Args),
    /// Kill and stop members and brokers of a real Kafka under load, then account for every record (3 minutes).
    /// `faults publisher` does so for what is published, `faults exactly-once` for what handlers publish in transactions.
    #[command(disable_help_flag = true)]
    Faults(hand_over::Args),
    /// Kill a member whose first record never ends, and count what the next one handles again.
    #[command(disable_help_flag = true)]
    StuckRecord(hand_over::Args),
    /// What the library costs beside the client beneath it, and beside clients of other languages. `bench micro` measures
    /// it alone, and against another commit; `bench dead-letters` lists and sends back 100,000 dead letters.
    #[command(disable_help_flag = true)]
    Bench(hand_over::Args),
    /// The invariants in random worlds: the engine alone, and whole apps on an in-memory cluster that fails by script.
    Simulate(simulate::Args),
    /// Bytes nobody thought of, for everything that reads bytes from the network.
    Fuzz(fuzz::Args),
    /// The alert rules of ops/, checked and tested with promtool.
    Alerts(alerts::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Kafka(args) => kafka::run(args),
        Task::Faults(args) => hand_over::faults(&args),
        Task::StuckRecord(args) => hand_over::run("stuck-record", &args),
        Task::Bench(args) => hand_over::bench(&args),
        Task::Simulate(args) => simulate::run(args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Alerts(args) => alerts::run(&args),
    };
    match done {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
