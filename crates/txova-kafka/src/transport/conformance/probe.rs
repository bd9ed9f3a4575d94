//! A group member in a test's hands: keeps all that arrives and checks what must hold for every batch. It must never
//! answer for the test.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::select_all;
use tokio::sync::oneshot;

use super::{Bench, PATIENCE};
use crate::client_error::ClientError;
use crate::pulse::Pulse;
use crate::record::{OutgoingRecord, Record, TopicPartition};
use crate::transport::{
    Assignment, Batch, Command, Commit, CommitEntry, CommitError, Delivery, GroupEvent, GroupMember,
    JoinOptions, OutOfRange, Producer, StartAt, Transport, Undelivered,
};

/// Waits for `future`, but not for ever.
#[track_caller]
pub(super) fn within<F: Future>(what: &str, future: F) -> impl Future<Output = F::Output> {
    let place = std::panic::Location::caller();
    let what = what.to_owned();
    async move {
        let answer = tokio::time::timeout(PATIENCE, future).await;
        answer.unwrap_or_else(|_| panic!("{place}: waited {PATIENCE:?} for: {what}"))
    }
}

pub(super) fn options(group: &str, topic: &str) -> JoinOptions {
    JoinOptions {
        group: group.to_owned(),
        topics: vec![topic.to_owned()],
        instance: None,
        start: StartAt::Earliest,
        out_of_range: OutOfRange::Fail,
        max_poll_records: 500,
        revoke_timeout: PATIENCE / 3,
        pulse: Pulse::default(),
        transactions: None,
    }
}

pub(super) fn entry(partition: &TopicPartition, offset: i64, metadata: impl Into<String>) -> CommitEntry {
    CommitEntry { partition: partition.clone(), epoch: NEWEST, offset, metadata: metadata.into() }
}

/// In place of an epoch: the newest in which the probe had the partition.
const NEWEST: u64 = 0;

/// A member and what it has been told.
pub(super) struct Probe {
    member: GroupMember,
    /// Every assignment there was, by epoch.
    pub assignments: BTreeMap<u64, Vec<Assignment>>,
    /// What it has, with the epoch.
    pub owned: BTreeMap<TopicPartition, u64>,
    /// Records of its partitions, as they came, those of ended epochs left out.
    pub seen: Vec<(TopicPartition, Record)>,
    /// Where each partition goes on: behind the last record its current epoch brought.
    read: BTreeMap<TopicPartition, i64>,
    /// Batches that came when their epoch had ended: epoch, partition, offsets.
    pub ended: Vec<(u64, TopicPartition, Vec<i64>)>,
    /// The revocation to be answered.
    pub revoked: Option<Vec<TopicPartition>>,
    pub lost: Vec<TopicPartition>,
    /// The topics that are not there.
    pub missing: Vec<String>,
    pub troubles: Vec<ClientError>,
    pub fatal: Option<ClientError>,
    pub closed: bool,
    events_ended: bool,
    batches_ended: bool,
}

impl Probe {
    pub(super) fn join(transport: &dyn Transport, options: JoinOptions) -> Self {
        let member = transport.join(options).expect("the options are good");
        Self {
            member,
            assignments: BTreeMap::new(),
            owned: BTreeMap::new(),
            seen: Vec::new(),
            ended: Vec::new(),
            read: BTreeMap::new(),
            revoked: None,
            lost: Vec::new(),
            missing: Vec::new(),
            troubles: Vec::new(),
            fatal: None,
            closed: false,
            events_ended: false,
            batches_ended: false,
        }
    }

    /// Joins a group and waits until it has `partitions` of them.
    pub(super) async fn assigned(bench: &dyn Bench, options: JoinOptions, partitions: usize) -> Self {
        let mut probe = Self::join(bench.transport(), options);
        probe.until("the partitions", |probe| probe.owned.len() == partitions).await;
        probe
    }

    /// Takes one event or batch.
    pub(super) async fn step(&mut self) {
        tokio::select! {
            biased;
            event = self.member.events.recv(), if !self.events_ended => match event {
                Some(event) => self.on_event(event),
                None => self.events_ended = true,
            },
            batch = self.member.batches.recv(), if !self.batches_ended => match batch {
                Some(batch) => self.on_batch(batch),
                None => self.batches_ended = true,
            },
            else => std::future::pending().await,
        }
    }

