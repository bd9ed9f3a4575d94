//! Kafka's nodes as Java processes of this machine. Signals only what it started itself.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::engine::{Engine, State};
use super::java;
use super::process::{self, Owned};
use super::secure::Secure;
use super::settings::{Addresses, Settings, joined, properties_file};
use crate::failure::{Context, Failure, Result};

const HEAP: [&str; 2] = ["-Xms512m", "-Xmx512m"];
const STOP_WITHIN: Duration = Duration::from_secs(20);
const LOG4J: &str = "\
status=error
appender.c.type=Console
appender.c.name=c
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d %p %m (%c)%n
rootLogger.level=warn
rootLogger.appenderRef.c.ref=c
";

/// The nodes of one cluster, with everything they write in one folder.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) folder: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) cluster_id: String,
}

impl Local {
    fn file(&self, node: u8, kind: &str) -> PathBuf {
        self.folder.join(format!("{node}.{kind}"))
    }

    fn data(&self, node: u8) -> PathBuf {
        self.folder.join(format!("{node}"))
    }

    fn owned(&self, node: u8) -> Owned {
        Owned::new(self.file(node, "pid"), self.file(node, "properties"))
    }

    fn addresses(&self, node: u8) -> Addresses {
        let (client, controller) = (self.settings.client_port(node), self.settings.controller_port(node));
        let (mut listener, mut protocol) = (String::new(), "");
        if self.settings.secure {
            listener = format!(",SECURE://127.0.0.1:{}", self.settings.secure_port(node));
            protocol = ",SECURE:SASL_SSL";
        }
        Addresses {
            voters: joined(self.settings, |it| {
                format!("{it}@127.0.0.1:{}", self.settings.controller_port(it))
            }),
            listeners: format!("CLIENT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}{listener}"),
            advertised: format!("CLIENT://127.0.0.1:{client}{listener}"),
            protocols: format!("CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocol}"),
            between_brokers: "CLIENT",
            log_dir: self.data(node).display().to_string(),
        }
    }

    fn secure(&self) -> Option<Secure> {
        self.settings.secure.then(|| Secure::new(&self.folder))
    }

    fn java(&self, java: &Path, jars: &Path) -> Command {
        let mut command = Command::new(java);
        command
            .arg("-cp")
            .arg(jars.join("*"))
            .arg(format!("-Dlog4j2.configurationFile={}", self.folder.join("log4j2.properties").display()))
            .stdin(Stdio::null());
        command
    }

    /// Gives every node that has no data yet its empty store.
    fn format(&self, java: &Path, jars: &Path) -> Result<()> {
        let mut formatting = Vec::new();
        for node in self.settings.node_ids() {
            if self.data(node).join("meta.properties").exists() {
                continue;
            }
            let child = self
                .java(java, jars)
                .args(["-Xmx256m", "kafka.tools.StorageTool", "format", "-t", &self.cluster_id, "-c"])
                .arg(self.file(node, "properties"))
                .args(self.secure().map_or(Ok(Vec::new()), |secure| secure.format_arguments())?)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .context(|| format!("cannot run {}", java.display()))?;
            formatting.push((node, child));
        }
        for (node, child) in formatting {
            let done =
                child.wait_with_output().context(|| format!("cannot wait for the store of node {node}"))?;
            if !done.status.success() {
                return Err(Failure::new(format!(
                    "cannot make the store of node {node}: {}{}",
                    String::from_utf8_lossy(&done.stdout),
                    String::from_utf8_lossy(&done.stderr)
                )));
            }
        }
        Ok(())
    }

    fn still_up(&self) -> Vec<u8> {
        self.settings.node_ids().filter(|node| self.owned(*node).find().is_some()).collect()
    }
}

