//! The bench: `cargo xtask bench`. Each measurement is a process of its own, ours and the others' alike, that prints one
//! line of JSON; this program starts them in turn, adds what they cost, and compares.

#![allow(clippy::print_stdout, reason = "a command line prints what it did")]

mod broker;
mod chart;
mod child;
mod data;
mod letters;
mod measured;
mod peers;
mod plan;
mod rows;
mod session;
mod system;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::failure;

#[derive(Debug, Parser)]
#[command(about = "What the library costs, beside the client beneath it and others")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Measure and compare.
    Run(session::Args),
    /// List and send back many dead letters.
    DeadLetters(letters::Args),
    /// One measurement of one system; prints one line of JSON.
    #[command(hide = true)]
    One(system::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Run(args) => session::run(&args),
        Task::DeadLetters(args) => letters::run(&args),
        Task::One(args) => system::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
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
