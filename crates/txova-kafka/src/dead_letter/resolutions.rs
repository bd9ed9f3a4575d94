//! The topic of what was decided about dead letters: compacted, keyed by entry. It must never decide anything.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use tracing::warn;

use super::acknowledged;
use super::entry::{EntryPlace, Resolution, ResolutionState};
use super::list::{ANSWER_TIMEOUT, read_all};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::kafka::Kafka;
use crate::record::OutgoingRecord;
use crate::transport::{NewTopic, Producer};

/// The topic's name.
pub(crate) const TOPIC: &str = "txova.dlq.resolutions";

/// What was decided last about each entry of which there is anything.
pub(crate) async fn read(
    kafka: &Kafka,
    partitions: i32,
) -> Result<HashMap<EntryPlace, Resolution>, ClientError> {
    let mut decided = HashMap::new();
    read_all(kafka, vec![(TOPIC.to_owned(), partitions)], |at, record| {
        let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
        let Some(place) = key.and_then(|key| key.parse::<EntryPlace>().ok()) else {
            warn!(partition = %at, offset = record.offset, ?key, "a resolution of no entry is passed over: its key \
                is expected to be topic/partition/offset");
            return;
        };
        match record.value.as_deref() {
            None => decided.remove(&place),
            Some(value) => decided.insert(place, decode(value)),
        };
    })
    .await?;
    Ok(decided)
}

/// What cannot be read must not be taken for undecided: the entry is left alone until somebody has looked.
fn decode(value: &[u8]) -> Resolution {
    serde_json::from_slice(value).unwrap_or_else(|error| Resolution {
        state: ResolutionState::Other(format!("unreadable: {error}")),
        ..Resolution::default()
    })
}

/// Writes resolutions.
pub(crate) struct Resolutions {
    producer: Arc<dyn Producer>,
}

impl Resolutions {
    /// Makes the topic where there is none.
    pub(crate) async fn open(kafka: &Kafka, is_there: bool) -> Result<Self, ClientError> {
        if !is_there {
            let topic = NewTopic {
                name: TOPIC.to_owned(),
                partitions: 1,
                replication: -1, // as the brokers are set to
                settings: vec![("cleanup.policy".to_owned(), "compact".to_owned())],
            };
            kafka.create_topics(vec![topic], ANSWER_TIMEOUT).await.map_err(|error| {
                let hint = "it can also be made beforehand, with cleanup.policy=compact";
                ClientError::new(error.kind, format!("{}; {hint}", error.message))
            })?;
        }
        Ok(Self { producer: kafka.transport.producer()? })
    }

    /// Hands it over at once; the future is the broker's answer.
    pub(crate) fn write(
        &self,
        resolution: &Resolution,
    ) -> impl Future<Output = Result<(), ClientError>> + Send + 'static {
        let value = serde_json::to_vec(resolution)
            .map_err(|error| ClientError::new(ClientErrorKind::Other, error.to_string()));
        let sent = value.map(|value| {
            let record = OutgoingRecord {
                topic: TOPIC.into(),
                key: Some(resolution.entry.clone().into()),
                value: Some(Bytes::from(value)),
                ..OutgoingRecord::default()
            };
            acknowledged(self.producer.as_ref(), record)
        });
        async move { sent?.await }
    }
}
