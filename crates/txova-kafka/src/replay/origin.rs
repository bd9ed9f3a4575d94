//! Fetches the record that a letter had no room for from where it came from. It must never take another for it.

use tracing::debug;
use txova_events::DeadLetter;
use txova_events::dlq::Cut;

use crate::client_error::ClientError;
use crate::dead_letter::{list, sha256};
use crate::kafka::Kafka;
use crate::record::{Record, TopicPartition};
use crate::transport::ReadRange;

/// The record; why there is none, in words, where it is gone or cannot be read.
pub(super) async fn fetch(kafka: &Kafka, letter: &DeadLetter, cut: &Cut) -> Result<Record, String> {
    let partition = TopicPartition::new(letter.original_topic.as_str(), letter.original_partition);
    let offset = letter.original_offset;
    let incomplete = |why: String| {
        let fields = cut.fields.join(", ");
        let bytes = cut.body_bytes;
        format!(
            "the letter is not whole ({fields} did not fit), and its record, with a value of {bytes} bytes, cannot be \
             had from offset {offset} of {partition}: {why}"
        )
    };
    let found = find(kafka, &partition, offset).await.map_err(|error| incomplete(error.to_string()))?;
    let record = found.ok_or_else(|| incomplete("it is no longer there".to_owned()))?;
    if record.value.as_deref().map(sha256).unwrap_or_default() != cut.body_sha256 {
        return Err(incomplete("another record is there".to_owned()));
    }
    debug!(%partition, offset, "the record of a cut letter is read from its topic");
    Ok(record)
}

async fn find(kafka: &Kafka, at: &TopicPartition, offset: i64) -> Result<Option<Record>, ClientError> {
    let ends = kafka.transport.watermarks(vec![at.clone()], list::ANSWER_TIMEOUT).await?;
    if !ends.iter().any(|ends| (ends.low..ends.high).contains(&offset)) {
        return Ok(None);
    }
    let range = ReadRange { partition: at.clone(), start: offset, end: offset + 1 };
    match kafka.transport.read(vec![range])?.recv().await {
        None => Ok(None),
        Some(item) => item.map(|(_, record)| Some(record).filter(|record| record.offset == offset)),
    }
}
