//! The `txova-kafka` command. It reads the command line and must never know what a command does.

mod cli;
#[allow(dead_code, reason = "the next commands use all of it")]
mod connection;
mod demo;
mod events;
#[allow(dead_code, reason = "the next commands use all of it")]
mod failure;
mod nearest;
#[allow(dead_code, reason = "the next commands use all of it")]
mod output;
mod paint;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
