//! The topic of what was decided about dead letters, and of who decides: compacted, keyed by entry. It must never decide
//! anything.
//!
//! All of it is written to partition 0, so that it has one order.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tracing::warn;
use txova_events::Time;

use super::entry::{EntryPlace, Resolution, ResolutionState};
use super::list::{ANSWER_TIMEOUT, Topics, read_ranges};
use crate::client_error::ClientError;
use crate::kafka::Kafka;
use crate::record::{OutgoingRecord, Record, TopicPartition};
use crate::transport::ReadRange;

/// The topic's name.
pub(crate) const TOPIC: &str = "txova.dlq.resolutions";

const CLAIM: &str = "claim/";
const MARK: &str = "mark/";

/// Somebody's claim to decide about the entries of a dead-letter topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Claim {
    /// Tells it from any other.
    pub id: String,
    /// Grows with everything that is written under it.
    pub sequence: u64,
    /// Who.
    pub by: String,
    /// What for.
    pub doing: String,
    /// In which process, `host/process id`.
    pub instance: String,
    /// Since when.
    pub since: Option<Time>,
    /// Until when, unless it is renewed.
    pub until: Option<Time>,
}

/// What was decided last, as far as it was read.
#[derive(Default)]
pub(crate) struct Decisions {
    /// As bytes, of which there may be hundreds of thousands.
    entries: HashMap<EntryPlace, Bytes>,
    pub claims: HashMap<String, Claim>,
    /// Of the dead-letter topics, so that each is there once.
    topics: Vec<Arc<str>>,
    /// The first offset that was not read.
    next: i64,
}

impl Decisions {
    /// Everything there is at this moment; nothing where there is no such topic.
    pub(crate) async fn read(kafka: &Kafka, there: &Topics) -> Result<Self, ClientError> {
        let mut decisions = Self::default();
        if there.partitions(TOPIC).is_some() {
            decisions.go_on(kafka).await?;
        }
        Ok(decisions)
    }

    pub(crate) fn of(&self, place: &EntryPlace) -> Option<Resolution> {
        self.entries.get(place).map(|value| decode(value))
    }

    /// As [`Self::of`], and forgets it.
    pub(crate) fn take_of(&mut self, place: &EntryPlace) -> Option<Resolution> {
        self.entries.remove(place).map(|value| decode(&value))
    }

    /// Lets go of what was read, where it has been looked at: there may be much of it.
    pub(crate) fn forget_entries(&mut self) {
        self.entries = HashMap::new();
    }

    /// What came since.
    pub(crate) async fn go_on(&mut self, kafka: &Kafka) -> Result<(), ClientError> {
        let partition = partition();
        let ends = kafka.transport.watermarks(vec![partition.clone()], ANSWER_TIMEOUT).await?;
        let Some(ends) = ends.first() else { return Ok(()) };
        let start = self.next.max(ends.low);
        if start < ends.high {
            let range = ReadRange { partition, start, end: ends.high };
            read_ranges(kafka, vec![range], |_, record| self.take(&record)).await?;
        }
        self.next = self.next.max(ends.high);
        Ok(())
    }

    fn take(&mut self, record: &Record) {
        let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default();
        if let Some(topic) = key.strip_prefix(CLAIM) {
            match record.value.as_deref().map(serde_json::from_slice) {
                None => drop(self.claims.remove(topic)),
                Some(Ok(claim)) => drop(self.claims.insert(topic.to_owned(), claim)),
                Some(Err(error)) => warn!(offset = record.offset, key, %error, "a claim cannot be read"),
            }
            return;
        }
        if key.starts_with(MARK) {
            return;
        }
        let Ok(mut place) = key.parse::<EntryPlace>() else {
            warn!(
                offset = record.offset,
                key,
                "a resolution of no entry is passed over: its key is expected to be \
                topic/partition/offset"
            );
            return;
        };
        match self.topics.iter().find(|topic| **topic == place.topic) {
            Some(topic) => place.topic = Arc::clone(topic),
            None => self.topics.push(Arc::clone(&place.topic)),
        }
        match &record.value {
            None => drop(self.entries.remove(&place)),
            Some(value) => drop(self.entries.insert(place, value.clone())),
        }
    }
}

/// Behind everything that was decided so far; 0 where there is no such topic yet.
pub(crate) async fn decisions_end(kafka: &Kafka) -> Result<i64, ClientError> {
    if Topics::look(kafka).await?.partitions(TOPIC).is_none() {
        return Ok(0);
    }
    let ends = kafka.transport.watermarks(vec![partition()], ANSWER_TIMEOUT).await?;
    Ok(ends.first().map_or(0, |ends| ends.high))
}

/// Where it is all written.
pub(crate) fn partition() -> TopicPartition {
    TopicPartition::new(TOPIC, 0)
}

/// What cannot be read must not be taken for undecided: the entry is left alone until somebody has looked.
pub(crate) fn decode(value: &[u8]) -> Resolution {
    serde_json::from_slice(value).unwrap_or_else(|error| Resolution {
        state: ResolutionState::Other(format!("unreadable: {error}")),
        ..Resolution::default()
    })
}

pub(super) fn resolution(resolution: &Resolution) -> Result<OutgoingRecord, serde_json::Error> {
    Ok(outgoing(resolution.entry.clone(), Some(serde_json::to_vec(resolution)?)))
}

/// A claim to a dead-letter topic; `None` gives it up.
pub(super) fn claim(topic: &str, claim: Option<&Claim>) -> Result<OutgoingRecord, serde_json::Error> {
    let value = claim.map(serde_json::to_vec).transpose()?;
    Ok(outgoing(format!("{CLAIM}{topic}"), value))
}

/// A record that means nothing, to see how far the log can be read.
pub(super) fn mark(topic: &str) -> OutgoingRecord {
    outgoing(format!("{MARK}{topic}"), None)
}

fn outgoing(key: String, value: Option<Vec<u8>>) -> OutgoingRecord {
    let TopicPartition { topic, partition } = partition();
    let (key, value) = (Some(key.into()), value.map(Bytes::from));
    OutgoingRecord { topic, partition: Some(partition), key, value, ..OutgoingRecord::default() }
}
