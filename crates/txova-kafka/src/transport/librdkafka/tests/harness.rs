//! What the tests share: clients with short time limits, and a member whose events and records are waited for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::super::super::{
    Assignment, Batch, Command, CommitEntry, CommitReply, Delivery, GroupEvent, GroupMember, JoinOptions,
    OutOfRange, Producer, StartAt, Transport as _,
};
use super::super::Librdkafka;
use crate::client_error::ClientError;
use crate::record::{OutgoingRecord, Record, TopicPartition};
use crate::transport::properties::ClientProperties;

/// Nothing here takes longer, unless it is broken.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The mock cluster lets a group go on after a member has left only when its session time less one second is over; a
/// real one takes no session shorter than this.
pub(super) fn client(bootstrap: &str) -> Librdkafka {
    client_with(bootstrap, &[("session.timeout.ms", "6000"), ("heartbeat.interval.ms", "1000")])
}

pub(super) fn client_with(bootstrap: &str, consumer: &[(&str, &str)]) -> Librdkafka {
    let consumer = consumer.iter().map(|(name, value)| pair(name, value)).collect();
    let common = vec![pair("bootstrap.servers", bootstrap)];
    Librdkafka::new(ClientProperties { common, consumer, producer: vec![pair("linger.ms", "0")] }).unwrap()
}

pub(super) fn options(group: &str, topic: &str) -> JoinOptions {
    JoinOptions {
        group: group.to_owned(),
        topics: vec![topic.to_owned()],
        instance: None,
        start: StartAt::Earliest,
        out_of_range: OutOfRange::Fail,
        max_poll_records: 500,
        revoke_timeout: Duration::from_secs(20),
        transactions: None,
        pulse: crate::pulse::Pulse::default(),
    }
}

pub(super) fn outgoing(topic: &str, partition: i32, value: impl Into<Bytes>) -> OutgoingRecord {
    OutgoingRecord {
        topic: topic.into(),
        partition: Some(partition),
        value: Some(value.into()),
        ..OutgoingRecord::default()
    }
}

pub(super) fn send(
    producer: &Arc<dyn Producer>,
    record: OutgoingRecord,
) -> oneshot::Receiver<Result<Delivery, ClientError>> {
    let (answer, answered) = oneshot::channel();
    producer
        .send(
            &record,
            Box::new(move |result| {
                let _ = answer.send(result.map_err(|undelivered| undelivered.error));
            }),
        )
        .unwrap();
    answered
}

/// Writes `count` records to a partition, with their numbers as values.
pub(super) async fn fill(client: &Librdkafka, topic: &str, partition: i32, count: usize) {
    let producer = client.producer().unwrap();
    let answers: Vec<_> =
        (0..count).map(|n| send(&producer, outgoing(topic, partition, n.to_string()))).collect();
    for answer in answers {
        timeout(PATIENCE, answer).await.unwrap().unwrap().unwrap();
    }
}

pub(super) struct Member {
    pub(super) member: GroupMember,
    /// Troubles that came while waiting for something else.
    pub(super) troubles: Vec<ClientError>,
    epoch: u64,
}

impl Member {
    pub(super) fn join(client: &Librdkafka, options: JoinOptions) -> Self {
        Self { member: client.join(options).unwrap(), troubles: Vec::new(), epoch: NEWEST }
    }

    pub(super) async fn any_event(&mut self) -> GroupEvent {
        timeout(PATIENCE, self.member.events.recv()).await.expect("an event in time").expect("not closed")
    }

    /// The next event that is no trouble: a topic just made is unknown to the broker for a moment.
    pub(super) async fn event(&mut self) -> GroupEvent {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            match self.any_event().await {
                GroupEvent::Trouble(error) => {
                    assert!(tokio::time::Instant::now() < deadline, "nothing but trouble: {error}");
                    self.troubles.push(error);
                }
                GroupEvent::Missing { .. } => {}
                event => return event,
            }
        }
    }

    pub(super) async fn assigned(&mut self) -> (u64, Vec<Assignment>) {
        match self.event().await {
            GroupEvent::Assigned { epoch, mut partitions } => {
                self.epoch = epoch;
                partitions.sort_by(|a, b| a.partition.cmp(&b.partition));
                (epoch, partitions)
            }
            other => panic!("expected an assignment, got {other:?}"),
        }
    }

    pub(super) async fn revoked(&mut self) -> Vec<TopicPartition> {
        match self.event().await {
            GroupEvent::Revoked { mut partitions } => {
                partitions.sort();
                partitions
            }
            other => panic!("expected a revocation, got {other:?}"),
        }
    }

    pub(super) async fn batch(&mut self) -> Batch {
        timeout(PATIENCE, self.member.batches.recv()).await.expect("a batch in time").expect("not closed")
    }

    /// The next `count` records, of any partition.
    pub(super) async fn records(&mut self, count: usize) -> Vec<(TopicPartition, u64, Record)> {
        let mut records = Vec::new();
        while records.len() < count {
            let batch = self.batch().await;
            let (partition, epoch) = (batch.partition, batch.epoch);
            records.extend(batch.records.into_iter().map(|record| (partition.clone(), epoch, record)));
        }
        records
    }

    async fn answered(&self, make: impl FnOnce(Reply) -> Command) -> Result<(), ClientError> {
        let (reply, answer) = oneshot::channel();
        self.member.commands.send(make(reply));
        let answer = timeout(PATIENCE, answer).await.expect("an answer in time").expect("an answer");
        answer.map_err(|it| it.error)
    }

    fn in_epoch(&self, mut entries: Vec<CommitEntry>) -> Vec<CommitEntry> {
        entries.iter_mut().filter(|entry| entry.epoch == NEWEST).for_each(|entry| entry.epoch = self.epoch);
        entries
    }

    pub(super) async fn commit(&self, entries: Vec<CommitEntry>) -> Result<(), ClientError> {
        let entries = self.in_epoch(entries);
        self.answered(|reply| Command::Commit { commit: entries.into(), reply }).await
    }

    pub(super) async fn release(&self, entries: Vec<CommitEntry>) -> Result<(), ClientError> {
        let entries = self.in_epoch(entries);
        self.answered(|reply| Command::Release { commit: entries.into(), reply }).await
    }

    /// Closes and waits for the end.
    pub(super) async fn close(mut self, entries: Vec<CommitEntry>) -> Result<(), ClientError> {
        let entries = self.in_epoch(entries);
        let result = self.answered(|reply| Command::Close { commit: entries.into(), reply }).await;
        let last = self.event().await;
        assert!(matches!(last, GroupEvent::Closed), "expected the end, got {last:?}");
        assert!(self.member.events.recv().await.is_none(), "nothing follows the end");
        result
    }
}

type Reply = CommitReply;

/// In place of an epoch: the member's newest.
pub(super) const NEWEST: u64 = 0;

pub(super) fn entry(topic: &str, partition: i32, offset: i64, metadata: &str) -> CommitEntry {
    let partition = TopicPartition::new(topic, partition);
    CommitEntry { partition, epoch: NEWEST, offset, metadata: metadata.to_owned() }
}
