//! Stands where a group's member stands, and reads ranges: so a bounded run has the same driver and engine as any. It
//! must never reach a broker with a commit.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::client_error::{ClientError, ClientErrorKind};
use crate::dead_letter::acknowledged;
use crate::record::{OutgoingRecord, Record, TopicPartition};
use crate::transport::{
    Assignment, Batch, Command, Commands, Commit, CommitEntry, CommitError, Committed, GroupEvent,
    GroupMember, Producer, ReadRange, RecordStream,
};

use super::Offsets;

const EPOCH: u64 = 1;
const BATCH_RECORDS: usize = 500;
const BATCHES: usize = 4;

/// How far a run is.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// Behind the last record of each partition that had one; `None` until all is read.
    pub read_to: Option<Offsets>,
    /// What lies before is settled.
    pub positions: Offsets,
}

#[derive(Clone, Default)]
pub(super) struct SharedProgress(Arc<Mutex<Progress>>);

impl SharedProgress {
    pub(super) fn take(&self) -> Progress {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn is_settled(&self) -> bool {
        let progress = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let behind =
            |(partition, end): (&TopicPartition, &i64)| progress.positions.get(partition) >= Some(end);
        progress.read_to.as_ref().is_some_and(|read_to| read_to.iter().all(behind))
    }
}

/// A member that has the ranges' partitions and gives their records out. The receiver hears when all of them are settled.
pub(super) fn open(
    records: RecordStream,
    ranges: &[ReadRange],
    producer: Option<Arc<dyn Producer>>,
) -> (GroupMember, SharedProgress, oneshot::Receiver<()>) {
    let (events, events_out) = mpsc::unbounded_channel();
    let (batches, batches_out) = mpsc::channel(BATCHES);
    let (commands, commands_in) = mpsc::unbounded_channel();
    let (settled, settled_out) = oneshot::channel();
    let begin = |range: &ReadRange| Assignment {
        partition: range.partition.clone(),
        committed: Some(Committed { offset: range.start, metadata: String::new() }),
    };
    let assigned = GroupEvent::Assigned { epoch: EPOCH, partitions: ranges.iter().map(begin).collect() };
    let _ = events.send(assigned); // the receiver is right here
    let progress = SharedProgress::default();
    let pump = Pump {
        records,
        events,
        commands: commands_in,
        producer,
        progress: progress.clone(),
        settled: Some(settled),
        read_to: HashMap::new(),
        paused: HashSet::new(),
        next: None,
        batch: None,
        ended: false,
    };
    tokio::spawn(pump.run(batches));
    let commands = Box::new(Mailbox(commands));
    (GroupMember { events: events_out, batches: batches_out, commands }, progress, settled_out)
}

struct Mailbox(mpsc::UnboundedSender<Command>);

impl Commands for Mailbox {
    fn send(&self, command: Command) {
        let _ = self.0.send(command); // an unsent command drops its reply, which answers as closed
    }
}

struct Pump {
    records: RecordStream,
    events: mpsc::UnboundedSender<GroupEvent>,
    commands: mpsc::UnboundedReceiver<Command>,
    /// For what handlers publish with their records.
    producer: Option<Arc<dyn Producer>>,
    progress: SharedProgress,
    settled: Option<oneshot::Sender<()>>,
    read_to: Offsets,
    paused: HashSet<TopicPartition>,
    /// Read, and not in a batch yet.
    next: Option<Result<(TopicPartition, Record), ClientError>>,
    batch: Option<Batch>,
    ended: bool,
}

impl Pump {
    /// Runs until the member is closed or dropped.
    async fn run(mut self, batches: mpsc::Sender<Batch>) {
        loop {
            if self.batch.is_none() {
                match self.next.take() {
                    Some(Ok((partition, record))) => self.gather(partition, record),
                    Some(Err(error)) => {
                        self.ended = true;
                        let _ = self.events.send(GroupEvent::Fatal(error)); // nobody runs any more
                    }
                    None => {}
                }
            }
            let may_send = self.batch.as_ref().is_some_and(|batch| !self.paused.contains(&batch.partition));
            let may_read = self.batch.is_none() && !self.ended;
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    None => return,
                    Some(command) => {
                        if self.carry_out(command).await {
                            return;
                        }
                    }
                },
                Ok(room) = batches.reserve(), if may_send => {
                    if let Some(batch) = self.batch.take() {
                        room.send(batch);
                    }
                }
                item = self.records.recv(), if may_read => match item {
                    Some(item) => self.next = Some(item),
                    None => {
                        self.ended = true;
                        let read_to = std::mem::take(&mut self.read_to);
                        self.progress.update(|progress| progress.read_to = Some(read_to));
                        self.look_whether_settled();
                    }
                },
            }
        }
    }

    /// A batch of what is there of this record's partition.
    fn gather(&mut self, partition: TopicPartition, record: Record) {
        let mut records = vec![record];
        while records.len() < BATCH_RECORDS
            && let Some(item) = self.records.try_recv()
        {
            match item {
                Ok((of, record)) if of == partition => records.push(record),
                other => {
                    self.next = Some(other);
                    break;
                }
            }
        }
        if let Some(last) = records.last() {
            self.read_to.insert(partition.clone(), last.offset + 1);
        }
        self.batch = Some(Batch { partition, epoch: EPOCH, records });
    }

    /// True when it was the last command.
    async fn carry_out(&mut self, command: Command) -> bool {
        match command {
            Command::Pause { partition, .. } => {
                self.paused.insert(partition);
            }
            Command::Resume { partition, .. } => {
                self.paused.remove(&partition);
            }
            Command::Commit { commit, reply } => {
                let _ = reply.send(self.commit(commit).await); // the asker may be gone
                self.look_whether_settled();
            }
            Command::Release { reply, .. } => {
                let error = ClientError::new(ClientErrorKind::StaleMember, "nothing is taken back here");
                let _ = reply.send(Err(error.into()));
            }
            Command::Close { commit, reply } => {
                let _ = reply.send(self.commit(commit).await);
                let _ = self.events.send(GroupEvent::Closed);
                return true;
            }
        }
        false
    }

    /// Writes what was published; what it belongs to counts as done when all of it is acknowledged.
    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let write = |record: &Arc<OutgoingRecord>| {
            let producer = self.producer.as_ref()?;
            Some(acknowledged(producer.as_ref(), OutgoingRecord::clone(record)))
        };
        let written: Vec<_> = commit.records.iter().filter_map(write).collect();
        for (index, answer) in written.into_iter().enumerate() {
            if let Err(error) = answer.await {
                let refused = (error.kind == ClientErrorKind::TooLarge).then_some(index);
                return Err(CommitError { error, refused });
            }
        }
        self.note(commit.entries);
        Ok(())
    }

    /// What the engine would have committed is how far it is.
    fn note(&self, entries: Vec<CommitEntry>) {
        self.progress.update(|progress| {
            progress.positions.extend(entries.into_iter().map(|entry| (entry.partition, entry.offset)));
        });
    }

    fn look_whether_settled(&mut self) {
        if self.progress.is_settled()
            && let Some(settled) = self.settled.take()
        {
            let _ = settled.send(()); // the run may have ended by itself
        }
    }
}
