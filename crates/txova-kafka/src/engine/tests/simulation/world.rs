//! A group's broker and its members, driven by chance: what is fetched, revoked, refused, killed, and when.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::checker::Checker;
use super::dice::Dice;
use super::log::{Entry, Log, Nature};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::engine::tests::rig::{error, failure, name};
use crate::engine::{Action, Engine, Incoming, Moment, Now, Offered, Settings, Ticket};
use crate::outcome::{ErrorClass, Failure, Outcome};
use crate::transport::{Assignment, CommitEntry, Committed};

pub(super) struct World {
    pub dice: Dice,
    pub now: Now,
    pub logs: Vec<Log>,
    /// What the group has committed.
    pub group: Vec<Option<Committed>>,
    /// Who has a partition, as the group sees it.
    pub owners: Vec<Option<usize>>,
    pub members: Vec<Member>,
    pub checker: Checker,
    /// The broker takes dead letters.
    pub dlq_is_up: bool,
    /// The longest metadata the broker takes.
    pub broker_limit: usize,
    /// Nothing goes wrong any more.
    pub calm: bool,
    epoch: u64,
    keys: usize,
}

pub(super) struct Member {
    engine: Engine<i64>,
    pub clients: BTreeMap<i32, Client>,
    /// Fetched and not yet offered.
    channel: VecDeque<(i32, u64, VecDeque<Entry>)>,
    pub running: Vec<Work>,
    /// Handlers that were cancelled and may still answer.
    late: Vec<Work>,
    writing: Vec<Work>,
    /// A commit sent; the answer once the broker has acted on it.
    commit: Option<(Vec<CommitEntry>, Option<Result<(), ClientError>>)>,
    revoking: Option<Vec<i32>>,
    /// The group has taken these and the member does not know.
    untold: Vec<i32>,
    closing: bool,
}

/// Work with a handler or with the producer.
#[derive(Clone, Copy)]
pub(super) struct Work {
    ticket: Ticket,
    at: (i32, i64),
    epoch: u64,
}

/// The client's side of an assigned partition.
pub(super) struct Client {
    epoch: u64,
    first: i64,
    position: i64,
    paused: bool,
}

impl Member {
    fn new(settings: &Settings) -> Self {
        Self {
            engine: Engine::new(settings.clone()),
            clients: BTreeMap::new(),
            channel: VecDeque::new(),
            running: vec![],
            late: vec![],
            writing: vec![],
            commit: None,
            revoking: None,
            untold: vec![],
            closing: false,
        }
    }

    pub(super) fn wake_at(&self) -> Option<Moment> {
        self.engine.wake_at()
    }
}

impl World {
    pub(super) fn new(mut dice: Dice, settings: Settings, broker_limit: usize) -> Self {
        let partitions = dice.between(1, 4);
        let members = dice.between(1, 3);
        let keys = dice.between(1, 12);
        let mut world = Self {
            dice,
            now: Now { at: Moment(5_000_000), unix_ms: 1_790_000_000_000 },
            logs: (0..partitions).map(|_| Log::default()).collect(),
            group: vec![None; partitions],
            owners: vec![None; partitions],
            members: (0..members).map(|_| Member::new(&settings)).collect(),
            checker: Checker::new(settings, partitions),
            dlq_is_up: true,
            broker_limit,
            calm: false,
            epoch: 0,
            keys,
        };
        for m in 0..members {
            world.checker.began(m);
        }
        world
    }

    pub(super) fn produce(&mut self) {
        let p = self.dice.below(self.logs.len());
        for _ in 0..self.dice.between(1, 6) {
            let offset = self.logs[p].append(&mut self.dice, self.keys);
            self.checker.produced(p, offset);
        }
    }

    /// A member's client reads on in one of its partitions; now and then it reads again what it had.
    pub(super) fn fetch(&mut self, m: usize) {
        let member = &mut self.members[m];
        let partitions: Vec<i32> = member.clients.keys().copied().collect();
        let Some(p) = self.dice.pick(&partitions) else { return };
        let Some(client) = member.clients.get_mut(&p).filter(|client| !client.paused) else { return };
        if member.channel.len() >= 4 {
            return;
        }
        if !self.calm && self.dice.chance(10) && client.position > client.first {
            let back = self.dice.below((client.position - client.first) as usize) as i64;
            client.position -= back.min(self.dice.between(0, 40) as i64);
        }
        let count = self.dice.between(1, 8);
        let entries: VecDeque<Entry> = self.logs[p as usize].read(client.position, count).into();
        let Some(last) = entries.back() else { return };
        client.position = last.offset + 1;
        member.channel.push_back((p, client.epoch, entries));
    }

