//! Does what the engine says. It decides nothing, and waits for nothing it begins.

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::mutation::{Mutation, broken};
use super::{ACTIONS_IN_A_ROW, Done, Driver, LetterPath, tell};
use crate::engine::{Action, DeadLetterOrder, Start};
use crate::record::{Record, TopicPartition};
use crate::transport::Command;

impl Driver {
    /// Does what the engine says; true when there may be more.
    pub(super) fn act(&mut self) -> bool {
        let mut moment = Instant::now();
        let mut now = self.clock.at(moment);
        for _ in 0..ACTIONS_IN_A_ROW {
            let Some(action) = self.engine.next_action(now) else { return false };
            match action {
                Action::Start(start) => {
                    if let Some(outcome) = self.follow_verdict(&start) {
                        self.outcome(start.ticket, outcome, now);
                        continue;
                    }
                    let token = self.token(&start.partition);
                    let ticket = start.ticket;
                    let outgoing = self.outputs.as_mut().map(|outputs| outputs.begin(&start));
                    let group = &self.settings.group;
                    if broken(Mutation::StartsTwice) {
                        let _ = self.handlers.start(
                            start.clone(),
                            outgoing.clone(),
                            group,
                            token.clone(),
                            moment,
                        );
                    }
                    let (outcome, ended) = self.handlers.start(start, outgoing, group, token, moment);
                    // Where the next one begins: the clock is read once for each.
                    (moment, now) = (ended, self.clock.at(ended));
                    if let Some(outcome) = outcome {
                        self.outcome(ticket, outcome, now);
                    }
                }
                Action::StartBatch(starts) => {
                    if let Some(outcome) = self.follow_verdict_of_batch(&starts) {
                        let tickets: Vec<_> = starts.iter().map(|start| start.ticket).collect();
                        self.batch_outcome(&tickets, outcome);
                        continue;
                    }
                    let token = starts.first().map(|start| self.token(&start.partition)).unwrap_or_default();
                    let mut outputs = self.outputs.as_mut();
                    let outgoing = |start: Start<Record>| {
                        let outgoing = outputs.as_mut().map(|outputs| outputs.begin(&start));
                        (start, outgoing)
                    };
                    let starts = starts.into_iter().map(outgoing).collect();
                    self.handlers.start_batch(starts, &self.settings.group, &token);
                }
                Action::DeadLetter(order) => self.dead_letter(*order),
                Action::Commit(entries) => {
                    let (reply, answer) = oneshot::channel();
                    let commit = match &mut self.outputs {
                        Some(outputs) => outputs.take(entries),
                        None => entries.into(),
                    };
                    self.member.commands.send(Command::Commit { commit, reply });
                    self.commit = Some(answer);
                }
                Action::Pause(partition) => {
                    if let Some(epoch) = self.assigned.get(&partition).map(|assigned| assigned.epoch) {
                        self.member.commands.send(Command::Pause { partition, epoch });
                    }
                }
                Action::Resume(partition) => {
                    let epoch = self.assigned.get(&partition).map(|assigned| assigned.epoch);
                    if let Some(epoch) = epoch.filter(|_| !broken(Mutation::ForgetsResumes)) {
                        self.member.commands.send(Command::Resume { partition, epoch });
                    }
                }
                Action::Cancel(_) if broken(Mutation::NeverCancels) => {}
                Action::Cancel(ticket) => self.handlers.cancel(ticket),
                Action::Release(entries) => {
                    let (reply, answer) = oneshot::channel();
                    debug!(partitions = entries.len(), "giving revoked partitions back");
                    let commit = match &mut self.outputs {
                        Some(outputs) => outputs.give_back(entries),
                        None => entries.into(),
                    };
                    self.member.commands.send(Command::Release { commit, reply });
                    tokio::spawn(async move {
                        if let Ok(Err(error)) = answer.await {
                            warn!(%error, "the last commit of revoked partitions failed: records may come again");
                        }
                    });
                }
                Action::Breaker(change) => tell(&change),
                Action::Close(mut entries) => {
                    entries.retain(|_| !broken(Mutation::ClosesWithoutCommit));
                    let (reply, answer) = oneshot::channel();
                    let commit = match &mut self.outputs {
                        Some(outputs) => outputs.close(entries),
                        None => entries.into(),
                    };
                    self.member.commands.send(Command::Close { commit, reply });
                    self.close = Some(answer);
                }
            }
        }
        true
    }

    fn dead_letter(&mut self, order: DeadLetterOrder<Record>) {
        let ticket = order.ticket;
        self.follow_writing(&order);
        match &self.dead_letters {
            LetterPath::InTransaction(letters) => {
                let (partition, offset) = (order.partition.clone(), order.record.offset);
                let letter = letters.letter(order);
                if let Some(outputs) = &mut self.outputs {
                    outputs.dead_lettered(partition, offset, letter);
                }
                self.engine.dead_lettered(ticket, Ok(()), self.clock.now());
            }
            LetterPath::Acknowledged(dead_letters) => {
                let mut written = dead_letters.write(order);
                if broken(Mutation::BelievesUnwrittenDeadLetters) {
                    written = Box::pin(std::future::ready(Ok(())));
                }
                let done = self.done_sender.clone();
                tokio::spawn(async move {
                    let _ = done.send(Done::DeadLetter(ticket, written.await));
                });
            }
        }
    }

    /// Tells what runs there that it is to be given back.
    fn token(&self, partition: &TopicPartition) -> CancellationToken {
        self.assigned.get(partition).map(|assigned| assigned.token.clone()).unwrap_or_default()
    }
}
