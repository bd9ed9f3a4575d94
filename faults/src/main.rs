//! The proof on a real Kafka: `cargo xtask faults` and `cargo xtask stuck-record` run this. It uses the library as a
//! service does and checks it by means of its own.

#![allow(clippy::print_stdout, reason = "a command line prints what it did")]

mod brokers;
mod check;
mod clock;
mod dice;
mod event;
mod exactly_once;
mod faults;
mod journal;
mod member;
mod oracle;
mod process;
mod produce;
mod publisher;
mod report;
mod stuck;
mod subscriber;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::failure;

use crate::event::Promise;

#[derive(Debug, Parser)]
#[command(about = "The library under faults, on a real Kafka")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// One member of the group under test. Ends when its standard input does.
    #[command(hide = true)]
    Member(member::Args),
    /// Kill and stop members and brokers under load, then account for every record.
    Run(faults::Args),
    /// The same for members that publish in transactions: each record leaves what it causes once, or its dead letter.
    ExactlyOnce(faults::Args),
    /// Take brokers, permissions and keys from a publisher, and see whether what it says of each record is true.
    Publisher(publisher::Args),
    /// Kill a member whose first record never ends, and count what is handled again.
    StuckRecord(stuck::Args),
}

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        match Cli::parse().task {
            Task::Member(args) => member::run(args).await,
            Task::Run(args) => faults::run(args, Promise::AtLeastOnce).await,
            Task::ExactlyOnce(args) => faults::run(args, Promise::ExactlyOnce).await,
            Task::Publisher(args) => publisher::run(args).await,
            Task::StuckRecord(args) => stuck::run(args).await,
        }
    });
    // A thread that is stuck in the client must not hold the end up.
    runtime.shutdown_background();
    done.unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        ExitCode::FAILURE
    })
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
