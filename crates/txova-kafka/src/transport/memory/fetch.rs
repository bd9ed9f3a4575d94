//! Carries records from the log to a member: one batch at a time, as fast as the member takes them. It must never decide
//! what a member may read.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::MemberId;
use super::member::Position;
use super::state::{Shared, State};
use crate::record::TopicPartition;
use crate::transport::Batch;

/// Fetches for one member until it is gone or its receiver is dropped.
pub(super) async fn fetch(shared: Arc<Shared>, group: String, id: MemberId, batches: mpsc::Sender<Batch>) {
    let mut changes = shared.changes();
    loop {
        changes.hear();
        let fetchable = shared.lock().is_fetchable(&group, id);
        match fetchable {
            None => return,
            Some(true) => {}
            Some(false) => {
                changes.changed().await;
                continue;
            }
        }
        // The position moves only when there is room: a full channel is the member's way to slow the fetching down.
        let room = tokio::select! {
            biased;
            room = batches.reserve() => match room {
                Ok(room) => room,
                Err(_) => return,
            },
            () = changes.changed() => continue,
        };
        let taken = shared.lock().take_batch(&group, id);
        if let Some((batch, delay)) = taken {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            room.send(batch);
        }
        tokio::task::yield_now().await;
    }
}

impl State {
    /// Whether there is something to fetch for a member; `None` where there is no such member any more.
    fn is_fetchable(&self, group: &str, id: MemberId) -> Option<bool> {
        let member = self.groups.get(group)?.members.get(&id)?;
        let now =
            !self.broker_away && member.fetching.iter().any(|(partition, at)| self.is_ready(partition, at));
        Some(now || !member.late.is_empty())
    }

    fn is_ready(&self, partition: &TopicPartition, position: &Position) -> bool {
        let Ok(log) = self.log(partition) else { return false };
        let out_of_range = !log.is_in_range(position.offset);
        let stopped = position.paused || position.failed || position.holding;
        !stopped && (out_of_range || log.has_record_from(position.offset))
    }

    /// The next batch of a member and how long it travels.
    fn take_batch(&mut self, group: &str, id: MemberId) -> Option<(Batch, Duration)> {
        let member = self.groups.get_mut(group)?.members.get_mut(&id)?;
        if let Some(batch) = member.late.pop_front() {
            return Some((batch, Duration::ZERO));
        }
        if self.broker_away {
            return None;
        }
        let partition = self.next_partition(group, id)?;
        let mut limit = self.settings.batch_records;
        if self.settings.seeded {
            limit = 1 + self.random.below(limit);
        }
        let trouble = self.trouble.get(&*partition.topic);
        let delay = trouble.map(|trouble| trouble.fetch_delay).unwrap_or_default() + self.settings.latency;
        let log = self.topics.get(&partition.topic)?.get(partition.partition as usize)?;
        let member = self.groups.get_mut(group)?.members.get_mut(&id)?;
        member.served = Some(partition.clone());
        let policy = member.options.out_of_range;
        let position = member.fetching.get_mut(&partition)?;
        let problem = position.check(&partition, log, policy);
        let failed = position.failed;
        let (records, next) =
            if failed { (Vec::new(), position.offset) } else { log.read(position.offset, limit) };
        position.offset = next;
        let batch = Batch { partition, epoch: position.epoch, records };
        let batch = match batch.records.is_empty() {
            true => None,
            false if position.hold_next => {
                position.hold_next = false;
                // What follows waits too: inside an epoch the order holds.
                position.holding = true;
                member.held.push(batch);
                None
            }
            false => Some((batch, delay)),
        };
        if let Some(problem) = problem {
            member.tell(problem);
        }
        batch
    }

    /// Whose turn it is: the next one behind the one served last, or any by the seed.
    fn next_partition(&mut self, group: &str, id: MemberId) -> Option<TopicPartition> {
        let member = self.groups.get(group)?.members.get(&id)?;
        let ready = |(partition, position): (&TopicPartition, &Position)| {
            self.is_ready(partition, position).then(|| partition.clone())
        };
        if self.settings.seeded {
            let mut all: Vec<TopicPartition> = member.fetching.iter().filter_map(ready).collect();
            let chosen = (!all.is_empty()).then(|| self.random.below(all.len()))?;
            return Some(all.swap_remove(chosen));
        }
        let behind = match &member.served {
            Some(served) => (Bound::Excluded(served.clone()), Bound::Unbounded),
            None => (Bound::Unbounded, Bound::Unbounded),
        };
        let mut turn = member.fetching.range(behind).chain(member.fetching.iter());
        turn.find_map(ready)
    }
}
