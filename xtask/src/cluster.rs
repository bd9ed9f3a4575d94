//! Asks `xtask kafka` for a cluster, as a person would at a terminal.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::{Context, Failure, Result};

/// Runs `xtask kafka TASK…` for the cluster at `port` that is kept in `home`; what it printed.
///
/// # Errors
/// What the task said where it failed.
pub fn ask(xtask: &Path, home: &Path, port: u16, task: &[&str]) -> Result<String> {
    let shown = || format!("xtask kafka {}", task.join(" "));
    let done = Command::new(xtask)
        .args(["kafka", "--port", &port.to_string()])
        .args(task)
        .env("TXOVA_KAFKA_HOME", home)
        .stdin(Stdio::null())
        // A group of its own: Ctrl-C is for whoever asks, who cleans up.
        .process_group(0)
        .output()
        .context(shown)?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(Failure::new(format!("{}: {}", shown(), said.trim())));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// The addresses in what `start` printed.
///
/// # Errors
/// Where there are none.
pub fn brokers_in(said: &str) -> Result<String> {
    let brokers = said.lines().find_map(|line| line.strip_prefix("TXOVA_KAFKA_BROKERS="));
    brokers.map(str::to_owned).ok_or_else(|| Failure::new(format!("no brokers in: {said}")))
}
