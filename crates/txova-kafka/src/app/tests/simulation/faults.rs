//! What goes wrong, by script. Each fault is one a real cluster has.

use std::time::Duration;

use tokio::time::Instant;

use super::super::{DLQ, GROUP, TOPIC};
use super::world::World;
use crate::client_error::ClientErrorKind;
use crate::record::TopicPartition;
use crate::testing::{CommitFault, ProduceFault};

impl World {
    fn any_partition(&mut self) -> TopicPartition {
        TopicPartition::new(TOPIC, self.dice.below(self.partitions) as i32)
    }

    fn owner(&self, partition: &TopicPartition) -> Option<usize> {
        let members = self.cluster.members(GROUP);
        let owner = members.iter().find(|member| member.partitions.contains(partition))?;
        self.members.iter().position(|member| member.id == Some(owner.id))
    }

    /// Takes note that a member has lost partitions without being asked.
    pub(super) fn forced(&self, m: usize, partitions: impl IntoIterator<Item = i32>) {
        let now = Instant::now();
        let partitions: Vec<i32> = partitions.into_iter().collect();
        let story = self.story();
        let mut facts = story.facts();
        facts.tell(&format!("forced {m} {partitions:?}"));
        facts.members[m].forced.extend(partitions.into_iter().map(|p| (p, now)));
    }

    /// The group moves partitions or takes them away. A script that misses its target does nothing.
    pub(super) fn rebalance(&mut self) {
        let partition = self.any_partition();
        let Some(m) = self.pick_living() else { return };
        let Some(id) = self.members[m].id else { return };
        match self.dice.below(14) {
            0..4 => {
                self.saw("revoked");
                let _ = self.cluster.move_to(GROUP, &partition, id);
            }
            4..6 => {
                self.saw("revoked");
                let _ = self.cluster.revoke(GROUP, &partition);
            }
            6..7 => {
                self.saw("revoked");
                let _ = self.cluster.revoke_all(GROUP, id);
            }
            7..9 => {
                let Some(owner) = self.owner(&partition) else { return };
                self.saw("lost");
                self.forced(owner, [partition.partition]);
                let _ = self.cluster.lose(GROUP, &partition);
            }
            9..11 => {
                self.saw("expelled");
                self.forced(m, self.partition_numbers());
                let _ = self.cluster.expel(GROUP, id);
            }
            11..13 => {
                self.saw("expelled unnoticed");
                self.forced(m, self.partition_numbers());
                let _ = self.cluster.expel_unnoticed(GROUP, id);
            }
            _ => {
                self.forced(m, self.partition_numbers());
                let _ = self.cluster.tell_expelled(GROUP, id);
            }
        }
    }

    pub(super) fn trouble_commits(&mut self) {
        let count = self.dice.between(1, 4);
        match self.dice.below(8) {
            0..2 => {
                self.saw("commit refused");
                let kind = match self.dice.chance(50) {
                    true => ClientErrorKind::TimedOut,
                    false => ClientErrorKind::Unreachable,
                };
                self.cluster.fail_commits(GROUP, count, CommitFault::Refused(kind));
            }
            2..4 => {
                self.saw("commit written but timed out");
                self.cluster.fail_commits(GROUP, count, CommitFault::WrittenButTimedOut);
            }
            4..6 => {
                self.saw("commit delayed");
                self.cluster.delay_commits(GROUP, Duration::from_millis(self.dice.between(1, 500) as u64));
            }
            _ => self.cluster.delay_commits(GROUP, Duration::ZERO),
        }
    }

    pub(super) fn trouble_dead_letters(&mut self) {
        let count = self.dice.between(1, 3);
        match self.dice.below(6) {
            0..2 => {
                self.saw("dead letters down");
                self.cluster.produce_down(DLQ);
            }
            2..4 => self.cluster.produce_up(DLQ),
            4 => {
                self.saw("dead letter refused");
                let fault = ProduceFault::Refused(ClientErrorKind::TimedOutNotWritten);
                self.cluster.fail_produces(DLQ, count, fault);
            }
            _ => self.cluster.fail_produces(DLQ, count, ProduceFault::WrittenButTimedOut),
        }
    }

    pub(super) fn trouble_fetches(&mut self) {
        let partition = self.any_partition();
        match self.dice.below(8) {
            0..3 => {
                let (_, end) = self.cluster.ends(&partition).expect("the topic is there");
                let from = self.dice.below(end as usize + 1) as i64;
                let committed = self.cluster.committed_by(GROUP, &partition).map_or(0, |(offset, _)| offset);
                self.saw("fetched again");
                let _ = self.cluster.redeliver_from(GROUP, &partition, from.max(committed));
            }
            3..4 => {
                self.saw("held back");
                let _ = self.cluster.hold_next_batch(GROUP, &partition);
            }
            4..6 => {
                self.cluster.release_held(GROUP);
            }
            6 => {
                self.saw("fetch delayed");
                self.cluster.delay_fetches(TOPIC, Duration::from_millis(self.dice.between(1, 200) as u64));
            }
            _ => {
                self.cluster.delay_fetches(TOPIC, Duration::ZERO);
                let count = self.dice.between(1, 9) as u32;
                self.cluster.skip_offsets(&partition, count).expect("the topic is there");
            }
        }
    }

    /// What every handler needs goes away, or comes back.
    pub(super) fn trouble_handlers(&mut self) {
        let story = self.story();
        let mut facts = story.facts();
        facts.is_away = !facts.is_away;
        if facts.is_away {
            facts.outages += 1;
            facts.saw("outage");
        }
        let told = format!("outage {}", facts.is_away);
        facts.tell(&told);
    }

    pub(super) fn trouble_broker(&mut self) {
        self.broker_is_away = !self.broker_is_away;
        match self.broker_is_away {
            true => {
                self.saw("broker away");
                self.cluster.broker_away();
            }
            false => self.cluster.broker_back(),
        }
    }

    /// Nothing goes wrong any more.
    pub(super) fn mend(&mut self) {
        let story = self.story();
        story.facts().calm = true;
        story.facts().is_away = false;
        self.cluster.broker_back();
        self.cluster.produce_up(DLQ);
        self.cluster.delay_commits(GROUP, Duration::ZERO);
        self.cluster.delay_fetches(TOPIC, Duration::ZERO);
        for m in self.living() {
            self.resume(m);
            let Some(id) = self.members[m].id else { continue };
            let is_member = |partitions: usize| partitions > 0;
            let members = self.cluster.members(GROUP);
            if !members.iter().any(|member| member.id == id && is_member(member.partitions.len())) {
                self.forced(m, self.partition_numbers());
                let _ = self.cluster.tell_expelled(GROUP, id);
            }
        }
        self.cluster.release_held(GROUP);
    }
}
