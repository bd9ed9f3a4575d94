//! Joining a group: starts the two threads of a member and gives out its mailbox. It must never wait for a broker.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use rdkafka::consumer::Consumer as _;
use tokio::sync::mpsc as channel;

use super::super::{
    Command, Commands, Commit, CommitEntry, CommitReply, GroupEvent, GroupMember, JoinOptions,
};
use super::committer::{Committed, Committer};
use super::config::{Settings, check_name, refused};
use super::context::Context;
use super::outbox::{self, Outbox};
use super::own_thread;
use super::poll_loop::PollLoop;
use super::transactor::Transactor;
use super::worker::{Consumer, Worker};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::TopicPartition;

pub(super) fn join(settings: &Arc<Settings>, options: JoinOptions) -> Result<GroupMember, ClientError> {
    check_name("the group", &options.group)?;
    for topic in &options.topics {
        check_name("the topic", topic)?;
    }
    if let Some(instance) = &options.instance {
        check_name("the group instance", instance)?;
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
    let committer = match &options.transactions {
        None => Committer::Plain { worker: worker.clone(), owned: owned.clone() },
        Some(transactions) => Committer::InTransactions(Transactor::start(
            settings,
            transactions,
            &consumer,
            owned.clone(),
            &events,
        )?),
    };
    let mailbox = Mailbox { orders, committer: committer.clone() };
    let brokers = settings.bootstrap.clone();
    let poll_loop = PollLoop::new(
        consumer,
        worker,
        committer,
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
    committer: Committer,
}

impl Commands for Mailbox {
    fn send(&self, command: Command) {
        let order = match command {
            Command::Commit { commit, reply } => {
                let reply = Reply::new(reply);
                self.committer.run(commit, move |result| reply.send(result));
                return;
            }
            Command::Pause { partition, epoch } => Order::Pause(partition, epoch),
            Command::Resume { partition, epoch } => Order::Resume(partition, epoch),
            Command::Release { commit, reply } => Order::Release { commit, reply: Reply::new(reply) },
            Command::Close { commit, reply } => Order::Close { commit, reply: Reply::new(reply) },
        };
        let _ = self.orders.send(order); // a dropped order answers by itself: see Reply
    }
}

/// What the polling thread is asked.
pub(super) enum Order {
    Pause(TopicPartition, u64),
    Resume(TopicPartition, u64),
    Release { commit: Commit, reply: Reply },
    Close { commit: Commit, reply: Reply },
}

/// An answer that is never forgotten: dropped unsent, it says that the member is closed.
pub(super) struct Reply(Option<CommitReply>);

impl Reply {
    fn new(sender: CommitReply) -> Self {
        Self(Some(sender))
    }

    pub(super) fn send(mut self, result: Committed) {
        if let Some(sender) = self.0.take() {
            let _ = sender.send(result); // the asker has given up
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            let _ = sender.send(Err(closed().into()));
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

    /// Those of the entries whose assignment goes on.
    pub(super) fn still(&self, entries: &[CommitEntry]) -> Vec<CommitEntry> {
        let owned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().filter(|entry| owned.get(&entry.partition) == Some(&entry.epoch)).cloned().collect()
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
