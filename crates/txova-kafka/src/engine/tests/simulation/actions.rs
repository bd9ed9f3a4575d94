//! Carries out what an engine asks, as a driver and a client would, and shows all of it to the checker.

use super::world::{Run, Work, World};
use crate::client_error::ClientError;
use crate::engine::{Action, Start};
use crate::outcome::{BatchOutcome, Outcome};
use crate::transport::CommitEntry;

impl World {
    /// Carries out what an engine asks until it rests.
    pub(super) fn act(&mut self, m: usize) {
        for _ in 0..100_000 {
            if self.checker.violation.is_some() {
                return;
            }
            let Some(action) = self.members[m].engine.next_action(self.now) else {
                let member = &self.members[m];
                let paused = |p: i32| member.clients.get(&p).is_none_or(|client| client.paused);
                return self.checker.rested(m, member.engine.wake_at(), paused, self.now);
            };
            if self.act_once(m, action) {
                return;
            }
        }
        self.checker.holds(false, || format!("member {m} never rests"));
    }

    /// True when the member has left.
    fn act_once(&mut self, m: usize, action: Action<i64>) -> bool {
        match action {
            Action::Start(start) => {
                let handler = self.logs[start.partition.partition as usize].entries[&start.record].handler;
                if !self.checker.started(m, &start, handler, &self.logs, self.now) {
                    self.members[m].engine.outcome(start.ticket, Outcome::Held(handler), self.now);
                    return false;
                }
                let run = Run { works: vec![self.work(m, &start)], is_batch: false };
                self.members[m].running.push(run);
            }
            Action::StartBatch(starts) => {
                let p = starts[0].partition.partition as usize;
                let handler = self.logs[p].entries[&starts[0].record].handler;
                if !self.checker.started_batch(m, &starts, handler, &self.logs, self.now) {
                    let tickets: Vec<_> = starts.iter().map(|start| start.ticket).collect();
                    let unrun = BatchOutcome::Whole(Outcome::Held(handler));
                    self.members[m].engine.batch_outcome(&tickets, unrun, self.now);
                    return false;
                }
                let works = starts.iter().map(|start| self.work(m, start)).collect();
                self.members[m].running.push(Run { works, is_batch: true });
            }
            Action::DeadLetter(order) => {
                self.checker.ordered_dead_letter(m, &order);
                let p = order.partition.partition;
                let epoch = self.checker.lease(m, p).map_or(0, |lease| lease.epoch);
                self.members[m].writing.push(Work { ticket: order.ticket, at: (p, order.record), epoch });
            }
            Action::Commit(entries) => {
                self.checker.sent(m, &entries, false);
                self.members[m].commit = Some((entries, None));
            }
            Action::Pause(name) | Action::Resume(name)
                if !self.members[m].clients.contains_key(&name.partition) => {}
            Action::Pause(name) => self.set_paused(m, name.partition, true),
            Action::Resume(name) => self.set_paused(m, name.partition, false),
            Action::Cancel(ticket) => {
                self.checker.saw("cancelled");
                let member = &mut self.members[m];
                let place = member.running.iter().position(|run| run.works[0].ticket == ticket);
                if let Some(place) = place {
                    if member.running[place].is_batch {
                        self.checker.saw("batch cancelled");
                    }
                    member.late.push(member.running.swap_remove(place)); // else it ended by itself just before
                }
            }
            Action::Release(entries) => {
                self.checker.saw("release");
                self.checker.sent(m, &entries, true);
                let partitions = self.members[m].revoking.take().unwrap_or_default();
                self.checker.released(m, &partitions, self.now);
                let _ = self.commit_in_order(m, &entries); // nobody is there to be told
                for p in partitions {
                    self.checker.over(m, p);
                    self.members[m].clients.remove(&p);
                    self.owners[p as usize].take_if(|owner| *owner == m);
                }
            }
            Action::Breaker(change) => self.checker.told_of(m, &change),
            Action::Close(entries) => {
                self.checker.saw("close");
                self.checker.sent(m, &entries, true);
                self.checker.closed(m, self.now);
                let answer = self.commit_in_order(m, &entries);
                let report = self.members[m].engine.closed(answer);
                self.checker.reported(m, &report);
                self.begin_anew(m);
                return true;
            }
        }
        false
    }

    fn work(&self, m: usize, start: &Start<i64>) -> Work {
        let p = start.partition.partition;
        let epoch = self.checker.lease(m, p).map_or(0, |lease| lease.epoch);
        Work { ticket: start.ticket, at: (p, start.record), epoch }
    }

    /// The client carries commands out in order: a commit sent before goes first.
    fn commit_in_order(&mut self, m: usize, entries: &[CommitEntry]) -> Result<(), ClientError> {
        if let Some((before, None)) = self.members[m].commit.clone() {
            let answer = self.write(m, &before);
            self.members[m].commit = Some((before, Some(answer)));
        }
        self.write(m, entries)
    }

    fn set_paused(&mut self, m: usize, p: i32, paused: bool) {
        if let Some(client) = self.members[m].clients.get_mut(&p) {
            let changes = client.paused != paused;
            self.checker.saw(if paused { "pause" } else { "resume" });
            client.paused = paused;
            self.checker.holds(changes, || format!("member {m} pauses or resumes {p} twice"));
        }
    }
}
