//! The consumer engine: decides what starts, waits, is tried again, dead-lettered and committed. It is a state machine
//! that is told what happened and asked what to do; it must never own a task, a clock, a socket or randomness, and knows
//! records only as something with an offset, a key and a size.
//!
//! The one who drives it calls an input method for each thing that happens, then [`Engine::next_action`] until there is
//! none, then waits until [`Engine::wake_at`] or the next input.
//!
//! Architecture invariants (each has a test of its name):
//! *commit-covers-settled*, *settled*, *key-order*, *epoch*, *bounded*, *nothing dropped*, *a down DLQ pins*,
//! *attempts persist*, *sparse*, *close is bounded*.

mod batch;
mod breaker;
mod commit;
mod held;
mod intake;
mod leave;
mod mutation;
pub(crate) mod offset_map;
mod partition;
mod pause;
mod rate;
mod retry;
mod settings;
mod start;
mod status;
mod stuck;
mod tally;
mod time;
mod window;

#[cfg(test)]
pub(crate) mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use slab::Slab;

use crate::outcome::Failure;
#[cfg(doc)]
use crate::outcome::Outcome;
use crate::record::TopicPartition;
use crate::transport::CommitEntry;

pub(crate) use self::batch::BatchLimits;
use self::breaker::Breakers;
use self::commit::Commits;
use self::leave::Leaving;
use self::mutation::{Mutation, broken};
use self::partition::Partition;
use self::pause::Pauses;
use self::rate::Rate;
use self::tally::Tally;

pub(crate) use self::breaker::HeldHandlers;
pub(crate) use self::held::BreakerChange;
pub(crate) use self::intake::{Incoming, Offered};
pub use self::leave::CloseReport;
pub(crate) use self::leave::StopReason;
pub(crate) use self::settings::{BreakerSettings, Retry, Settings};
pub use self::status::{HeldHandler, PartitionStatus, Paused, Status};
pub use self::stuck::{RecordState, Stuck};
pub use self::tally::Counts;
pub(crate) use self::time::{Moment, Now};

/// The consumer engine over records of type `R`, which it hands out as clones.
pub(crate) struct Engine<R> {
    settings: Settings,
    partitions: Slab<Partition>,
    by_name: HashMap<TopicPartition, usize>,
    /// The partition of the last record taken: that of the next one, mostly, for records come in batches.
    last_offered: usize,
    live: Slab<Live<R>>,
    next_serial: u64,
    /// Partitions with records ready to start, each once, taken in turn.
    rotation: VecDeque<usize>,
    timers: BinaryHeap<Reverse<(Moment, Ticket)>>,
    running: usize,
    /// Records with them.
    with_handlers: usize,
    bytes: usize,
    actions: VecDeque<Action<R>>,
    commits: Commits,
    breakers: Breakers,
    pauses: Pauses,
    rate: Option<Rate>,
    leaving: Leaving,
    tally: Tally,
}

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action<R> {
    /// Run the handler; answer with [`Engine::outcome`].
    Start(Start<R>),
    /// Run the handler once over all of these, in this order; answer with [`Engine::batch_outcome`].
    StartBatch(Vec<Start<R>>),
    /// Write the dead letter; answer with [`Engine::dead_lettered`].
    DeadLetter(Box<DeadLetterOrder<R>>),
    /// Commit; answer with [`Engine::committed`]. One at a time.
    Commit(Vec<CommitEntry>),
    /// Stop fetching.
    Pause(TopicPartition),
    /// Fetch again.
    Resume(TopicPartition),
    /// Commit these and give the revoked partitions back.
    Release(Vec<CommitEntry>),
    /// The handler's result is no longer wanted: end it.
    Cancel(Ticket),
    /// Commit these and leave the group; answer with [`Engine::closed`].
    Close(Vec<CommitEntry>),
    /// For the log: a handler is held back, or no more.
    Breaker(BreakerChange),
}

/// A handler to run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Start<R> {
    pub ticket: Ticket,
    pub partition: TopicPartition,
    pub record: R,
    /// 1 for the first.
    pub attempt: u32,
    pub first_failure_ms: Option<i64>,
    /// When it was taken, in milliseconds since 1970, UTC.
    pub taken_ms: i64,
    /// Handlers that must not run it: were it for one of them, the answer is [`Outcome::Held`].
    pub held: HeldHandlers,
}

/// A dead letter to write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DeadLetterOrder<R> {
    pub ticket: Ticket,
    pub partition: TopicPartition,
    pub record: R,
    pub failure: Failure,
    /// Attempts that failed, over all assignments.
    pub attempts: u32,
    pub first_failure_ms: i64,
    pub last_failure_ms: i64,
}

