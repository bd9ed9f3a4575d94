//! Publishes the lives, in the order of time and at a pace, with poison in between and an outage in the middle.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};
use txova_kafka::publisher::Publisher;

use super::DemoError;
use super::poison;
use super::services::World;

/// Events without an acknowledgement at a time: enough for full batches, few enough that none waits for long.
const WINDOW: u32 = 512;
/// The outage begins after this share of all events.
const OUTAGE_AT: f64 = 0.4;
const RAMP_SECONDS: f64 = 2.0;
const LONGEST_OUTAGE: Duration = Duration::from_secs(3);

/// How far the traffic is.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Events sent so far, of `total`.
    pub sent: AtomicU64,
    pub total: AtomicU64,
    /// Events a broker did not take.
    pub failed: AtomicU64,
    /// Poison a broker has acknowledged.
    pub poison: AtomicU64,
    pub is_over: AtomicBool,
}

/// Sends everything and waits until it is acknowledged. `events_per_second` 0 is as fast as it goes.
pub(crate) async fn send(
    world: Arc<World>,
    traffic: Arc<Traffic>,
    publisher: Publisher,
    events_per_second: u32,
) -> Result<(), DemoError> {
    let schedule = world.lives.schedule();
    let mut poison = poison::records(world.lives.run, world.lives.trips.len()).into_iter();
    let poison_every = schedule.len() / (poison.len() + 1);
    let outage_at = (schedule.len() as f64 * OUTAGE_AT) as usize;
    traffic.total.store(schedule.len() as u64, Relaxed);
    let room = Arc::new(Semaphore::new(WINDOW as usize));
    let began = Instant::now();
    for (index, moment) in schedule.into_iter().enumerate() {
        if events_per_second > 0 {
            let due = began + due_after(index, events_per_second);
            if due > Instant::now() + Duration::from_millis(2) {
                sleep_until(due).await;
            }
        }
        if index == outage_at {
            tokio::spawn(outage(world.clone(), outage_length(began.elapsed())));
        }
        if index % poison_every.max(1) == poison_every / 2
            && let Some(record) = poison.next()
        {
            publisher.publish_record(record).await.map_err(|error| DemoError::Cluster(error.to_string()))?;
            traffic.poison.fetch_add(1, Relaxed);
        }
        let event = world.lives.event(moment).map_err(|unmade| {
            let line = world.lives.trip(moment.trip).line;
            DemoError::Cluster(format!("line {line}: {:?} cannot be told: {}", moment.step, unmade.0))
        })?;
        let Ok(permit) = room.clone().acquire_owned().await else { break };
        let (world, counts) = (world.clone(), traffic.clone());
        let acknowledged = move |answer: Result<_, _>| {
            match answer {
                Ok(_) => drop(world.ledger.published(moment.trip, moment.step)),
                Err(_) => drop(counts.failed.fetch_add(1, Relaxed)),
            }
            drop(permit);
        };
        publisher
            .publish_async(&*event, acknowledged)
            .await
            .map_err(|error| DemoError::Cluster(error.to_string()))?;
        traffic.sent.fetch_add(1, Relaxed);
    }
    for record in poison {
        publisher.publish_record(record).await.map_err(|error| DemoError::Cluster(error.to_string()))?;
        traffic.poison.fetch_add(1, Relaxed);
    }
    let _all = room.acquire_many(WINDOW).await;
    traffic.is_over.store(true, Relaxed);
    Ok(())
}

/// When the event at `index` is due: the rate is reached within `RAMP_SECONDS`, as a broker that has just been started
/// needs it.
fn due_after(index: usize, events_per_second: u32) -> Duration {
    let (index, rate) = (index as f64, f64::from(events_per_second));
    let during_ramp = rate * RAMP_SECONDS / 2.0;
    let seconds = if index < during_ramp {
        (2.0 * RAMP_SECONDS * index / rate).sqrt()
    } else {
        RAMP_SECONDS + (index - during_ramp) / rate
    };
    Duration::from_secs_f64(seconds)
}

/// A third of what it took so far, so that a short demo has one, too.
fn outage_length(so_far: Duration) -> Duration {
    (so_far / 3).clamp(Duration::from_millis(300), LONGEST_OUTAGE)
}

async fn outage(world: Arc<World>, length: Duration) {
    world.gateway.set_down(true);
    sleep(length).await;
    world.gateway.set_down(false);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_reached_step_by_step_and_then_kept() {
        let rate = 1_000;
        let seconds: Vec<f64> =
            [0, 250, 1_000, 2_000, 3_000].iter().map(|at| due_after(*at, rate).as_secs_f64()).collect();
        assert_eq!(seconds, [0.0, 1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn an_outage_is_never_longer_than_three_seconds() {
        let lengths = [0, 3, 60].map(|seconds| outage_length(Duration::from_secs(seconds)).as_millis());
        assert_eq!(lengths, [300, 1_000, 3_000]);
    }
}
