//! Reads which letters of a group are open, and hears what is decided about them. It joins no group, commits nothing,
//! writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::{debug, warn};

use txova_events::{DeadLetter, Time};

use super::{Decision, Letter, key_hash};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::dead_letter::list::{ANSWER_TIMEOUT, Topics, scan};
use crate::dead_letter::{
    DeadLetterEntry, EntryPlace, Resolution, ResolutionState, decisions_end, first_offset, resolutions,
};
use crate::kafka::Kafka;
use crate::record::{Record, TopicPartition};

/// How often it is looked whether there is a topic of decisions, or brokers that answer.
const PAUSE: Duration = Duration::from_secs(1);
/// Decisions on their way to the driver.
const CAPACITY: usize = 1_000;

/// The dead letters of one group.
#[derive(Clone, Debug)]
pub(crate) struct OpenLetters {
    kafka: Kafka,
    group: Arc<str>,
    /// The most that are kept in mind.
    most: usize,
}

impl OpenLetters {
    pub(crate) fn new(kafka: Kafka, group: Arc<str>, most: usize) -> Self {
        Self { kafka, group, most }
    }

    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// The letters that are open for records of these partitions, from their committed offsets on.
    pub(crate) async fn read(
        self,
        partitions: BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, Vec<Letter>>, ClientError> {
        let there = Topics::look(&self.kafka).await?;
        let origins: BTreeSet<String> = partitions.keys().map(|of| of.topic.to_string()).collect();
        let origins: Vec<String> = origins.into_iter().collect();
        let mut found: BTreeMap<TopicPartition, Vec<Letter>> =
            partitions.keys().map(|of| (of.clone(), Vec::new())).collect();
        let mut count = 0;
        scan(&self.kafka, &there, &origins, |entry, _| {
            let Some((of, letter)) = self.letter(&entry) else { return };
            let is_ahead = |start: &i64| letter.sent_to.is_none_or(|sent_to| sent_to >= *start);
            if partitions.get(&of).is_some_and(is_ahead) {
                count += 1;
                if count <= self.most {
                    found.entry(of).or_default().push(letter);
                }
            }
        })
        .await?;
        if count > self.most {
            let (group, most) = (&self.group, self.most);
            let message = format!(
                "{count} dead letters of {group} are open, and no more than {most} are kept in mind \
                 (consumer.follow_max_letters): nothing starts until some are resolved"
            );
            return Err(ClientError::new(ClientErrorKind::Other, message));
        }
        Ok(found)
    }

    /// What an entry means here, if it is open somewhere.
    fn letter(&self, entry: &DeadLetterEntry) -> Option<(TopicPartition, Letter)> {
        let letter = entry.letter.as_ref().ok()?;
        if letter.consumer_group.as_deref() != Some(&*self.group) {
            return None;
        }
        let of = TopicPartition::new(letter.original_topic.as_str(), letter.original_partition);
        let sent_to = match &entry.resolution {
            None => None,
            Some(decided) => match (&decided.state, sent_to(decided, &of)) {
                (ResolutionState::Replayed, Some(sent_to)) => Some(sent_to),
                (ResolutionState::Replayed, None) | (ResolutionState::Discarded, _) => return None,
                (ResolutionState::Open | ResolutionState::Quarantined | ResolutionState::Other(_), _) => None,
            },
        };
        if lacks_key(letter) {
            warn!(entry = %entry.place, "nothing follows a dead letter that had no room for its key");
            return None;
        }
        let letter = Letter {
            key: key_hash(letter.original_key.as_deref()),
            turn: first_offset(letter),
            offset: letter.original_offset,
            timestamp_ms: letter.original_timestamp.map(Time::unix_ms),
            sent_to,
        };
        Some((of, letter))
    }

    /// Tells what is decided from now on. Ends when nobody listens any more.
    ///
    /// # Errors
    /// Where it is to begin cannot be read.
    pub(crate) async fn hear(&self) -> Result<mpsc::Receiver<Decision>, ClientError> {
        let mut next = decisions_end(&self.kafka).await?;
        let (heard, decisions) = mpsc::channel(CAPACITY);
        let this = self.clone();
        tokio::spawn(async move {
            while !heard.is_closed() {
                tokio::select! {
                    () = heard.closed() => {}
                    result = this.go_on(&mut next, &heard) => {
                        if let Err(error) = result {
                            debug!(%error, "decisions about dead letters cannot be read; trying again");
                        }
                        sleep(PAUSE).await;
                    }
                }
            }
        });
        Ok(decisions)
    }

    async fn go_on(&self, next: &mut i64, heard: &mpsc::Sender<Decision>) -> Result<(), ClientError> {
        if Topics::look(&self.kafka).await?.partitions(resolutions::TOPIC).is_none() {
            return Ok(());
        }
        let at = resolutions::partition();
        let ends = self.kafka.transport.watermarks(vec![at.clone()], ANSWER_TIMEOUT).await?;
        let Some(ends) = ends.first() else { return Ok(()) };
        *next = (*next).clamp(ends.low, ends.high.max(ends.low));
        let mut records = self.kafka.transport.follow(vec![(at, *next)])?;
        while let Some(item) = records.recv().await {
            match item {
                Ok((_, record)) => {
                    *next = record.offset + 1;
                    if let Some(decision) = self.decision(&record) {
                        let _ = heard.send(decision).await; // the loop above ends where nobody listens
                    }
                }
                Err(error) if error.is_retriable() => debug!(%error, "decisions about dead letters wait"),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn decision(&self, record: &Record) -> Option<Decision> {
        let key = std::str::from_utf8(record.key.as_deref()?).ok()?;
        let _: EntryPlace = key.parse().ok()?; // else it is a claim
        let resolution = resolutions::decode(record.value.as_deref()?);
        if resolution.group != *self.group {
            return None;
        }
        let origin: EntryPlace = resolution.origin.parse().ok()?; // spelt alike
        let partition = TopicPartition { topic: origin.topic, partition: origin.partition };
        let sent_to = sent_to(&resolution, &partition);
        Some(Decision { partition, offset: origin.offset, state: resolution.state, sent_to })
    }
}

/// Where in its own partition a record was sent back to.
fn sent_to(resolution: &Resolution, of: &TopicPartition) -> Option<i64> {
    let place: EntryPlace = resolution.sent_to.as_ref()?.parse().ok()?; // spelt alike
    (place.topic == of.topic && place.partition == of.partition).then_some(place.offset)
}

fn lacks_key(letter: &DeadLetter) -> bool {
    letter.cut.as_ref().is_some_and(|cut| cut.fields.iter().any(|field| field == "original_key"))
}
