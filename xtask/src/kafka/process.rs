//! Processes this repository started, found again by a pid file. Never signals a process whose command line
//! does not prove that it is ours: a pid is used again after a reboot or a long day.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::failure::{Context, Failure, Result};

/// A process that runs or is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) pid: i32,
    pub(crate) paused: bool,
}

/// The pid file of one process, and the argument that only this process has.
#[derive(Debug)]
pub(crate) struct Owned {
    pid_file: PathBuf,
    mark: PathBuf,
}

impl Owned {
    /// `mark` is the absolute path on its command line by which the process is known.
    pub(crate) fn new(pid_file: PathBuf, mark: PathBuf) -> Self {
        Self { pid_file, mark }
    }

    /// Remembers a process that was just started, and waits until it can be found (or has ended).
    pub(crate) fn remember(&self, child: &mut Child) -> Result<()> {
        fs::write(&self.pid_file, format!("{}\n", child.id()))
            .context(|| format!("cannot write {}", self.pid_file.display()))?;
        // The kernel lets the parent go on before the new program's command line can be read: looked for in
        // that moment, a node that is starting would be taken for one that has ended.
        while self.find().is_none() && child.try_wait().is_ok_and(|ended| ended.is_none()) {
            thread::yield_now();
        }
        Ok(())
    }

    /// The process, if it is still there and still ours.
    pub(crate) fn find(&self) -> Option<Found> {
        let pid: i32 = fs::read_to_string(&self.pid_file).ok()?.trim().parse().ok().filter(|pid| *pid > 1)?;
        // A dead process that nobody has waited for has an empty command line, so it counts as gone.
        let command_line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let mark = self.mark.as_os_str().as_encoded_bytes();
        command_line.split(|byte| *byte == 0).any(|argument| argument == mark).then_some(())?;
        Some(Found { pid, paused: is_paused(pid) })
    }

    /// Sends a signal; false when the process is gone.
    pub(crate) fn signal(&self, signal: Signal) -> Result<bool> {
        let Some(found) = self.find() else { return Ok(false) };
        let pid = Pid::from_raw(found.pid).ok_or_else(|| Failure::new("process 0 is not ours"))?;
        match kill_process(pid, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(Failure::new(format!("cannot signal process {}: {error}", found.pid))),
        }
    }

    /// Forgets a process that has ended.
    pub(crate) fn forget(&self) {
        let _ = fs::remove_file(&self.pid_file);
    }
}

fn is_paused(pid: i32) -> bool {
    // "pid (name) state …": the name may hold spaces and parentheses, so the state is what follows the last one.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
}

/// Whether processes can be told apart here at all.
pub(crate) fn supported() -> bool {
    Path::new("/proc/self/cmdline").exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a scratch folder");
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn waits_on_stdin(argument: &Path) -> Child {
        Command::new("sh")
            .args(["-c", "read line", "sh"])
            .arg(argument)
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell")
    }

    #[test]
    fn a_process_whose_command_line_is_not_ours_is_never_signalled() {
        let scratch = Scratch::new("stranger");
        let owned = Owned::new(scratch.0.join("1.pid"), scratch.0.join("1.properties"));
        let mut stranger = waits_on_stdin(&scratch.0.join("2.properties"));
        fs::write(scratch.0.join("1.pid"), stranger.id().to_string()).expect("written");

        assert_eq!(owned.find(), None);
        assert!(!owned.signal(Signal::KILL).expect("no error"));
        assert!(stranger.try_wait().expect("its state").is_none(), "the stranger still lives");

        drop(stranger.stdin.take());
        stranger.wait().expect("it ends with its input");
    }

    #[test]
    fn our_process_is_found_paused_and_killed() {
        let scratch = Scratch::new("ours");
        let mark = scratch.0.join("1.properties");
        let owned = Owned::new(scratch.0.join("1.pid"), mark.clone());
        let mut ours = waits_on_stdin(&mark);
        owned.remember(&mut ours).expect("the pid file is written");
        let found = owned.find().expect("it is found by its pid file and its mark");
        assert_eq!(found, Found { pid: ours.id() as i32, paused: false });

        assert!(owned.signal(Signal::STOP).expect("paused"));
        while !owned.find().expect("there").paused {
            thread::yield_now();
        }
        assert!(owned.signal(Signal::KILL).expect("killed"));
        ours.wait().expect("it ends");
        assert_eq!(owned.find(), None);
        assert!(!owned.signal(Signal::CONT).expect("no error"), "nothing is left to signal");
    }

    #[test]
    fn a_pid_file_that_is_no_number_finds_nothing() {
        let scratch = Scratch::new("garbage");
        let owned = Owned::new(scratch.0.join("1.pid"), scratch.0.join("1.properties"));
        for text in ["", "abc", "0", "1", "-1", "99999999999999999999"] {
            fs::write(scratch.0.join("1.pid"), text).expect("written");
            assert_eq!(owned.find(), None, "{text:?}");
        }
    }
}
