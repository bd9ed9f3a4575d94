//! The topic of everything that was ever decided or tried about dead letters: only ever appended to. It must never be
//! read to decide anything; that is what resolutions are for, of which compaction keeps the last.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tracing::warn;
use txova_events::Time;

use super::list::{Topics, read_all};
use crate::client_error::ClientError;
use crate::kafka::Kafka;
use crate::record::OutgoingRecord;

/// The topic's name.
pub(crate) const TOPIC: &str = "txova.dlq.audit";

/// One thing that was done, by whom, when, why, and with what result: the value of a record on `txova.dlq.audit`, in
/// JSON. Its key is the entry's place, or the dead-letter topic where it is about no single entry.
///
/// A field that a writer left out is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AuditRecord {
    /// When.
    pub at: Option<Time>,
    /// What was done: `claim`, `take over`, `release`, `try`, `replay`, `redrive`, `discard`, `quarantine`, `reopen` or
    /// `import`.
    pub act: String,
    /// The entry, as [`EntryPlace`](super::EntryPlace) prints it; the dead-letter topic where it is about no single one.
    pub entry: String,
    /// How it ended; empty where it has only begun.
    pub result: String,
    /// Who.
    pub by: String,
    /// Why; empty where nobody said.
    pub why: String,
    /// What all records of one run have in common.
    pub run: String,
    /// The consumer group it was for.
    pub group: String,
    /// Where the record came from, as `topic/partition/offset`.
    pub origin: String,
    /// The event's id; empty where nobody knows.
    pub event_id: String,
    /// The event's type; empty where nobody knows.
    pub event_type: String,
    /// What letters that failed alike have in common.
    pub fingerprint: String,
    /// The process that did it, `host/process id`.
    pub instance: String,
    /// The version of the library there.
    pub library_version: String,
}

impl AuditRecord {
    pub(crate) fn outgoing(&self) -> Result<OutgoingRecord, serde_json::Error> {
        Ok(OutgoingRecord {
            topic: TOPIC.into(),
            partition: Some(0), // one order for all of it
            key: Some(self.entry.clone().into()),
            value: Some(Bytes::from(serde_json::to_vec(self)?)),
            ..OutgoingRecord::default()
        })
    }
}

impl Kafka {
    /// Everything on the audit topic, in the order it was written; records that cannot be read are told in the log.
    ///
    /// # Errors
    /// What the client or a broker says, within ten seconds for each question. A topic that does not exist holds nothing.
    ///
    /// # Cancellation
    /// Dropping the future ends the reading; nothing has changed.
    pub async fn dead_letter_audit(&self) -> Result<Vec<AuditRecord>, ClientError> {
        let Some(partitions) = Topics::look(self).await?.partitions(TOPIC) else { return Ok(Vec::new()) };
        let mut audit = Vec::new();
        read_all(self, vec![(TOPIC.to_owned(), partitions)], |at, record| {
            match serde_json::from_slice(record.value.as_deref().unwrap_or_default()) {
                Ok(read) => audit.push(read),
                Err(error) => warn!(partition = %at, offset = record.offset, %error, "no audit record"),
            }
        })
        .await?;
        Ok(audit)
    }
}
