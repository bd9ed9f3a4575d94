//! Brokers of three are killed and stopped, one or two at a time, under 2,000 records a second.

use std::time::Duration;

use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};
use txova_kafka::Kafka;
use txova_kafka::config::KafkaConfig;
use txova_kafka::publisher::Publisher;

use super::Found;
use super::account::compare;
use super::load::Load;
use crate::brokers::{Brokers, Place};
use crate::dice::Dice;
use crate::event::TOPIC;
use crate::failure::{Context, Result};
use crate::faults::create_topics;
use crate::oracle::Oracle;

const PARTITIONS: i32 = 12;
const PER_SECOND: u32 = 2_000;

pub(super) async fn run(place: &Place, long: bool, seed: u64, found: &mut Found) -> Result<()> {
    let brokers = place.start(3).await?;
    let mut config = KafkaConfig::for_brokers(&brokers.bootstrap);
    // Short, so that records do run out of time in every way there is.
    (config.publisher.delivery_timeout_ms, config.publisher.request_timeout_ms) = (8_000, 3_000);
    (config.publisher.max_block_ms, config.publisher.buffer_records) = (1_000, 20_000);
    config.publisher.breaker_open_ms = 2_000;
    let kafka = Kafka::new(config).context(|| "no client".to_owned())?;
    create_topics(&kafka, PARTITIONS, 3).await?;
    let publisher = kafka.publisher("faults").context(|| "no publisher".to_owned())?;
    warm_up(&publisher).await?;

    let window = Duration::from_secs(if long { 120 } else { 35 });
    let load = Load { per_second: PER_SECOND, keys: 500, filler_bytes: 100 };
    println!(
        "{PER_SECOND} records a second for {} s while brokers are killed and stopped …",
        window.as_secs()
    );
    let strikes = strike(&brokers, Dice::for_part(seed, 7), window);
    let (account, strikes) = load.publish(&publisher, strikes).await?;
    let closed = publisher.close(Duration::from_secs(30)).await;

    found.fact("brokers", strikes);
    found.fact("closing", closed);
    let log = block_in_place(|| patiently(&brokers.bootstrap))?;
    compare(found, &account, &log)
}

/// A topic that was just made is not known to every broker yet.
async fn warm_up(publisher: &Publisher) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match publisher.warm_up([TOPIC], Duration::from_secs(30)).await {
            Err(_) if Instant::now() < until => sleep(Duration::from_millis(200)).await,
            warm => return warm.context(|| "warming up".to_owned()),
        }
    }
}

/// The log, from a cluster that has just come back.
fn patiently(bootstrap: &str) -> Result<Vec<crate::oracle::Logged>> {
    let oracle = Oracle::new(bootstrap, PARTITIONS)?;
    let until = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        match oracle.read(TOPIC) {
            Err(_) if std::time::Instant::now() < until => std::thread::sleep(Duration::from_secs(1)),
            read => return read,
        }
    }
}

/// Faults by chance until the time is over; all are up again then.
async fn strike(brokers: &Brokers, mut dice: Dice, window: Duration) -> Result<String> {
    let (end, mut kills, mut stops, mut pairs) = (Instant::now() + window, 0, 0, 0);
    loop {
        sleep(Duration::from_millis(dice.between(2_000, 5_000))).await;
        if Instant::now() > end {
            return Ok(format!("{kills} killed, {stops} stopped, {pairs} times two at once"));
        }
        let first = dice.between(1, 3) as u8;
        // Two of three: nothing can be acknowledged, and what waits runs out of time.
        let second = (dice.below(2) == 0).then_some(first % 3 + 1);
        pairs += usize::from(second.is_some());
        for node in [Some(first), second].into_iter().flatten() {
            if dice.below(2) == 0 {
                kills += 1;
                brokers.act("kill", node).await?;
            } else {
                stops += 1;
                brokers.act("pause", node).await?;
            }
        }
        sleep(Duration::from_millis(dice.between(1_000, 11_000))).await;
        for node in [Some(first), second].into_iter().flatten() {
            brokers.act("resume", node).await?;
        }
    }
}
