//! The command line: what may be said on it, and which command that is.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand, builder::RangedU64ValueParser};

use crate::connection::ConnectionArgs;
use crate::demo;
use crate::dev::{self, DevArgs};
use crate::dlq::{self, DlqArgs};
use crate::doctor::{self, DoctorArgs};
use crate::events::{self, EventsArgs};
use crate::failure::{EXIT_CODES, Failure, Verdict};
use crate::groups::{self, GroupsArgs};
use crate::lag::{self, LagArgs};
use crate::output::OutputArgs;
use crate::pages::{self, CompletionsArgs, ManArgs};
use crate::publish::{self, PublishArgs};
use crate::soak::{self, SoakArgs};
use crate::tail::{self, TailArgs};
use crate::topics::{self, TopicsArgs};

/// How long what is left running may hold up the end of the process.
const LINGER: Duration = Duration::from_millis(500);

/// The event backbone of a ride-hailing platform on Apache Kafka.
#[derive(Debug, Parser)]
#[command(name = "txova-kafka", version, propagate_version = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Real trips become events, flow through Kafka to three services, and what is poisoned is repaired.
    ///
    /// Runs on a cluster inside the process unless --brokers, --config or --profile names a real one; the environment
    /// alone does not. On a real one missing topics are created and nothing is deleted. Exits with 0 when its promises
    /// held (no event lost, none out of order, every line accounted for) and 1 when one did not. The targets are measured
    /// and judged, and do not change the exit code.
    Demo(DemoArgs),
    /// A cluster inside the process that stays up, with the platform's topics, to try things on.
    Dev(DevArgs),
    /// Dead letters: what failed and why, and sending it back to those who failed.
    Dlq(Box<DlqArgs>),
    /// The platform's events: their fields, topics and keys, and examples of them.
    Events(EventsArgs),
    /// Publishes events from JSON, held against the contract before any is sent.
    Publish(PublishArgs),
    /// Records as they come, of several topics in the order of time.
    Tail(TailArgs),
    /// How far consumer groups are behind: once, live, or as an alert.
    Lag(LagArgs),
    /// Everything that must hold for services to run on a cluster, each with what to do where it does not.
    Doctor(DoctorArgs),
    /// A steady load on any cluster, and whether it keeps the targets, loses nothing and keeps the order.
    Soak(SoakArgs),
    /// The platform's topics: what is missing, what has drifted, and setting it right.
    Topics(TopicsArgs),
    /// Consumer groups, and where they go on.
    Groups(GroupsArgs),
    /// The manual's pages.
    Man(ManArgs),
    /// A shell's completions, to be sourced or put where the shell looks for them.
    Completions(CompletionsArgs),
}

/// What the demo may be told.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    /// A CSV file of trips in place of the built-in one, with the same header.
    #[arg(long, value_name = "FILE")]
    pub trips: Option<PathBuf>,
    /// Only the first N lines of the trips.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub limit: Option<usize>,
    /// Events published a second; 0 is as fast as it goes.
    #[arg(long, value_name = "N", default_value_t = 4_000)]
    pub rate: u32,
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> ExitCode {
    let command = Cli::parse().command;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime does not start: {error}");
            return ExitCode::from(2);
        }
    };
    let code = runtime.block_on(async {
        match command {
            Command::Demo(args) => demo::run(args).await,
            Command::Dev(args) => ended(dev::run(args).await),
            Command::Doctor(args) => ended(doctor::run(args).await),
            Command::Soak(args) => ended(soak::run(args).await),
            Command::Topics(args) => ended(topics::run(args).await),
            Command::Dlq(args) => ended(dlq::run(*args).await),
            Command::Events(args) => ended(events::run(args)),
            Command::Publish(args) => ended(publish::run(args).await),
            Command::Tail(args) => ended(tail::run(args).await),
            Command::Lag(args) => ended(lag::run(args).await),
            Command::Groups(args) => ended(groups::run(args).await),
            Command::Man(args) => ended(pages::man(&args, Cli::command())),
            Command::Completions(args) => ended(pages::completions(&args, Cli::command())),
        }
    });
    runtime.shutdown_timeout(LINGER);
    ExitCode::from(code)
}

/// The exit code of what came of a command; a failure is said.
fn ended(result: Result<Verdict, Failure>) -> u8 {
    match result {
        Ok(verdict) => verdict.exit_code(),
        Err(Failure::ReaderGone) => Failure::ReaderGone.exit_code(),
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_values_are_refused() {
        for wrong in [vec!["--limit", "0"], vec!["--limit", "all"], vec!["--rate", "-1"], vec!["--colour"]] {
            let arguments = ["txova-kafka", "demo"].into_iter().chain(wrong.iter().copied());
            assert!(Cli::try_parse_from(arguments).is_err(), "{wrong:?}");
        }
    }
}
