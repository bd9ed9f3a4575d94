//! What the cluster itself says, asked with the bare client: the logs from their first record to their end, and what the
//! group has committed. What belongs to no committed transaction is not there, unless it is asked for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::event::GROUP;
use crate::failure::{Context, Failure, Result};

const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest a whole log may take.
const READ_WITHIN: Duration = Duration::from_secs(120);

/// A record as the log has it.
#[derive(Debug)]
pub(crate) struct Logged {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Vec<u8>,
    pub(crate) timestamp_ms: i64,
}

/// Asks; every call blocks.
pub(crate) struct Oracle {
    consumer: BaseConsumer,
    partitions: i32,
}

impl Oracle {
    pub(crate) fn new(brokers: &str, partitions: i32) -> Result<Self> {
        Self::reading(brokers, partitions, "read_committed")
    }

    /// One who also sees what transactions that are open or aborted have written.
    pub(crate) fn of_all(brokers: &str, partitions: i32) -> Result<Self> {
        Self::reading(brokers, partitions, "read_uncommitted")
    }

    fn reading(brokers: &str, partitions: i32, isolation: &str) -> Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("group.id", GROUP);
        config.set("enable.auto.commit", "false").set("enable.partition.eof", "true");
        config.set("isolation.level", isolation);
        let consumer = config.create().context(|| "no client to check with".to_owned())?;
        Ok(Self { consumer, partitions })
    }

    /// What the group has committed, for each partition that has anything.
    pub(crate) fn committed(&self, topic: &str, timeout: Duration) -> Result<BTreeMap<i32, i64>> {
        let list = self.all(topic, Offset::Invalid)?;
        let answered = self.consumer.committed_offsets(list, timeout).context(|| "committed".to_owned())?;
        let mut committed = BTreeMap::new();
        for element in answered.elements() {
            element.error().context(|| "committed".to_owned())?;
            if let Offset::Offset(offset) = element.offset() {
                committed.insert(element.partition(), offset);
            }
        }
        Ok(committed)
    }

    /// One past the last record of each partition.
    pub(crate) fn ends(&self, topic: &str) -> Result<BTreeMap<i32, i64>> {
        let end = |partition| {
            let ends = self.consumer.fetch_watermarks(topic, partition, TIMEOUT);
            ends.map(|(_, high)| (partition, high)).context(|| format!("the end of {topic}[{partition}]"))
        };
        (0..self.partitions).map(end).collect()
    }

    /// Records between what is committed and the ends.
    pub(crate) fn lag(&self, topic: &str) -> Result<i64> {
        let committed = self.committed(topic, TIMEOUT)?;
        let behind = |(partition, end)| end - committed.get(&partition).copied().unwrap_or(0);
        Ok(self.ends(topic)?.into_iter().map(behind).sum())
    }

    /// Every record of a topic, in offset order for each partition.
    pub(crate) fn read(&self, topic: &str) -> Result<Vec<Logged>> {
        let mut left = self.ends(topic)?;
        left.retain(|_, end| *end > 0);
        let list = self.all(topic, Offset::Beginning)?;
        self.consumer.assign(&list).context(|| format!("reading {topic}"))?;
        let (mut records, until) = (Vec::new(), Instant::now() + READ_WITHIN);
        while !left.is_empty() {
            if Instant::now() > until {
                return Err(Failure::new(format!("{topic} could not be read to its end: {left:?} are left")));
            }
            let message = match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => message,
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    left.remove(&partition); // a transaction's marker may be the last, which nobody is shown
                    continue;
                }
                _ => continue,
            };
            records.push(Logged {
                partition: message.partition(),
                offset: message.offset(),
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().unwrap_or_default().to_vec(),
                timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
            });
        }
        self.consumer.unassign().context(|| format!("reading {topic}"))?;
        Ok(records)
    }

    fn all(&self, topic: &str, offset: Offset) -> Result<TopicPartitionList> {
        let mut list = TopicPartitionList::with_capacity(self.partitions as usize);
        for partition in 0..self.partitions {
            list.add_partition_offset(topic, partition, offset)
                .context(|| format!("{topic}[{partition}]"))?;
        }
        Ok(list)
    }
}