    /// Offers the oldest batch.
    pub(super) fn offer(&mut self, m: usize) {
        let Some((p, epoch, mut entries)) = self.members[m].channel.pop_front() else { return };
        while let Some(entry) = entries.pop_front() {
            let Entry { offset, key, bytes, .. } = entry;
            let incoming = Incoming { offset, key_hash: key, bytes, record: offset };
            let answer = self.members[m].engine.offer(&name(p), epoch, incoming, self.now);
            self.checker.offered(m, p, epoch, entry, &answer, self.now);
            if matches!(answer, Offered::NoRoom(_)) {
                entries.push_front(entry);
                self.members[m].channel.push_front((p, epoch, entries));
                return;
            }
        }
    }

    /// A handler ends, one of those that run or, rarely, one that was cancelled.
    pub(super) fn end(&mut self, m: usize) {
        let member = &mut self.members[m];
        if self.dice.chance(20) && !member.late.is_empty() {
            let work = member.late.swap_remove(self.dice.below(member.late.len()));
            return member.engine.outcome(work.ticket, Outcome::Handled, self.now);
        }
        if member.running.is_empty() {
            return;
        }
        let work = member.running.swap_remove(self.dice.below(member.running.len()));
        let nature = self.logs[work.at.0 as usize].entries[&work.at.1].nature;
        let class = match (nature, self.dice.below(1000)) {
            (Nature::Flawed, _) => Some(ErrorClass::Transient),
            (Nature::Poison, _) => Some(ErrorClass::Permanent),
            _ if self.calm => None,
            (_, 0..120) => Some(ErrorClass::Transient),
            (_, 120..150) => Some(ErrorClass::Permanent),
            (_, 150..180) => Some(ErrorClass::Skip),
            (_, 180..183) => Some(ErrorClass::Stop),
            _ => None,
        };
        let outcome = class.map_or(Outcome::Handled, |class| {
            let retry_after =
                self.dice.chance(10).then(|| Duration::from_millis(self.dice.below(3000) as u64));
            Outcome::Failed(Box::new(Failure { retry_after, ..failure(class) }))
        });
        self.checker.ended(m, work.at, work.epoch, &outcome, self.now);
        self.members[m].engine.outcome(work.ticket, outcome, self.now);
    }

    /// The broker answers a dead letter.
    pub(super) fn answer_dead_letter(&mut self, m: usize) {
        let member = &mut self.members[m];
        if member.writing.is_empty() {
            return;
        }
        let work = member.writing.swap_remove(self.dice.below(member.writing.len()));
        let written = self.dlq_is_up;
        self.checker.dead_lettered(m, work.at, work.epoch, written, self.now);
        let answer = if written { Ok(()) } else { Err(error(ClientErrorKind::Unreachable)) };
        self.members[m].engine.dead_lettered(work.ticket, answer, self.now);
    }

    /// The broker acts on a commit, or its answer arrives.
    pub(super) fn answer_commit(&mut self, m: usize) {
        let Some((entries, answer)) = self.members[m].commit.take() else { return };
        let answer = match answer {
            None => {
                let answer = self.write(m, &entries);
                if self.dice.chance(50) {
                    self.members[m].commit = Some((entries, Some(answer)));
                    return;
                }
                answer
            }
            Some(answer) => answer,
        };
        self.checker.answered(m, &answer, self.now);
        self.members[m].engine.committed(answer.as_ref().map(|()| ()), self.now);
    }

    /// A commit is refused, half done, done and said to be refused, or simply done.
    fn write(&mut self, m: usize, entries: &[CommitEntry]) -> Result<(), ClientError> {
        if entries.iter().any(|entry| self.owners[entry.partition.partition as usize] != Some(m)) {
            self.checker.saw("commit of a member thrown out");
            return Err(error(ClientErrorKind::StaleMember));
        }
        let luck = self.dice.below(100);
        let done = match luck {
            0..8 => 0,
            8..14 => self.dice.below(entries.len() + 1),
            _ => entries.len(),
        };
        let mut answer = if luck < 20 { Err(error(ClientErrorKind::TimedOut)) } else { Ok(()) };
        for entry in &entries[..done] {
            if entry.metadata.len() > self.broker_limit {
                self.checker.saw("metadata too large");
                answer = Err(error(ClientErrorKind::OffsetMetadataTooLarge));
                continue;
            }
            let committed = Committed { offset: entry.offset, metadata: entry.metadata.clone() };
            self.group[entry.partition.partition as usize] = Some(committed);
        }
        answer
    }

