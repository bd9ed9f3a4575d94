//! How far groups are behind. It only asks; nothing on a record's way goes through here.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;

use super::Kafka;
use crate::client_error::ClientError;
use crate::engine::offset_map::{self, OffsetMap};
use crate::record::TopicPartition;
use crate::transport::{Committed, Watermarks};

impl Kafka {
    /// How far `group` is behind on each partition of `topics`: records between what it has committed and the end.
    ///
    /// # Errors
    /// What the client or a broker says, within `timeout` for each of its calls.
    pub async fn lag(
        &self,
        group: &str,
        topics: &[&str],
        timeout: Duration,
    ) -> Result<Vec<Lag>, ClientError> {
        Ok(self.lags(&[group], topics, timeout).await?.pop().unwrap_or_default())
    }

    /// As [`lag`](Self::lag) for several groups, in the order asked; the ends of the logs are asked for once.
    ///
    /// # Errors
    /// What the client or a broker says, within `timeout` for each of its calls.
    pub async fn lags(
        &self,
        groups: &[&str],
        topics: &[&str],
        timeout: Duration,
    ) -> Result<Vec<Vec<Lag>>, ClientError> {
        let mut partitions = Vec::new();
        for (topic, count) in self.topics(topics, timeout).await? {
            let topic: Arc<str> = topic.into();
            partitions.extend((0..count).map(|partition| TopicPartition::new(topic.clone(), partition)));
        }
        let ends = self.transport.watermarks(partitions.clone(), timeout).await?;
        let asked = groups.iter().map(|group| {
            let group = (*group).to_owned();
            self.transport.committed(group, partitions.clone(), timeout)
        });
        let committed = try_join_all(asked).await?;
        let of_group = |committed: Vec<Option<Committed>>| {
            let partitions = partitions.iter().cloned().zip(&ends).zip(committed);
            partitions.map(|((partition, ends), committed)| Lag::new(partition, *ends, committed)).collect()
        };
        Ok(committed.into_iter().map(of_group).collect())
    }
}

/// How far a group is behind on a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// The partition.
    pub partition: TopicPartition,
    /// The next offset the group would read; `None` where it has committed nothing.
    pub committed: Option<i64>,
    /// One past the last record.
    pub end: i64,
    /// Offsets between the two; more than there are records where offsets are missing.
    pub records: i64,
    /// How many of these are handled already: finished above one that is not, as the group noted beside its offset.
    pub done_above: i64,
    /// The records that have failed and are being tried again.
    pub failing: Vec<FailingRecord>,
}

impl Lag {
    fn new(partition: TopicPartition, ends: Watermarks, committed: Option<Committed>) -> Self {
        // A map that cannot be read is of another version, or of somebody else: nothing is known above the offset.
        let map = committed.as_ref().and_then(|committed| {
            let Committed { offset, metadata } = committed;
            offset_map::decode(*offset, metadata).ok()
        });
        let OffsetMap { done, failing } = map.unwrap_or_default();
        let committed = committed.map(|committed| committed.offset);
        let records = (ends.high - committed.unwrap_or(ends.low).max(ends.low)).max(0);
        let done_above = done.iter().map(|done| done.end - done.start).sum();
        let failing = failing.iter().map(FailingRecord::from).collect();
        Self { partition, committed, end: ends.high, records, done_above, failing }
    }

    /// Offsets that are still to be handled.
    pub fn open(&self) -> i64 {
        (self.records - self.done_above).max(0)
    }
}

/// A record that failed and is not settled, as its group noted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailingRecord {
    /// Its offset.
    pub offset: i64,
    /// Attempts that failed.
    pub attempts: u32,
    /// When the first did, in milliseconds since the Unix epoch; to the second.
    pub since_unix_ms: i64,
}

impl From<&offset_map::Failing> for FailingRecord {
    fn from(failing: &offset_map::Failing) -> Self {
        let offset_map::Failing { offset, attempts, first_failure_s } = *failing;
        Self { offset, attempts, since_unix_ms: first_failure_s * 1_000 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::offset_map::Failing;

    #[test]
    fn what_is_done_above_the_offset_is_lag_and_not_open() {
        let map = OffsetMap {
            done: vec![12..40, 45..50],
            failing: vec![Failing { offset: 10, attempts: 2, first_failure_s: 1_795_000_000 }],
        };
        let committed = Committed { offset: 10, metadata: offset_map::encode(10, &map, 4_096).text };
        let (partition, ends) = (TopicPartition::new("parcels.v1", 0), Watermarks { low: 0, high: 60 });
        let lag = Lag::new(partition.clone(), ends, Some(committed.clone()));
        assert_eq!((lag.records, lag.done_above, lag.open()), (50, 33, 17));
        let failing = FailingRecord { offset: 10, attempts: 2, since_unix_ms: 1_795_000_000_000 };
        assert_eq!(lag.failing, [failing]);

        let foreign = Committed { metadata: "somebody's note".to_owned(), ..committed };
        let lag = Lag::new(partition.clone(), ends, Some(foreign));
        assert_eq!((lag.records, lag.done_above, lag.open()), (50, 0, 50));
        let fresh = Lag::new(partition, Watermarks { low: 20, high: 60 }, None);
        assert_eq!((fresh.committed, fresh.records), (None, 40), "from the first record that is there");
    }
}
