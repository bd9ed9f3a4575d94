//! Follow mode around the engine: before a record starts it is looked up whether an earlier one of its key is an open dead
//! letter, and partitions are held until that is known. What is known is in `follow.rs`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use super::Driver;
use super::mutation::{Mutation, broken};
use crate::client_error::ClientError;
use crate::engine::{DeadLetterOrder, Start, Ticket};
use crate::follow::read::OpenLetters;
use crate::follow::{Decision, Followed, Letter, Verdict};
use crate::outcome::{BatchOutcome, ErrorClass, Failure, Outcome};
use crate::record::{Record, TopicPartition};

/// How soon it is tried again what did not work.
const PAUSE: Duration = Duration::from_secs(5);
const READING: &str = "it is being read which of its keys have open dead letters";
const LATE: &str = "a dead letter that was on its way as the partition went has not been answered";

pub(super) struct Following {
    letters: OpenLetters,
    state: Followed,
    /// `None` before the first reading.
    decisions: Option<mpsc::Receiver<Decision>>,
    /// One at a time.
    reading: JoinSet<Reading>,
    /// Partitions to be read.
    unread: BTreeSet<TopicPartition>,
    /// Not before this.
    read_at: Option<Instant>,
    /// Where each partition begins here.
    starts: BTreeMap<TopicPartition, i64>,
    /// Letters on their way to the broker.
    writing: HashMap<Ticket, (TopicPartition, Letter)>,
    /// Those of them whose assignment is over. They may be written at any moment, so nothing is read of their partitions
    /// before they are answered.
    late: BTreeMap<TopicPartition, HashSet<Ticket>>,
    /// Partitions in which nothing starts because there are too many letters.
    full: BTreeSet<TopicPartition>,
}

/// What came of reading.
pub(super) struct Reading {
    partitions: BTreeMap<TopicPartition, i64>,
    decisions: Option<mpsc::Receiver<Decision>>,
    found: Result<BTreeMap<TopicPartition, Vec<Letter>>, ClientError>,
}

/// What follow mode waited for.
pub(super) enum Heard {
    Read(Reading),
    Decided(Option<Decision>),
    /// It is time to read.
    Now,
}

impl Following {
    pub(super) fn new(letters: OpenLetters) -> Self {
        Self {
            letters,
            state: Followed::default(),
            decisions: None,
            reading: JoinSet::new(),
            unread: BTreeSet::new(),
            read_at: None,
            starts: BTreeMap::new(),
            writing: HashMap::new(),
            late: BTreeMap::new(),
            full: BTreeSet::new(),
        }
    }

    /// Keys that have open letters, and those letters.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.state.keys(), self.state.letters())
    }

    /// The next thing that happens. Cancel-safe.
    async fn next(&mut self) -> Heard {
        let wants_to_read = self.reading.is_empty() && self.unread.iter().any(|of| self.may_read(of));
        let read_at = self.read_at.unwrap_or_else(Instant::now);
        let decided = async {
            match &mut self.decisions {
                Some(decisions) => decisions.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            decision = decided => Heard::Decided(decision),
            Some(read) = self.reading.join_next(), if !self.reading.is_empty() => match read {
                Ok(read) => Heard::Read(read),
                Err(_) => Heard::Now, // it panicked, and is done again
            },
            () = sleep_until(read_at), if wants_to_read => Heard::Now,
        }
    }

    fn may_read(&self, partition: &TopicPartition) -> bool {
        !self.late.contains_key(partition)
    }

    /// What is on its way belongs to an assignment that is over.
    fn over(&mut self, partition: &TopicPartition) {
        let writing = self.writing.iter().filter(|(_, (of, _))| of == partition);
        let late: HashSet<Ticket> = writing.map(|(ticket, _)| *ticket).collect();
        if !late.is_empty() {
            self.late.insert(partition.clone(), late);
        }
    }

    /// The letter, whether it was written or not.
    fn answered(&mut self, ticket: Ticket) -> Option<(TopicPartition, Letter)> {
        let (partition, letter) = self.writing.remove(&ticket)?;
        if let Some(late) = self.late.get_mut(&partition) {
            late.remove(&ticket);
            if late.is_empty() {
                self.late.remove(&partition);
            }
        }
        Some((partition, letter))
    }

    /// Begins to read what is to be read, if it is time.
    fn read_if_due(&mut self) {
        if self.read_at.is_none_or(|at| at <= Instant::now()) {
            self.read_at = None;
            self.read();
        }
    }

    fn read(&mut self) {
        if self.unread.is_empty() || !self.reading.is_empty() {
            return;
        }
        let (unread, wait): (BTreeSet<_>, _) =
            std::mem::take(&mut self.unread).into_iter().partition(|of| self.may_read(of));
        self.unread = wait;
        let starts = &self.starts;
        let partitions: BTreeMap<_, _> =
            unread.into_iter().filter_map(|of| Some((of.clone(), *starts.get(&of)?))).collect();
        if partitions.is_empty() {
            return;
        }
        partitions.keys().for_each(|partition| self.state.reads(partition));
        let (letters, is_hearing) = (self.letters.clone(), self.decisions.is_some());
        self.reading.spawn(async move {
            // What is decided is heard from before the letters are read: nothing can fall between the two.
            let decisions = match is_hearing {
                true => Ok(None),
                false => letters.hear().await.map(Some),
            };
            match decisions {
                Err(error) => Reading { partitions, decisions: None, found: Err(error) },
                Ok(decisions) => {
                    let found = letters.read(partitions.clone()).await;
                    Reading { partitions, decisions, found }
                }
            }
        });
    }
}

