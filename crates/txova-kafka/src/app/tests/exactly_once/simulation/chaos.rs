//! What goes wrong, by script. Each fault is one a real cluster has.

use std::time::Duration;

use super::super::super::{DLQ, GROUP, TOPIC};
use super::super::OUT;
use super::world::World;
use crate::client_error::ClientErrorKind;
use crate::record::TopicPartition;
use crate::testing::{CommitFault, ProduceFault};

impl World {
    fn any_partition(&mut self) -> TopicPartition {
        TopicPartition::new(TOPIC, self.dice.below(self.partitions) as i32)
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
            7..10 => {
                self.saw("lost");
                let _ = self.cluster.lose(GROUP, &partition);
            }
            10..12 => {
                self.saw("expelled");
                let _ = self.cluster.expel(GROUP, id);
            }
            12..13 => {
                self.saw("expelled unnoticed");
                let _ = self.cluster.expel_unnoticed(GROUP, id);
            }
            _ => {
                let _ = self.cluster.tell_expelled(GROUP, id);
            }
        }
    }

    pub(super) fn trouble_commits(&mut self) {
        use ClientErrorKind::{Fenced, OffsetMetadataTooLarge, StaleMember, TimedOut};
        let count = self.dice.between(1, 4);
        match self.dice.below(10) {
            0..3 => {
                self.saw("commit refused");
                let kinds = [StaleMember, Fenced, TimedOut, OffsetMetadataTooLarge];
                let kind = self.dice.pick(&kinds).expect("there are four");
                self.cluster.fail_commits(GROUP, count, CommitFault::Refused(kind));
            }
            3..5 => {
                self.saw("commit written and unanswered");
                self.cluster.fail_commits(GROUP, count, CommitFault::WrittenButTimedOut);
            }
            5..7 => {
                self.saw("commit unanswered");
                self.cluster.fail_commits(GROUP, count, CommitFault::Unanswered);
            }
            7..9 => {
                self.saw("commit delayed");
                self.cluster.delay_commits(GROUP, Duration::from_millis(self.dice.between(1, 800) as u64));
            }
            _ => self.cluster.delay_commits(GROUP, Duration::ZERO),
        }
    }

    pub(super) fn trouble_topics(&mut self) {
        let topic = if self.dice.chance(70) { OUT } else { DLQ };
        match self.dice.below(8) {
            0..2 => {
                self.saw("topic down");
                self.cluster.produce_down(topic);
            }
            2..5 => {
                self.cluster.produce_up(OUT);
                self.cluster.produce_up(DLQ);
            }
            5 => {
                self.saw("event too large");
                self.cluster.fail_produces(topic, 1, ProduceFault::Refused(ClientErrorKind::TooLarge));
            }
            6 => {
                let fault = ProduceFault::Refused(ClientErrorKind::TimedOutNotWritten);
                self.cluster.fail_produces(topic, self.dice.between(1, 3), fault);
            }
            _ => self.cluster.fail_produces(topic, self.dice.between(1, 3), ProduceFault::WrittenButTimedOut),
        }
    }

    pub(super) fn trouble_fetches(&mut self) {
        let partition = self.any_partition();
        match self.dice.below(4) {
            0..2 => {
                let (_, end) = self.cluster.ends(&partition).expect("the topic is there");
                let from = self.dice.below(end as usize + 1) as i64;
                let committed = self.cluster.committed_by(GROUP, &partition).map_or(0, |(offset, _)| offset);
                self.saw("fetched again");
                let _ = self.cluster.redeliver_from(GROUP, &partition, from.max(committed));
            }
            2 => {
                let _ = self.cluster.hold_next_batch(GROUP, &partition);
            }
            _ => {
                self.cluster.release_held(GROUP);
            }
        }
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
        self.cluster.broker_back();
        self.cluster.produce_up(OUT);
        self.cluster.produce_up(DLQ);
        self.cluster.delay_commits(GROUP, Duration::ZERO);
        for member in &self.members {
            let Some(id) = member.id else { continue };
            let members = self.cluster.members(GROUP);
            if !members.iter().any(|member| member.id == id && !member.partitions.is_empty()) {
                let _ = self.cluster.tell_expelled(GROUP, id);
            }
        }
        self.cluster.release_held(GROUP);
    }
}
