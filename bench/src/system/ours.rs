//! The library, used as a service uses it, with its default settings except where the workload names one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;
use txova_events::{RideCompleted, RideRequested, RideStarted};
use txova_kafka::config::{Compression, KafkaConfig, Order, PublisherConfig};
use txova_kafka::publisher::Publisher;
use txova_kafka::{AppBuilder, AppHandle, Event, Headers, Kafka, State};

use super::{Task, measured, ms, pace};
use crate::data::{self, PUBLISH_TOPIC, WORK_HEADER, Work};
use crate::failure::{Context, Failure, Result};
use crate::measured::{Measured, percentiles};
use crate::plan::System;

const CLOSE_WITHIN: Duration = Duration::from_secs(60);
/// Events of one `publish_batch`.
const BATCH: usize = 1_000;

pub(super) fn kafka(task: &Task) -> Result<Kafka> {
    Kafka::new(KafkaConfig::for_brokers(&task.brokers)).context(|| "no client".to_owned())
}

pub(super) fn publisher(task: &Task) -> Result<Publisher> {
    let kafka = kafka(task)?.with(|config| {
        let publisher: &mut PublisherConfig = &mut config.publisher;
        publisher.linger_ms = task.linger_ms().into();
        publisher.compression =
            if task.compression() == "snappy" { Compression::Snappy } else { Compression::None };
    });
    let kafka = kafka.context(|| "settings".to_owned())?;
    kafka.publisher("ride-service").context(|| "no publisher".to_owned())
}

fn settings(task: &Task, how: &str) -> String {
    format!("{how}, defaults, linger {} ms, {}", task.linger_ms(), task.compression())
}

pub(super) async fn publish(task: &Task) -> Result<Measured> {
    let publisher = publisher(task)?;
    let began = Instant::now();
    let (handles, mut answers) = mpsc::unbounded_channel();
    let awaiting = tokio::spawn(async move {
        let mut acknowledged = 0u32;
        while let Some(handle) = answers.recv().await {
            let handle: txova_kafka::publisher::PublishHandle = handle;
            handle.await.context(|| "not acknowledged".to_owned())?;
            acknowledged += 1;
        }
        Ok::<_, Failure>(acknowledged)
    });
    for n in 0..task.records() as usize {
        let handle = publisher.enqueue(&data::event(n)).await;
        let _ = handles.send(handle.context(|| format!("event {n}"))?);
    }
    drop(handles);
    let acknowledged = awaiting.await.context(|| "awaiting".to_owned())??;
    let took = began.elapsed();
    publisher.close(CLOSE_WITHIN).await;
    Ok(measured(settings(task, "enqueue"), acknowledged, took))
}

pub(super) async fn publish_batch(task: &Task) -> Result<Measured> {
    let publisher = publisher(task)?;
    let began = Instant::now();
    let mut under_way = std::collections::VecDeque::new();
    let records = task.records() as usize;
    for first in (0..records).step_by(BATCH) {
        let batch: Vec<_> = (first..(first + BATCH).min(records)).map(data::event).collect();
        let publisher = publisher.clone();
        under_way.push_back(tokio::spawn(async move { publisher.publish_batch(&batch).await }));
        if under_way.len() > 8
            && let Some(oldest) = under_way.pop_front()
        {
            check(oldest.await)?;
        }
    }
    for rest in join_all(under_way).await {
        check(rest)?;
    }
    let took = began.elapsed();
    publisher.close(CLOSE_WITHIN).await;
    Ok(measured(settings(task, "publish_batch of 1,000, eight under way"), task.records(), took))
}

type Answers =
    Vec<std::result::Result<txova_kafka::publisher::Published, txova_kafka::publisher::PublishError>>;

fn check(answers: std::result::Result<Answers, tokio::task::JoinError>) -> Result<()> {
    let answers = answers.context(|| "a batch".to_owned())?;
    answers.into_iter().try_for_each(|answer| answer.map(drop).context(|| "not acknowledged".to_owned()))
}

pub(super) async fn latency(task: &Task) -> Result<Measured> {
    let publisher = publisher(task)?;
    publisher.publish(&data::event(0)).await.context(|| "the first event".to_owned())?; // connects
    let began = Instant::now();
    let (done, mut latencies) = mpsc::unbounded_channel();
    pace(task.records(), async |n, due| {
        let handle = publisher.enqueue(&data::event(n)).await.context(|| format!("event {n}"))?;
        let done = done.clone();
        tokio::spawn(async move {
            let answer = handle.await.map(|_| ms(due.elapsed()));
            let _ = done.send(answer);
        });
        Ok(())
    })
    .await?;
    drop(done);
    let mut all = Vec::with_capacity(task.records() as usize);
    while let Some(latency) = latencies.recv().await {
        all.push(latency.context(|| "not acknowledged".to_owned())?);
    }
    let measured = measured(settings(task, "enqueue"), task.records(), began.elapsed());
    publisher.close(CLOSE_WITHIN).await;
    Ok(Measured { latency_ms: percentiles(all), ..measured })
}

