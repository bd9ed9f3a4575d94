//! A group's broker and its members, driven by chance: what is fetched, revoked, refused, killed, and when.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::checker::Checker;
use super::dice::Dice;
use super::log::{Entry, Log, Nature};
use super::pauses::name;
use crate::client_error::{ClientError, ClientErrorKind};
use crate::engine::tests::rig::{error, failure_of};
use crate::engine::{Engine, Incoming, Moment, Now, Offered, Settings, Ticket};
use crate::outcome::{BatchOutcome, ErrorClass, Failure, Outcome};
use crate::transport::{CommitEntry, Committed};

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) now: Now,
    pub(super) logs: Vec<Log>,
    /// What the group has committed.
    pub(super) group: Vec<Option<Committed>>,
    /// Who has a partition, as the group sees it.
    pub(super) owners: Vec<Option<usize>>,
    pub(super) members: Vec<Member>,
    pub(super) checker: Checker,
    /// The broker takes dead letters.
    pub(super) dlq_is_up: bool,
    /// The longest metadata the broker takes.
    pub(super) broker_limit: usize,
    /// Nothing goes wrong any more.
    pub(super) calm: bool,
    pub(super) epoch: u64,
    pub(super) keys: usize,
    /// Handlers that take batches.
    batches: usize,
    /// Handlers whose world is away, by bit.
    pub(super) away: u32,
}

pub(super) struct Member {
    pub(super) engine: Engine<i64>,
    pub(super) clients: BTreeMap<i32, Client>,
    /// Fetched and not yet offered.
    pub(super) channel: VecDeque<(i32, u64, VecDeque<Entry>)>,
    pub(super) running: Vec<Run>,
    /// Handlers that were cancelled and may still answer.
    pub(super) late: Vec<Run>,
    pub(super) writing: Vec<Work>,
    /// A commit sent; the answer once the broker has acted on it.
    pub(super) commit: Option<(Vec<CommitEntry>, Option<Answer>)>,
    pub(super) revoking: Option<Vec<i32>>,
    /// The group has taken these and the member does not know.
    pub(super) untold: Vec<i32>,
    pub(super) closing: bool,
}

type Answer = Result<(), ClientError>;

/// Work with a handler or with the producer.
#[derive(Clone, Copy)]
pub(super) struct Work {
    pub(super) ticket: Ticket,
    pub(super) at: (i32, i64),
    pub(super) epoch: u64,
}

/// One run of a handler.
pub(super) struct Run {
    /// One record's, or those of a batch.
    pub(super) works: Vec<Work>,
    pub(super) is_batch: bool,
}

/// The client's side of an assigned partition.
pub(super) struct Client {
    pub(super) epoch: u64,
    pub(super) first: i64,
    pub(super) position: i64,
    pub(super) paused: bool,
}

