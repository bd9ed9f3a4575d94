//! What handlers have published in an app that commits in transactions, from the end of the attempt until a transaction
//! has it. It must never hand out what belongs to a record that the same commit does not tell as done: a crash would have
//! it published again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tracing::warn;

use crate::client_error::ClientError;
use crate::engine::offset_map::{self, OffsetMap};
use crate::engine::{DeadLetterOrder, Now, Settled, Start, Ticket};
use crate::extract::{Outgoing, Publishing};
use crate::outcome::{ErrorClass, Failure, HandlerId};
use crate::record::{OutgoingRecord, Record, TopicPartition};
use crate::transport::{Commit, CommitEntry, CommitError};

use super::mutation::{Mutation, broken};
use super::{Letter, Letters};

pub(super) struct Outputs {
    publishing: Arc<Publishing>,
    /// Runs under way.
    runs: HashMap<Ticket, Run>,
    /// Of records that are done, in the order in which they were.
    waiting: VecDeque<Output>,
    /// With a transaction.
    under_way: Vec<Output>,
    /// The assignments that go on.
    epochs: HashMap<TopicPartition, u64>,
    /// Those of them that are to be given back, by revocation.
    revoked: VecDeque<Vec<(TopicPartition, u64)>>,
}

struct Run {
    outgoing: Outgoing,
    partition: TopicPartition,
    record: Record,
    attempt: u32,
}

struct Output {
    partition: TopicPartition,
    epoch: u64,
    offset: i64,
    what: What,
}

enum What {
    Published { ticket: Ticket, run: Box<Run>, records: Vec<Arc<OutgoingRecord>> },
    Letter(Box<dyn Letter>),
}

impl Outputs {
    pub(super) fn new(publishing: Arc<Publishing>) -> Self {
        Self {
            publishing,
            runs: HashMap::new(),
            waiting: VecDeque::new(),
            under_way: Vec::new(),
            epochs: HashMap::new(),
            revoked: VecDeque::new(),
        }
    }

    /// A handler begins; where it publishes.
    pub(super) fn begin(&mut self, start: &Start<Record>) -> Outgoing {
        let outgoing = Outgoing::new(self.publishing.clone());
        let (partition, record) = (start.partition.clone(), start.record.clone());
        let run = Run { outgoing: outgoing.clone(), partition, record, attempt: start.attempt };
        self.runs.insert(start.ticket, run);
        outgoing
    }

    /// A run has ended. Where it has settled its record, what it published waits for a transaction; else it is dropped.
    pub(super) fn ended(&mut self, ticket: Ticket, settled: Option<Settled>) {
        let Some(run) = self.runs.remove(&ticket) else { return };
        let records: Vec<_> = run.outgoing.take().into_iter().map(Arc::new).collect();
        if records.is_empty() {
            return;
        }
        let (partition, epoch, offset) = match settled {
            Some(settled) => (settled.partition, settled.epoch, settled.offset),
            None if broken(Mutation::PublishesFailedAttempts) => {
                let Some(&epoch) = self.epochs.get(&run.partition) else { return };
                (run.partition.clone(), epoch, run.record.offset)
            }
            None => return,
        };
        let what = What::Published { ticket, run: Box::new(run), records };
        self.waiting.push_back(Output { partition, epoch, offset, what });
    }

    /// A record has become a dead letter.
    pub(super) fn dead_lettered(&mut self, partition: TopicPartition, offset: i64, letter: Box<dyn Letter>) {
        let Some(&epoch) = self.epochs.get(&partition) else { return };
        if !broken(Mutation::ForgetsLetters) {
            self.waiting.push_back(Output { partition, epoch, offset, what: What::Letter(letter) });
        }
    }

    pub(super) fn assigned(&mut self, partition: &TopicPartition, epoch: u64) {
        self.over(partition);
        self.epochs.insert(partition.clone(), epoch);
    }

    /// An assignment is over: what was done in it and is not committed is somebody else's to do again.
    pub(super) fn over(&mut self, partition: &TopicPartition) {
        if broken(Mutation::OutputsOutliveTheirAssignment) {
            return;
        }
        self.epochs.remove(partition);
        self.runs.retain(|_, run| run.partition != *partition);
        self.waiting.retain(|output| output.partition != *partition);
    }

    /// What the entries tell as done, to be committed with them. [`Self::answered`] hears how it went.
    pub(super) fn take(&mut self, entries: Vec<CommitEntry>) -> Commit {
        let (commit, taken) = self.covered(entries);
        self.under_way = taken;
        commit
    }

    /// The group takes these back; the nth [`Self::give_back`] follows the nth of these.
    pub(super) fn revoked(&mut self, partitions: &[TopicPartition]) {
        let here = |partition: &TopicPartition| Some((partition.clone(), *self.epochs.get(partition)?));
        self.revoked.push_back(partitions.iter().filter_map(here).collect());
    }

