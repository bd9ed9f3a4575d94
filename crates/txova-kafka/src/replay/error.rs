//! Why a replay ended before its end. Knows no client.

use crate::client_error::ClientError;
use crate::dead_letter::{Claim, EntryPlace};

use super::ReplayReport;

/// Why a replay ended before its end. Whatever it is, nothing is lost: what was not recorded as done is still open.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A topic to replay that does not exist, nor does its dead-letter topic.
    #[error("the topic `{topic}` does not exist, and neither does its dead-letter topic: nothing was done")]
    UnknownTopic {
        /// The topic.
        topic: String,
    },
    /// The app is exactly once, and a replay has no offset with which to commit what its handlers publish.
    #[error(
        "the app `{service}` is exactly once: what its handlers publish cannot be committed with a replay here, and nothing \
         was done; send the letters back to their topics (Kafka::redrive, `txova-kafka dlq replay`), and it handles them \
         exactly once"
    )]
    ExactlyOnce {
        /// The service.
        service: String,
    },
    /// The dead letters or what was decided about them could not be read, or it could not be written down what is about to
    /// be done.
    #[error("{doing}: {error}")]
    Client {
        /// What was being done.
        doing: &'static str,
        /// What the client said.
        error: ClientError,
        /// What was done before.
        report: Box<ReplayReport>,
    },
    /// Somebody else decides about the entries of this topic.
    #[error("{topic} is claimed by {} at {}, {}: {}", .claim.by, .claim.instance, told(.claim), .claim.doing)]
    Claimed {
        /// The dead-letter topic.
        topic: String,
        /// Their claim.
        claim: Box<Claim>,
        /// What was done before.
        report: Box<ReplayReport>,
    },
    /// A letter was handled, and that could not be recorded: the next replay handles it again.
    #[error(
        "the dead letter {entry} was handled, but that is not recorded in txova.dlq.resolutions: {why}; the next replay \
         will handle it again"
    )]
    NotRecorded {
        /// The entry.
        entry: EntryPlace,
        /// What the client said, or whose claim is in the way.
        why: String,
        /// What was done before; the letter itself is counted among the failed.
        report: Box<ReplayReport>,
    },
}

fn told(claim: &Claim) -> String {
    let time =
        |time: Option<txova_events::Time>| time.map_or_else(|| "?".to_owned(), |time| time.to_string());
    format!("since {} and until {} unless it is renewed", time(claim.since), time(claim.until))
}

impl ReplayError {
    /// What was done before the error.
    pub fn report(&self) -> Option<&ReplayReport> {
        match self {
            Self::UnknownTopic { .. } | Self::ExactlyOnce { .. } => None,
            Self::Client { report, .. } | Self::Claimed { report, .. } | Self::NotRecorded { report, .. } => {
                Some(report)
            }
        }
    }
}
