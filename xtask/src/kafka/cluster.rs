//! One cluster of this repository, from its first start to its last file: what fault runs and benchmarks drive.
//! Prints nothing but progress, and knows no command line.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::docker::{self, Docker};
use super::engine::{Engine, State};
use super::local::Local;
use super::saved::{self, RunsAs, Saved};
use super::settings::Settings;
use super::wire::{self, Seen};
use crate::failure::{Context, Failure, Result};

const READY_WITHIN: Duration = Duration::from_secs(120);

/// What a start asks for; what is left open is as the cluster was before, or the default.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted {
    pub(crate) nodes: Option<u8>,
    pub(crate) partitions: Option<u32>,
    pub(crate) auto_create: Option<bool>,
    pub(crate) secure: bool,
    pub(crate) runs_as: Option<RunsAs>,
}

/// A cluster that was started once and not cleaned away.
pub(crate) struct Cluster {
    folder: PathBuf,
    saved: Saved,
    engine: Box<dyn Engine>,
}

/// A node as `status` shows it.
#[derive(Debug)]
pub(crate) struct NodeStatus {
    pub(crate) node: u8,
    pub(crate) state: State,
    /// Whom it sees, when it answers.
    pub(crate) sees: io::Result<Seen>,
}

impl Cluster {
    /// The cluster on `port`, if there is one.
    pub(crate) fn open(port: u16) -> Result<Option<Self>> {
        let folder = saved::folder(port)?;
        Ok(saved::load(&folder)?.map(|saved| Self::from(folder, saved)))
    }

    /// Brings every node of the cluster on `port` up and waits until all of them answer and see each other.
    /// Also says how many nodes had to be started or woken: 0 when it was up already.
    pub(crate) fn start(port: u16, wanted: Wanted) -> Result<(Self, usize)> {
        let folder = saved::folder(port)?;
        fs::create_dir_all(&folder).context(|| format!("cannot make {}", folder.display()))?;
        let _lock = saved::lock(&folder)?;
        let cluster = match saved::load(&folder)? {
            Some(saved) => Self::from(folder, saved).adapted(wanted)?,
            None => Self::new(folder, port, wanted)?,
        };
        let mut down = Vec::new();
        let mut paused = Vec::new();
        for node in cluster.settings().node_ids() {
            match cluster.engine.state(node)? {
                State::Down => down.push(node),
                State::Up { paused: true, .. } => paused.push(node),
                State::Up { .. } => {}
            }
        }
        let begun = cluster.bring_up(&down, &paused);
        if let Err(failure) = begun {
            // Nothing half-started is left behind; what ran before goes on.
            for node in down {
                let _ = cluster.engine.kill(node);
            }
            return Err(failure);
        }
        if !down.is_empty() {
            cluster.engine.permit()?;
        }
        Ok((cluster, down.len() + paused.len()))
    }

    fn bring_up(&self, down: &[u8], paused: &[u8]) -> Result<()> {
        if !down.is_empty() {
            for node in down {
                self.ports_are_free(*node)?;
            }
            self.prepare()?;
        }
        for node in down {
            self.engine.start(*node)?;
        }
        for node in paused {
            self.engine.unpause(*node)?;
        }
        self.wait_for_all()
    }

    fn prepare(&self) -> Result<()> {
        let is_new = saved::load(&self.folder)?.is_none();
        saved::save(&self.folder, &self.saved)?;
        self.engine.prepare().inspect_err(|_| {
            if is_new {
                // Else the next start, perhaps by other means, would meet the remains of this one.
                let _ = self.engine.remove();
                let _ = fs::remove_dir_all(&self.folder);
            }
        })
    }

    fn new(folder: PathBuf, port: u16, wanted: Wanted) -> Result<Self> {
        let settings = Settings {
            nodes: wanted.nodes.unwrap_or(1),
            port,
            partitions: wanted.partitions.unwrap_or(3),
            auto_create: wanted.auto_create.unwrap_or(true),
            secure: wanted.secure,
        };
        let runs_as = match (wanted.secure, wanted.runs_as) {
            (true, Some(RunsAs::Docker)) => {
                return Err(Failure::new("--secure is for Java processes: leave --docker out"));
            }
            (true, _) => RunsAs::Java,
            (false, asked) => choose(asked)?,
        };
        Ok(Self::from(folder, Saved { settings, runs_as, cluster_id: saved::new_cluster_id() }))
    }

