//! Questions to the cluster, asked and answered on the calling thread: topics, the ends of logs, committed offsets.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use rdkafka::topic_partition_list::Offset;

use super::super::{Committed, Watermarks};
use super::config::{Settings, check_name, refused};
use super::context::{Context, Notice};
use super::rebalance::assignments;
use super::{errors, worker};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::TopicPartition;

/// How long to wait before a group's coordinator is asked for again.
const COORDINATOR_PAUSE: Duration = Duration::from_millis(100);
/// How long the words to an error are waited for.
const WORDS: Duration = Duration::from_millis(200);
/// How long the search for an offset that is out of range may take for each partition.
const SEARCH: Duration = Duration::from_secs(5);

pub(super) fn topics(
    settings: &Settings,
    asked: &[String],
    timeout: Duration,
) -> Result<Vec<(String, i32)>, ClientError> {
    let consumer = open(settings, None)?;
    let deadline = Instant::now() + timeout;
    let mut found = Vec::new();
    if asked.is_empty() {
        let metadata = consumer
            .fetch_metadata(None, timeout)
            .map_err(|error| explain(settings, &consumer, "", &error))?;
        found.extend(there(metadata.topics())?.map(|topic| (topic.name().to_owned(), count(topic))));
        found.sort();
    }
    for name in asked {
        check_name("the topic", name)?;
        let left = deadline.saturating_duration_since(Instant::now());
        let metadata = consumer
            .fetch_metadata(Some(name), left)
            .map_err(|error| explain(settings, &consumer, name, &error))?;
        for topic in metadata.topics().iter().filter(|topic| topic.name() == name) {
            check(topic)?;
            found.push((name.clone(), count(topic)));
        }
    }
    Ok(found)
}

fn count(topic: &MetadataTopic) -> i32 {
    i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX)
}

/// The topics of a whole list but for those that come or go at this moment, of which the brokers know the name alone.
pub(super) fn there(topics: &[MetadataTopic]) -> Result<impl Iterator<Item = &MetadataTopic>, ClientError> {
    let comes_or_goes = |error: &ClientError| error.kind == ClientErrorKind::UnknownTopic;
    topics.iter().try_for_each(|topic| {
        check(topic).or_else(|error| if comes_or_goes(&error) { Ok(()) } else { Err(error) })
    })?;
    Ok(topics.iter().filter(|topic| topic.error().is_none()))
}

pub(super) fn check(topic: &MetadataTopic) -> Result<(), ClientError> {
    match topic.error() {
        None => Ok(()),
        Some(code) => {
            let error = KafkaError::MetadataFetch(code.into());
            Err(errors::at(format_args!("topic {}", topic.name()), &error))
        }
    }
}

pub(super) fn watermarks(
    settings: &Settings,
    partitions: &[TopicPartition],
    timeout: Duration,
) -> Result<Vec<Watermarks>, ClientError> {
    let consumer = open(settings, None)?;
    let deadline = Instant::now() + timeout;
    check_partitions(settings, &consumer, partitions, deadline)?;
    // Kafka takes the two ends as times of their own.
    let ends = |end: Offset| {
        let left = deadline.saturating_duration_since(Instant::now());
        let found = ask_offsets(&consumer, partitions, end, left)?;
        partitions.iter().map(|partition| answered(&found, partition)).collect::<Result<Vec<_>, _>>()
    };
    let failed = |error: KafkaError| explain(settings, &consumer, "the ends of the logs", &error);
    let (lows, highs) = (ends(Offset::Beginning).map_err(failed)?, ends(Offset::End).map_err(failed)?);
    let both = lows.into_iter().zip(highs);
    Ok(both.map(|(low, high)| Watermarks { low: low.unwrap_or(0), high: high.unwrap_or(0) }).collect())
}

pub(super) fn offsets_at(
    settings: &Settings,
    partitions: &[TopicPartition],
    unix_ms: i64,
    timeout: Duration,
) -> Result<Vec<i64>, ClientError> {
    let consumer = open(settings, None)?;
    let deadline = Instant::now() + timeout;
    check_partitions(settings, &consumer, partitions, deadline)?;
    let left = deadline.saturating_duration_since(Instant::now());
    let place = format!("the offsets at {unix_ms} ms since 1970");
    find_offsets_at(&consumer, partitions, unix_ms, left)
        .map_err(|error| explain(settings, &consumer, &place, &error))
}

/// The first offset at or behind a time for each partition; the end where the log has none.
pub(super) fn find_offsets_at(
    consumer: &BaseConsumer<Context>,
    partitions: &[TopicPartition],
    unix_ms: i64,
    timeout: Duration,
) -> Result<Vec<i64>, KafkaError> {
    let deadline = Instant::now() + timeout;
    // Smaller numbers have meanings of their own.
    let found = ask_offsets(consumer, partitions, Offset::Offset(unix_ms.max(0)), timeout)?;
    let one = |partition: &TopicPartition| match answered(&found, partition)? {
        Some(offset) => Ok(offset),
        None => {
            let left = deadline.saturating_duration_since(Instant::now());
            Ok(consumer.fetch_watermarks(&partition.topic, partition.partition, left)?.1)
        }
    };
    partitions.iter().map(one).collect()
}

