//! The `txova-kafka` command. It reads the command line and must never know what a command does.

mod cli;
mod demo;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