    /// The group gives partitions nobody has to a member, all at once.
    pub(super) fn assign(&mut self, m: usize) {
        if self.members[m].revoking.is_some() {
            return;
        }
        let all = 0..self.owners.len() as i32;
        let free: Vec<i32> = all.filter(|p| self.owners[*p as usize].is_none()).collect();
        let free: Vec<i32> = free.into_iter().filter(|p| !self.members[m].untold.contains(p)).collect();
        let chosen: Vec<i32> = free.into_iter().filter(|_| self.calm || self.dice.chance(70)).collect();
        if chosen.is_empty() {
            return;
        }
        self.epoch += 1;
        let mut assignments = vec![];
        for p in chosen {
            let committed = self.group[p as usize].clone();
            let first = committed.as_ref().map_or(0, |committed| committed.offset);
            self.owners[p as usize] = Some(m);
            let client = Client { epoch: self.epoch, first, position: first, paused: false };
            self.members[m].clients.insert(p, client);
            self.checker.assigned(m, p, self.epoch, committed.as_ref());
            assignments.push(Assignment { partition: name(p), committed });
        }
        let unreadable = self.members[m].engine.assigned(self.epoch, assignments, self.now);
        self.checker.holds(unreadable.is_empty(), || "what the group kept cannot be read".into());
    }

    pub(super) fn revoke(&mut self, m: usize) {
        let member = &mut self.members[m];
        if member.revoking.is_some() || member.clients.is_empty() {
            return;
        }
        let held = member.clients.keys().copied();
        let taken: Vec<i32> = held.filter(|_| self.dice.chance(60)).collect();
        let deadline = self.now.at + Duration::from_millis(self.dice.below(2000) as u64);
        self.checker.revoking(m, &taken, deadline);
        let names: Vec<_> = taken.iter().map(|p| name(*p)).collect();
        member.engine.revoked(&names, deadline);
        member.revoking = Some(taken);
    }

    /// The group throws a member out of one partition or all; the member learns of it later.
    pub(super) fn take_away(&mut self, m: usize) {
        let all = self.dice.chance(50);
        let partitions: Vec<i32> = self.members[m].clients.keys().copied().collect();
        for p in partitions {
            if self.owners[p as usize] == Some(m) && (all || self.dice.chance(40)) {
                self.owners[p as usize] = None;
                self.members[m].untold.push(p);
                self.checker.saw("partition lost");
            }
        }
    }

    pub(super) fn tell_lost(&mut self, m: usize) {
        let lost = std::mem::take(&mut self.members[m].untold);
        let names: Vec<_> = lost.iter().map(|p| name(*p)).collect();
        for p in &lost {
            self.checker.over(m, *p);
            self.members[m].clients.remove(p);
        }
        self.members[m].engine.lost(&names, self.now);
    }

    /// A process is killed and another one takes its place.
    pub(super) fn crash(&mut self, m: usize) {
        self.checker.saw("crash");
        if let Some((entries, None)) = self.members[m].commit.take()
            && self.dice.chance(50)
        {
            let _ = self.write(m, &entries);
        }
        self.begin_anew(m);
    }

    fn begin_anew(&mut self, m: usize) {
        for owner in &mut self.owners {
            owner.take_if(|owner| *owner == m);
        }
        self.members[m] = Member::new(&self.checker.settings);
        self.checker.began(m);
    }

    pub(super) fn close(&mut self, m: usize) {
        if self.members[m].closing {
            return;
        }
        let deadline = self.now.at + Duration::from_millis(self.dice.below(3000) as u64);
        self.members[m].closing = true;
        self.checker.closing(m, deadline);
        self.members[m].engine.close(deadline);
    }

    pub(super) fn wants_to_stop(&self, m: usize) -> bool {
        self.members[m].engine.stop_reason().is_some()
    }

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
                self.checker.started(m, &start, &self.logs, self.now);
                let p = start.partition.partition;
                let epoch = self.checker.lease(m, p).map_or(0, |lease| lease.epoch);
                self.members[m].running.push(Work { ticket: start.ticket, at: (p, start.record), epoch });
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
            Action::Pause(name) => self.pause(m, name.partition, true),
            Action::Resume(name) => self.pause(m, name.partition, false),
            Action::Cancel(ticket) => {
                self.checker.saw("cancelled");
                let member = &mut self.members[m];
                let place = member.running.iter().position(|work| work.ticket == ticket);
                if let Some(place) = place {
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

    /// The client carries commands out in order: a commit sent before goes first.
    fn commit_in_order(&mut self, m: usize, entries: &[CommitEntry]) -> Result<(), ClientError> {
        if let Some((before, None)) = self.members[m].commit.clone() {
            let answer = self.write(m, &before);
            self.members[m].commit = Some((before, Some(answer)));
        }
        self.write(m, entries)
    }

    fn pause(&mut self, m: usize, p: i32, paused: bool) {
        if let Some(client) = self.members[m].clients.get_mut(&p) {
            let changes = client.paused != paused;
            self.checker.saw(if paused { "pause" } else { "resume" });
            client.paused = paused;
            self.checker.holds(changes, || format!("member {m} pauses or resumes {p} twice"));
        }
    }
}
