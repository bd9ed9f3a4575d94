//! Why a replay ended before its end. Knows no client.

use crate::client_error::ClientError;
use crate::dead_letter::EntryPlace;

use super::ReplayReport;

/// Why a replay ended before its end. Whatever it is, nothing is lost: what was not recorded as replayed is still open.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A topic to replay that does not exist, nor does its dead-letter topic.
    #[error(
        "the topic `{topic}` does not exist, and neither does its dead-letter topic: nothing was replayed"
    )]
    UnknownTopic {
        /// The topic.
        topic: String,
    },
    /// The dead letters or their resolutions could not be read, or the resolutions' topic could not be made. No handler
    /// has run.
    #[error("{doing}: {error}")]
    Client {
        /// What was being done.
        doing: &'static str,
        /// What the client said.
        error: ClientError,
    },
    /// A letter was handled, and that could not be recorded: the next replay handles it again.
    #[error(
        "the dead letter {entry} was handled, but that is not recorded in txova.dlq.resolutions: {error}; the next \
         replay will handle it again"
    )]
    NotRecorded {
        /// The entry.
        entry: EntryPlace,
        /// What the client said.
        error: ClientError,
        /// What was done before; the letter itself is counted among the failed.
        report: Box<ReplayReport>,
    },
}

impl ReplayError {
    /// What was done before the error, where a handler has run.
    pub fn report(&self) -> Option<&ReplayReport> {
        match self {
            Self::NotRecorded { report, .. } => Some(report),
            Self::UnknownTopic { .. } | Self::Client { .. } => None,
        }
    }
}
