//! Who makes a member's commits, one after the other, on a thread that may wait for brokers. It must never decide what
//! is committed.

use std::sync::mpsc;
use std::time::Instant;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;

use super::super::{Commit, CommitEntry, CommitError};
use super::errors;
use super::last_commit::once_stable;
use super::member::Owned;
use super::transactor::Transactor;
use super::worker::{Consumer, Worker};
use crate::client_error::{ClientError, ClientErrorKind};

/// Cheap to clone.
#[derive(Clone)]
pub(super) enum Committer {
    Plain { worker: Worker, owned: Owned },
    InTransactions(Transactor),
}

pub(super) type Committed = Result<(), CommitError>;

impl Committer {
    /// Queues a commit. Where the member is closed before its turn, `done` is dropped uncalled.
    pub(super) fn run(&self, commit: Commit, done: impl FnOnce(Committed) + Send + 'static) {
        match self {
            Self::Plain { worker, owned } => {
                let owned = owned.clone();
                worker.run(move |consumer| done(plain(consumer, &owned, &commit)));
            }
            Self::InTransactions(transactor) => transactor.run(commit, done),
        }
    }

    /// Queues the last commit of what is given back, whose answer can be looked for. The channel is closed where the member
    /// is closed before its turn.
    pub(super) fn ask_last(&self, commit: Commit, until: Instant) -> mpsc::Receiver<Committed> {
        let (answer, answers) = mpsc::sync_channel(1);
        let done = move |result| {
            let _ = answer.send(result); // the asker has given up
        };
        match self {
            Self::Plain { worker, owned } => {
                let owned = owned.clone();
                worker.run(move |consumer| {
                    let is_owned = || owned.check(&commit.entries);
                    let is_lost = || consumer.assignment_lost();
                    done(once_stable(until, is_owned, is_lost, || plain(consumer, &owned, &commit)));
                });
            }
            Self::InTransactions(transactor) => transactor.run_last(commit, until, done),
        }
        answers
    }
}

fn plain(consumer: &Consumer, owned: &Owned, commit: &Commit) -> Committed {
    if !commit.records.is_empty() {
        let message = "the member was joined without transactions: records cannot be committed with offsets";
        return Err(ClientError::new(ClientErrorKind::Config, message).into());
    }
    owned.check(&commit.entries)?;
    commit_offsets(consumer, &commit.entries)?;
    Ok(())
}

/// Commits and waits for the broker. An error means that at least one entry is not known to be committed.
fn commit_offsets(consumer: &Consumer, entries: &[CommitEntry]) -> Result<(), ClientError> {
    if entries.is_empty() {
        return Ok(());
    }
    match commit_all(consumer, entries) {
        // One entry's metadata fails the call but not the other entries; say which.
        Err(error) if entries.len() > 1 && is_metadata(&error) => {
            for entry in entries {
                let one = std::slice::from_ref(entry);
                commit_all(consumer, one).map_err(|error| errors::at(place(one), &error))?;
            }
            Ok(())
        }
        result => result.map_err(|error| errors::at(place(entries), &error)),
    }
}

fn commit_all(consumer: &Consumer, entries: &[CommitEntry]) -> Result<(), KafkaError> {
    consumer.commit(&native(entries)?, CommitMode::Sync)
}

fn is_metadata(error: &KafkaError) -> bool {
    errors::code_of(error) == Some(RDKafkaErrorCode::OffsetMetadataTooLarge)
}

/// The entries as librdkafka takes them.
pub(super) fn native(entries: &[CommitEntry]) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(entries.len());
    for entry in entries {
        let mut element = list.add_partition(&entry.partition.topic, entry.partition.partition);
        element.set_offset(Offset::Offset(entry.offset))?;
        element.set_metadata(&entry.metadata);
    }
    Ok(list)
}

/// What is committed, in words.
pub(super) fn place(entries: &[CommitEntry]) -> String {
    let offsets: Vec<String> =
        entries.iter().take(3).map(|entry| format!("{} at {}", entry.partition, entry.offset)).collect();
    let more = if entries.len() > 3 { format!(" and {} more", entries.len() - 3) } else { String::new() };
    format!("committing {}{more}", offsets.join(", "))
}
