//! The core as the micro-benchmarks of `bench/benches/micro` reach it. It is no part of the library: nothing here is
//! promised, and nothing but a benchmark may use it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::attempt::{Attempt, Dispatch};
use crate::config::MetricsConfig;
use crate::engine::offset_map::{self, OffsetMap};
use crate::engine::{Action, Engine, Incoming, Moment, Now, Offered, Settings, Ticket};
use crate::metrics::{HandlerMetrics, Namespace};
use crate::outcome::{HandlerId, Outcome};
use crate::record::{Record, TopicPartition};
use crate::router::Routes;
use crate::transport::Assignment;

/// What the engine is to do, over and over.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Records taken and not settled, at any time.
    pub in_flight: usize,
    /// Handlers running at once, at most.
    pub concurrency: usize,
    /// Keys that take turns.
    pub keys: u64,
    /// One record stays with its handler until so many others of its partition are done, then the next one does.
    pub stuck_for: Option<usize>,
}

/// The engine in the middle of its work: full, with handlers that end in no particular order.
pub struct Core {
    engine: Engine<u64>,
    work: Work,
    partitions: Vec<TopicPartition>,
    running: Vec<Ticket>,
    stuck: VecDeque<(Ticket, usize)>,
    taken: u64,
    dice: u64,
    now: Now,
}

const PARTITIONS: u64 = 12;

impl Core {
    /// An engine that has as much in flight as `work` says.
    pub fn new(work: Work) -> Self {
        let settings = Settings {
            concurrency: work.concurrency,
            max_in_flight_records: work.in_flight + 1,
            ..Settings::default()
        };
        let partitions: Vec<_> = (0..PARTITIONS as i32)
            .map(|partition| TopicPartition::new("txova.rides.v1", partition))
            .collect();
        let mut engine = Engine::new(settings);
        let now = Now { at: Moment(0), unix_ms: 1_767_585_600_000 };
        let assigned =
            partitions.iter().map(|partition| Assignment { partition: partition.clone(), committed: None });
        engine.assigned(1, assigned.collect(), now);
        let (running, stuck) = (Vec::new(), VecDeque::new());
        let mut core = Self { engine, work, partitions, running, stuck, taken: 0, dice: 7, now };
        (0..work.in_flight).for_each(|_| core.take());
        core.act();
        core
    }

    /// One record's way: a handler ends, the record is settled and now and then committed, another record is taken, and
    /// another handler begins.
    pub fn one_record(&mut self) {
        self.now.at = Moment(self.now.at.0 + 1);
        self.settle();
        self.take();
        self.act();
    }

    fn settle(&mut self) {
        if let Some((_, left)) = self.stuck.front_mut() {
            *left = left.saturating_sub(1);
        }
        let over = self.stuck.pop_front_if(|(_, left)| *left == 0);
        let chosen = over.map(|(ticket, _)| ticket).or_else(|| {
            let index = (self.throw() % self.running.len().max(1) as u64) as usize;
            (!self.running.is_empty()).then(|| self.running.swap_remove(index))
        });
        if let Some(ticket) = chosen {
            self.engine.outcome(ticket, Outcome::Handled(HandlerId(0)), self.now);
        }
    }

    fn take(&mut self) {
        let partition = &self.partitions[(self.taken % PARTITIONS) as usize];
        let key = mixed(self.taken % self.work.keys);
        let incoming = Incoming {
            offset: (self.taken / PARTITIONS) as i64,
            key_hash: Some(key),
            bytes: 400,
            batch: None,
            record: self.taken,
        };
        self.taken += 1;
        let offered = self.engine.offer(partition, 1, incoming, self.now);
        debug_assert_eq!(offered, Offered::Taken);
    }

    fn act(&mut self) {
        while let Some(action) = self.engine.next_action(self.now) {
            match action {
                Action::Start(start) => match self.work.stuck_for {
                    Some(others) if self.stuck.is_empty() => self.stuck.push_back((start.ticket, others)),
                    _ => self.running.push(start.ticket),
                },
                Action::Commit(entries) => {
                    std::hint::black_box(entries);
                    self.engine.committed(Ok(()), self.now);
                }
                _ => {}
            }
        }
    }

    fn throw(&mut self) -> u64 {
        self.dice = self.dice.wrapping_add(1);
        mixed(self.dice)
    }
}

/// SplitMix64's finish: what was in order is not any more.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 27)
}

/// The text of a map with these runs done above `committed`, at most 4,096 bytes.
pub fn encode_map(committed: i64, done: &[Range<i64>]) -> String {
    let map = OffsetMap { done: done.to_vec(), failing: Vec::new() };
    offset_map::encode(committed, &map, 4_096).text
}

/// How many runs a text has; `None` where it is no map for that offset.
pub fn decode_map(committed: i64, text: &str) -> Option<usize> {
    Some(offset_map::decode(committed, text).ok()?.done.len())
}

/// What is counted and timed of each record that a handler has run for.
pub struct Measuring(HandlerMetrics);

impl Measuring {
    /// Of a handler of this name, to the recorder there is.
    pub fn new(handler: &str) -> Self {
        let namespace = Namespace::new(&MetricsConfig::default());
        Self(HandlerMetrics::new(&namespace, "bench-group", std::iter::once(handler)))
    }

    /// One that was handled in so long.
    pub fn one_record(&self, took: Duration) {
        self.0.ran(took, &Outcome::Handled(HandlerId(0)));
    }
}

/// One record's way from the client to the end of its handler, for handlers that wait for nothing: the envelope read, the
/// route found, the arguments taken, the future run.
pub struct Dispatching {
    routes: Routes,
    partition: TopicPartition,
    group: Arc<str>,
    cancelled: CancellationToken,
}

impl Dispatching {
    /// Through these routes.
    pub fn new(routes: Routes) -> Self {
        let partition = TopicPartition::new("txova.rides.v1", 0);
        Self { routes, partition, group: "bench-group".into(), cancelled: CancellationToken::new() }
    }

    /// Whether it was handled at once.
    pub fn one_record(&self, record: &Record) -> bool {
        let attempt = Attempt {
            partition: self.partition.clone(),
            record: record.clone(),
            group: self.group.clone(),
            number: 1,
            first_failure: None,
            received_ms: None,
            deadline: Instant::now() + Duration::from_secs(30),
            cancelled: self.cancelled.clone(),
            outgoing: None,
            held: None,
        };
        matches!(self.routes.dispatch(attempt).now_or_never(), Some(Outcome::Handled(_)))
    }
}
