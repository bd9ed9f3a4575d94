//! Makes a member's commits as transactions, on a thread of its own: keeps a producer, replaces one that is of no use any
//! more, and finds out what became of a transaction whose end had no answer. It must never answer before that is certain.
//!
//! No other member can commit for partitions this one has given up: the brokers take a transaction's offsets only from
//! the group's present generation, and hold back whoever asks for a partition's offset while a transaction that changes
//! it is open (KIP-447). What only this side can see is whether the assignment that speaks is still the same: see
//! [`Transactor::commit`].

use std::sync::{Arc, Weak, mpsc};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use tokio::sync::mpsc::{UnboundedSender, WeakUnboundedSender};

use super::super::{Commit, CommitEntry, GroupEvent, Transactions};
use super::committer::{Committed, native, place};
use super::config::{Settings, TRANSACTION_BATCH_BYTES, check_name};
use super::last_commit::once_stable;
use super::member::{Owned, closed};
use super::raw::Membership;
use super::rebalance::assignments;
use super::transaction::{Ended, TransactionalProducer};
use super::worker::Consumer;
use super::{errors, own_thread};
use crate::client_error::{ClientError, ClientErrorKind};

/// One try at reading what is committed.
const READ_COMMITTED: Duration = Duration::from_secs(5);
/// The pause between two tries at finding out.
const PAUSE: Duration = Duration::from_millis(200);

/// Hands commits to the thread, which ends when the last of these is gone. Cheap to clone.
#[derive(Clone)]
pub(super) struct Transactor {
    jobs: mpsc::Sender<Job>,
}

struct Job {
    commit: Commit,
    /// It has no successor: until then it is made again while the group is between two generations.
    last: Option<Instant>,
    done: Box<dyn FnOnce(Committed) + Send>,
}

impl Transactor {
    pub(super) fn start(
        settings: &Arc<Settings>,
        transactions: &Transactions,
        consumer: &Arc<Consumer>,
        owned: Owned,
        events: &UnboundedSender<GroupEvent>,
    ) -> Result<Self, ClientError> {
        check_name("the transactional id", &transactions.id)?;
        // Opened here so that a property it refuses is told where the member is joined.
        let first = TransactionalProducer::open(settings, transactions, TRANSACTION_BATCH_BYTES)?;
        let (jobs, inbox) = mpsc::channel::<Job>();
        let mut thread = Thread {
            settings: Arc::clone(settings),
            transactions: transactions.clone(),
            consumer: Arc::downgrade(consumer),
            owned,
            events: events.downgrade(),
            opened: Some(first),
            producer: None,
        };
        own_thread::start("txova-kafka-transactions", move || {
            let _ = thread.ready(); // the first commit should not wait for it; an error comes again
            while let Ok(Job { commit, last, done }) = inbox.recv() {
                done(match last {
                    None => thread.commit(&commit),
                    Some(until) => thread.commit_last(&commit, until),
                });
            }
        })?;
        Ok(Self { jobs })
    }

    /// Queues a commit.
    pub(super) fn run(&self, commit: Commit, done: impl FnOnce(Committed) + Send + 'static) {
        self.send(Job { commit, last: None, done: Box::new(done) });
    }

    /// Queues the last commit of what is given back.
    pub(super) fn run_last(
        &self,
        commit: Commit,
        until: Instant,
        done: impl FnOnce(Committed) + Send + 'static,
    ) {
        self.send(Job { commit, last: Some(until), done: Box::new(done) });
    }

    fn send(&self, job: Job) {
        let _ = self.jobs.send(job); // what comes back is dropped uncalled
    }
}

struct Thread {
    settings: Arc<Settings>,
    transactions: Transactions,
    /// Weak: the member's own thread must be the last to let go of it.
    consumer: Weak<Consumer>,
    owned: Owned,
    events: WeakUnboundedSender<GroupEvent>,
    /// Not in use yet.
    opened: Option<TransactionalProducer>,
    /// Has taken its id over.
    producer: Option<TransactionalProducer>,
}