impl Member {
    pub(super) fn new(settings: &Settings) -> Self {
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
        let batches = settings.batches.len();
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
            batches,
            away: 0,
        };
        for m in 0..members {
            world.checker.began(m);
        }
        world
    }

    pub(super) fn produce(&mut self) {
        let p = self.dice.below(self.logs.len());
        for _ in 0..self.dice.between(1, 6) {
            let offset = self.logs[p].append(&mut self.dice, self.keys, self.batches);
            self.checker.produced(p, offset);
        }
    }

    /// Retention removes the front of a log, whoever has read it or not.
    pub(super) fn retain(&mut self) {
        let p = self.dice.below(self.logs.len());
        let start = self.logs[p].retain(&mut self.dice);
        self.checker.removed(p, start);
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
            let Entry { offset, key, bytes, batch, .. } = entry;
            let incoming = Incoming { offset, key_hash: key, bytes, batch, record: offset };
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
            let run = member.late.swap_remove(self.dice.below(member.late.len()));
            let tickets: Vec<Ticket> = run.works.iter().map(|work| work.ticket).collect();
            let ok = self.ok(run.works[0].at);
            let engine = &mut self.members[m].engine;
            match run.is_batch {
                false => drop(engine.outcome(tickets[0], ok, self.now)),
                true => drop(engine.batch_outcome(&tickets, BatchOutcome::Whole(ok), self.now)),
            };
            return;
        }
        if member.running.is_empty() {
            return;
        }
        let run = member.running.swap_remove(self.dice.below(member.running.len()));
        if run.is_batch {
            return self.end_batch(m, &run.works);
        }
        let work = run.works[0];
        let failure = self.failure_of(work.at).map(|failure| Outcome::Failed(Box::new(failure)));
        let outcome = failure.unwrap_or_else(|| self.ok(work.at));
        self.checker.ended(m, work.at, work.epoch, &outcome, self.now);
        self.members[m].engine.outcome(work.ticket, outcome, self.now);
    }

    pub(super) fn ok(&self, at: (i32, i64)) -> Outcome {
        Outcome::Handled(self.logs[at.0 as usize].entries[&at.1].handler)
    }

    /// How the handler fails this record, if it does.
    pub(super) fn failure_of(&mut self, at: (i32, i64)) -> Option<Failure> {
        let Entry { nature, handler, .. } = self.logs[at.0 as usize].entries[&at.1];
        let mended = self.calm && self.checker.settings.breaker.is_some(); // else nothing might ever heal
        let class = match (nature, self.dice.below(1000)) {
            (_, 0..950) if self.away & 1 << handler.0 != 0 => Some(ErrorClass::Transient),
            (_, 950..980) if self.away & 1 << handler.0 != 0 => Some(ErrorClass::Permanent),
            (Nature::Flawed, 0..200) if mended => None,
            (Nature::Flawed, _) => Some(ErrorClass::Transient),
            (Nature::Poison, _) => Some(ErrorClass::Permanent),
            _ if self.calm => None,
            (_, 0..120) => Some(ErrorClass::Transient),
            (_, 120..150) => Some(ErrorClass::Permanent),
            (_, 150..180) => Some(ErrorClass::Skip),
            (_, 180..183) => Some(ErrorClass::Stop),
            _ => None,
        };
        class.map(|class| {
            let retry_after =
                self.dice.chance(10).then(|| Duration::from_millis(self.dice.below(3000) as u64));
            Failure { retry_after, ..failure_of(handler, class) }
        })
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
        self.members[m].engine.committed(answer.as_ref().copied(), self.now);
    }

    /// A commit is refused, half done, done and said to be refused, or simply done.
    pub(super) fn write(&mut self, m: usize, entries: &[CommitEntry]) -> Result<(), ClientError> {
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
        if self.checker.settings.transactions {
            answer?;
            return self.transact(m, entries);
        }
        for entry in &entries[..done] {
            if entry.metadata.len() > self.broker_limit {
                self.checker.saw("metadata too large");
                answer = Err(error(ClientErrorKind::OffsetMetadataTooLarge));
                continue;
            }
            self.keep(entry);
        }
        answer
    }

    /// A transaction is done or not, and what is said of it is so. One of an assignment that is over is fenced: nobody
    /// begins while it is open.
    fn transact(&mut self, m: usize, entries: &[CommitEntry]) -> Result<(), ClientError> {
        let clients = &self.members[m].clients;
        let goes_on = |entry: &CommitEntry| {
            clients.get(&entry.partition.partition).is_some_and(|client| client.epoch == entry.epoch)
        };
        if !entries.iter().all(goes_on) {
            return Err(error(ClientErrorKind::StaleMember));
        }
        if entries.iter().any(|entry| entry.metadata.len() > self.broker_limit) {
            self.checker.saw("metadata too large");
            return Err(error(ClientErrorKind::OffsetMetadataTooLarge));
        }
        for entry in entries {
            let p = entry.partition.partition as usize;
            let (before, log) = (self.group[p].as_ref(), &self.logs[p]);
            self.checker.keeps_telling(before, entry, |offset| log.has(offset));
            self.keep(entry);
        }
        Ok(())
    }

    fn keep(&mut self, entry: &CommitEntry) {
        let committed = Committed { offset: entry.offset, metadata: entry.metadata.clone() };
        self.group[entry.partition.partition as usize] = Some(committed);
    }
}