    /// Takes what arrives until `holds`.
    #[track_caller]
    pub(super) fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) -> impl Future<Output = ()> {
        let waiting = async move {
            while !holds(self) {
                self.step().await;
            }
        };
        within(what, waiting)
    }

    /// Takes what has arrived, and does not wait for more.
    pub(super) async fn take_what_is_there(&mut self) {
        // What other tasks can do at once, they have done then.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        while self.step().now_or_never().is_some() {}
    }

    /// Takes events only, and leaves the records where they are.
    pub(super) async fn next_event(&mut self) -> Option<()> {
        let event = within("an event", self.member.events.recv()).await?;
        self.on_event(event);
        Some(())
    }

    fn on_event(&mut self, event: GroupEvent) {
        assert!(!self.closed, "{event:?} came after Closed");
        match event {
            GroupEvent::Assigned { epoch, partitions } => {
                let newest = self.assignments.keys().last().copied().unwrap_or_default();
                assert!(epoch > newest, "epoch {epoch} came after {newest}");
                for Assignment { partition, committed } in &partitions {
                    let before = self.owned.insert(partition.clone(), epoch);
                    assert_eq!(before, None, "{partition} was assigned twice");
                    match committed {
                        Some(committed) => self.read.insert(partition.clone(), committed.offset),
                        None => self.read.remove(partition),
                    };
                }
                self.assignments.insert(epoch, partitions);
            }
            GroupEvent::Revoked { partitions } => {
                assert!(self.revoked.is_none(), "a revocation came before the last was answered");
                let owned = partitions.iter().all(|partition| self.owned.contains_key(partition));
                assert!(owned, "of {partitions:?} some were not assigned");
                self.revoked = Some(partitions);
            }
            GroupEvent::Lost { partitions } => {
                self.owned.retain(|partition, _| !partitions.contains(partition));
                if let Some(revoked) = &mut self.revoked {
                    revoked.retain(|partition| !partitions.contains(partition));
                }
                if self.revoked.take_if(|revoked| revoked.is_empty()).is_some() {
                    let (reply, _) = oneshot::channel();
                    self.send(Command::Release { commit: Commit::default(), reply }); // each is answered, also when lost
                }
                self.lost.extend(partitions);
            }
            GroupEvent::Missing { topics } => self.missing = topics,
            GroupEvent::Trouble(error) => self.troubles.push(error),
            GroupEvent::Fatal(error) => self.fatal = Some(error),
            GroupEvent::Closed => self.closed = true,
        }
    }

    fn on_batch(&mut self, batch: Batch) {
        // The assignment may have been sent between looking for events and looking for batches.
        while !self.assignments.contains_key(&batch.epoch) {
            match self.member.events.try_recv() {
                Ok(event) => self.on_event(event),
                Err(_) => {
                    panic!("a batch of {} came before Assigned of epoch {}", batch.partition, batch.epoch)
                }
            }
        }
        let in_epoch = self.assignments[&batch.epoch].iter().any(|given| given.partition == batch.partition);
        assert!(in_epoch, "epoch {} never had {}", batch.epoch, batch.partition);
        let offsets: Vec<i64> = batch.records.iter().map(|record| record.offset).collect();
        assert!(offsets.is_sorted_by(|a, b| a < b), "{} came as {offsets:?}", batch.partition);
        if self.owned.get(&batch.partition) == Some(&batch.epoch) {
            if let Some(last) = offsets.last() {
                self.read.insert(batch.partition.clone(), last + 1);
            }
            self.seen.extend(batch.records.into_iter().map(|record| (batch.partition.clone(), record)));
        } else {
            self.ended.push((batch.epoch, batch.partition, offsets));
        }
    }

    /// The newest assignment of a partition.
    pub(super) fn assignment(&self, partition: &TopicPartition) -> &Assignment {
        let given = &self.assignments[&self.owned[partition]];
        given.iter().find(|given| given.partition == *partition).expect("it was in that epoch")
    }

    /// Offsets seen of a partition, as they came.
    pub(super) fn offsets(&self, partition: &TopicPartition) -> Vec<i64> {
        self.seen.iter().filter(|(of, _)| of == partition).map(|(_, record)| record.offset).collect()
    }

    /// A commit entry for each of `partitions` that has been read, where its current epoch goes on.
    pub(super) fn progress(&self, partitions: &[TopicPartition]) -> Vec<CommitEntry> {
        let behind = |partition: &TopicPartition| Some(entry(partition, *self.read.get(partition)?, ""));
        partitions.iter().filter_map(behind).collect()
    }

    /// Entries with the newest epoch in which it had their partitions.
    pub(super) fn in_epoch(&self, mut entries: Vec<CommitEntry>) -> Vec<CommitEntry> {
        for entry in entries.iter_mut().filter(|entry| entry.epoch == NEWEST) {
            let had =
                self.assignments.iter().rev().find(|(_, given)| {
                    given.iter().any(|assignment| assignment.partition == entry.partition)
                });
            entry.epoch = had.map_or(NEWEST, |(epoch, _)| *epoch);
        }
        entries
    }

    pub(super) fn send(&self, command: Command) {
        self.member.commands.send(command);
    }

    pub(super) async fn commit(&self, entries: Vec<CommitEntry>) -> Result<(), ClientError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Commit { commit: self.in_epoch(entries).into(), reply });
        within("the commit's answer", answer).await.expect("every command is answered").map_err(|it| it.error)
    }

    /// Commits entries together with records.
    pub(super) async fn commit_with(
        &self,
        entries: Vec<CommitEntry>,
        records: Vec<OutgoingRecord>,
    ) -> Result<(), CommitError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Commit { commit: self.together(entries, records), reply });
        within("the commit's answer", answer).await.expect("every command is answered")
    }

    /// Entries in the newest epoch, and records.
    pub(super) fn together(&self, entries: Vec<CommitEntry>, records: Vec<OutgoingRecord>) -> Commit {
        Commit { entries: self.in_epoch(entries), records: records.into_iter().map(Arc::new).collect() }
    }

    /// Answers the revocation there is.
    pub(super) async fn release(&mut self, entries: Vec<CommitEntry>) -> Result<(), ClientError> {
        self.release_with(entries, Vec::new()).await
    }

    pub(super) async fn release_with(
        &mut self,
        entries: Vec<CommitEntry>,
        records: Vec<OutgoingRecord>,
    ) -> Result<(), ClientError> {
        let revoked = self.revoked.take().expect("there is a revocation to answer");
        self.owned.retain(|partition, _| !revoked.contains(partition));
        let (reply, answer) = oneshot::channel();
        self.send(Command::Release { commit: self.together(entries, records), reply });
        within("the release's answer", answer)
            .await
            .expect("every command is answered")
            .map_err(|it| it.error)
    }

    /// Answers a revocation, if there is one, with all that was seen.
    pub(super) async fn release_all_seen(&mut self) {
        if let Some(revoked) = self.revoked.clone() {
            let progress = self.progress(&revoked);
            self.release(progress).await.expect("the commit of a release");
        }
    }

    pub(super) async fn close(&mut self, entries: Vec<CommitEntry>) -> Result<(), ClientError> {
        self.close_with(entries, Vec::new()).await
    }

    pub(super) async fn close_with(
        &mut self,
        entries: Vec<CommitEntry>,
        records: Vec<OutgoingRecord>,
    ) -> Result<(), ClientError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Close { commit: self.together(entries, records), reply });
        let answer = within("the answer to Close", answer).await.expect("every command is answered");
        within("Closed", async {
            while !self.closed {
                let event = self.member.events.recv().await.expect("Closed comes before the end of events");
                self.on_event(event);
            }
        })
        .await;
        answer.map_err(|it| it.error)
    }
}

