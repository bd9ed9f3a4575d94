//! A member's process, from outside: started, killed, stopped, asked to leave. Signals only what it started itself.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::clock::At;
use crate::event::Promise;
use crate::failure::{Context, Failure, Result};
use crate::member::Said;

/// How a member is started.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) brokers: String,
    pub(crate) folder: PathBuf,
    pub(crate) session_timeout: Duration,
    pub(crate) promise: Promise,
    /// Brokers are killed and stopped: a member that leaves while its group's is away says that it could not commit.
    pub(crate) brokers_are_struck: bool,
}

/// A member that was started.
pub(crate) struct Member {
    pub(crate) name: String,
    child: Child,
    /// Waiting for a child closes its input, which ends this one: held apart from it.
    _input: Option<ChildStdin>,
    pid: Pid,
    pub(crate) said: watch::Receiver<Said>,
    pub(crate) faults: Faults,
}

/// What was done to a member, and when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Mutex<Vec<Fault>>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Killed(At),
    Stopped { from: At, to: Option<At> },
}

impl Faults {
    pub(crate) fn all(&self) -> Vec<Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Fault>)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Setup {
    pub(crate) fn journal(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.journal"))
    }

    pub(crate) fn start(&self, name: &str, more: &[&str]) -> Result<Member> {
        let program = std::env::current_exe().context(|| "cannot find this program".to_owned())?;
        let log = self.folder.join(format!("{name}.log"));
        let mut child = Command::new(&program)
            .args(["member", "--brokers", &self.brokers])
            .args(["--session-timeout-ms", &self.session_timeout.as_millis().to_string()])
            .arg("--journal")
            .arg(self.journal(name))
            .args((self.promise == Promise::ExactlyOnce).then_some("--exactly-once"))
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(create(&log)?)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context(|| format!("cannot start {}", program.display()))?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid as i32));
        let pid = pid.ok_or_else(|| Failure::new(format!("{name} has ended at once")))?;
        let (sender, said) = watch::channel(Said::default());
        if let Some(output) = child.stdout.take() {
            tokio::spawn(async move {
                let mut lines = BufReader::new(output).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    if let Ok(said) = serde_json::from_str(&line) {
                        sender.send_replace(said);
                    }
                }
            });
        }
        let input = child.stdin.take();
        Ok(Member { name: name.to_owned(), child, _input: input, pid, said, faults: Faults::default() })
    }
}

fn create(path: &Path) -> Result<File> {
    File::create(path).context(|| format!("cannot write {}", path.display()))
}

impl Member {
    /// SIGKILL. The child is not waited for before the signal, so the number is still its own.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.faults.change(|faults| faults.push(Fault::Killed(At::now())));
        self.signal(Signal::KILL)?;
        self.child.wait().await.context(|| format!("waiting for {}", self.name)).map(drop)
    }

    /// SIGSTOP.
    pub(crate) fn stop(&self) -> Result<()> {
        self.faults.change(|faults| faults.push(Fault::Stopped { from: At::now(), to: None }));
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    pub(crate) fn wake(&self) -> Result<()> {
        self.faults.change(|faults| {
            if let Some(Fault::Stopped { to, .. }) = faults.last_mut() {
                *to = Some(At::now());
            }
        });
        self.signal(Signal::CONT)
    }

    /// SIGTERM.
    pub(crate) fn ask_to_leave(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Waits for the end of a member that was asked to leave.
    pub(crate) async fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        match timeout(limit, self.child.wait()).await {
            Ok(status) => status.context(|| format!("waiting for {}", self.name)),
            Err(_) => Err(Failure::new(format!("{} has not left within {limit:?}", self.name))),
        }
    }

    /// How it ended, if it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    pub(crate) fn says(&self) -> Said {
        self.said.borrow().clone()
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        if self.child.id().is_none() {
            return Err(Failure::new(format!("{} has ended already", self.name)));
        }
        kill_process(self.pid, signal).context(|| format!("cannot signal {}", self.name))
    }
}
