//! Batches on their way to the engine: a bounded channel, and behind it what did not fit. It must never wait.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::super::Batch;
use crate::record::TopicPartition;

/// Batches in the channel. One pass of the polling thread reads at most 500 records or 1 MiB.
pub(super) const CAPACITY: usize = 8;

#[derive(Debug)]
pub(super) struct Outbox {
    channel: mpsc::Sender<Batch>,
    waiting: VecDeque<Batch>,
    full_since: Option<Instant>,
}

impl Outbox {
    pub(super) fn new(channel: mpsc::Sender<Batch>) -> Self {
        Self { channel, waiting: VecDeque::new(), full_since: None }
    }

    /// Sends a batch, behind those that wait.
    pub(super) fn put(&mut self, batch: Batch) {
        self.waiting.push_back(batch);
        self.send();
    }

    /// Sends what waits. True when nothing waits any more.
    pub(super) fn send(&mut self) -> bool {
        while let Some(batch) = self.waiting.pop_front() {
            match self.channel.try_send(batch) {
                Ok(()) => {}
                Err(TrySendError::Full(batch)) => {
                    self.waiting.push_front(batch);
                    self.full_since.get_or_insert_with(Instant::now);
                    return false;
                }
                // Nobody reads any more; nothing is committed for these, so whoever comes next reads them again.
                Err(TrySendError::Closed(_)) => {}
            }
        }
        self.full_since = None;
        true
    }

    /// For how long something has been waiting.
    pub(super) fn full_for(&self) -> Duration {
        self.full_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Forgets what waits of partitions that are given back.
    pub(super) fn forget(&mut self, partitions: &[TopicPartition]) {
        self.waiting.retain(|batch| !partitions.contains(&batch.partition));
    }
}
