//! The scripts' hand on the engine: it gives the inputs, carries out the actions, and shows what came of them. Time
//! stands still until a script lets it pass. It must never decide anything by itself: no answer is given unasked.

use crate::config::Order;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::client_error::{ClientError, ClientErrorKind};
use crate::engine::offset_map::{self, Failing, OffsetMap};
use crate::engine::{
    Action, BreakerChange, CloseReport, Counts, DeadLetterOrder, Engine, Incoming, Moment, Now, Offered,
    Retry, Settings, Start,
};
use crate::outcome::{BatchOutcome, ErrorClass, Failure, HandlerId, Outcome};
use crate::record::TopicPartition;
use crate::transport::{Assignment, CommitEntry, Committed};

/// A partition's number and an offset in it.
pub(super) type At = (i32, i64);

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) struct Rig {
    pub engine: Engine<i64>,
    pub now: Now,
    /// The epoch of each partition's last assignment.
    pub epochs: BTreeMap<i32, u64>,
    /// Handlers that run.
    pub running: BTreeMap<At, Start<i64>>,
    /// Batches that handlers run over, each under its first record.
    pub batches: BTreeMap<At, Vec<Start<i64>>>,
    /// Dead letters being written.
    pub writing: BTreeMap<At, DeadLetterOrder<i64>>,
    /// Commits sent, the last one last.
    pub commits: Vec<Vec<CommitEntry>>,
    pub paused: BTreeSet<i32>,
    pub cancelled: Vec<At>,
    pub released: Vec<Vec<CommitEntry>>,
    pub closed: Option<Vec<CommitEntry>>,
    /// Which handler a record is for, by its offset.
    pub route: fn(i64) -> HandlerId,
    /// Handlers held back and healed, as told for the log.
    pub told: Vec<BreakerChange>,
    settings: Settings,
}

/// No jitter, a commit after 200 ms, three retries after 1, 2 and 4 seconds, as many handlers as there are records.
pub(super) fn settings() -> Settings {
    Settings {
        concurrency: 10_000,
        commit_every_records: 10_000,
        retry: Retry { jitter: 0.0, ..Retry::default() },
        ..Settings::default()
    }
}

pub(super) fn rig() -> Rig {
    Rig::new(settings())
}

pub(super) fn name(partition: i32) -> TopicPartition {
    TopicPartition::new("rides", partition)
}

pub(super) fn failure(class: ErrorClass) -> Failure {
    failure_of(HandlerId(0), class)
}

pub(super) fn failure_of(handler: HandlerId, class: ErrorClass) -> Failure {
    let name = if handler.0 == 0 { "bill".to_owned() } else { format!("bill {}", handler.0) };
    let (name, message) = (name.into(), "no answer".into());
    let (by, chain) = (Some(handler), Vec::new());
    Failure {
        class,
        retry_after: None,
        by,
        handler: name,
        is_unlogged: false,
        message,
        chain,
        backtrace: None,
    }
}

pub(super) fn error(kind: ClientErrorKind) -> ClientError {
    ClientError::new(kind, "the broker says no")
}

pub(super) fn failing(offset: i64, attempts: u32) -> Failing {
    Failing { offset, attempts, first_failure_s: 1_790_000_000 }
}

/// The entry's offset and its map.
pub(super) fn read(entry: &CommitEntry) -> (i64, OffsetMap) {
    (entry.offset, offset_map::decode(entry.offset, &entry.metadata).unwrap())
}