impl Engine for Local {
    fn prepare(&self) -> Result<()> {
        if !process::supported() {
            return Err(Failure::new(
                "without Docker this needs Linux: its own nodes are told apart by /proc/<pid>/cmdline",
            ));
        }
        let (java, jars) = (java::find()?, java::jars()?);
        let write = |path: &Path, text: &str| {
            fs::write(path, text).context(|| format!("cannot write {}", path.display()))
        };
        write(&self.folder.join("log4j2.properties"), LOG4J)?;
        for node in self.settings.node_ids() {
            let mut properties = self.settings.properties(node, &self.addresses(node));
            if let Some(secure) = self.secure() {
                secure.prepare()?;
                properties.extend(secure.properties());
            }
            write(&self.file(node, "properties"), &properties_file(&properties))?;
        }
        self.format(&java, &jars)
    }

    fn state(&self, node: u8) -> Result<State> {
        Ok(match self.owned(node).find() {
            Some(found) => State::Up { who: format!("process {}", found.pid), paused: found.paused },
            None => State::Down,
        })
    }

    fn start(&self, node: u8) -> Result<()> {
        let (java, jars) = (java::find()?, java::jars()?);
        let path = self.file(node, "log");
        let log = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .context(|| format!("cannot write {}", path.display()))?;
        let errors = log.try_clone().context(|| format!("cannot write {}", path.display()))?;
        let mut child = self
            .java(&java, &jars)
            .args(HEAP)
            .arg("kafka.Kafka")
            .arg(self.file(node, "properties"))
            .stdout(log)
            .stderr(errors)
            // A group of its own: Ctrl-C in the terminal that started it must not end it.
            .process_group(0)
            .spawn()
            .context(|| format!("cannot run {}", java.display()))?;
        self.owned(node).remember(&mut child)
    }

    fn permit(&self) -> Result<()> {
        if self.secure().is_none() {
            return Ok(());
        }
        let (java, jars) = (java::find()?, java::jars()?);
        for permission in Secure::permissions() {
            let done = self
                .java(&java, &jars)
                .args(["-Xmx128m", "org.apache.kafka.tools.AclCommand", "--bootstrap-server"])
                .arg(self.settings.bootstrap())
                .args(&permission)
                .output()
                .context(|| format!("cannot run {}", java.display()))?;
            if !done.status.success() {
                let said = String::from_utf8_lossy(&done.stdout).into_owned()
                    + &String::from_utf8_lossy(&done.stderr);
                return Err(Failure::new(format!("the permissions were not given: {}", said.trim())));
            }
        }
        Ok(())
    }

    fn kill(&self, node: u8) -> Result<()> {
        self.owned(node).signal(Signal::KILL)?;
        wait_until(|| self.owned(node).find().is_none(), Duration::from_secs(5));
        Ok(())
    }

    fn pause(&self, node: u8) -> Result<()> {
        self.owned(node).signal(Signal::STOP).map(drop)
    }

    fn unpause(&self, node: u8) -> Result<()> {
        self.owned(node).signal(Signal::CONT).map(drop)
    }

    fn stop(&self) -> Result<Vec<u8>> {
        for node in self.still_up() {
            let owned = self.owned(node);
            owned.signal(Signal::TERM)?;
            // A paused process takes no other signal but this and SIGKILL.
            owned.signal(Signal::CONT)?;
        }
        wait_until(|| self.still_up().is_empty(), STOP_WITHIN);
        let stubborn = self.still_up();
        for node in &stubborn {
            self.kill(*node)?;
        }
        for node in self.settings.node_ids() {
            self.owned(node).forget();
        }
        Ok(stubborn)
    }

    fn remove(&self) -> Result<()> {
        Ok(())
    }

    fn log_tail(&self, node: u8) -> String {
        let text = fs::read_to_string(self.file(node, "log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

fn wait_until(done: impl Fn() -> bool, at_most: Duration) {
    let began = Instant::now();
    while !done() && began.elapsed() < at_most {
        thread::sleep(Duration::from_millis(50));
    }
}
