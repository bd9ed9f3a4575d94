//! The client beneath the library in a bare loop, with the library's settings and the same encoding and decoding: what
//! no library on top of it can be faster than.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryFuture, FutureProducer, FutureRecord, Producer as _, ProducerContext,
    ThreadedProducer,
};
use tokio::sync::mpsc;
use txova_events::{
    EnvelopeRef, Event, EventRecord, Origin, RideCompleted, RideRequested, RideStarted, ToRecord as _,
};

use super::{Task, measured, ms, pace};
use crate::data::{self, PUBLISH_TOPIC};
use crate::failure::{Context, Failure, Result};
use crate::measured::{Measured, percentiles};

/// Notes each acknowledgement; a record that was timed has the moment it was due with it.
#[derive(Clone, Default)]
pub(super) struct Acks {
    failed: Arc<AtomicU32>,
    latencies: Arc<Mutex<Vec<f64>>>,
}

impl ClientContext for Acks {}

impl ProducerContext for Acks {
    type DeliveryOpaque = Box<Option<Instant>>;

    fn delivery(&self, result: &DeliveryResult<'_>, due: Self::DeliveryOpaque) {
        if result.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(due) = *due
            && let Ok(mut latencies) = self.latencies.lock()
        {
            latencies.push(ms(due.elapsed()));
        }
    }
}

fn config(task: &Task) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &task.brokers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", task.linger_ms().to_string())
        .set("compression.type", task.compression())
        .set("batch.size", "16384")
        .set("queue.buffering.max.messages", "0")
        .set("queue.buffering.max.kbytes", "1048576")
        .set("partitioner", "murmur2_random");
    config
}

pub(super) fn producer(task: &Task) -> Result<(ThreadedProducer<Acks>, Acks)> {
    let acks = Acks::default();
    let producer = config(task).create_with_context(acks.clone()).context(|| "no producer".to_owned())?;
    Ok((producer, acks))
}

/// The same bytes, and the same headers, as the library's.
pub(super) fn send<E: Event>(
    producer: &ThreadedProducer<Acks>,
    topic: &str,
    event: &E,
    due: Option<Instant>,
) -> Result<()> {
    let row = event.to_record(&Origin::now("ride-service")).context(|| "an event".to_owned())?;
    let record = BaseRecord::with_opaque_to(topic, Box::new(due));
    let record = record.key(&row.key).payload(&row.value).headers(headers(&row));
    producer.send(record).map_err(|(error, _)| Failure::new(format!("publishing: {error}")))
}

fn headers(row: &EventRecord) -> OwnedHeaders {
    row.headers()
        .into_iter()
        .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }))
}

fn settings(task: &Task) -> String {
    let (linger_ms, compression) = (task.linger_ms(), task.compression());
    format!(
        "rdkafka ThreadedProducer, acks=all, idempotent, linger {linger_ms} ms, batch 16 KB, {compression}"
    )
}

pub(super) fn publish(task: &Task) -> Result<Measured> {
    let (producer, acks) = producer(task)?;
    let began = Instant::now();
    for n in 0..task.records() as usize {
        send(&producer, PUBLISH_TOPIC, &data::event(n), None)?;
    }
    producer.flush(Duration::from_secs(120)).context(|| "flushing".to_owned())?;
    let took = began.elapsed();
    match acks.failed.load(Ordering::Relaxed) {
        0 => Ok(measured(settings(task), task.records(), took)),
        failed => Err(Failure::new(format!("{failed} records were not acknowledged"))),
    }
}

fn send_for_future(producer: &FutureProducer, n: usize) -> Result<DeliveryFuture> {
    let row = data::event(n).to_record(&Origin::now("ride-service")).context(|| "an event".to_owned())?;
    let record = FutureRecord::to(PUBLISH_TOPIC).key(&row.key).payload(&row.value).headers(headers(&row));
    producer.send_result(record).map_err(|(error, _)| Failure::new(format!("publishing: {error}")))
}

async fn acknowledged(answer: DeliveryFuture) -> Result<()> {
    let answer = answer.await.context(|| "no answer".to_owned())?;
    answer.map(drop).map_err(|(error, _)| Failure::new(format!("not acknowledged: {error}")))
}

