//! A broker that is gone for long, under more load than the buffer holds: memory stays bounded, and whoever published is
//! told of every event.

use std::fs;
use std::time::Duration;

use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};
use txova_kafka::Kafka;
use txova_kafka::config::KafkaConfig;

use super::Found;
use super::account::compare;
use super::load::Load;
use crate::brokers::Brokers;
use crate::check::Rule;
use crate::event::TOPIC;
use crate::failure::{Context, Result};
use crate::faults::create_topics;
use crate::oracle::Oracle;

const PARTITIONS: i32 = 12;
const BUFFER_BYTES: usize = 16 * 1024 * 1024;
/// What memory may grow by, besides the buffer.
const SLACK_BYTES: u64 = 64 * 1024 * 1024;

pub(super) async fn run(brokers: &Brokers, seconds: u64, found: &mut Found) -> Result<()> {
    let mut config = KafkaConfig::for_brokers(&brokers.bootstrap);
    (config.publisher.buffer_bytes, config.publisher.max_block_ms) = (BUFFER_BYTES, 20);
    config.publisher.max_message_bytes = 100_000;
    (config.publisher.delivery_timeout_ms, config.publisher.request_timeout_ms) =
        (seconds * 1_000 / 2, 3_000);
    config.publisher.breaker_open_ms = 1_000;
    let kafka = Kafka::new(config).context(|| "no client".to_owned())?;
    create_topics(&kafka, PARTITIONS, 1).await?;
    let publisher = kafka.publisher("faults").context(|| "no publisher".to_owned())?;
    publisher.warm_up([TOPIC], Duration::from_secs(30)).await.context(|| "warming up".to_owned())?;

    let gone = Duration::from_secs(seconds);
    let load = Load { per_second: 2_000, keys: 100, filler_bytes: 2_000 };
    println!("2,000 records of 2 KiB a second; the broker is gone for {seconds} s …");
    let before = resident_bytes()?;
    let trouble = async {
        sleep(Duration::from_secs(2)).await;
        brokers.act("kill", 1).await?;
        let until = Instant::now() + gone;
        let (mut most, mut unwell) = (before, false);
        while Instant::now() < until {
            sleep(Duration::from_millis(100)).await;
            most = most.max(resident_bytes()?);
            unwell |= publisher.health().is_reachable == Some(false);
        }
        brokers.act("resume", 1).await?;
        // Until records get through again, and then a little.
        let until = Instant::now() + Duration::from_secs(60);
        while publisher.health().is_reachable != Some(true) && Instant::now() < until {
            sleep(Duration::from_millis(100)).await;
        }
        sleep(Duration::from_secs(3)).await;
        Ok((most, unwell))
    };
    let (account, (most, unwell)) = load.publish(&publisher, trouble).await?;
    publisher.close(Duration::from_secs(30)).await;

    let grown = most.saturating_sub(before);
    let mut bounded = Rule::new("memory grows by the buffer and 64 MiB at most");
    bounded.look(grown <= BUFFER_BYTES as u64 + SLACK_BYTES, || format!("it grew by {grown} bytes"));
    let mut told = Rule::new("the broker's absence is seen by the health check, and its return");
    told.look(unwell, || "health() never said so".to_owned());
    let health = publisher.health();
    told.look(health.is_reachable == Some(true), || format!("{health:?}"));
    found.fact("memory grew by", format!("{} MiB, the buffer is 16 MiB", grown / 1024 / 1024));
    found.rules.extend([bounded, told]);
    let log = block_in_place(|| Oracle::new(&brokers.bootstrap, PARTITIONS)?.read(TOPIC))?;
    compare(found, &account, &log)
}

/// Of this process.
fn resident_bytes() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/status").context(|| "/proc/self/status".to_owned())?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kib.unwrap_or_default() * 1024)
}
