//! The clients of other languages: how they are built and called. One whose toolchain is missing is skipped with a word.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Context, Failure, Result};
use crate::plan::{Job, RATE, System, Workload};

/// Where the built ones are.
#[derive(Default)]
pub(crate) struct Peers {
    go: Option<PathBuf>,
    java: Option<PathBuf>,
}

impl Peers {
    /// Builds what this machine has the tools for.
    pub(crate) fn build(root: &Path, target: &Path, systems: &[System]) -> Result<Self> {
        let mut peers = Self::default();
        if systems.iter().any(|system| matches!(system, System::Sarama | System::FranzGo)) {
            let program = target.join("peers-go");
            let mut go = Command::new("go");
            go.args(["build", "-o"]).arg(&program).arg(".").current_dir(root.join("bench/peers/go"));
            peers.go = built("sarama and franz-go", &mut go)?.then_some(program);
        }
        if systems.iter().any(|system| matches!(system, System::ParallelConsumer | System::Spring)) {
            let folder = root.join("bench/peers/java");
            let mut mvn = Command::new("mvn");
            mvn.args(["-q", "package"]).current_dir(&folder);
            peers.java = built("parallel-consumer and spring", &mut mvn)?.then_some(folder);
        }
        Ok(peers)
    }

    /// `None` where it was not built.
    pub(crate) fn command(
        &self,
        system: System,
        workload: &Workload,
        brokers: &str,
        topic: &str,
        group: &str,
    ) -> Result<Option<Command>> {
        let (name, concurrency) = match workload.job {
            Job::Publish { .. } => ("publish", 0),
            Job::Latency { .. } => ("latency", 0),
            Job::Consume { concurrency } => ("consume", concurrency),
            Job::Stuck => ("stuck", 100),
            Job::Lone | Job::EndToEnd => {
                return Err(Failure::new(format!("no peer measures {}", workload.name)));
            }
        };
        let java = |module: &str, class: &str| {
            self.java.as_ref().map(|folder| {
                let target = folder.join(module).join("target");
                let path = format!("{0}/classes:{0}/lib/*", target.display());
                let mut command = Command::new("java");
                command.args(["-cp", &path, class, name]);
                command
            })
        };
        let is_go = matches!(system, System::Sarama | System::FranzGo);
        let command = match system {
            System::Sarama | System::FranzGo => self.go.as_ref().map(|program| {
                let mut command = Command::new(program);
                command.args([system.name(), name]);
                command
            }),
            System::ParallelConsumer => java("parallel-consumer", "peers.ParallelConsumer"),
            System::Spring => java("spring", "peers.SpringKafka"),
            _ => return Err(Failure::new(format!("{} is no peer", system.name()))),
        };
        let Some(mut command) = command else { return Ok(None) };
        let mut put = |name: &str, value: String| {
            command.arg(format!("-{name}")).arg(value);
        };
        let records =
            if workload.job == Job::Stuck { workload.shape.records / 2 } else { workload.shape.records };
        put("brokers", brokers.to_owned());
        put("topic", topic.to_owned());
        put("group", group.to_owned());
        put("records", records.to_string());
        match workload.job {
            Job::Publish { compression } => put("compression", compression.to_owned()),
            Job::Latency { linger_ms } => {
                put("linger", format!("{linger_ms}ms"));
                put("rate", RATE.to_string());
            }
            _ if !is_go => {
                // Spring has a thread a partition at most; its others would idle.
                let threads = concurrency.min(workload.shape.partitions as usize);
                let threads = if system == System::Spring { threads.min(24) } else { concurrency };
                put("concurrency", threads.to_string());
                if workload.shape.poison_every > 0 {
                    put("dlq", format!("{topic}.dlq"));
                }
                put("work", (workload.shape.work != crate::data::Work::None).to_string());
            }
            _ => drop(command.arg(format!("-work={}", workload.shape.work != crate::data::Work::None))),
        }
        Ok(Some(command))
    }
}

fn built(what: &str, command: &mut Command) -> Result<bool> {
    eprintln!("building {what} …");
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(true),
        Ok(status) => Err(Failure::new(format!("building {what} ended with {status}"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let program = command.get_program().to_string_lossy().into_owned();
            eprintln!("{what} left out: there is no `{program}` on this machine");
            Ok(false)
        }
        Err(error) => Err(error).context(|| format!("building {what}")),
    }
}
