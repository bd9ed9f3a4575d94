//! The cluster under test, by way of `xtask kafka`. It is made for one run and deleted after it.

use std::fs;
use std::path::PathBuf;

use tokio::task::spawn_blocking;
use xtask::cluster;

use crate::failure::{Context, Result};

/// Where the cluster comes from and where everything of the run is kept.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Place {
    /// The program that has the task `kafka`.
    #[arg(long, hide = true)]
    xtask: PathBuf,
    /// Where journals, logs and the cluster are while it runs.
    #[arg(long)]
    pub(crate) folder: PathBuf,
    /// Where the first node listens.
    #[arg(long, default_value_t = 29_092)]
    port: u16,
}

/// A cluster that runs.
#[derive(Debug)]
pub(crate) struct Brokers {
    place: Place,
    pub(crate) nodes: u8,
    pub(crate) bootstrap: String,
    /// The variables that point a client at the secure listener, where there is one.
    pub(crate) secure: Vec<(String, String)>,
}

impl Place {
    /// An empty folder for journals and logs; what an earlier run left there, also a cluster, is gone.
    pub(crate) async fn prepare(&self) -> Result<PathBuf> {
        if self.home().exists() {
            self.kafka(&["clean"]).await?;
        }
        let journals = self.journals();
        let shown = journals.display();
        if journals.exists() {
            fs::remove_dir_all(&journals).context(|| format!("cannot empty {shown}"))?;
        }
        fs::create_dir_all(&journals).context(|| format!("cannot make {shown}"))?;
        Ok(journals)
    }

    pub(crate) async fn start(&self, nodes: u8) -> Result<Brokers> {
        self.start_with(nodes, &[]).await
    }

    /// One node that also listens with TLS and a log-in.
    pub(crate) async fn start_secure(&self) -> Result<Brokers> {
        self.start_with(1, &["--secure"]).await
    }

    async fn start_with(&self, nodes: u8, more: &[&str]) -> Result<Brokers> {
        let nodes_text = nodes.to_string();
        let start = [&["start", "--auto-create", "false", "--nodes", &nodes_text], more].concat();
        let said = self.kafka(&start).await?;
        let bootstrap = cluster::brokers_in(&said)?;
        let secure =
            said.lines().find_map(|line| line.strip_prefix("with TLS and SCRAM: ")).unwrap_or_default();
        let secure = secure.split(' ').filter_map(|variable| variable.split_once('='));
        let secure = secure.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Brokers { place: self.clone(), nodes, bootstrap, secure })
    }

    /// Ends the cluster, if there is one, and deletes it.
    pub(crate) async fn clean(&self) -> Result<()> {
        self.kafka(&["clean"]).await?;
        let _ = fs::remove_dir_all(self.home());
        Ok(())
    }

    pub(crate) fn journals(&self) -> PathBuf {
        self.folder.join("journals")
    }

    /// Not the developer's own clusters.
    fn home(&self) -> PathBuf {
        self.folder.join("kafka")
    }

    async fn kafka(&self, task: &[&str]) -> Result<String> {
        let (xtask, home, port) = (self.xtask.clone(), self.home(), self.port);
        let task: Vec<String> = task.iter().map(|word| (*word).to_owned()).collect();
        let asking = spawn_blocking(move || {
            let task: Vec<&str> = task.iter().map(String::as_str).collect();
            cluster::ask(&xtask, &home, port, &task)
        });
        asking.await.context(|| "asking for the cluster".to_owned())?
    }
}

impl Brokers {
    /// `kill`, `pause` or `resume` a node.
    pub(crate) async fn act(&self, action: &str, node: u8) -> Result<()> {
        self.place.kafka(&[action, &node.to_string()]).await.map(drop)
    }
}
