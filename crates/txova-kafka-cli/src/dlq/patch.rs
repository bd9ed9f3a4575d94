//! Changes to payloads, as flags: RFC 7386 merge patches and RFC 6902 JSON patches. Knows JSON, never what it says.

use std::path::PathBuf;

use clap::Args;
use json_patch::Patch;
use serde_json::Value;
use txova_kafka::Replay;

use crate::failure::Failure;

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Changing payloads")]
pub(crate) struct PatchArgs {
    /// An RFC 7386 merge patch for each payload: '{"fare": 500, "note": null}'.
    #[arg(long, value_name = "JSON", conflicts_with = "patch")]
    merge: Option<String>,
    /// A file with an RFC 6902 JSON patch for each payload. A letter that it does not fit fails, and stays open.
    #[arg(long, value_name = "FILE")]
    patch: Option<PathBuf>,
}

enum Change {
    Merge(Value),
    Patch(Patch),
}

impl PatchArgs {
    pub(crate) fn is_given(&self) -> bool {
        self.merge.is_some() || self.patch.is_some()
    }

    /// The replay, with the change.
    pub(crate) fn apply(&self, replay: Replay) -> Result<Replay, Failure> {
        let change = match (&self.merge, &self.patch) {
            (None, None) => return Ok(replay),
            (Some(merge), _) => serde_json::from_str(merge)
                .map(Change::Merge)
                .map_err(|error| Failure::Usage(format!("--merge {merge}: {error}; expected JSON")))?,
            (None, Some(file)) => {
                let wrong = |error: &dyn std::fmt::Display| {
                    Failure::Usage(format!(
                        "--patch {}: {error}; expected a JSON patch, a list of operations",
                        file.display()
                    ))
                };
                let text = std::fs::read(file).map_err(|error| wrong(&error))?;
                Change::Patch(serde_json::from_slice(&text).map_err(|error| wrong(&error))?)
            }
        };
        Ok(replay.transform(move |_, payload| {
            let mut payload: Value = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
            match &change {
                Change::Merge(change) => json_patch::merge(&mut payload, change),
                Change::Patch(patch) => json_patch::patch(&mut payload, patch)
                    .map_err(|error| format!("the patch does not fit: {error}"))?,
            }
            serde_json::to_vec(&payload).map_err(|error| error.to_string())
        }))
    }
}
