//! One world: its cluster, its group, and what happens to them step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, advance, sleep};

use super::super::{DLQ, TOPIC, envelope};
use super::Told;
use super::letters::Letters;
use super::members::Member;
use super::story::{Facts, Nature, Story, Written};
use crate::batch::Batching;
use crate::config::{ConsumerConfig, Order};
use crate::engine::tests::simulation::dice::Dice;
use crate::record::OutgoingRecord;
use crate::testing::Cluster;

const STEPS: usize = 120;
const MOST_PARTITIONS: usize = 6;

pub(super) struct World {
    pub seed: u64,
    pub dice: Dice,
    pub cluster: Cluster,
    pub consumer: ConsumerConfig,
    pub partitions: usize,
    pub keys: usize,
    pub batching: Batching,
    pub members: Vec<Member>,
    pub story: Option<Story>,
    /// Jumps of the clock so far: who waits across one may wait too long.
    pub jumps: usize,
    pub broker_is_away: bool,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let partitions = dice.between(1, 4);
        let seconds = |seconds| Duration::from_secs(seconds as u64);
        let mut cluster = Cluster::new()
            .with_topic(TOPIC, partitions as i32)
            .with_topic(DLQ, partitions as i32)
            .with_seed(seed)
            .with_fetch_limits(dice.between(1, 20), dice.between(1, 8))
            .with_timeouts(seconds(2), seconds(dice.between(3, 60)));
        if dice.chance(20) {
            cluster = cluster.with_eager_rebalances();
        }
        let mut consumer = consumer(&mut dice);
        consumer.follow_dead_letters = seed.is_multiple_of(3) && consumer.order == Order::Key;
        let batching = Batching {
            max_size: dice.between(1, 10),
            max_wait_ms: dice.below(500) as u64,
            max_bytes: dice.between(200, 5_000),
        };
        Self {
            seed,
            cluster,
            consumer,
            partitions,
            keys: dice.between(1, 12),
            batching,
            members: Vec::new(),
            story: None,
            jumps: 0,
            broker_is_away: false,
            dice,
        }
    }

    /// Chaos, then calm, then the account.
    pub(super) async fn run(mut self) -> Result<Told, String> {
        self.begin();
        let story = self.story();
        let (watched, watcher) = (self.cluster.clone(), story.clone());
        let scribe = tokio::spawn(async move {
            watched
                .wait_until(|cluster| {
                    watcher.facts().letters.look(cluster);
                    false
                })
                .await;
        });
        for step in 0..STEPS {
            self.step().await;
            self.violation().map_err(|why| format!("step {step}: {why}"))?;
        }
        let calm = self.calm().await;
        self.violation().and(calm).map_err(|why| format!("in the calm: {why}"))?;
        scribe.abort();
        self.account();
        self.violation().map_err(|why| format!("at the end: {why}"))?;
        let facts = story.facts();
        Ok(Told { events: facts.events.clone(), digest: facts.digest })
    }

    fn begin(&mut self) {
        let facts = Facts {
            began: Instant::now(),
            violation: None,
            events: BTreeMap::new(),
            digest: 0xcbf2_9ce4_8422_2325,
            written: BTreeMap::new(),
            runs: Vec::new(),
            running: Vec::new(),
            members: Vec::new(),
            letters: Letters::new(MOST_PARTITIONS),
            calm: false,
            landings: Vec::new(),
            order: self.consumer.order,
            concurrency: self.consumer.concurrency,
            rate: self.consumer.rate_limit_per_second,
            held_after: (self.consumer.breaker_enabled && self.consumer.breaker_keys == 1)
                .then_some(self.consumer.breaker_failures as usize),
            can_be_held: self.consumer.breaker_enabled,
            follows: self.consumer.follow_dead_letters,
            is_away: false,
            outages: 0,
            processing_timeout: Duration::from_millis(self.consumer.processing_timeout_ms),
        };
        self.story = Some(Story::new(self.cluster.clone(), facts));
    }

    pub(super) fn story(&self) -> Story {
        self.story.clone().expect("a world that has begun has its story")
    }

    pub(super) fn saw(&self, event: &'static str) {
        let story = self.story();
        let mut facts = story.facts();
        facts.saw(event);
        facts.tell(event);
    }

    fn violation(&self) -> Result<(), String> {
        self.story().facts().violation.clone().map_or(Ok(()), Err)
    }

    async fn step(&mut self) {
        match self.dice.below(100) {
            0..30 => self.produce(),
            30..36 if self.living().len() < 4 => self.join().await,
            36..39 => self.close(),
            39..41 => self.crash(),
            41..55 => self.rebalance(),
            55..66 => self.trouble_commits(),
            66..75 => self.trouble_dead_letters(),
            75..86 => self.trouble_fetches(),
            86..89 => self.trouble_broker(),
            89..92 => self.jump().await,
            92..93 => self.grow(),
            93..96 => self.look().await,
            96..98 => self.trouble_handlers(),
            98 => self.pause().await,
            _ => {
                if let Some(m) = self.pick_living() {
                    self.resume(m);
                }
            }
        }
        let wait_ms = match self.dice.below(20) {
            0..5 => 0,
            5..15 => self.dice.below(40),
            15..19 => self.dice.below(800),
            _ => self.dice.below(8000),
        };
        sleep(Duration::from_millis(wait_ms as u64)).await;
        self.gather().await;
        self.watch_told();
    }

    pub(super) fn produce(&mut self) {
        for _ in 0..self.dice.between(1, 8) {
            let nature = match self.dice.below(100) {
                0..5 => Nature::Flawed,
                5..9 => Nature::Poison,
                9..12 => Nature::Garbage,
                12..14 => Nature::Tombstone,
                14..17 => Nature::Illegible,
                _ => Nature::Sound,
            };
            let story = self.story();
            let id = story.facts().written.len();
            let is_weighed = nature == Nature::Illegible || self.dice.chance(50);
            let value = match nature {
                Nature::Tombstone => None,
                Nature::Garbage => Some(format!("{{\"no\": {id}").into()),
                Nature::Illegible => Some(weighed(id, "nobody can read this").into()),
                _ if is_weighed => Some(weighed(id, "0").into()),
                _ => Some(envelope(&id.to_string()).into()),
            };
            let skewed = self.dice.below(self.keys).min(self.dice.below(self.keys));
            let key = (!self.dice.chance(10)).then(|| format!("key {skewed}").into());
            let sent = OutgoingRecord { topic: TOPIC.into(), key, value, ..OutgoingRecord::default() };
            let mut facts = story.facts(); // before anybody can handle it
            let place = self.cluster.produce(sent.clone()).expect("the topic is there");
            let at = (place.partition, place.offset);
            facts.tell(&format!("written {at:?} {nature:?}"));
            let written = Written {
                nature,
                sent,
                is_weighed,
                settled_at: None,
                failures: 0,
                failed_for_good: false,
                failed_in_outage: None,
                runs: Vec::new(),
            };
            facts.written.insert(at, written);
        }
    }

    /// The clock jumps, as after a process was stopped.
    async fn jump(&mut self) {
        self.saw("clock jumps");
        self.jumps += 1;
        let by = Duration::from_millis(self.dice.between(1000, 90_000) as u64);
        self.story().facts().landings.push(Instant::now() + by);
        advance(by).await;
    }

    fn grow(&mut self) {
        if self.partitions < MOST_PARTITIONS {
            self.saw("partitions added");
            self.partitions += 1;
            self.cluster.add_partitions(TOPIC, 1).expect("the topic is there");
            self.cluster.add_partitions(DLQ, 1).expect("the topic is there");
        }
    }

    /// Offsets of each partition that a record has.
    pub(super) fn last_offsets(&self) -> BTreeMap<i32, i64> {
        self.story().facts().written.keys().copied().collect()
    }

    pub(super) fn partition_numbers(&self) -> BTreeSet<i32> {
        (0..self.partitions as i32).collect()
    }
}