pub(super) async fn lone(task: &Task) -> Result<Measured> {
    let producer: FutureProducer = config(task).create().context(|| "no producer".to_owned())?;
    let first = Instant::now();
    acknowledged(send_for_future(&producer, 0)?).await?; // connects
    let first_ms = Some(ms(first.elapsed()));
    let (began, mut latencies) = (Instant::now(), Vec::new());
    for n in 0..task.records() as usize {
        let called = Instant::now();
        acknowledged(send_for_future(&producer, n)?).await?;
        latencies.push(ms(called.elapsed()));
    }
    let latency_ms = percentiles(latencies);
    let told = settings(task).replace("Threaded", "Future");
    Ok(Measured { latency_ms, first_ms, ..measured(told, task.records(), began.elapsed()) })
}

/// As [`publish`], and every record's future is awaited.
pub(super) async fn publish_with_futures(task: &Task) -> Result<Measured> {
    let producer: FutureProducer = config(task).create().context(|| "no producer".to_owned())?;
    let began = Instant::now();
    let (futures, mut answers) = mpsc::unbounded_channel::<DeliveryFuture>();
    let awaiting = tokio::spawn(async move {
        while let Some(answer) = answers.recv().await {
            acknowledged(answer).await?;
        }
        Ok::<_, Failure>(())
    });
    for n in 0..task.records() as usize {
        let _ = futures.send(send_for_future(&producer, n)?);
    }
    drop(futures);
    awaiting.await.context(|| "awaiting".to_owned())??;
    Ok(measured(settings(task).replace("Threaded", "Future"), task.records(), began.elapsed()))
}

pub(super) async fn latency(task: &Task) -> Result<Measured> {
    let (producer, acks) = producer(task)?;
    send(&producer, PUBLISH_TOPIC, &data::event(0), None)?; // connects
    producer.flush(Duration::from_secs(60)).context(|| "connecting".to_owned())?;
    let began = Instant::now();
    pace(task.records(), async |n, due| send(&producer, PUBLISH_TOPIC, &data::event(n), Some(due))).await?;
    producer.flush(Duration::from_secs(60)).context(|| "flushing".to_owned())?;
    let latencies = acks.latencies.lock().map(|mut all| std::mem::take(&mut *all)).unwrap_or_default();
    let latency_ms = percentiles(latencies);
    Ok(Measured { latency_ms, ..measured(settings(task), task.records(), began.elapsed()) })
}

pub(super) fn consumer(task: &Task) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &task.brokers)
        .set("group.id", &task.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("fetch.queue.backoff.ms", "5")
        .create()
        .context(|| "no consumer".to_owned())?;
    consumer.subscribe(&[&task.topic]).context(|| "cannot subscribe".to_owned())?;
    Ok(consumer)
}

/// As the library does: the envelope borrowed, then the payload by its type.
pub(super) fn decode(value: &[u8]) -> Result<()> {
    let envelope = EnvelopeRef::decode(value).context(|| "no envelope".to_owned())?;
    let wrong = || "no payload".to_owned();
    match &*envelope.event_type {
        "ride.completed" => keep(envelope.decode_payload::<RideCompleted>().context(wrong)?),
        "ride.requested" => keep(envelope.decode_payload::<RideRequested>().context(wrong)?),
        "ride.started" => keep(envelope.decode_payload::<RideStarted>().context(wrong)?),
        other => return Err(Failure::new(format!("unknown type {other}"))),
    }
    Ok(())
}

/// The compiler must not see that nobody looks at it.
fn keep<T>(payload: T) {
    std::hint::black_box(payload);
}

/// Poll, decode, and commit the position every 200 ms: what a careful loop with nothing around it does.
pub(super) fn consume(task: &Task) -> Result<Measured> {
    let began = Instant::now();
    let consumer = consumer(task)?;
    let mut first = None;
    let mut seen = 0;
    let mut committed = Instant::now();
    while seen < task.records() {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.context(|| "reading".to_owned())?;
        first.get_or_insert_with(Instant::now);
        decode(message.payload().unwrap_or_default())?;
        consumer.store_offset_from_message(&message).context(|| "storing".to_owned())?;
        seen += 1;
        if committed.elapsed() > Duration::from_millis(200) {
            consumer.commit_consumer_state(CommitMode::Async).context(|| "committing".to_owned())?;
            committed = Instant::now();
        }
    }
    consumer.commit_consumer_state(CommitMode::Sync).context(|| "committing".to_owned())?;
    let first = first.unwrap_or(began);
    let took = first.elapsed();
    let told = "rdkafka BaseConsumer, one thread, fetch.queue.backoff.ms=5, a commit every 200 ms";
    Ok(Measured { first_ms: Some(ms(first - began)), ..measured(told, task.records(), took) })
}
