//! One phase: a cluster, its load and its faults, from the start of the nodes to the account.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};
use txova_kafka::config::KafkaConfig;
use txova_kafka::{Kafka, NewTopic};

use super::broker_faults::{BrokerFaults, strike_brokers};
use super::group::{Counts, Group};
use crate::brokers::{Brokers, Place};
use crate::check::{Rule, Sample, World};
use crate::clock::At;
use crate::dice::Dice;
use crate::event::{DLQ, FORWARDED, Promise, TOPIC};
use crate::exactly_once;
use crate::failure::{Context, Result};
use crate::oracle::Oracle;
use crate::process::Setup;
use crate::produce::{Load, Produced, produce};
use crate::report::Report;

pub(crate) const PARTITIONS: i32 = 12;
const KEYS: u32 = 2_000;
/// The shortest that a broker allows.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// How long the lag may stay what it is when the faults are over. As long as it shrinks there is work for the hottest key,
/// whose records are handled one after the other.
const DRAIN_WITHIN: Duration = Duration::from_secs(120);
/// How long a fresh member is watched after it has all partitions.
const QUIET: Duration = Duration::from_secs(2);

pub(super) struct Phase {
    pub(super) nodes: u8,
    pub(super) records: u32,
    pub(super) seconds: u64,
    pub(super) brokers_too: bool,
    /// Long enough for every kind of fault.
    pub(super) is_long: bool,
    pub(super) promise: Promise,
    pub(super) seed: u64,
    pub(super) folder: PathBuf,
}

impl Phase {
    pub(super) async fn run(&self, place: &Place) -> Result<Report> {
        let began = Instant::now();
        fs::create_dir_all(&self.folder).context(|| format!("cannot make {}", self.folder.display()))?;
        let brokers = place.start(self.nodes).await?;
        let setup = Setup {
            brokers: brokers.bootstrap.clone(),
            folder: self.folder.clone(),
            session_timeout: SESSION_TIMEOUT,
            promise: self.promise,
            brokers_are_struck: self.brokers_too,
        };
        let kafka = client(&brokers.bootstrap)?;
        create_topics(&kafka, PARTITIONS, brokers.nodes).await?;
        let sampler = Sampler::start(&brokers.bootstrap)?;
        let window = Duration::from_secs(self.seconds);
        let load = Load { records: self.records, keys: KEYS, spread: window, seed: self.seed };
        println!(
            "{} records over {PARTITIONS} partitions and {KEYS} keys, {} s of faults …",
            self.records, self.seconds
        );
        let producing = tokio::spawn(async move { produce(&kafka, load).await });

        let mut group = Group::start(setup.clone(), Dice::for_part(self.seed, 2), 3)?;
        let ((), broker_faults) =
            tokio::try_join!(group.strike(window), self.strike_brokers(&brokers, window))?;
        let produced = producing.await.context(|| "the producer ended".to_owned())??;
        group.recover(3).await?;
        let mut rules = vec![self.drained(&brokers, &mut group).await?];
        rules.extend(group.close().await?);
        rules.push(fresh_member(&setup, &mut group).await?);
        rules.push(self.struck(&group.counts, &broker_faults));
        let samples = sampler.end();
        self.account(&brokers, group, produced, samples, broker_faults, rules, began)
    }

    async fn strike_brokers(&self, brokers: &Brokers, window: Duration) -> Result<BrokerFaults> {
        if self.brokers_too {
            strike_brokers(brokers, Dice::for_part(self.seed, 3), window).await
        } else {
            Ok(BrokerFaults::default())
        }
    }

    /// What did not happen proves nothing.
    fn struck(&self, counts: &Counts, brokers: &BrokerFaults) -> Rule {
        let mut rule = Rule::new("every kind of fault struck");
        let always = [("stopped past the session", counts.long_stops)];
        let in_time = [
            ("members killed", counts.kills),
            ("stopped shortly", counts.short_stops),
            ("joined", counts.joins),
            ("asked to leave", counts.leaves),
        ];
        let of_brokers = [("brokers killed", brokers.kills), ("brokers stopped", brokers.stops)];
        let in_time = in_time.into_iter().filter(|_| self.is_long);
        let of_brokers = of_brokers.into_iter().filter(|_| self.is_long && self.brokers_too);
        for (what, count) in always.into_iter().chain(in_time).chain(of_brokers) {
            rule.look(count > 0, || format!("{what}: none in {} s", self.seconds));
        }
        rule
    }

