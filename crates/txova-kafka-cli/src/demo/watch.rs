//! Looks at a running demo from outside, now and then: a picture for the view, and the highest lag for the verdict.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use txova_kafka::publisher::{Publisher, PublisherStats};
use txova_kafka::{AppHandle, Counts, Kafka};

use super::ledger::Service;
use super::services::{Running, World};
use super::targets::LAG_RECORDS;
use super::traffic::Traffic;

const LAG_EVERY: Duration = Duration::from_millis(500);
const LAG_TIMEOUT: Duration = Duration::from_secs(3);
/// The backlog of an outage counts as its doing until it is worked off, and no longer than this.
const RECOVERY: Duration = Duration::from_secs(10);

/// How things stand.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub elapsed: Duration,
    pub sent: u64,
    pub total: u64,
    /// Events acknowledged so far, those of handlers too.
    pub published: u64,
    pub p50_us: Option<u64>,
    pub p99_us: Option<u64>,
    pub is_down: bool,
    pub services: [ServicePicture; 3],
}

/// How a service stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServicePicture {
    pub service: Service,
    pub counts: Counts,
    pub in_hand: usize,
    pub lag: i64,
    pub partitions: usize,
}

/// What the group of each service is behind.
#[derive(Debug, Default)]
pub(crate) struct Lags {
    now: [AtomicI64; 3],
    /// The highest outside the outage and its recovery.
    pub highest: AtomicI64,
    pub highest_in_outage: AtomicI64,
    /// How long after the outage no group was behind by more than the target.
    pub recovered_after: OnceLock<Duration>,
}

/// All that is looked at.
pub(crate) struct Watch {
    pub world: Arc<World>,
    pub traffic: Arc<Traffic>,
    pub lags: Arc<Lags>,
    pub publishers: [Publisher; 2],
    handles: [AppHandle; 3],
    began: Instant,
}

impl Watch {
    pub(crate) fn new(
        world: Arc<World>,
        traffic: Arc<Traffic>,
        publishers: [Publisher; 2],
        running: &[Running; 3],
    ) -> Self {
        let handles = running.each_ref().map(|running| running.handle.clone());
        Self { world, traffic, lags: Arc::default(), publishers, handles, began: Instant::now() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) async fn services(&self) -> [ServicePicture; 3] {
        let mut pictures = Service::ALL.map(|service| ServicePicture {
            service,
            counts: Counts::default(),
            in_hand: 0,
            lag: self.lags.now[service as usize].load(Relaxed),
            partitions: 0,
        });
        for (picture, handle) in pictures.iter_mut().zip(&self.handles) {
            if let Some(status) = handle.status().await {
                picture.counts = status.engine.counts;
                picture.in_hand = status.engine.in_flight_records;
                picture.partitions = status.engine.partitions.len();
            }
        }
        pictures
    }

    pub(crate) fn stats(&self) -> [PublisherStats; 2] {
        self.publishers.each_ref().map(Publisher::stats)
    }

    pub(crate) async fn picture(&self) -> Picture {
        let stats = self.stats();
        let worst = |of: fn(&PublisherStats) -> Option<u64>| stats.iter().filter_map(of).max();
        Picture {
            elapsed: self.elapsed(),
            sent: self.traffic.sent.load(Relaxed),
            total: self.traffic.total.load(Relaxed),
            published: stats.iter().map(|stats| stats.published).sum::<u64>(),
            p50_us: worst(|stats| stats.latency_p50_us),
            p99_us: worst(|stats| stats.latency_p99_us),
            is_down: self.world.gateway.is_down(),
            services: self.services().await,
        }
    }
}

/// Reads the lag of every group until it is dropped.
pub(crate) async fn watch_lags(
    kafka: Kafka,
    groups: [(String, Vec<String>); 3],
    world: Arc<World>,
    lags: Arc<Lags>,
) {
    let mut down_at: Option<Instant> = None;
    loop {
        let mut worst = 0;
        for (index, (group, topics)) in groups.iter().enumerate() {
            if world.gateway.is_down() {
                down_at = Some(Instant::now());
            }
            let Some(lag) = lag(&kafka, group, topics).await else { continue };
            if world.gateway.is_down() {
                down_at = Some(Instant::now());
            }
            worst = worst.max(lag);
            lags.now[index].store(lag, Relaxed);
            let is_recovering = lags.recovered_after.get().is_none();
            let is_outage = is_recovering && down_at.is_some_and(|at| at.elapsed() < RECOVERY);
            let highest = if is_outage { &lags.highest_in_outage } else { &lags.highest };
            highest.fetch_max(lag, Relaxed);
        }
        if let Some(at) = down_at.filter(|_| worst < LAG_RECORDS && !world.gateway.is_down()) {
            let _ = lags.recovered_after.set(at.elapsed());
        }
        sleep(LAG_EVERY).await;
    }
}

/// Records between what the group has committed and the ends of its partitions, where it has committed anything; `None`
/// where the cluster does not say.
pub(crate) async fn lag(kafka: &Kafka, group: &str, topics: &[String]) -> Option<i64> {
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let lags = kafka.lag(group, &topics, LAG_TIMEOUT).await.ok()?;
    Some(lags.iter().filter(|lag| lag.committed.is_some()).map(|lag| lag.records).sum())
}
