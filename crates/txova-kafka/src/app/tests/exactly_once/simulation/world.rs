//! One world: its cluster, its group, and what happens to them step by step.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep, timeout};

use super::super::super::{DLQ, GROUP, TOPIC, builder, envelope};
use super::super::OUT;
use super::Told;
use super::account::Account;
use super::handler::{Facts, Nature, Post, Written, batch, one};
use crate::app::AppHandle;
use crate::batch::Batching;
use crate::config::{ConsumerConfig, Order};
use crate::engine::tests::simulation::dice::Dice;
use crate::record::{OutgoingRecord, TopicPartition};
use crate::testing::{Cluster, MemberId};

const STEPS: usize = 100;
/// More than any back-off, timeout and delay of a world together.
const CALM: Duration = Duration::from_secs(900);

pub(super) struct World {
    pub dice: Dice,
    pub cluster: Cluster,
    pub consumer: ConsumerConfig,
    pub partitions: usize,
    pub members: Vec<Member>,
    pub broker_is_away: bool,
    post: Post,
    keys: usize,
    /// Handlers take batches.
    in_batches: bool,
    /// Members have names that outlive them.
    with_names: bool,
    /// The longest offset map an app writes.
    metadata_bytes: usize,
    account: Arc<Mutex<Account>>,
    violation: Arc<Mutex<Option<String>>>,
}