    async fn drained(&self, brokers: &Brokers, group: &mut Group) -> Result<Rule> {
        let mut rule = Rule::new("the group's lag is 0 at the end");
        let oracle = Oracle::new(&brokers.bootstrap, PARTITIONS)?;
        let (mut least, mut since) = (i64::MAX, Instant::now());
        let lag = loop {
            let lag = block_in_place(|| oracle.lag(TOPIC)).unwrap_or(i64::MAX);
            if lag < least {
                (least, since) = (lag, Instant::now());
            }
            if lag == 0 || since.elapsed() > DRAIN_WITHIN {
                break lag;
            }
            group.look_after()?;
            sleep(Duration::from_millis(200)).await;
        };
        rule.look(lag == 0, || {
            format!("it is {lag}, and has not shrunk for {DRAIN_WITHIN:?}; {}", group.said())
        });
        Ok(rule)
    }

    #[expect(clippy::too_many_arguments, reason = "all that was seen, brought together once")]
    fn account(
        &self,
        brokers: &Brokers,
        group: Group,
        produced: Vec<Produced>,
        samples: Vec<Sample>,
        broker_faults: BrokerFaults,
        mut rules: Vec<Rule>,
        began: Instant,
    ) -> Result<Report> {
        let (logged, letters) = block_in_place(|| {
            let oracle = Oracle::new(&brokers.bootstrap, PARTITIONS)?;
            Ok::<_, crate::failure::Failure>((oracle.read(TOPIC)?, oracle.read(DLQ)?))
        })?;
        let counts = group.counts;
        let stories = group.stories(SESSION_TIMEOUT.as_secs_f64())?;
        let away = broker_faults.away.clone();
        let world = World::new(logged, produced, &letters, stories, samples, away)?;
        let (checked, duplicates) = world.check();
        rules.extend(checked);
        if self.promise == Promise::ExactlyOnce {
            let found = block_in_place(|| exactly_once::check(&brokers.bootstrap, PARTITIONS, &world))?;
            rules.extend(found);
        }
        Ok(Report::new(
            self.seed,
            self.nodes,
            &world,
            counts,
            &broker_faults,
            duplicates,
            rules,
            began.elapsed(),
        ))
    }
}

pub(crate) fn client(brokers: &str) -> Result<Kafka> {
    Kafka::new(KafkaConfig::for_brokers(brokers)).context(|| "no client".to_owned())
}

pub(crate) async fn create_topics(kafka: &Kafka, partitions: i32, nodes: u8) -> Result<()> {
    let topic = |name: &str| NewTopic {
        name: name.to_owned(),
        partitions,
        replication: i32::from(nodes),
        settings: vec![],
    };
    let topics = vec![topic(TOPIC), topic(DLQ), topic(FORWARDED)];
    let made = kafka.create_topics(topics, Duration::from_secs(30)).await;
    made.context(|| "the topics cannot be made".to_owned())
}

/// Where everything is settled, somebody new has nothing to do.
async fn fresh_member(setup: &Setup, group: &mut Group) -> Result<Rule> {
    let mut rule = Rule::new("a fresh member finds nothing to do");
    let name = "fresh";
    let mut member = setup.start(name, &[])?;
    let assigned = member.said.wait_for(|said| said.partitions == PARTITIONS as usize);
    let has_all = timeout(Duration::from_secs(30), assigned).await.is_ok_and(|said| said.is_ok());
    sleep(QUIET).await;
    let said = member.says();
    rule.look(has_all && said.received == 0, || format!("it said {said:?}"));
    member.ask_to_leave()?;
    member.ended(Duration::from_secs(30)).await?;
    group.remember(&member);
    Ok(rule)
}

/// Asks for the group's commits all the time.
struct Sampler {
    ended: Arc<AtomicBool>,
    thread: thread::JoinHandle<Vec<Sample>>,
}

impl Sampler {
    fn start(brokers: &str) -> Result<Self> {
        let oracle = Oracle::new(brokers, PARTITIONS)?;
        let ended = Arc::new(AtomicBool::new(false));
        let end = ended.clone();
        let thread = thread::spawn(move || {
            let mut samples = Vec::new();
            while !end.load(Ordering::Relaxed) {
                // While brokers are away there is no answer, and nothing is committed either.
                if let Ok(committed) = oracle.committed(TOPIC, Duration::from_secs(2)) {
                    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                    samples.push(Sample { at: At::now(), wall_ms: wall.as_millis() as i64, committed });
                }
                thread::sleep(SAMPLE_EVERY);
            }
            samples
        });
        Ok(Self { ended, thread })
    }

    fn end(self) -> Vec<Sample> {
        self.ended.store(true, Ordering::Relaxed);
        block_in_place(|| self.thread.join().unwrap_or_default())
    }
}
