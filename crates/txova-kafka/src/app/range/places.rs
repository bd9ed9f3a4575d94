//! From what was asked for to an offset range of each partition, or why there is none. It must never guess.

use std::sync::Arc;
use std::time::Duration;

use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::TopicPartition;
use crate::transport::{ReadRange, Transport, Watermarks};

use super::{RangeEnd, RangeStart, RunRange};

/// How long each question to the brokers may take.
const ANSWER: Duration = Duration::from_secs(30);

pub(super) async fn find(
    transport: &dyn Transport,
    app_topics: &[String],
    range: &RunRange,
) -> Result<Vec<ReadRange>, ClientError> {
    check(range)?;
    let partitions = match range.partitions.is_empty() {
        false => range.partitions.clone(),
        true => all_partitions(transport, range.topics.as_deref().unwrap_or(app_topics)).await?,
    };
    let ends = transport.watermarks(partitions.clone(), ANSWER).await?;
    let at = async |unix_ms| transport.offsets_at(partitions.clone(), unix_ms, ANSWER).await;
    let starts = match range.from {
        RangeStart::Earliest => ends.iter().map(|ends| ends.low).collect(),
        RangeStart::Offset(offset) => vec![offset; partitions.len()],
        RangeStart::Timestamp { unix_ms } => at(unix_ms).await?,
    };
    let stops = match range.to {
        RangeEnd::End => ends.iter().map(|ends| ends.high).collect(),
        RangeEnd::Offset(offset) => vec![offset; partitions.len()],
        RangeEnd::Timestamp { unix_ms } => at(unix_ms).await?,
    };
    let mut ranges = Vec::with_capacity(partitions.len());
    for (((partition, ends), start), stop) in partitions.into_iter().zip(ends).zip(starts).zip(stops) {
        if matches!(range.from, RangeStart::Offset(_)) {
            check_offset(&partition, ends, "begin", start)?;
        }
        if matches!(range.to, RangeEnd::Offset(_)) {
            check_offset(&partition, ends, "end", stop)?;
        }
        // The log may have moved on between the questions: what came after the first is left to the next run.
        let (start, end) = (start.clamp(ends.low, ends.high), stop.clamp(ends.low, ends.high));
        ranges.push(ReadRange { partition, start, end });
    }
    Ok(ranges)
}

async fn all_partitions(
    transport: &dyn Transport,
    topics: &[String],
) -> Result<Vec<TopicPartition>, ClientError> {
    if topics.is_empty() {
        return Err(refused(ClientErrorKind::Config, "no topic is named: expected at least one".to_owned()));
    }
    let found = transport.topics(topics.to_vec(), ANSWER).await?;
    if let Some(missing) = topics.iter().find(|topic| found.iter().all(|(name, _)| name != *topic)) {
        return Err(refused(ClientErrorKind::UnknownTopic, format!("the topic {missing} does not exist")));
    }
    let partitions = found.into_iter().flat_map(|(topic, count)| {
        let topic: Arc<str> = topic.into();
        (0..count).map(move |partition| TopicPartition::new(topic.clone(), partition))
    });
    Ok(partitions.collect())
}

fn check(range: &RunRange) -> Result<(), ClientError> {
    let backwards = match (range.from, range.to) {
        (RangeStart::Offset(from), RangeEnd::Offset(to)) => (from > to).then_some(("offset", from, to)),
        (RangeStart::Timestamp { unix_ms: from }, RangeEnd::Timestamp { unix_ms: to }) => {
            (from > to).then_some(("timestamp", from, to))
        }
        _ => None,
    };
    let Some((what, from, to)) = backwards else { return Ok(()) };
    let message =
        format!("the range begins at {what} {from} and ends before {to}: expected an end behind its start");
    Err(refused(ClientErrorKind::Config, message))
}

fn check_offset(
    partition: &TopicPartition,
    ends: Watermarks,
    what: &str,
    offset: i64,
) -> Result<(), ClientError> {
    if (ends.low..=ends.high).contains(&offset) {
        return Ok(());
    }
    let message = format!(
        "{partition}: the range is to {what} at offset {offset}, and the log goes from {} to before {}",
        ends.low, ends.high
    );
    Err(refused(ClientErrorKind::OffsetOutOfRange, message))
}

fn refused(kind: ClientErrorKind, message: String) -> ClientError {
    ClientError::new(kind, message)
}