    /// As [`Self::take`], for the last commit of what is given back.
    pub(super) fn give_back(&mut self, entries: Vec<CommitEntry>) -> Commit {
        let (commit, _) = self.covered(entries);
        for (partition, epoch) in self.revoked.pop_front().unwrap_or_default() {
            if self.epochs.get(&partition) == Some(&epoch) {
                self.over(&partition);
            }
        }
        commit
    }

    /// As [`Self::take`], for the last commit of all.
    pub(super) fn close(&mut self, entries: Vec<CommitEntry>) -> Commit {
        let (commit, _) = self.covered(entries);
        let all: Vec<_> = self.epochs.keys().cloned().collect();
        all.iter().for_each(|partition| self.over(partition));
        commit
    }

    fn covered(&mut self, mut entries: Vec<CommitEntry>) -> (Commit, Vec<Output>) {
        let outlives = broken(Mutation::OutputsOutliveTheirAssignment);
        entries.retain(|entry| self.epochs.get(&entry.partition) == Some(&entry.epoch) || outlives);
        let told: HashMap<_, _> =
            entries.iter().map(|entry| (entry.partition.clone(), Told::of(entry))).collect();
        let is_told = |output: &Output| {
            let told = told.get(&output.partition).filter(|told| told.epoch == output.epoch || outlives);
            told.is_some_and(|told| told.covers(output.offset) || broken(Mutation::CommitsUncovered))
        };
        let (mut taken, mut left) = (Vec::new(), VecDeque::with_capacity(self.waiting.len()));
        for output in self.waiting.drain(..) {
            if is_told(&output) { taken.push(output) } else { left.push_back(output) }
        }
        self.waiting = left;
        let mut records: Vec<_> = taken.iter().flat_map(Output::records).collect();
        if broken(Mutation::ReversesOutputs) {
            records.reverse();
        }
        (Commit { entries, records }, taken)
    }

    /// What was taken is committed, or waits for the next transaction in its old place.
    pub(super) fn answered(&mut self, answer: Result<(), &CommitError>) {
        let taken = std::mem::take(&mut self.under_way);
        let is_over = |output: &Output| self.epochs.get(&output.partition) != Some(&output.epoch);
        let forgets = broken(Mutation::ForgetsAborted) || answer.is_ok() && !broken(Mutation::CommitsTwice);
        for output in taken.into_iter().rev().filter(|output| !forgets && !is_over(output)) {
            self.waiting.push_front(output);
        }
    }

    /// Takes out of what is under way the record that no broker takes: a dead letter is cut shorter, as far as it goes; what
    /// a handler has published gives way to a dead letter of the record it has handled.
    pub(super) fn refuse(
        &mut self,
        refused: usize,
        error: &ClientError,
        letters: &dyn Letters,
        handler: impl Fn(&Record) -> (Option<HandlerId>, Arc<str>),
        now: Now,
    ) {
        let mut before = 0;
        let output = self.under_way.iter_mut().find(|output| {
            before += output.records().len();
            refused < before
        });
        let Some(output) = output else { return };
        let place = (&output.partition, output.offset);
        match &mut output.what {
            What::Letter(letter) => {
                warn!(partition = %place.0, offset = place.1, %error, "a dead letter is too large and is cut");
                letter.shrink();
            }
            What::Published { ticket, run, .. } => {
                warn!(partition = %place.0, offset = place.1, %error,
                    "what was published for a record is refused for good: it becomes a dead letter");
                let message = format!("what it published cannot be written: {error}");
                let failure = Failure::of(ErrorClass::Permanent, handler(&run.record), message);
                let letter = letters.letter(DeadLetterOrder {
                    ticket: *ticket,
                    partition: output.partition.clone(),
                    record: run.record.clone(),
                    failure,
                    attempts: run.attempt,
                    first_failure_ms: now.unix_ms,
                    last_failure_ms: now.unix_ms,
                });
                output.what = What::Letter(letter);
            }
        }
    }
}

impl Output {
    fn records(&self) -> Vec<Arc<OutgoingRecord>> {
        match &self.what {
            What::Published { records, .. } => records.clone(),
            What::Letter(letter) => vec![letter.record()],
        }
    }
}

/// What an entry tells as done.
struct Told {
    epoch: u64,
    position: i64,
    map: OffsetMap,
}

impl Told {
    /// By what its reader will make of it: the text has a limit, and what found no room is not told.
    fn of(entry: &CommitEntry) -> Self {
        let map = offset_map::decode(entry.offset, &entry.metadata).unwrap_or_default();
        Self { epoch: entry.epoch, position: entry.offset, map }
    }

    fn covers(&self, offset: i64) -> bool {
        let done = &self.map.done;
        let run = done.get(done.partition_point(|run| run.end <= offset));
        offset < self.position || run.is_some_and(|run| run.contains(&offset))
    }
}
