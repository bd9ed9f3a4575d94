//! What happens to the membership: partitions come and go, the client has trouble, or ends. The engine decides what follows.

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::mutation::{Mutation, broken};
use super::{Assigned, Driver};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::engine::StopReason;
use crate::record::TopicPartition;
use crate::transport::{Assignment, Command, Commit, GroupEvent};

impl Driver {
    pub(super) fn event(&mut self, event: Option<GroupEvent>) {
        let now = self.clock.now();
        match event {
            Some(GroupEvent::Assigned { epoch, partitions }) => {
                info!(epoch, partitions = ?partitions.iter().map(|a| &a.partition).collect::<Vec<_>>(), "assigned");
                self.assignments += 1;
                self.trouble = None;
                for assignment in &partitions {
                    self.intake.forget(&assignment.partition);
                    let assigned = Assigned { epoch, token: CancellationToken::new() };
                    if let Some(before) = self.assigned.insert(assignment.partition.clone(), assigned) {
                        before.token.cancel(); // nobody said that it was over
                    }
                    if let Some(outputs) = &mut self.outputs {
                        outputs.assigned(&assignment.partition, epoch);
                    }
                }
                let start = |of: &Assignment| of.committed.as_ref().map(|committed| committed.offset);
                let starts: Vec<_> = partitions.iter().map(|of| (of.partition.clone(), start(of))).collect();
                for (partition, error) in self.engine.assigned(epoch, partitions, now) {
                    warn!(%partition, %error, "the metadata of a commit is ignored: records may come again");
                }
                for (partition, start) in starts {
                    self.follow_assigned(&partition, start);
                }
            }
            Some(GroupEvent::Revoked { .. }) if broken(Mutation::IgnoresRevoked) => {}
            Some(GroupEvent::Lost { .. }) if broken(Mutation::IgnoresLost) => {}
            Some(GroupEvent::Revoked { partitions }) => {
                if broken(Mutation::ReleasesAtOnce) {
                    let (reply, commit) = (oneshot::channel().0, Commit::default());
                    self.member.commands.send(Command::Release { commit, reply });
                }
                info!(?partitions, "revoked");
                self.revocations += 1;
                self.forget(&partitions);
                if let Some(outputs) = &mut self.outputs {
                    outputs.revoked(&partitions);
                }
                self.engine.revoked(&partitions, now.at + self.settings.revoke_timeout);
            }
            Some(GroupEvent::Lost { partitions }) => self.lost(&partitions),
            Some(GroupEvent::Trouble(error)) => {
                if self.trouble.as_ref().is_none_or(|known| known.kind != error.kind) {
                    warn!(%error, "the Kafka client has trouble and goes on trying");
                }
                self.trouble = Some(error);
            }
            Some(GroupEvent::Missing { topics }) => {
                if !topics.is_empty() {
                    warn!(
                        ?topics,
                        "topics that are subscribed to are not there; they are looked for and read once they are"
                    );
                }
                self.trouble.take_if(|trouble| trouble.kind == ClientErrorKind::UnknownTopic); // said better now
                self.missing = topics;
            }
            Some(GroupEvent::Fatal(error)) => {
                if error.kind == ClientErrorKind::Fenced {
                    self.lose_all();
                }
                self.engine.stop(StopReason::Client(error));
            }
            Some(GroupEvent::Closed) | None => self.member_ended(),
        }
    }

    fn lost(&mut self, partitions: &[TopicPartition]) {
        self.forget(partitions); // before it is said: from then on nothing begins
        warn!(?partitions, "lost: another member has them; records under way here may be handled twice");
        self.losses += 1;
        if let Some(outputs) = &mut self.outputs {
            partitions.iter().for_each(|partition| outputs.over(partition));
        }
        self.engine.lost(partitions, self.clock.now());
    }

    /// Somebody else is this member now. What runs here is theirs already, whether or not the client has said so.
    fn lose_all(&mut self) {
        let all: Vec<TopicPartition> = self.assigned.keys().cloned().collect();
        if !all.is_empty() {
            self.lost(&all);
        }
    }

    /// The client's side is over, asked or not.
    fn member_ended(&mut self) {
        self.left = true;
        let gone = || ClientError::new(ClientErrorKind::Closed, "the client has left the group");
        if self.report.is_none() && self.close.is_none() {
            self.cancel_all();
            self.engine.stop(StopReason::Client(gone()));
            self.engine.close(self.clock.now().at);
            self.report = Some(self.engine.closed(Err(gone())));
        }
    }

    fn forget(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.intake.forget(partition);
            self.follow_over(partition);
            if let Some(assigned) = self.assigned.remove(partition).filter(|_| !broken(Mutation::NeverTells))
            {
                assigned.token.cancel();
            }
        }
    }

    pub(super) fn cancel_all(&self) {
        self.assigned.values().for_each(|assigned| assigned.token.cancel());
    }
}