impl Thread {
    fn commit_last(&mut self, commit: &Commit, until: Instant) -> Committed {
        let (owned, consumer) = (self.owned.clone(), self.consumer.clone());
        let is_lost = || consumer.upgrade().is_none_or(|consumer| consumer.assignment_lost());
        once_stable(until, || owned.check(&commit.entries), is_lost, || self.commit(commit))
    }

    fn commit(&mut self, commit: &Commit) -> Committed {
        if commit.is_empty() {
            return Ok(());
        }
        if commit.entries.is_empty() {
            let message = "records without an offset beside them belong to nobody, and nothing fences them";
            return Err(ClientError::new(ClientErrorKind::Config, message).into());
        }
        let consumer = self.consumer.upgrade().ok_or_else(closed)?;
        self.ready()?;
        let membership = Membership::of(&consumer).ok_or_else(|| {
            let message = format!("{}: this member is not in its group now", place(&commit.entries));
            ClientError::new(ClientErrorKind::StaleMember, message)
        })?;
        drop(consumer);
        // In this order: librdkafka joins anew only after what was lost is given up here. An assignment that still goes
        // on now went on when the generation was read, so it is that generation's, and any later one is fenced.
        self.owned.check(&commit.entries)?;
        let Some(producer) = &self.producer else { return Err(closed().into()) };
        match producer.transact(commit, None, Some(&membership)) {
            Ended::Committed(_) => Ok(()),
            Ended::Aborted(error) => Err(error),
            Ended::Broken(error) => {
                self.producer = None;
                Err(error)
            }
            Ended::Unknown(error) => {
                self.producer = None;
                tracing::warn!(%error, "the end of a transaction had no answer; finding out what became of it");
                self.find_out(&commit.entries, error)
            }
        }
    }

    /// Has a producer that can begin.
    fn ready(&mut self) -> Result<(), ClientError> {
        if self.producer.is_some() {
            return Ok(());
        }
        let producer = match self.opened.take() {
            Some(opened) => opened,
            None => TransactionalProducer::open(&self.settings, &self.transactions, TRANSACTION_BATCH_BYTES)?,
        };
        if let Err(error) = producer.take_over(self.transactions.timeout) {
            if let Some(events) = self.events.upgrade() {
                let _ = events.send(GroupEvent::Trouble(error.clone())); // the engine has dropped its end
            }
            return Err(error);
        }
        self.producer = Some(producer);
        Ok(())
    }

    /// A new producer under the same id ends what the old one left open. What is committed afterwards tells how: while an
    /// assignment goes on nobody else can have committed for it.
    fn find_out(&mut self, entries: &[CommitEntry], why: ClientError) -> Committed {
        loop {
            let consumer = self.consumer.upgrade().ok_or_else(closed)?;
            let read = self.ready().and_then(|()| read(&consumer, entries));
            drop(consumer);
            let still = self.owned.still(entries);
            if still.is_empty() {
                let message = format!("{}; its partitions were given up before it was known", why.message);
                return Err(ClientError::new(ClientErrorKind::StaleMember, message).into());
            }
            match read {
                Ok(found) if still.iter().all(|entry| found.contains(entry)) => return Ok(()),
                Ok(_) => {
                    let message =
                        format!("{}; it is certain now that nothing of it is committed", why.message);
                    return Err(ClientError::new(why.kind, message).into());
                }
                Err(error) => {
                    tracing::warn!(%error, "what became of a transaction is not known yet");
                    sleep(PAUSE);
                }
            }
        }
    }
}

/// What is committed for the partitions of `entries`, in the same form.
fn read(consumer: &Consumer, entries: &[CommitEntry]) -> Result<Vec<CommitEntry>, ClientError> {
    let at = |error| errors::at(place(entries), &error);
    let list =
        native(entries).and_then(|list| consumer.committed_offsets(list, READ_COMMITTED)).map_err(at)?;
    for element in list.elements() {
        element.error().map_err(at)?;
    }
    let committed = assignments(&list);
    let found = entries.iter().filter_map(|entry| {
        let here = committed.iter().find(|assignment| assignment.partition == entry.partition)?;
        let committed = here.committed.as_ref()?;
        Some(CommitEntry { offset: committed.offset, metadata: committed.metadata.clone(), ..entry.clone() })
    });
    Ok(found.collect())
}
