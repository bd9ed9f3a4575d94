//! Joining a group: starts the two threads of a member and gives out its mailbox. It must never wait for a broker.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;
use tokio::sync::{mpsc as channel, oneshot};

use super::super::{Command, Commands, CommitEntry, GroupEvent, GroupMember, JoinOptions};
use super::config::{Settings, check_name, refused};
use super::context::Context;
use super::outbox::{self, Outbox};
use super::poll_loop::PollLoop;
use super::worker::{Consumer, Worker};
use super::{errors, own_thread};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::TopicPartition;

pub(super) fn join(settings: &Settings, options: JoinOptions) -> Result<GroupMember, ClientError> {
    check_name("the group", &options.group)?;
    for topic in &options.topics {
        check_name("the topic", topic)?;
    }
    let config = settings.member(&options);
    let consumer: Consumer = config.create_with_context(Context::default()).map_err(refused)?;
    let topics: Vec<&str> = options.topics.iter().map(String::as_str).collect();
    consumer.subscribe(&topics).map_err(|error| {
        ClientError::new(ClientErrorKind::Config, format!("subscribing to {topics:?}: {error}"))
    })?;

    let consumer = Arc::new(consumer);
    let worker = Worker::start(Arc::clone(&consumer))?;
    let owned = Owned::default();
    let (events, events_out) = channel::unbounded_channel();
    let (batches, batches_out) = channel::channel(outbox::CAPACITY);
    let (orders, orders_in) = mpsc::channel();
    let mailbox = Mailbox { orders, worker: worker.clone(), owned: owned.clone() };
    let brokers = settings.bootstrap.clone();
    let poll_loop = PollLoop::new(
        consumer,
        worker,
        orders_in,
        events.clone(),
        Outbox::new(batches),
        owned,
        options,
        brokers,
    );
    own_thread::start("txova-kafka-poll", move || {
        if catch_unwind(AssertUnwindSafe(|| poll_loop.run())).is_err() {
            let message =
                "the polling thread of the Kafka client panicked; nothing more is read or committed";
            let _ = events.send(GroupEvent::Fatal(ClientError::new(ClientErrorKind::Other, message)));
        }
        let _ = events.send(GroupEvent::Closed); // the engine may be gone already
    })?;
    Ok(GroupMember { events: events_out, batches: batches_out, commands: Box::new(mailbox) })
}

/// Where the engine's commands go. Commits go straight to the thread that makes them, all else to the polling thread;
/// a release or a close commits behind the commits sent before it, so the order holds.
struct Mailbox {
    orders: mpsc::Sender<Order>,
    worker: Worker,
    owned: Owned,
}

impl Commands for Mailbox {
    fn send(&self, command: Command) {
        let order = match command {
            Command::Commit { entries, reply } => {
                let (reply, owned) = (Reply::new(reply), self.owned.clone());
                self.worker.run(move |consumer| {
                    let result = owned.check(&entries).and_then(|()| commit(consumer, &entries));
                    reply.send(result);
                });
                return;
            }
            Command::Pause { partition, epoch } => Order::Pause(partition, epoch),
            Command::Resume { partition, epoch } => Order::Resume(partition, epoch),
            Command::Release { entries, reply } => Order::Release { entries, reply: Reply::new(reply) },
            Command::Close { entries, reply } => Order::Close { entries, reply: Reply::new(reply) },
        };
        let _ = self.orders.send(order); // a dropped order answers by itself: see Reply
    }
}

/// What the polling thread is asked.
pub(super) enum Order {
    Pause(TopicPartition, u64),
    Resume(TopicPartition, u64),
    Release { entries: Vec<CommitEntry>, reply: Reply },
    Close { entries: Vec<CommitEntry>, reply: Reply },
}

/// An answer that is never forgotten: dropped unsent, it says that the member is closed.
pub(super) struct Reply(Option<oneshot::Sender<Result<(), ClientError>>>);

impl Reply {
    fn new(sender: oneshot::Sender<Result<(), ClientError>>) -> Self {
        Self(Some(sender))
    }

    pub(super) fn send(mut self, result: Result<(), ClientError>) {
        if let Some(sender) = self.0.take() {
            let _ = sender.send(result); // the asker has given up
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            let _ = sender.send(Err(closed()));
        }
    }
}

pub(super) fn closed() -> ClientError {
    ClientError::new(ClientErrorKind::Closed, "the group member is closed")
}

/// The partitions the group has given us and not taken back, each with the epoch of its assignment. The broker takes a
/// member's commit for any partition, so a late commit could set back the offset of a new owner, or of a new assignment
/// here: those are refused.
#[derive(Clone, Default)]
pub(super) struct Owned(Arc<Mutex<HashMap<TopicPartition, u64>>>);

impl Owned {
    pub(super) fn change(&self, change: impl FnOnce(&mut HashMap<TopicPartition, u64>)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn check(&self, entries: &[CommitEntry]) -> Result<(), ClientError> {
        let owned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match entries.iter().find(|entry| owned.get(&entry.partition) != Some(&entry.epoch)) {
            None => Ok(()),
            Some(entry) => {
                let message = format!(
                    "the assignment of {} to this member is over; offset {} is not committed",
                    entry.partition, entry.offset
                );
                Err(ClientError::new(ClientErrorKind::StaleMember, message))
            }
        }
    }
}

/// Commits and waits for the broker. An error means that at least one entry is not known to be committed.
pub(super) fn commit(consumer: &Consumer, entries: &[CommitEntry]) -> Result<(), ClientError> {
    if entries.is_empty() {
        return Ok(());
    }
    match commit_all(consumer, entries) {
        // One entry's metadata fails the call but not the other entries; say which.
        Err(error) if entries.len() > 1 && is_metadata(&error) => {
            for entry in entries {
                let one = std::slice::from_ref(entry);
                commit_all(consumer, one).map_err(|error| commit_error(one, &error))?;
            }
            Ok(())
        }
        result => result.map_err(|error| commit_error(entries, &error)),
    }
}

fn commit_all(consumer: &Consumer, entries: &[CommitEntry]) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::with_capacity(entries.len());
    for entry in entries {
        let mut element = list.add_partition(&entry.partition.topic, entry.partition.partition);
        element.set_offset(Offset::Offset(entry.offset))?;
        element.set_metadata(&entry.metadata);
    }
    consumer.commit(&list, CommitMode::Sync)
}

fn is_metadata(error: &KafkaError) -> bool {
    errors::code_of(error) == Some(RDKafkaErrorCode::OffsetMetadataTooLarge)
}

fn commit_error(entries: &[CommitEntry], error: &KafkaError) -> ClientError {
    let offsets: Vec<String> =
        entries.iter().take(3).map(|entry| format!("{} at {}", entry.partition, entry.offset)).collect();
    let more = if entries.len() > 3 { format!(" and {} more", entries.len() - 3) } else { String::new() };
    errors::at(format_args!("committing {}{more}", offsets.join(", ")), error)
}