    fn from(folder: PathBuf, saved: Saved) -> Self {
        let (settings, cluster_id) = (saved.settings, saved.cluster_id.clone());
        let engine: Box<dyn Engine> = match saved.runs_as {
            RunsAs::Docker => Box::new(Docker { settings, cluster_id }),
            RunsAs::Java => Box::new(Local { folder: folder.clone(), settings, cluster_id }),
        };
        Self { folder, saved, engine }
    }

    /// The same cluster with what is newly wanted, where its data and its running nodes allow it.
    fn adapted(self, wanted: Wanted) -> Result<Self> {
        let port = self.settings().port;
        let was = self.saved.clone();
        if wanted.nodes.is_some_and(|nodes| nodes != was.settings.nodes)
            || wanted.runs_as.is_some_and(|runs_as| runs_as != was.runs_as)
            || wanted.secure && !was.settings.secure
        {
            return Err(Failure::new(format!(
                "the cluster on port {port} was made with {} as {:?}{}, and its data only fits that. \
                 Delete it first (cargo xtask kafka clean --port {port}) or use another --port",
                nodes_text(was.settings.nodes),
                was.runs_as,
                if was.settings.secure { ", secure" } else { "" }
            )));
        }
        let mut now = was.clone();
        now.settings.partitions = wanted.partitions.unwrap_or(was.settings.partitions);
        now.settings.auto_create = wanted.auto_create.unwrap_or(was.settings.auto_create);
        if now == was {
            return Ok(self);
        }
        let fixed_by_container = was.runs_as == RunsAs::Docker;
        if fixed_by_container || self.running()? > 0 {
            let first = if fixed_by_container { "clean" } else { "stop" };
            return Err(Failure::new(format!(
                "the cluster on port {port} has other settings ({} partitions, topics {} when first named). \
                 To change them: cargo xtask kafka {first} --port {port}",
                was.settings.partitions,
                if was.settings.auto_create { "created" } else { "not created" }
            )));
        }
        Ok(Self::from(self.folder, now))
    }

    pub(crate) fn settings(&self) -> Settings {
        self.saved.settings
    }

    pub(crate) fn runs_as(&self) -> RunsAs {
        self.saved.runs_as
    }

    /// Where the nodes' data and logs are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// How many nodes run and are not paused.
    pub(crate) fn running(&self) -> Result<usize> {
        let mut running = 0;
        for node in self.settings().node_ids() {
            running += usize::from(matches!(self.engine.state(node)?, State::Up { paused: false, .. }));
        }
        Ok(running)
    }

    /// Every node, and what it answers now.
    pub(crate) fn status(&self) -> Result<Vec<NodeStatus>> {
        let ask = |node| {
            let sees = wire::ask(self.settings().client_port(node));
            self.engine.state(node).map(|state| NodeStatus { node, state, sees })
        };
        self.settings().node_ids().map(ask).collect()
    }

    /// Ends a node at once (SIGKILL).
    pub(crate) fn kill(&self, node: u8) -> Result<()> {
        self.must_be_up(node)?;
        self.engine.kill(node)
    }

    /// Freezes a node (SIGSTOP).
    pub(crate) fn pause(&self, node: u8) -> Result<()> {
        if self.must_be_up(node)? {
            return Err(Failure::new(format!("node {node} is paused already")));
        }
        self.engine.pause(node)
    }

    /// Wakes a node that is paused, starts one that is down; does not wait until it answers.
    pub(crate) fn resume(&self, node: u8) -> Result<()> {
        self.must_be_known(node)?;
        match self.engine.state(node)? {
            State::Up { paused: true, .. } => self.engine.unpause(node),
            State::Up { .. } => Ok(()),
            State::Down => {
                self.ports_are_free(node)?;
                self.engine.start(node)
            }
        }
    }

