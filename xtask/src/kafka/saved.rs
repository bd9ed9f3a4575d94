//! What is remembered of a cluster between two commands, and where. Knows no process and no container.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde::{Deserialize, Serialize};

use super::settings::Settings;
use crate::failure::{Context, Result};

/// What the nodes run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RunsAs {
    /// Containers of the official image.
    Docker,
    /// Java processes with jars from Maven Central.
    Java,
}

/// What is remembered of a cluster between two commands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Saved {
    pub(crate) settings: Settings,
    pub(crate) runs_as: RunsAs,
    pub(crate) cluster_id: String,
}

/// 16 bytes in Kafka's spelling. A time-ordered id never begins with `-`, which Kafka's tools take for an option.
pub(crate) fn new_cluster_id() -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(uuid::Uuid::now_v7().as_bytes())
}

/// Where clusters are kept.
pub(crate) fn home() -> Result<PathBuf> {
    let home = env::var_os("TXOVA_KAFKA_HOME").filter(|path| !path.is_empty()).map_or_else(
        || {
            let manifest = env::var_os("CARGO_MANIFEST_DIR")
                .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
            manifest.parent().unwrap_or(&manifest).join(".kafka")
        },
        PathBuf::from,
    );
    std::path::absolute(&home).context(|| format!("cannot use {}", home.display()))
}

/// Where the cluster on `port` keeps everything.
pub(crate) fn folder(port: u16) -> Result<PathBuf> {
    Ok(home()?.join(port.to_string()))
}

/// Held while a cluster starts or stops, so that two commands at once do not start its nodes twice.
pub(crate) fn lock(folder: &Path) -> Result<File> {
    let path = folder.with_extension("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .context(|| format!("cannot write {}", path.display()))?;
    file.lock().context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// What is remembered in `folder`, if a cluster was ever started there.
pub(crate) fn load(folder: &Path) -> Result<Option<Saved>> {
    let path = folder.join("cluster.json");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context(|| format!("cannot read {}", path.display())),
    };
    serde_json::from_str(&text).map(Some).context(|| {
        format!("{} is damaged: delete {} once no Kafka runs there", path.display(), folder.display())
    })
}

/// Remembers a cluster.
pub(crate) fn save(folder: &Path, saved: &Saved) -> Result<()> {
    let path = folder.join("cluster.json");
    let text =
        serde_json::to_string_pretty(saved).context(|| "cannot write the cluster's settings".to_owned())?;
    fs::write(&path, text).context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_id_is_what_kafka_takes_and_never_an_option() {
        for _ in 0..1000 {
            let id = new_cluster_id();
            assert_eq!(id.len(), 22);
            assert!(!id.starts_with('-'), "{id}");
        }
    }

    #[test]
    fn what_is_saved_is_what_is_loaded() {
        let settings = Settings { nodes: 3, port: 9092, partitions: 6, auto_create: false, secure: false };
        let saved = Saved { settings, runs_as: RunsAs::Docker, cluster_id: "AZy1".to_owned() };
        let text = serde_json::to_string(&saved).expect("it is written");
        assert!(text.contains("\"docker\""), "{text}");
        assert_eq!(serde_json::from_str::<Saved>(&text).expect("it is read"), saved);
    }
}