impl Rig {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            engine: Engine::new(settings.clone()),
            now: Now { at: Moment(1_000_000), unix_ms: 1_790_000_000_000 },
            epochs: BTreeMap::new(),
            running: BTreeMap::new(),
            batches: BTreeMap::new(),
            writing: BTreeMap::new(),
            commits: vec![],
            paused: BTreeSet::new(),
            cancelled: vec![],
            released: vec![],
            closed: None,
            route: |_| HandlerId(0),
            told: vec![],
            settings,
        }
    }

    pub(super) fn ordered(order: Order) -> Self {
        Self::new(Settings { order, ..settings() })
    }

    /// The process is killed and another one starts, with nothing but what the broker keeps.
    pub(super) fn restart(&mut self) {
        let now = self.now;
        let (epochs, route) = (std::mem::take(&mut self.epochs), self.route);
        *self = Self { now, epochs, route, ..Self::new(self.settings.clone()) };
    }

    pub(super) fn assign(&mut self, partition: i32, committed: i64) {
        self.assign_with(partition, Some(Committed { offset: committed, metadata: String::new() }));
    }

    pub(super) fn assign_entry(&mut self, entry: &CommitEntry) {
        let committed = Committed { offset: entry.offset, metadata: entry.metadata.clone() };
        self.assign_with(entry.partition.partition, Some(committed));
    }

    pub(super) fn assign_with(&mut self, partition: i32, committed: Option<Committed>) {
        let epoch = self.epochs.values().max().copied().unwrap_or(0) + 1;
        self.epochs.insert(partition, epoch);
        let assignment = Assignment { partition: name(partition), committed };
        let unreadable = self.engine.assigned(epoch, vec![assignment], self.now);
        assert_eq!(unreadable, vec![]);
        self.act();
    }

    pub(super) fn offer(&mut self, (partition, offset): At, key: Option<u64>) -> Offered<i64> {
        let epoch = self.epochs[&partition];
        self.offer_as(epoch, (partition, offset), key)
    }

    pub(super) fn offer_as(&mut self, epoch: u64, (partition, offset): At, key: Option<u64>) -> Offered<i64> {
        self.offer_for(None, epoch, (partition, offset), key)
    }

    fn offer_for(
        &mut self,
        batch: Option<u32>,
        epoch: u64,
        (partition, offset): At,
        key: Option<u64>,
    ) -> Offered<i64> {
        let incoming = Incoming { offset, key_hash: key, bytes: 100, batch, record: offset };
        let offered = self.engine.offer(&name(partition), epoch, incoming, self.now);
        self.act();
        offered
    }

    /// Offers records of key 1, 2, … one each, and expects them to be taken.
    pub(super) fn take(&mut self, partition: i32, offsets: impl IntoIterator<Item = i64>) {
        for offset in offsets {
            let offered = self.offer((partition, offset), Some(offset as u64 + 1));
            assert_eq!(offered, Offered::Taken, "offset {offset}");
        }
    }

    /// Offers records of one key and expects them to be taken.
    pub(super) fn take_key(&mut self, key: u64, partition: i32, offsets: impl IntoIterator<Item = i64>) {
        for offset in offsets {
            assert_eq!(self.offer((partition, offset), Some(key)), Offered::Taken, "offset {offset}");
        }
    }

    /// Offers records of one key that go with batches of that number, and expects them to be taken.
    pub(super) fn take_for(&mut self, batch: u32, key: u64, offsets: impl IntoIterator<Item = i64>) {
        for offset in offsets {
            let offered = self.offer_for(Some(batch), self.epochs[&0], (0, offset), Some(key));
            assert_eq!(offered, Offered::Taken, "offset {offset}");
        }
    }

    /// As [`Self::take_for`], one key each, before the engine is asked what to do.
    pub(super) fn take_together(&mut self, batch: u32, offsets: impl IntoIterator<Item = i64>) {
        for offset in offsets {
            let incoming = Incoming {
                offset,
                key_hash: Some(offset as u64),
                bytes: 100,
                batch: Some(batch),
                record: offset,
            };
            let offered = self.engine.offer(&name(0), self.epochs[&0], incoming, self.now);
            assert_eq!(offered, Offered::Taken, "offset {offset}");
        }
        self.act();
    }

    /// The offsets of each batch that runs.
    pub(super) fn batches(&self) -> Vec<Vec<i64>> {
        self.batches.values().map(|starts| starts.iter().map(|start| start.record).collect()).collect()
    }

    /// Ends the batch that begins with this record of partition 0.
    pub(super) fn end_batch(&mut self, first: i64, outcome: BatchOutcome) {
        let starts =
            self.batches.remove(&(0, first)).unwrap_or_else(|| panic!("no batch begins with {first}"));
        let tickets: Vec<_> = starts.iter().map(|start| start.ticket).collect();
        self.engine.batch_outcome(&tickets, outcome, self.now);
        self.act();
    }

    pub(super) fn ok(&mut self, at: At) {
        self.end(at, Outcome::Handled((self.route)(at.1)));
    }

    pub(super) fn fail(&mut self, at: At, class: ErrorClass) {
        self.end(at, Outcome::Failed(Box::new(failure_of((self.route)(at.1), class))));
    }

    pub(super) fn end(&mut self, at: At, outcome: Outcome) {
        let start = self.running.remove(&at).unwrap_or_else(|| panic!("no handler runs at {at:?}"));
        self.engine.outcome(start.ticket, outcome, self.now);
        self.act();
    }

    /// The broker answers a dead letter.
    pub(super) fn written(&mut self, at: At, answer: Result<(), ClientError>) {
        let order =
            self.writing.remove(&at).unwrap_or_else(|| panic!("no dead letter is written for {at:?}"));
        self.engine.dead_lettered(order.ticket, answer, self.now);
        self.act();
    }

    pub(super) fn revoke(&mut self, partitions: &[i32], within: Duration) {
        let names: Vec<_> = partitions.iter().map(|partition| name(*partition)).collect();
        self.engine.revoked(&names, self.now.at + within);
        self.act();
    }

    pub(super) fn lose(&mut self, partition: i32) {
        self.engine.lost(&[name(partition)], self.now);
        self.act();
    }

    pub(super) fn close(&mut self, within: Duration) {
        self.engine.close(self.now.at + within);
        self.act();
    }

    /// The broker has taken the last commit.
    pub(super) fn report(&mut self) -> CloseReport {
        assert!(self.closed.is_some(), "the engine has not closed");
        self.engine.closed(Ok(()))
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now.at = self.now.at + time;
        self.now.unix_ms += time.as_millis() as i64;
        self.act();
    }

    /// Lets the commit interval pass, acknowledges the commit that falls due, and shows it.
    pub(super) fn commit(&mut self) -> Vec<CommitEntry> {
        let before = self.commits.len();
        self.pass(self.settings.commit_interval);
        assert_eq!(self.commits.len(), before + 1, "one commit falls due");
        self.committed(Ok(()));
        self.commits[before].clone()
    }

    /// Same, with the single entry there is.
    pub(super) fn commit_one(&mut self) -> CommitEntry {
        let mut entries = self.commit();
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries.remove(0)
    }

    /// The broker answers the commit under way.
    pub(super) fn committed(&mut self, answer: Result<(), ClientErrorKind>) {
        self.engine.committed(answer.map_err(error).as_ref().copied(), self.now);
        self.act();
    }

    pub(super) fn counts(&self) -> Counts {
        self.engine.status(self.now.at).counts
    }

    pub(super) fn running(&self) -> Vec<At> {
        self.running.keys().copied().collect()
    }

    /// Carries out what the engine asks.
    pub(super) fn act(&mut self) {
        while let Some(action) = self.engine.next_action(self.now) {
            match action {
                Action::Start(start)
                    if start.held.iter().any(|held| held.contains(&(self.route)(start.record))) =>
                {
                    self.engine.outcome(start.ticket, Outcome::Held((self.route)(start.record)), self.now);
                }
                Action::Start(start) => {
                    let at = (start.partition.partition, start.record);
                    let before = self.running.insert(at, start);
                    assert!(before.is_none(), "{at:?} runs twice at once");
                }
                Action::StartBatch(starts)
                    if starts[0].held.iter().any(|held| held.contains(&(self.route)(starts[0].record))) =>
                {
                    let tickets: Vec<_> = starts.iter().map(|start| start.ticket).collect();
                    let unrun = BatchOutcome::Whole(Outcome::Held((self.route)(starts[0].record)));
                    self.engine.batch_outcome(&tickets, unrun, self.now);
                }
                Action::StartBatch(starts) => {
                    let at = (starts[0].partition.partition, starts[0].record);
                    assert!(self.batches.insert(at, starts).is_none(), "{at:?} runs twice at once");
                }
                Action::DeadLetter(order) => {
                    let at = (order.partition.partition, order.record);
                    assert!(self.writing.insert(at, *order).is_none(), "two dead letters of {at:?} at once");
                }
                Action::Commit(entries) => self.commits.push(entries),
                Action::Pause(name) => assert!(self.paused.insert(name.partition), "{name} is paused twice"),
                Action::Resume(name) => assert!(self.paused.remove(&name.partition), "{name} is not paused"),
                Action::Release(entries) => self.released.push(entries),
                Action::Cancel(ticket) => {
                    let alone = self.running.iter().find(|(_, start)| start.ticket == ticket);
                    let batch = self.batches.iter().find(|(_, starts)| starts[0].ticket == ticket);
                    let at = alone.map(|(at, _)| *at).or(batch.map(|(at, _)| *at));
                    let at = at.expect("only what runs is cancelled");
                    self.running.remove(&at);
                    self.batches.remove(&at);
                    self.cancelled.push(at);
                }
                Action::Breaker(change) => self.told.push(change),
                Action::Close(entries) => self.closed = Some(entries),
            }
        }
    }
}
