//! Everything a run needs, put up, played through and taken down: cluster, publishers, services, and who watches them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use txova_events::topics;
use txova_kafka::shutdown_signal;

use crate::connection::ConnectionArgs;

use super::DemoError;
use super::cluster::Cluster;
use super::ledger::{Ledger, Service};
use super::life::Lives;
use super::repair;
use super::services::{self, Joining, Running, World};
use super::settle;
use super::sum::Sums;
use super::traffic::{self, Traffic};
use super::trips::{Trips, UnreadableLine};
use super::view::Screen;
use super::watch::{self, Watch};

const JOIN: Duration = Duration::from_secs(45);
const WARM_UP: Duration = Duration::from_secs(10);
const LAST_COMMITS: Duration = Duration::from_secs(5);
/// How long apps and publishers may take to close, all at once.
const CLOSE: Duration = Duration::from_secs(2);

pub(crate) struct Stage {
    pub cluster: Cluster,
    pub watch: Arc<Watch>,
    pub source: String,
    pub unreadable: Vec<UnreadableLine>,
    pub read_lines: u64,
    pub groups: [String; 3],
    joining: Joining,
    topics: [Vec<String>; 3],
    running: Vec<Running>,
    failures: mpsc::UnboundedReceiver<String>,
    lags: JoinHandle<()>,
    interrupted: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Stage {
    /// Reaches the cluster, makes the topics and starts the services.
    pub(crate) async fn set(
        trips: Trips,
        connection: &ConnectionArgs,
        screen: &mut Screen,
    ) -> Result<Self, DemoError> {
        let mut interrupted: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(shutdown_signal());
        let cluster = tokio::select! {
            cluster = Cluster::open(connection, screen) => cluster?,
            () = &mut interrupted => return Err(DemoError::Interrupted),
        };
        let read_lines = trips.read_lines() as u64;
        let Trips { source, trips, unreadable } = trips;
        screen.say(&format!("{} lines of {source}, on {}", read_lines, cluster.name));
        let lives = Lives { run: cluster.run, trips };
        let world = Arc::new(World {
            ledger: Ledger::new(&lives),
            lives,
            gateway: services::Gateway::default(),
            chains: services::Chains::default(),
        });
        let publisher = |service: Service| {
            cluster.kafka.publisher(service.name()).map_err(|error| DemoError::Cluster(error.to_string()))
        };
        let publishers = [publisher(Service::Ride)?, publisher(Service::Payment)?];
        let joining = cluster.joining();
        let (failed, failures) = mpsc::unbounded_channel();
        let start = |service| {
            services::app(service, &cluster.kafka, &world, &publishers[1], &joining)
                .map(|app| Running::start(app, failed.clone()))
                .map_err(|error| DemoError::Cluster(error.to_string()))
        };
        let [ride, payment, notification] = Service::ALL;
        let running = [start(ride)?, start(payment)?, start(notification)?];
        let groups = running.each_ref().map(|it| it.group.clone());
        let topics = running.each_ref().map(|it| it.topics.clone());
        let watch = Arc::new(Watch::new(world.clone(), Arc::new(Traffic::default()), publishers, &running));
        let lags = tokio::spawn(watch::watch_lags(
            cluster.kafka.clone(),
            [0, 1, 2].map(|at: usize| (groups[at].clone(), topics[at].clone())),
            world,
            watch.lags.clone(),
        ));
        let running = Vec::from(running);
        Ok(Self {
            cluster,
            watch,
            source,
            unreadable,
            read_lines,
            groups,
            joining,
            topics,
            running,
            failures,
            lags,
            interrupted,
        })
    }

    /// Joining, traffic, settling, repair: until all has found its end.
    pub(crate) async fn play(
        &mut self,
        events_per_second: u32,
        screen: &mut Screen,
    ) -> Result<Sums, DemoError> {
        let watch = self.watch.clone();
        let [ride, payment] = watch.publishers.clone();
        let joined = joined(watch.clone(), self.topics.clone(), self.cluster.kafka.clone());
        self.until("joining", screen, joined).await??;
        for publisher in [&ride, &payment] {
            let warm = publisher.warm_up([topics::RIDES, topics::PAYMENTS, topics::LOCATIONS], WARM_UP);
            self.until("joining", screen, warm)
                .await?
                .map_err(|error| DemoError::Cluster(error.to_string()))?;
        }
        let began = Instant::now();
        let send = traffic::send(watch.world.clone(), watch.traffic.clone(), ride, events_per_second);
        self.until("running", screen, send).await??;
        let poison = watch.traffic.poison.load(Relaxed);
        self.until("settling", screen, settle::settle(&watch, poison)).await?;
        let busy = began.elapsed();
        let (kafka, joining) = (self.cluster.kafka.clone(), self.joining.clone());
        let repair = repair::repair(&kafka, &watch.world, &payment, &joining);
        let repaired = self.until("replaying", screen, repair).await??;
        self.until("settling", screen, settle::settle(&watch, poison)).await?;
        let last = lag_at_end(self.cluster.kafka.clone(), self.groups.clone(), self.topics.clone());
        let lag_at_end = self.until("settling", screen, last).await?;
        let (run, groups, topics) = (self.cluster.run, self.groups.clone(), self.topics.clone());
        let letters =
            self.until("counting", screen, repair::letters(&kafka, run, &groups, &topics)).await??;
        let services = watch.services().await;
        Ok(Sums { services, repaired, letters, lag_at_end, busy, elapsed: watch.elapsed() })
    }

    /// Does `work` and shows how it goes, until it is done, a service ends by itself, or somebody has had enough.
    async fn until<T>(
        &mut self,
        phase: &str,
        screen: &mut Screen,
        work: impl Future<Output = T>,
    ) -> Result<T, DemoError> {
        tokio::pin!(work);
        let mut tick = interval(screen.every());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.reset();
        loop {
            tokio::select! {
                biased;
                () = &mut self.interrupted => return Err(DemoError::Interrupted),
                Some(reason) = self.failures.recv() => return Err(DemoError::Stopped(reason)),
                done = &mut work => return Ok(done),
                _ = tick.tick() => screen.draw(phase, &self.watch.picture().await),
            }
        }
    }

    /// Closes everything that runs, all at once.
    pub(crate) async fn close(&mut self) {
        self.lags.abort();
        let closing: Vec<_> =
            self.running.drain(..).map(|running| tokio::spawn(running.close(CLOSE))).collect();
        for publisher in &self.watch.publishers {
            publisher.close(CLOSE).await;
        }
        let all = async {
            for each in closing {
                let _ = each.await; // a service that cannot be closed is left to the end of the process
            }
        };
        let _ = tokio::time::timeout(CLOSE + Duration::from_secs(1), all).await;
    }
}

/// Waits until each service has every partition of its topics.
async fn joined(
    watch: Arc<Watch>,
    topics: [Vec<String>; 3],
    kafka: txova_kafka::Kafka,
) -> Result<(), DemoError> {
    let began = Instant::now();
    let mut partitions = [0; 3];
    for (count, topics) in partitions.iter_mut().zip(&topics) {
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        let found =
            kafka.topics(&topics, JOIN).await.map_err(|error| DemoError::Cluster(error.to_string()))?;
        *count = found.iter().map(|(_, partitions)| *partitions as usize).sum();
    }
    while began.elapsed() < JOIN {
        let services = watch.services().await;
        if services.iter().zip(partitions).all(|(service, all)| service.partitions >= all) {
            return Ok(());
        }
        sleep(Duration::from_millis(20)).await;
    }
    let late = watch.services().await;
    let late = late.iter().zip(partitions).filter(|(service, all)| service.partitions < *all);
    let late: Vec<String> = late
        .map(|(it, all)| format!("{} has {} of {all} partitions", it.service.name(), it.partitions))
        .collect();
    Err(DemoError::Cluster(format!(
        "the groups are not complete after {} s: {}",
        JOIN.as_secs(),
        late.join(", ")
    )))
}

/// What the groups are behind once their last commits are there.
async fn lag_at_end(kafka: txova_kafka::Kafka, groups: [String; 3], topics: [Vec<String>; 3]) -> i64 {
    let began = Instant::now();
    loop {
        let mut lag = 0;
        for (group, topics) in groups.iter().zip(&topics) {
            lag += watch::lag(&kafka, group, topics).await.unwrap_or_default();
        }
        if lag == 0 || began.elapsed() > LAST_COMMITS {
            return lag;
        }
        sleep(Duration::from_millis(100)).await;
    }
}
