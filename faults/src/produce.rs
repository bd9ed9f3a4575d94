//! The load: records over skewed keys, numbered for each key, and what the broker acknowledged of them.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use txova_kafka::Kafka;
use txova_kafka::publisher::{PublishErrorKind, PublishHandle};

use crate::dice::Dice;
use crate::event::{Kind, Numbered};
use crate::failure::{Context, Failure, Result};

/// What is produced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) records: u32,
    pub(crate) keys: u32,
    /// How long producing takes, but for a part at the start that comes at once.
    pub(crate) spread: Duration,
    pub(crate) seed: u64,
}

/// A record and what became of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Produced {
    pub(crate) key: u32,
    pub(crate) number: u32,
    /// Partition and offset, where it was acknowledged.
    pub(crate) place: Option<(i32, i64)>,
}

/// The share that is there before the first fault: members begin far behind. The rest comes in bursts, so that they fall
/// behind again and again.
const AT_ONCE: f64 = 0.2;
const BURST: Duration = Duration::from_secs(6);

impl Load {
    /// The records, in order.
    fn events(self) -> impl Iterator<Item = Numbered> {
        let mut dice = Dice::for_part(self.seed, 1);
        let mut numbers = vec![0; self.keys as usize];
        (0..self.records).map(move |index| {
            // Each key once, then a few keys much and most keys little.
            let skewed = (f64::from(self.keys) * dice.share().powi(3)) as u32;
            let key = if index < self.keys { index } else { skewed.min(self.keys - 1) };
            let number = numbers[key as usize];
            numbers[key as usize] += 1;
            let kind = match dice.below(1_000) {
                0..10 => Kind::Poison,
                10..15 => Kind::Flaky,
                _ => Kind::Plain,
            };
            let work_ms = match dice.below(200) {
                0..50 => 0,
                199 => dice.between(100, 300) as u32,
                _ => dice.between(1, 15) as u32,
            };
            Numbered { key, number, kind, work_ms, filler: "x".repeat(dice.between(20, 200) as usize) }
        })
    }
}

/// Publishes all of it, and comes back when each is answered.
pub(crate) async fn produce(kafka: &Kafka, load: Load) -> Result<Vec<Produced>> {
    publish(kafka, load.events(), move |index| {
        let paced = (f64::from(index) / f64::from(load.records) - AT_ONCE) / (1.0 - AT_ONCE);
        let at = load.spread.mul_f64(paced.max(0.0));
        BURST.mul_f64((at.as_secs_f64() / BURST.as_secs_f64()).floor())
    })
    .await
}

/// Publishes `events`, the one at an index not before its time from now.
pub(crate) async fn publish(
    kafka: &Kafka,
    events: impl Iterator<Item = Numbered>,
    not_before: impl Fn(u32) -> Duration,
) -> Result<Vec<Produced>> {
    let publisher = kafka.publisher("faults").context(|| "no publisher".to_owned())?;
    let (sender, mut handles) = mpsc::unbounded_channel::<(u32, u32, PublishHandle)>();
    let answers = tokio::spawn(async move {
        let mut produced = Vec::new();
        while let Some((key, number, handle)) = handles.recv().await {
            let place = match handle.await {
                Ok(published) => Some((published.partition, published.offset)),
                Err(error) => {
                    eprintln!("not acknowledged: key {key} number {number}: {error}");
                    None
                }
            };
            produced.push(Produced { key, number, place });
        }
        produced
    });
    let began = Instant::now();
    for (index, event) in (0..).zip(events) {
        if index % 16 == 0 {
            sleep_until(began + not_before(index)).await;
        }
        let handle = loop {
            match publisher.enqueue(&event).await {
                Ok(handle) => break handle,
                // The buffer is full because brokers are away: the record was not taken, so its turn is still now.
                Err(error) if error.kind() == PublishErrorKind::BufferFull => {}
                Err(error) if error.kind() == PublishErrorKind::CircuitOpen => {
                    sleep(error.retry_after().unwrap_or_default()).await;
                }
                Err(error) => return Err(Failure::new(format!("publishing: {error}"))),
            }
        };
        let _ = sender.send((event.key, event.number, handle));
    }
    drop(sender);
    let produced = answers.await.context(|| "the producer ended".to_owned())?;
    publisher.close(Duration::from_secs(10)).await;
    Ok(produced)
}
