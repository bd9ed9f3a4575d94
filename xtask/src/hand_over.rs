//! `cargo xtask faults`, `stuck-record` and `bench`: hands over to the crate that has the Kafka client, which this one must not.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use crate::failure::{Context, Failure, Result};
use crate::{kafka, micro};

/// What follows is the other program's business; `--help` too.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    options: Vec<String>,
}

/// The faults' tasks. The first word names one that is not the whole.
pub(crate) fn faults(args: &Args) -> Result<ExitCode> {
    match args.options.split_first() {
        Some((task, options)) if ["publisher", "exactly-once"].contains(&task.as_str()) => {
            run(task, &Args { options: options.to_vec() })
        }
        _ => run("run", args),
    }
}

/// One of the faults' tasks.
pub(crate) fn run(task: &str, args: &Args) -> Result<ExitCode> {
    become_program(&["--package", "txova-kafka-faults", "--", task], task, args)
}

/// The bench, built as it would be for production. The first word `micro` names the micro-benchmarks, and `dead-letters`
/// what is no workload.
pub(crate) fn bench(args: &Args) -> Result<ExitCode> {
    let bench = |task: &str, args: &Args| {
        become_program(&["--release", "--package", "txova-kafka-bench", "--", task], "bench", args)
    };
    match args.options.split_first() {
        Some((task, options)) if task == "micro" => micro::run(options),
        Some((task, options)) if task == "dead-letters" => bench(task, &Args { options: options.to_vec() }),
        _ => bench("run", args),
    }
}

/// Becomes the other program, so that it alone answers to Ctrl-C and cleans up.
fn become_program(program: &[&str], folder: &str, args: &Args) -> Result<ExitCode> {
    let xtask = env::current_exe().context(|| "cannot find this program".to_owned())?;
    let folder = kafka::home()?.join(folder);
    let error = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["run", "--quiet"])
        .env("RUST_LIB_BACKTRACE", "0") // a dead letter would hold ten times as much as in production
        .args(program)
        .arg("--xtask")
        .arg(xtask)
        .arg("--folder")
        .arg(folder)
        .args(&args.options)
        .exec();
    Err(Failure::new(format!("cannot run cargo: {error}")))
}