pub(super) struct Member {
    pub id: Option<MemberId>,
    name: Option<String>,
    handle: AppHandle,
    run: JoinHandle<Result<crate::CloseReport, crate::RunError>>,
    closing: bool,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let partitions = dice.between(1, 4);
        let seconds = |seconds| Duration::from_secs(seconds as u64);
        let mut cluster = Cluster::new()
            .with_topic(TOPIC, partitions as i32)
            .with_topic(DLQ, dice.between(1, 2) as i32)
            .with_topic(OUT, dice.between(1, 3) as i32)
            .with_seed(seed)
            .with_fetch_limits(dice.between(1, 20), dice.between(1, 8))
            .with_timeouts(seconds(2), seconds(dice.between(3, 60)));
        if dice.chance(20) {
            cluster = cluster.with_eager_rebalances();
        }
        let consumer = consumer(&mut dice);
        let facts = Facts {
            written: BTreeMap::new(),
            runs: Vec::new(),
            events: BTreeMap::new(),
            calm: false,
            processing_timeout: Duration::from_millis(consumer.processing_timeout_ms),
        };
        let post = Post { facts: Arc::new(Mutex::new(facts)), seed };
        Self {
            cluster,
            consumer,
            partitions,
            members: Vec::new(),
            broker_is_away: false,
            post,
            keys: dice.between(1, 12),
            in_batches: dice.chance(25),
            with_names: dice.chance(40),
            metadata_bytes: if dice.chance(60) { 4096 } else { dice.between(16, 60) },
            account: Arc::default(),
            violation: Arc::default(),
            dice,
        }
    }

    /// Chaos, then calm, then the account.
    pub(super) async fn run(mut self) -> Result<Told, String> {
        if self.metadata_bytes < 4096 {
            self.saw("short map");
        }
        let began = Instant::now();
        let (cluster, account, violation) =
            (self.cluster.clone(), self.account.clone(), self.violation.clone());
        let scribe = tokio::spawn(async move {
            let look = |cluster: &Cluster| {
                if let Err(why) = account.lock().unwrap().look(cluster, began.elapsed()) {
                    violation.lock().unwrap().get_or_insert(why);
                }
                false
            };
            cluster.wait_until(look).await;
        });
        for step in 0..STEPS {
            self.step().await;
            self.violation().map_err(|why| format!("step {step}: {why}"))?;
        }
        let calm = self.calm().await;
        self.violation().and(calm).map_err(|why| format!("in the calm: {why}"))?;
        scribe.abort();
        let mut account = self.account.lock().unwrap();
        let mut facts = self.post.facts();
        account.look(&self.cluster, began.elapsed())?;
        account.settle(&mut facts, self.consumer.order)?;
        let commits = self.cluster.commits();
        let whole = commits.iter().filter(|commit| commit.metadata.is_empty()).count();
        if whole < commits.len() {
            facts.saw("commit of a part");
        }
        let mut story = std::mem::take(&mut account.story);
        let told = |commit: &crate::testing::CommitRecord| {
            format!("{:?} {} {} {}", commit.at - began, commit.member, commit.partition, commit.offset)
        };
        story.extend(commits.iter().map(told));
        Ok(Told { events: facts.events.clone(), story })
    }

    pub(super) fn saw(&self, event: &'static str) {
        self.post.facts().saw(event);
    }

    fn violation(&self) -> Result<(), String> {
        self.violation.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    async fn step(&mut self) {
        match self.dice.below(100) {
            0..30 => self.produce(),
            30..37 if self.living().len() < 4 => self.join().await,
            37..40 => self.close(),
            40..45 => self.crash(),
            45..58 => self.rebalance(),
            58..76 => self.trouble_commits(),
            76..84 => self.trouble_topics(),
            84..88 => self.trouble_fetches(),
            88..91 => self.trouble_broker(),
            91..94 => self.jump().await,
            _ => {}
        }
        let wait_ms = match self.dice.below(20) {
            0..5 => 0,
            5..15 => self.dice.below(40),
            15..19 => self.dice.below(800),
            _ => self.dice.below(8000),
        };
        sleep(Duration::from_millis(wait_ms as u64)).await;
        self.members.retain(|member| !member.run.is_finished());
    }

    pub(super) fn living(&self) -> Vec<usize> {
        (0..self.members.len()).filter(|m| !self.members[*m].closing).collect()
    }

    pub(super) fn pick_living(&mut self) -> Option<usize> {
        let living = self.living();
        self.dice.pick(&living)
    }

    fn produce(&mut self) {
        for _ in 0..self.dice.between(1, 8) {
            let nature = match self.dice.below(100) {
                0..5 => Nature::Poison,
                5..10 => Nature::Skipped,
                10..13 => Nature::Garbage,
                13..15 => Nature::Tombstone,
                _ => Nature::Sound,
            };
            let outputs = self.dice.between(1, 3);
            let skewed = self.dice.below(self.keys).min(self.dice.below(self.keys));
            let mut facts = self.post.facts(); // before anybody can handle it
            let value = match nature {
                Nature::Tombstone => None,
                Nature::Garbage => Some("{\"no\": event".into()),
                _ => Some(envelope(&facts.written.len().to_string()).into()),
            };
            let key = Some(format!("key {skewed}").into());
            let sent = OutgoingRecord { topic: TOPIC.into(), key, value, ..OutgoingRecord::default() };
            let place = self.cluster.produce(sent).expect("the topic is there");
            facts.written.insert((place.partition, place.offset), Written { nature, outputs });
        }
    }

    async fn join(&mut self) {
        self.saw("joined");
        let name = self.with_names.then(|| {
            let taken = |name: &String| self.members.iter().any(|member| member.name.as_ref() == Some(name));
            (0..)
                .map(|slot| format!("slot-{slot}"))
                .find(|name| !taken(name))
                .expect("there is always another")
        });
        if name.is_some() {
            self.saw("joined under the id of one that died"); // or of one that never was
        }
        let consumer = ConsumerConfig {
            group: Some(GROUP.to_owned()),
            group_instance_id: name.clone(),
            ..self.consumer.clone()
        };
        let limits = Batching { max_size: 5, max_wait_ms: 20, max_bytes: 1 << 20 };
        let app = builder(&self.cluster).exactly_once("depot");
        let app = match self.in_batches {
            true => app.on("*", batch).topics([TOPIC]).batch(limits),
            false => app.on("*", one).topics([TOPIC]),
        };
        let app = app.state(self.post.clone()).consumer(move |settings| *settings = consumer).build();
        let mut app = app.expect("the settings are sound");
        app.settings.engine.retry.seed = self.post.seed; // else the process's number
        app.settings.engine.max_metadata_bytes = self.metadata_bytes;
        let handle = app.handle();
        let ids = |cluster: &Cluster| cluster.members(GROUP).into_iter().map(|member| member.id);
        let known: Vec<_> = ids(&self.cluster).collect(); // also one that has crashed and is not gone yet
        let run = tokio::spawn(app.run());
        let id = loop {
            if let Some(id) = ids(&self.cluster).find(|id| !known.contains(id)) {
                break Some(id);
            }
            if run.is_finished() {
                break None;
            }
            tokio::task::yield_now().await;
        };
        self.members.push(Member { id, name, handle, run, closing: false });
    }

    fn close(&mut self) {
        let Some(m) = self.pick_living() else { return };
        self.saw("close");
        self.members[m].closing = true;
        let deadline = Duration::from_millis(self.dice.below(6000) as u64);
        self.members[m].handle.begin_close(deadline);
    }

    /// A member is gone without a word.
    fn crash(&mut self) {
        let Some(m) = self.pick_living() else { return };
        self.saw("crash");
        self.members.remove(m).run.abort();
    }

    /// The clock jumps, as after a process was stopped.
    async fn jump(&mut self) {
        self.saw("clock jumps");
        advance(Duration::from_millis(self.dice.between(1000, 30_000) as u64)).await;
    }

    async fn calm(&mut self) -> Result<(), String> {
        self.post.facts().calm = true;
        self.mend();
        self.produce();
        if self.living().is_empty() {
            self.join().await;
        }
        let partitions: Vec<_> = (0..self.partitions as i32).map(|p| TopicPartition::new(TOPIC, p)).collect();
        let done = |cluster: &Cluster| {
            partitions.iter().all(|partition| {
                let (low, end) = cluster.ends(partition).expect("the topic is there");
                let committed = cluster.committed_by(GROUP, partition);
                low == end || committed.is_some_and(|(offset, metadata)| offset >= end && metadata.is_empty())
            })
        };
        let cluster = self.cluster.clone();
        if timeout(CALM, cluster.wait_until(done)).await.is_err() {
            return Err(self.stuck().await);
        }
        for member in self.members.iter_mut().filter(|member| !member.closing) {
            member.handle.begin_close(Duration::from_secs(10));
        }
        sleep(Duration::from_secs(60)).await;
        match self.members.iter().all(|member| member.run.is_finished()) {
            true => Ok(()),
            false => Err("close is bounded: a member has not ended".to_owned()),
        }
    }

    /// What is known of what does not come to its end.
    async fn stuck(&self) -> String {
        let mut text = "the group never comes to its end".to_owned();
        for p in 0..self.partitions as i32 {
            let partition = TopicPartition::new(TOPIC, p);
            let (ends, committed) =
                (self.cluster.ends(&partition), self.cluster.committed_by(GROUP, &partition));
            text.push_str(&format!("\n{partition} ends {ends:?} committed {committed:?}"));
        }
        for member in self.cluster.members(GROUP) {
            text.push_str(&format!("\n{member:?}"));
        }
        for m in self.living() {
            let status = self.members[m].handle.status().await;
            text.push_str(&format!("\nmember {m}: {status:?}"));
        }
        text
    }
}

fn consumer(dice: &mut Dice) -> ConsumerConfig {
    let max_in_flight_records = dice.between(1, 60);
    let retry_backoff_ms = dice.between(1, 1000) as u64;
    ConsumerConfig {
        max_in_flight_records,
        max_in_flight_bytes: dice.between(1000, 20_000),
        concurrency: dice.between(1, 8).min(max_in_flight_records),
        max_poll_records: 1,
        order: match dice.below(10) {
            0 => Order::Partition,
            1 => Order::None,
            _ => Order::Key,
        },
        max_retries: dice.below(5) as u32,
        retry_backoff_ms,
        retry_backoff_max_ms: retry_backoff_ms + dice.below(5000) as u64,
        processing_timeout_ms: dice.between(300, 5000) as u64,
        commit_every_records: dice.between(1, 20),
        commit_interval_ms: dice.between(1, 500) as u64,
        transaction_timeout_ms: dice.between(1000, 10_000) as u64,
        revoke_timeout_ms: dice.between(50, 5000) as u64,
        shutdown_timeout_ms: dice.between(50, 5000) as u64,
        ..ConsumerConfig::default()
    }
}
