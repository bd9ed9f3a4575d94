//! From the moment an event was due to the moment it is handled, at a fixed rate, in one process with both sides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::producer::Producer as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use txova_events::RideCompleted;
use txova_kafka::{Event, State};

use super::{Task, measured, ms, ours, pace, raw};
use crate::data::{self, BenchRide, PUBLISH_TOPIC};
use crate::failure::{Context, Failure, Result};
use crate::measured::{Measured, percentiles};

/// The event's number is in its `duration_mins`, which is how the other end knows when it was due.
fn numbered(n: usize) -> BenchRide {
    BenchRide(RideCompleted { duration_mins: n as i64, ..data::event(n).0 })
}

/// Marks the event that only says that both sides are there.
const HELLO: usize = usize::MAX >> 1;
const HELLO_WITHIN: Duration = Duration::from_secs(30);

async fn collect(
    task: &Task,
    told: &str,
    mut handled: mpsc::UnboundedReceiver<(i64, Instant)>,
    dues: Vec<Instant>,
) -> Result<Measured> {
    let began = dues.first().copied().unwrap_or_else(Instant::now);
    let mut latencies = Vec::with_capacity(dues.len());
    while latencies.len() < dues.len() {
        let next = timeout(Duration::from_secs(60), handled.recv()).await;
        let Ok(Some((n, at))) = next else {
            return Err(Failure::new(format!("{} of {} events arrived", latencies.len(), dues.len())));
        };
        if let Some(due) = dues.get(n as usize) {
            latencies.push(ms(at.saturating_duration_since(*due)));
        }
    }
    Ok(Measured { latency_ms: percentiles(latencies), ..measured(told, task.records(), began.elapsed()) })
}

pub(super) async fn raw(task: &Task) -> Result<Measured> {
    let (producer, _) = raw::producer(task)?;
    let consumer = raw::consumer(task)?;
    let (sender, handled) = mpsc::unbounded_channel();
    let (hello, heard) = oneshot::channel();
    let over = Arc::new(AtomicBool::new(false));
    let end = over.clone();
    let reading = std::thread::spawn(move || -> Result<()> {
        let mut hello = Some(hello);
        let mut committed = Instant::now();
        while !end.load(Ordering::Relaxed) {
            let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
            let message = message.context(|| "reading".to_owned())?;
            let envelope = txova_events::EnvelopeRef::decode(message.payload().unwrap_or_default());
            let envelope = envelope.context(|| "no envelope".to_owned())?;
            let ride: RideCompleted = envelope.decode_payload().context(|| "no payload".to_owned())?;
            if let Some(hello) = hello.take_if(|_| ride.duration_mins == HELLO as i64) {
                let _ = hello.send(());
            }
            let _ = sender.send((ride.duration_mins, Instant::now()));
            consumer.store_offset_from_message(&message).context(|| "storing".to_owned())?;
            if committed.elapsed() > Duration::from_millis(200) {
                consumer.commit_consumer_state(CommitMode::Async).context(|| "committing".to_owned())?;
                committed = Instant::now();
            }
        }
        Ok(())
    });
    let send = |n| raw::send(&producer, PUBLISH_TOPIC, &numbered(n), None);
    send(HELLO)?;
    timeout(HELLO_WITHIN, heard)
        .await
        .context(|| "the first event".to_owned())?
        .context(|| "reading".to_owned())?;
    let mut dues = Vec::with_capacity(task.records() as usize);
    pace(task.records(), async |n, due| {
        dues.push(due);
        send(n)
    })
    .await?;
    let measured = collect(task, "rdkafka ThreadedProducer and BaseConsumer", handled, dues).await;
    over.store(true, Ordering::Relaxed);
    reading.join().map_err(|_| Failure::new("the reader panicked"))??;
    producer.flush(Duration::from_secs(10)).context(|| "flushing".to_owned())?;
    measured
}

type Told = mpsc::UnboundedSender<(i64, Instant)>;

async fn tell(Event(ride): Event<RideCompleted>, State(told): State<Told>) {
    let _ = told.send((ride.duration_mins, Instant::now()));
}

pub(super) async fn ours(task: &Task) -> Result<Measured> {
    let publisher = ours::publisher(task)?;
    let (sender, mut handled) = mpsc::unbounded_channel();
    let app = ours::kafka(task)?.app("bench").state(sender).handle(tell).topics([task.topic.clone()]);
    let app = app.consumer(|consumer| consumer.group = Some(task.group.clone()));
    let app = app.build().context(|| "no app".to_owned())?;
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    publisher.publish(&numbered(HELLO)).await.context(|| "the first event".to_owned())?;
    timeout(HELLO_WITHIN, handled.recv()).await.context(|| "the first event".to_owned())?;
    let mut dues = Vec::with_capacity(task.records() as usize);
    pace(task.records(), async |n, due| {
        dues.push(due);
        publisher.enqueue(&numbered(n)).await.map(drop).context(|| format!("event {n}"))
    })
    .await?;
    let measured = collect(task, "defaults, linger 0", handled, dues).await;
    handle.begin_close(Duration::from_secs(10));
    run.await.context(|| "the run".to_owned())?.context(|| "the run".to_owned())?;
    publisher.close(Duration::from_secs(10)).await;
    measured
}