/// What happens next in follow mode; never where that is off.
pub(super) async fn heard(following: &mut Option<Box<Following>>) -> Heard {
    match following {
        Some(following) => following.next().await,
        None => std::future::pending().await,
    }
}

impl Driver {
    /// With follow mode.
    pub(crate) fn following(mut self, letters: OpenLetters) -> Self {
        self.following = Some(Box::new(Following::new(letters)));
        self
    }

    /// A partition is ours from this offset on, and nothing starts before it is known what follows what.
    pub(super) fn follow_assigned(&mut self, partition: &TopicPartition, start: Option<i64>) {
        let Some(following) = &mut self.following else { return };
        following.over(partition);
        following.state.assigned(partition);
        following.starts.insert(partition.clone(), start.unwrap_or(0));
        following.full.remove(partition);
        following.unread.insert(partition.clone());
        following.read_at = None;
        if !broken(Mutation::StartsUnread) {
            let why = if following.may_read(partition) { READING } else { LATE };
            self.engine.hold(partition, why.to_owned(), self.clock.now());
        }
        following.read();
    }

    pub(super) fn follow_over(&mut self, partition: &TopicPartition) {
        let Some(following) = &mut self.following else { return };
        following.over(partition);
        following.state.over(partition);
        following.starts.remove(partition);
        following.unread.remove(partition);
        following.full.remove(partition);
    }

    pub(super) fn follow_heard(&mut self, heard: Heard) {
        let Some(following) = &mut self.following else { return };
        match heard {
            Heard::Now => {}
            Heard::Decided(None) => following.decisions = None, // heard again with the next reading
            Heard::Decided(Some(decision)) => {
                let (partition, offset) = (decision.partition.clone(), decision.offset);
                debug!(%partition, offset, state = %decision.state, "decided about a dead letter");
                if following.state.decided(decision) {
                    info!(%partition, offset, "a dead letter was opened again: it is read which keys have any");
                    following.unread.insert(partition);
                }
            }
            Heard::Read(Reading { partitions, decisions, found }) => {
                following.decisions = decisions.or(following.decisions.take());
                match found {
                    Ok(mut found) => {
                        // What is to be read again is not known from before.
                        for partition in partitions.keys().filter(|of| !following.unread.contains(*of)) {
                            let letters = found.remove(partition).unwrap_or_default();
                            following.state.found(partition, letters);
                            if !following.full.contains(partition) {
                                self.engine.let_go(partition);
                            }
                        }
                    }
                    Err(error) => {
                        warn!(%error, "it cannot be told which keys have open dead letters; trying again");
                        for partition in partitions.into_keys() {
                            self.engine.hold(&partition, error.to_string(), self.clock.now());
                            following.unread.insert(partition);
                        }
                        following.read_at = Some(Instant::now() + PAUSE);
                        return;
                    }
                }
            }
        }
        following.read_if_due();
        if following.state.letters() <= following.letters.most() {
            for partition in std::mem::take(&mut following.full) {
                self.engine.let_go(&partition);
            }
        }
    }

    /// The outcome of a record that its handler must not see.
    pub(super) fn follow_verdict(&mut self, start: &Start<Record>) -> Option<Outcome> {
        let following = self.following.as_mut()?;
        let (partition, record) = (&start.partition, &start.record);
        let (class, message) = match following.state.look(partition, record, following.letters.group()) {
            _ if broken(Mutation::FollowsNothing) => return None,
            Verdict::Handle => return None,
            Verdict::Follows(first) => {
                let message = format!("follows {}/{}/{first}", partition.topic, partition.partition);
                (ErrorClass::Permanent, message)
            }
            Verdict::IsLetter => (ErrorClass::Skip, "it is a dead letter already".to_owned()),
        };
        debug!(%partition, offset = record.offset, message, "a record is not handled");
        let (_, handler) = self.handlers.handler_for(record);
        Some(Outcome::Failed(Box::new(Failure::of(class, (None, handler), message))))
    }

    /// Of a batch, the records that their handler must not see are taken out, to be looked at alone; the others gather again.
    pub(super) fn follow_verdict_of_batch(&mut self, starts: &[Start<Record>]) -> Option<BatchOutcome> {
        self.following.as_ref()?;
        let places = starts.iter().enumerate();
        let apart = places.filter_map(|(place, start)| self.follow_verdict(start).map(|_| place));
        let apart: Vec<usize> = apart.collect();
        (!apart.is_empty()).then_some(BatchOutcome::NotRun(apart))
    }

    pub(super) fn follow_writing(&mut self, order: &DeadLetterOrder<Record>) {
        if let Some(following) = &mut self.following {
            let letter = Letter::about(&order.partition, &order.record, following.letters.group());
            following.writing.insert(order.ticket, (order.partition.clone(), letter));
        }
    }

    /// The broker has answered a letter.
    pub(super) fn follow_written(&mut self, ticket: Ticket, is_written: bool) {
        let Some(following) = &mut self.following else { return };
        let answered = following.answered(ticket);
        following.read_if_due();
        let Some((partition, letter)) = answered.filter(|_| is_written) else { return };
        following.state.written(&partition, letter);
        let most = following.letters.most();
        if following.state.letters() > most && following.full.insert(partition.clone()) {
            let reason = format!(
                "more than {most} open dead letters are kept in mind (consumer.follow_max_letters): nothing starts until \
                 some are resolved"
            );
            warn!(%partition, reason, "a partition is held");
            self.engine.hold(&partition, reason, self.clock.now());
        }
    }
}