pub(super) async fn lone(task: &Task) -> Result<Measured> {
    let publisher = publisher(task)?;
    // As a service's start does.
    publisher.warm_up([PUBLISH_TOPIC], CLOSE_WITHIN).await.context(|| "warming up".to_owned())?;
    let first = Instant::now();
    publisher.publish(&data::event(0)).await.context(|| "the first event".to_owned())?;
    let first_ms = Some(ms(first.elapsed()));
    let (began, mut latencies) = (Instant::now(), Vec::new());
    for n in 0..task.records() as usize {
        let called = Instant::now();
        publisher.publish(&data::event(n)).await.context(|| format!("event {n}"))?;
        latencies.push(ms(called.elapsed()));
    }
    let measured = measured(settings(task, "publish"), task.records(), began.elapsed());
    publisher.close(CLOSE_WITHIN).await;
    Ok(Measured { latency_ms: percentiles(latencies), first_ms, ..measured })
}

/// How far a run is.
#[derive(Clone)]
pub(super) struct Progress(Arc<Inner>);

struct Inner {
    began: Instant,
    wanted: u64,
    seen: AtomicU64,
    first_us: AtomicU64,
    all: Notify,
}

impl Progress {
    pub(super) fn new(began: Instant, wanted: u64) -> Self {
        let (seen, first_us, all) = (AtomicU64::new(0), AtomicU64::new(0), Notify::new());
        Self(Arc::new(Inner { began, wanted, seen, first_us, all }))
    }

    pub(super) fn handled(&self) {
        let seen = self.0.seen.fetch_add(1, Ordering::Relaxed) + 1;
        if seen == 1 {
            self.0.first_us.store(self.0.began.elapsed().as_micros() as u64, Ordering::Relaxed);
        }
        if seen == self.0.wanted {
            self.0.all.notify_one();
        }
    }

    pub(super) fn seen(&self) -> u64 {
        self.0.seen.load(Ordering::Relaxed)
    }

    pub(super) async fn all(&self) {
        self.0.all.notified().await;
    }
}

async fn requested(Event(_): Event<RideRequested>, State(progress): State<Progress>) {
    progress.handled();
}

async fn started(Event(_): Event<RideStarted>, State(progress): State<Progress>) {
    progress.handled();
}

async fn completed(Event(_): Event<RideCompleted>, State(progress): State<Progress>) {
    progress.handled();
}

async fn waiting(Event(_): Event<RideCompleted>, headers: Headers, State(progress): State<Progress>) {
    let us = headers.text(WORK_HEADER).and_then(|work| work.parse().ok()).unwrap_or(0);
    sleep(Duration::from_micros(us)).await;
    progress.handled();
}

pub(super) fn app(task: &Task, progress: &Progress) -> Result<AppBuilder> {
    let topic = || [task.topic.clone()];
    let app = kafka(task)?.app("bench").state(progress.clone());
    let app = app.consumer(|consumer| {
        consumer.group = Some(task.group.clone());
        consumer.concurrency = task.concurrency();
    });
    Ok(match task.workload.shape.work {
        Work::None => {
            let app = app.handle(requested).topics(topic()).handle(started).topics(topic());
            app.handle(completed).topics(topic())
        }
        _ => app.handle(waiting).topics(topic()),
    })
}

/// Retry, time limit and dead letters are set up, as they are by default.
pub(super) async fn consume(task: &Task, system: System) -> Result<Measured> {
    let order = match system {
        System::Partition => Order::Partition,
        System::Unordered => Order::None,
        _ => Order::Key,
    };
    let poison = task.workload.shape.poison_every;
    let letters = task.records().checked_div(poison).unwrap_or(0);
    let began = Instant::now();
    let progress = Progress::new(began, u64::from(task.records() - letters));
    let app = app(task, &progress)?.consumer(|consumer| consumer.order = order);
    let app = app.build().context(|| "no app".to_owned())?;
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    let peak = watch_in_flight(handle.clone());
    progress.all().await;
    let dead_lettered = wait_for_letters(&handle, letters.into()).await;
    handle.begin_close(CLOSE_WITHIN); // its last commit belongs to the work
    let report = run.await.context(|| "the run".to_owned())?.context(|| "the run".to_owned())?;
    if let Some(error) = report.commit_error {
        return Err(Failure::new(format!("the last commit failed: {error}")));
    }
    let first = Duration::from_micros(progress.0.first_us.load(Ordering::Relaxed));
    let told = format!("defaults, order {order:?}, concurrency {}", task.concurrency());
    Ok(Measured {
        first_ms: Some(ms(first)),
        peak_in_flight: Some(peak.load(Ordering::Relaxed)),
        dead_letters: (letters > 0).then_some(dead_lettered),
        ..measured(told, task.records(), began.elapsed() - first)
    })
}

async fn wait_for_letters(handle: &AppHandle, wanted: u64) -> u64 {
    loop {
        let counts = handle.status().await.map(|status| status.engine.counts);
        match counts {
            Some(counts) if counts.dead_lettered >= wanted => return counts.dead_lettered,
            None => return 0,
            _ => sleep(Duration::from_millis(5)).await,
        }
    }
}

fn watch_in_flight(handle: AppHandle) -> Arc<AtomicU64> {
    let peak = Arc::new(AtomicU64::new(0));
    let highest = peak.clone();
    tokio::spawn(async move {
        while let Some(status) = handle.status().await {
            highest.fetch_max(status.engine.in_flight_records as u64, Ordering::Relaxed);
            sleep(Duration::from_millis(50)).await;
        }
    });
    peak
}