/// Asks each leader once for all of its partitions.
fn ask_offsets(
    consumer: &BaseConsumer<Context>,
    partitions: &[TopicPartition],
    at: Offset,
    timeout: Duration,
) -> Result<TopicPartitionList, KafkaError> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        asked.add_partition_offset(&partition.topic, partition.partition, at)?;
    }
    consumer.offsets_for_times(asked, timeout)
}

/// What was answered for a partition; `None` where there is no such offset.
fn answered(found: &TopicPartitionList, partition: &TopicPartition) -> Result<Option<i64>, KafkaError> {
    let element = found.find_partition(&partition.topic, partition.partition);
    let element = element.ok_or(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition))?;
    element.error()?;
    match element.offset() {
        Offset::Offset(offset) => Ok(Some(offset)),
        _ => Ok(None),
    }
}

/// An unknown topic is told at once here; asking for its offsets waits for it until the time is up.
pub(super) fn check_partitions(
    settings: &Settings,
    consumer: &BaseConsumer<Context>,
    partitions: &[TopicPartition],
    deadline: Instant,
) -> Result<(), ClientError> {
    let mut counts = BTreeMap::new();
    for partition in partitions {
        let topic = partition.topic.as_ref();
        check_name("the topic", topic)?;
        if !counts.contains_key(topic) {
            let left = deadline.saturating_duration_since(Instant::now());
            let metadata = consumer
                .fetch_metadata(Some(topic), left)
                .map_err(|error| explain(settings, consumer, topic, &error))?;
            for found in metadata.topics() {
                check(found)?;
                counts.insert(topic, count(found));
            }
        }
        let count = counts.get(topic).copied().unwrap_or_default();
        if !(0..count).contains(&partition.partition) {
            let message =
                format!("{partition} does not exist: the topic has {count} partitions, counted from 0");
            return Err(ClientError::new(ClientErrorKind::UnknownTopic, message));
        }
    }
    Ok(())
}

pub(super) fn committed(
    settings: &Settings,
    group: &str,
    partitions: &[TopicPartition],
    timeout: Duration,
) -> Result<Vec<Option<Committed>>, ClientError> {
    check_name("the group", group)?;
    let consumer = open(settings, Some(group))?;
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        check_name("the topic", &partition.topic)?;
        list.add_partition(&partition.topic, partition.partition);
    }
    let place = format!("group {group}");
    let deadline = Instant::now() + timeout;
    let list = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match consumer.committed_offsets(list.clone(), left) {
            Ok(list) => break list,
            // A cluster that has just started, or moves the group, says so until it is done.
            Err(error) if is_moving(&error) && left > COORDINATOR_PAUSE => thread::sleep(COORDINATOR_PAUSE),
            Err(error) => return Err(explain(settings, &consumer, &place, &error)),
        }
    };
    for element in list.elements() {
        element.error().map_err(|error| {
            errors::at(format_args!("{place}, {}-{}", element.topic(), element.partition()), &error)
        })?;
    }
    let mut found: BTreeMap<_, _> =
        assignments(&list).into_iter().map(|each| (each.partition, each.committed)).collect();
    Ok(partitions.iter().map(|partition| found.remove(partition).flatten()).collect())
}

fn is_moving(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
        )
    )
}

/// Which of the positions are not in their logs, in words.
pub(super) fn out_of_range(
    consumer: &worker::Consumer,
    positions: &[(TopicPartition, i64)],
) -> Option<String> {
    let outside = positions.iter().filter_map(|(partition, offset)| {
        let (low, high) = consumer.fetch_watermarks(&partition.topic, partition.partition, SEARCH).ok()?;
        let outside = !(low..=high).contains(offset);
        outside.then(|| {
            format!("{partition}: offset {offset} is not in the log, which holds {low} to before {high}")
        })
    });
    let outside: Vec<String> = outside.collect();
    (!outside.is_empty()).then(|| outside.join("; "))
}

pub(super) fn open(settings: &Settings, group: Option<&str>) -> Result<BaseConsumer<Context>, ClientError> {
    settings.questions(group).create_with_context(Context::default()).map_err(refused)
}

/// An error together with what the connections said meanwhile: "timed out" alone helps nobody.
pub(super) fn explain(
    settings: &Settings,
    consumer: &BaseConsumer<Context>,
    place: &str,
    error: &KafkaError,
) -> ClientError {
    let place = if place.is_empty() { settings.bootstrap.clone() } else { place.to_owned() };
    let plain = errors::at(&place, error);
    // What it says comes by the context, and may come a moment later than the answer.
    let until = Instant::now() + WORDS;
    let cause = loop {
        let _ = consumer.poll(Duration::from_millis(10));
        let said = consumer.context().take().into_iter().find_map(|notice| match notice {
            Notice::Error(code, reason) => Some(errors::event(code, &reason)),
            _ => None,
        });
        if said.is_some() || Instant::now() > until {
            break said;
        }
    };
    match cause {
        Some(cause) if plain.kind != ClientErrorKind::UnknownTopic => {
            ClientError::new(cause.kind, format!("{}; {}", plain.message, cause.message))
        }
        None if plain.kind == ClientErrorKind::TimedOut && place != settings.bootstrap => {
            ClientError::new(plain.kind, format!("{} (brokers {})", plain.message, settings.bootstrap))
        }
        _ => plain,
    }
}
