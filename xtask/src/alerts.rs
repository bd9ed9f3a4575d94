//! `cargo xtask alerts`: checks and tests the alert rules with promtool. Says plainly when there is none.

use std::env;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::failure::{Context, Failure, Result};

/// The exit code that says: it could not be looked at.
const NOT_CHECKED: u8 = 77;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The promtool to run [default: the one on the path].
    #[arg(long, default_value = "promtool", hide_default_value = true)]
    promtool: String,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops");
    for words in [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]] {
        let shown = format!("{} {}", args.promtool, words.join(" "));
        match Command::new(&args.promtool).args(words).current_dir(&folder).status() {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(Failure::new(format!("{shown}: {status}"))),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                println!(
                    "NOT CHECKED: there is no {} (on Debian: apt-get install prometheus; elsewhere: part of \
                     https://prometheus.io/download, and --promtool says where)",
                    args.promtool
                );
                return Ok(ExitCode::from(NOT_CHECKED));
            }
            Err(error) => return Err(error).context(|| shown),
        }
    }
    Ok(ExitCode::SUCCESS)
}
