//! The `txova-kafka` command. It reads the command line and must never know what a command does.

mod cli;
mod confirm;
mod connection;
mod demo;
mod dev;
mod dlq;
mod doctor;
mod events;
mod failure;
mod groups;
mod lag;
mod nearest;
mod output;
mod pages;
mod paint;
mod place;
mod publish;
mod soak;
mod tail;
mod topics;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
