//! The calm at the end: everything must be settled and committed, and every app must close.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::super::{GROUP, TOPIC};
use super::world::World;
use crate::engine::Status;
use crate::record::TopicPartition;

/// More than any back-off, timeout and delay of a world together.
const CALM: Duration = Duration::from_secs(900);
/// Within which a run that a handler stops has ended.
const STOP: Duration = Duration::from_secs(60);

impl World {
    pub(super) async fn calm(&mut self) -> Result<(), String> {
        self.mend();
        self.produce();
        if self.living().is_empty() {
            self.join().await;
        }
        let mut last_tries = 3;
        loop {
            let last_offsets = self.last_offsets();
            let done = |cluster: &crate::testing::Cluster| {
                last_offsets.iter().all(|(p, last)| {
                    let committed = cluster.committed_by(GROUP, &TopicPartition::new(TOPIC, *p));
                    committed.is_some_and(|(offset, metadata)| offset > *last && metadata.is_empty())
                })
            };
            let cluster = self.cluster.clone();
            if timeout(CALM, cluster.wait_until(done)).await.is_ok() {
                break;
            }
            // A stop said before the calm may have ended the last one.
            self.gather().await;
            if !self.living().is_empty() || last_tries == 0 {
                return Err(self.stuck().await);
            }
            last_tries -= 1;
            self.join().await;
        }
        sleep(STOP).await;
        self.gather().await;
        let story = self.story();
        let refused = (0..self.members.len())
            .find(|m| self.members[*m].is_living() && story.facts().members[*m].must_stop);
        self.holds(refused.is_none(), || format!("a handler said stop, and member {refused:?} goes on"));
        for m in self.living() {
            self.close_within(m, Duration::from_secs(10));
        }
        sleep(STOP).await;
        self.gather().await;
        let all_closed = self.all_closed();
        self.holds(all_closed, || "close is bounded: a member has not ended".to_owned());
        Ok(())
    }

    /// What is known of what does not come to its end.
    async fn stuck(&self) -> String {
        let mut text = "nothing dropped: the group never comes to its end".to_owned();
        for p in self.partition_numbers() {
            let partition = TopicPartition::new(TOPIC, p);
            let (ends, committed) =
                (self.cluster.ends(&partition), self.cluster.committed_by(GROUP, &partition));
            text.push_str(&format!("\n{partition} ends {ends:?} committed {committed:?}"));
        }
        for member in self.cluster.members(GROUP) {
            text.push_str(&format!("\n{member:?}"));
        }
        for m in self.living() {
            let status = self.members[m].handle.status().await;
            text.push_str(&format!("\nmember {m}: {status:?}"));
        }
        text
    }

    /// A member is asked how it is: what it says keeps the limits.
    pub(super) async fn look(&mut self) {
        let Some(m) = self.pick_living() else { return };
        let Some(status) = self.members[m].handle.status().await else { return };
        let Status { in_flight_records, in_flight_bytes, running, .. } = status.engine;
        let most = &self.consumer;
        let in_limits = in_flight_records <= most.max_in_flight_records
            && (in_flight_bytes <= most.max_in_flight_bytes || in_flight_records == 1)
            && running <= most.concurrency;
        self.holds(in_limits, || {
            format!(
                "bounded: member {m} has {in_flight_records} records, {in_flight_bytes} bytes, runs {running}"
            )
        });
    }
}
