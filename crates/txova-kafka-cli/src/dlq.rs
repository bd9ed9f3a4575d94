//! `dlq`: dead letters seen, understood and repaired. It reads the command line and must never decide about a letter
//! itself.

mod decide;
mod export;
mod filter;
mod import;
mod jq;
mod ls;
mod patch;
mod progress;
mod replay;
mod show;
mod stats;
mod watch;
mod words;

use clap::{Args, Subcommand};

use crate::failure::{Failure, Verdict};

#[derive(Clone, Debug, Args)]
pub(crate) struct DlqArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// What failed, like with like: how often, since when, and an example.
    ///
    /// Exits with 0 whether there is something or not.
    Ls(ls::LsArgs),
    /// One entry: where it came from, why it failed, what it holds, what was done about it, and how it changed when it came
    /// again.
    Show(show::ShowArgs),
    /// How many, of how many records, by topic and group, and when: against the target of 0.1 %.
    ///
    /// Exits with 1 where the share is above the target.
    Stats(stats::StatsArgs),
    /// Sends open letters back to their topic, for the group that failed. Others of this library pass them over.
    ///
    /// Each letter is sent back once, however often and wherever this is interrupted and begun again. Exits with 1 where a
    /// letter failed.
    Replay(Box<replay::ReplayArgs>),
    /// Says of open letters that nothing is to be done about them. They stay on their topic.
    Discard(decide::DecideArgs),
    /// Sets open letters aside: nobody replays them until they are opened again.
    Quarantine(decide::DecideArgs),
    /// Opens letters again that were discarded or set aside.
    Reopen(decide::DecideArgs),
    /// Entries as they are, one JSON object a line, for `import`.
    Export(export::ExportArgs),
    /// Puts exported entries onto their dead-letter topics. What is there already is left alone.
    Import(import::ImportArgs),
    /// New letters as they come.
    Watch(watch::WatchArgs),
}

pub(crate) async fn run(args: DlqArgs) -> Result<Verdict, Failure> {
    match args.command {
        Command::Ls(args) => ls::run(args).await,
        Command::Show(args) => show::run(args).await,
        Command::Stats(args) => stats::run(args).await,
        Command::Replay(args) => replay::run(*args).await,
        Command::Discard(args) => decide::run(args, decide::What::Discard).await,
        Command::Quarantine(args) => decide::run(args, decide::What::Quarantine).await,
        Command::Reopen(args) => decide::run(args, decide::What::Reopen).await,
        Command::Export(args) => export::run(args).await,
        Command::Import(args) => import::run(args).await,
        Command::Watch(args) => watch::run(args).await,
    }
}