    /// Ends every node, its data kept; the numbers of those that had to be killed come back.
    pub(crate) fn stop(&self) -> Result<Vec<u8>> {
        let _lock = saved::lock(&self.folder)?;
        self.engine.stop()
    }

    /// Ends every node and deletes everything of the cluster.
    pub(crate) fn clean(self) -> Result<()> {
        self.stop()?;
        self.engine.remove()?;
        fs::remove_dir_all(&self.folder).context(|| format!("cannot delete {}", self.folder.display()))
    }

    /// Waits until every node answers and sees all the others.
    pub(crate) fn wait_for_all(&self) -> Result<()> {
        let all: Vec<_> = self.settings().node_ids().collect();
        self.settings().node_ids().try_for_each(|node| self.wait_for(node, &all))
    }

    /// Waits until `node` answers and sees the nodes `wanted`.
    pub(crate) fn wait_for(&self, node: u8, wanted: &[u8]) -> Result<()> {
        let began = Instant::now();
        loop {
            let answer = match wire::ask(self.settings().client_port(node)) {
                Ok(sees) if sees_all(&sees, wanted) => return Ok(()),
                Ok(sees) => format!("it sees only the nodes {sees:?}"),
                Err(error) => format!("it does not answer ({error})"),
            };
            let why = if self.engine.state(node)? == State::Down {
                "it has ended".to_owned()
            } else if began.elapsed() > READY_WITHIN {
                format!("after {} s {answer}", READY_WITHIN.as_secs())
            } else {
                thread::sleep(Duration::from_millis(200));
                continue;
            };
            return Err(Failure::new(format!(
                "node {node} did not come up: {why}. Its last lines ({}):\n{}",
                self.folder.display(),
                self.engine.log_tail(node)
            )));
        }
    }

    fn must_be_known(&self, node: u8) -> Result<()> {
        let nodes = self.settings().nodes;
        if (1..=nodes).contains(&node) {
            return Ok(());
        }
        Err(Failure::new(format!(
            "there is no node {node}: the cluster on port {} has {}",
            self.settings().port,
            nodes_text(nodes)
        )))
    }

    /// Whether the node, which is up, is paused.
    fn must_be_up(&self, node: u8) -> Result<bool> {
        self.must_be_known(node)?;
        match self.engine.state(node)? {
            State::Up { paused, .. } => Ok(paused),
            State::Down => Err(Failure::new(format!("node {node} does not run"))),
        }
    }

    fn ports_are_free(&self, node: u8) -> Result<()> {
        let settings = self.settings();
        let secure = settings.secure.then(|| settings.secure_port(node));
        for port in [settings.client_port(node), settings.controller_port(node)].into_iter().chain(secure) {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
                Failure::new(format!(
                    "node {node} needs port {port} on 127.0.0.1 and cannot have it ({error}): \
                     end what uses it, or choose another --port"
                ))
            })?;
        }
        Ok(())
    }
}

fn sees_all(sees: &Seen, wanted: &[u8]) -> bool {
    wanted.iter().all(|node| sees.contains(&i32::from(*node)))
}

fn choose(asked: Option<RunsAs>) -> Result<RunsAs> {
    match asked {
        Some(RunsAs::Java) => Ok(RunsAs::Java),
        Some(RunsAs::Docker) => docker::usable().map(|()| RunsAs::Docker),
        None => Ok(docker::usable().map_or_else(
            |why| {
                eprintln!("without Docker ({why}): running Kafka on Java");
                RunsAs::Java
            },
            |()| RunsAs::Docker,
        )),
    }
}

/// "1 node", "3 nodes".
pub(crate) fn nodes_text(nodes: u8) -> String {
    format!("{nodes} {}", if nodes == 1 { "node" } else { "nodes" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_misses_a_peer_or_itself_is_not_ready() {
        assert!(!sees_all(&vec![], &[1]));
        assert!(!sees_all(&vec![1, 2], &[1, 2, 3]));
        assert!(sees_all(&vec![3, 1, 2], &[1, 2, 3]));
    }
}
