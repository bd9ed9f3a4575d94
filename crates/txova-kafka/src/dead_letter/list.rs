//! Reads dead-letter topics from end to end, with what was decided about each entry. It joins no group, commits
//! nothing, writes nothing.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;
use txova_events::{DeadLetter, topics};

use super::entry::{DeadLetterEntry, EntryPlace, Resolution, origin_of};
use super::resolutions::Decisions;
use crate::client_error::ClientError;
use crate::kafka::Kafka;
use crate::record::{Record, TopicPartition};
use crate::transport::ReadRange;

/// How long one question to the cluster may take.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

impl Kafka {
    /// Every entry of the dead-letter topics of these topics (`txova.rides.v1`), open or not, in the order of topic,
    /// partition and offset; of all dead-letter topics there are where none is named. A topic without a dead-letter
    /// topic has no entries.
    ///
    /// What is written after the call is not in it. Records that are no dead letter are entries too, with what is wrong
    /// with them.
    ///
    /// ```no_run
    /// # async fn example(kafka: txova_kafka::Kafka) -> Result<(), txova_kafka::ClientError> {
    /// for entry in kafka.dead_letters(["txova.rides.v1"]).await? {
    ///     match &entry.letter {
    ///         Ok(letter) if entry.is_open() => println!("{}: {}", entry.place, letter.error_message),
    ///         Ok(_) => {}
    ///         Err(error) => println!("{}: no dead letter: {error}", entry.place),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What the client or a broker says, within ten seconds for each question.
    ///
    /// # Cancellation
    /// Dropping the future ends the reading; nothing has changed.
    pub async fn dead_letters<T: Into<String>>(
        &self,
        topics: impl IntoIterator<Item = T>,
    ) -> Result<Vec<DeadLetterEntry>, ClientError> {
        let mut entries = Vec::new();
        self.each_dead_letter(topics, |entry| entries.push(entry)).await?;
        entries.sort_by(|a, b| a.place.cmp(&b.place));
        Ok(entries)
    }

    /// As [`dead_letters`](Self::dead_letters), but gives each entry away as it is read, so that any number of them fits
    /// into memory; in order within a partition.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancellation
    /// As there.
    pub async fn each_dead_letter<T: Into<String>>(
        &self,
        topics: impl IntoIterator<Item = T>,
        mut each: impl FnMut(DeadLetterEntry),
    ) -> Result<(), ClientError> {
        let topics: Vec<String> = topics.into_iter().map(Into::into).collect();
        let there = Topics::look(self).await?;
        scan(self, &there, &topics, |entry, _| each(entry)).await
    }
}

/// The topics there are, with their numbers of partitions.
#[derive(Default)]
pub(crate) struct Topics(Vec<(String, i32)>);

impl Topics {
    pub(crate) async fn look(kafka: &Kafka) -> Result<Self, ClientError> {
        // All at once: a question for one topic by its name may bring it into being.
        kafka.topics(&[], ANSWER_TIMEOUT).await.map(Self)
    }

    pub(crate) fn partitions(&self, topic: &str) -> Option<i32> {
        self.0.iter().find(|(name, _)| name == topic).map(|(_, partitions)| *partitions)
    }

    /// The dead-letter topics of `origins`, all where there are none.
    pub(crate) fn dead_letter_topics(&self, origins: &[String]) -> Vec<(String, i32)> {
        let wanted = |name: &str| match origins {
            [] => name.ends_with(topics::DLQ_SUFFIX),
            origins => origins.iter().any(|origin| topics::dlq_topic(origin) == name),
        };
        self.0.iter().filter(|(name, _)| wanted(name)).cloned().collect()
    }
}

/// Gives `each` every entry there is at this moment.
pub(crate) async fn scan(
    kafka: &Kafka,
    there: &Topics,
    origins: &[String],
    mut each: impl FnMut(DeadLetterEntry, Record),
) -> Result<(), ClientError> {
    // The ends come before the resolutions are read, so that each entry comes with what was last decided about it.
    let ranges = ranges(kafka, there.dead_letter_topics(origins)).await?;
    let mut decided = Decisions::read(kafka, there).await?;
    read_ranges(kafka, ranges, |at, record| {
        let place =
            EntryPlace { topic: Arc::clone(&at.topic), partition: at.partition, offset: record.offset };
        let letter = DeadLetter::decode(record.value.as_deref().unwrap_or_default());
        let is_about_it = |resolution: &Resolution| match &letter {
            Ok(letter) => is_about(resolution, &place, letter.event_id(), &origin_of(letter)),
            Err(_) => true,
        };
        let resolution = decided.take_of(&place).filter(is_about_it);
        each(DeadLetterEntry { place, letter, resolution }, record);
    })
    .await
}

/// Where a dead-letter topic was deleted and made again, the places of its entries come again with other letters, for which
/// nothing was decided.
pub(crate) fn is_about(resolution: &Resolution, place: &EntryPlace, event_id: &str, origin: &str) -> bool {
    let agrees = |noted: &str, found: &str| noted.is_empty() || noted == found;
    let agrees = agrees(&resolution.event_id, event_id) && agrees(&resolution.origin, origin);
    if !agrees {
        warn!(entry = %place, event_id, resolved = resolution.event_id,
            "what was decided at this place is about another letter, and does not count");
    }
    agrees
}

/// Gives `each` all records of these topics that are there at this moment.
pub(super) async fn read_all(
    kafka: &Kafka,
    topics: Vec<(String, i32)>,
    each: impl FnMut(&TopicPartition, Record),
) -> Result<(), ClientError> {
    let ranges = ranges(kafka, topics).await?;
    read_ranges(kafka, ranges, each).await
}

async fn ranges(kafka: &Kafka, topics: Vec<(String, i32)>) -> Result<Vec<ReadRange>, ClientError> {
    let mut partitions = Vec::new();
    for (topic, count) in topics {
        let topic: Arc<str> = topic.into();
        partitions.extend((0..count).map(|partition| TopicPartition::new(topic.clone(), partition)));
    }
    let ends = kafka.transport.watermarks(partitions.clone(), ANSWER_TIMEOUT).await?;
    let ranges = partitions.into_iter().zip(ends);
    let ranges = ranges.map(|(partition, ends)| ReadRange { partition, start: ends.low, end: ends.high });
    Ok(ranges.filter(|range| range.start < range.end).collect())
}

pub(crate) async fn read_ranges(
    kafka: &Kafka,
    ranges: Vec<ReadRange>,
    mut each: impl FnMut(&TopicPartition, Record),
) -> Result<(), ClientError> {
    if ranges.is_empty() {
        return Ok(());
    }
    let mut records = kafka.transport.read(ranges)?;
    while let Some(item) = records.recv().await {
        let (partition, record) = item?;
        each(&partition, record);
    }
    Ok(())
}