/// An event for the handler of batches.
fn weighed(id: usize, weight_g: &str) -> String {
    let event = envelope(&id.to_string()).replace("parcel.moved", "parcel.weighed");
    event.replace(r#""parcel_id":"p""#, &format!(r#""weight_g":{weight_g:?}"#))
}

fn consumer(dice: &mut Dice) -> ConsumerConfig {
    let max_in_flight_records = dice.between(1, 60);
    let retry_backoff_ms = dice.between(1, 1000) as u64;
    let breaker_failures = dice.between(2, 6) as u32;
    ConsumerConfig {
        max_in_flight_records,
        max_in_flight_bytes: dice.between(1000, 20_000),
        concurrency: dice.between(1, 8).min(max_in_flight_records),
        rate_limit_per_second: dice.chance(20).then(|| dice.between(2, 40) as u32),
        max_poll_records: 1,
        order: match dice.below(10) {
            0 => Order::Partition,
            1 => Order::None,
            _ => Order::Key,
        },
        max_retries: dice.below(5) as u32,
        breaker_enabled: dice.chance(70),
        breaker_failures,
        breaker_keys: if dice.chance(50) { 1 } else { dice.between(1, breaker_failures as usize) as u32 },
        breaker_share: dice.below(100) as f64 / 100.0,
        retry_backoff_ms,
        retry_backoff_max_ms: retry_backoff_ms + dice.below(5000) as u64,
        retry_backoff_jitter: dice.below(100) as f64 / 100.0,
        processing_timeout_ms: dice.between(300, 5000) as u64,
        commit_every_records: dice.between(1, 20),
        commit_interval_ms: dice.between(1, 500) as u64,
        revoke_timeout_ms: dice.between(50, 5000) as u64,
        shutdown_timeout_ms: dice.between(50, 5000) as u64,
        ..ConsumerConfig::default()
    }
}