/// Takes what arrives at any of `probes`, answering revocations with all that was seen, until `holds`.
#[track_caller]
pub(super) fn until_all<'a>(
    what: &'a str,
    probes: &'a mut [Probe],
    holds: impl Fn(&[Probe]) -> bool + 'a,
) -> impl Future<Output = ()> + 'a {
    let waiting = async move {
        while !holds(probes) {
            for probe in probes.iter_mut() {
                probe.release_all_seen().await;
            }
            select_all(probes.iter_mut().map(|probe| Box::pin(probe.step()))).map(drop).await;
        }
    };
    within(what, waiting)
}

/// Records `from..to` for one partition, each the number as text.
pub(super) fn numbered(partition: &TopicPartition, from: i64, to: i64) -> Vec<OutgoingRecord> {
    let record = |number: i64| OutgoingRecord {
        topic: partition.topic.clone(),
        partition: Some(partition.partition),
        key: Some(Bytes::from(number.to_string())),
        value: Some(Bytes::from(number.to_string())),
        ..OutgoingRecord::default()
    };
    (from..to).map(record).collect()
}

/// The start of 2024: brokers refuse timestamps ahead of their own clock.
pub(super) const AT_SECOND_0_MS: i64 = 1_704_067_200_000;

/// A record for each of `seconds`, stamped so.
pub(super) fn at_seconds(partition: &TopicPartition, seconds: &[i64]) -> Vec<OutgoingRecord> {
    let mut records = numbered(partition, 0, seconds.len() as i64);
    for (record, second) in records.iter_mut().zip(seconds) {
        record.timestamp_ms = Some(AT_SECOND_0_MS + second * 1_000);
    }
    records
}

/// Sends a record; the receiver gets the broker's answer.
pub(super) fn send(
    producer: &dyn Producer,
    record: OutgoingRecord,
) -> oneshot::Receiver<Result<Delivery, ClientError>> {
    let (answer, receiver) = oneshot::channel();
    let done = Box::new(move |result: Result<Delivery, Undelivered>| {
        drop(answer.send(result.map_err(|undelivered| undelivered.error)));
    });
    if let Err(not_taken) = producer.send(&record, done) {
        not_taken.tell(&record);
    }
    receiver
}

/// Sends records and waits until all are written.
pub(super) async fn write(bench: &dyn Bench, records: Vec<OutgoingRecord>) -> Vec<Delivery> {
    let producer = bench.transport().producer().expect("a producer");
    let answers: Vec<_> = records.into_iter().map(|record| send(&*producer, record)).collect();
    let mut deliveries = Vec::new();
    for answer in answers {
        let answer = within("a delivery", answer).await.expect("done is called");
        deliveries.push(answer.expect("the record is written"));
    }
    deliveries
}