/// Names a record under way. One from an assignment that is over is recognised and ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ticket {
    index: u32,
    serial: u64,
}

/// The record that an outcome has settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub ticket: Ticket,
    pub partition: TopicPartition,
    pub epoch: u64,
    pub offset: i64,
}

/// A record taken and not settled.
struct Live<R> {
    serial: u64,
    partition: usize,
    offset: i64,
    place: window::Place,
    lane: Option<u64>,
    /// Whose batches it goes with, while it has not failed.
    batch: Option<u32>,
    /// Tells records of one key from others; a record without a key is a key of its own.
    key: u64,
    /// The next record of the same lane.
    behind: Option<u32>,
    bytes: usize,
    /// Failed attempts that count.
    attempts: u32,
    first_failure_ms: Option<i64>,
    /// Failed attempts that do not, since they were in an outage, and when the first of them failed.
    spared: u32,
    first_spared_ms: Option<i64>,
    last_failure_ms: i64,
    /// How often its dead letter was not taken.
    dead_letter_tries: u32,
    state: State,
    /// When its timer rings. Others of it that are still out do not count.
    wake_at: Option<Moment>,
    since: Moment,
    taken_at: Moment,
    taken_ms: i64,
    /// When it first came to a handler.
    begun_at: Option<Moment>,
    /// Why the last attempt failed.
    failure: Option<Box<Failure>>,
    record: R,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Behind another record of its lane.
    Waiting,
    /// In a batch that is still filling.
    Gathering,
    /// In the ready queue.
    Ready,
    /// With a handler; the first of its batch.
    Running,
    /// With a handler, in the batch of another.
    Batched,
    /// Tried again when its timer rings.
    BackingOff,
    /// Its dead letter is being written.
    DeadLettering,
    /// Its dead letter was not taken; written again when its timer rings.
    DeadLetterDown,
    /// Waits until its handler is held back no more, or for its turn as a probe.
    Held,
}

impl<R: Clone> Engine<R> {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            rate: Rate::new(&settings),
            settings,
            partitions: Slab::new(),
            by_name: HashMap::new(),
            last_offered: 0,
            live: Slab::new(),
            next_serial: 0,
            rotation: VecDeque::new(),
            timers: BinaryHeap::new(),
            running: 0,
            with_handlers: 0,
            bytes: 0,
            actions: VecDeque::new(),
            commits: Commits::default(),
            breakers: Breakers::default(),
            pauses: Pauses::default(),
            leaving: Leaving::default(),
            tally: Tally::default(),
        }
    }

    /// What to do now; `None` when there is nothing until the next input or [`Self::wake_at`].
    pub(crate) fn next_action(&mut self, now: Now) -> Option<Action<R>> {
        self.ring(now);
        self.finish_leaving(now);
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        if let Some(entries) = self.commit_due(now) {
            return Some(Action::Commit(entries));
        }
        self.start_next(now)
    }

    /// When to ask again if nothing happens before.
    pub(crate) fn wake_at(&self) -> Option<Moment> {
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let start = self.throttled_until().or(self.probe_at()).filter(|_| self.may_begin());
        [timer, start, self.commits.wake_at(), self.leaving.wake_at()].into_iter().flatten().min()
    }

    /// The record under way that `ticket` names; `None` when its assignment is over or it is settled.
    fn find(&mut self, ticket: Ticket) -> Option<&mut Live<R>> {
        self.live
            .get_mut(ticket.index as usize)
            .filter(|live| live.serial == ticket.serial || broken(Mutation::TakesLateOutcomes))
    }

    /// Lets go of a record that is done with: its place in the window, its lane, its share of the limits.
    fn settle(&mut self, index: u32, now: Now) {
        let Some(live) = self.live.try_remove(index as usize) else { return };
        self.bytes -= live.bytes;
        let Some(partition) = self.partitions.get_mut(live.partition) else { return };
        partition.records -= 1;
        partition.bytes -= live.bytes;
        partition.window.settle(live.place);
        partition.failing.remove(&(live.offset, index));
        partition.changed = true;
        if let Some(lane) = live.lane {
            match live.behind {
                None => {
                    partition.lanes.remove(&lane);
                }
                Some(next) => self.lead(next, now),
            }
        }
        if broken(Mutation::NeighbourResetsAttempts) {
            self.live.iter_mut().for_each(|(_, other)| other.attempts = 0);
        }
        self.commits.settled(now, &self.settings);
        self.update_pause(live.partition);
    }
}
