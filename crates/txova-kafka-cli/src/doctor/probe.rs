//! One event there and back, on a topic of the doctor's own: how long each way takes, and whether the clocks agree.

use std::time::{Duration, Instant};

use txova_events::Time;
use txova_kafka::admin::ClusterInfo;
use txova_kafka::publisher::Publisher;
use txova_kafka::{ClientErrorKind, Kafka, NewTopic, OutgoingRecord, TopicPartition};

use super::{Check, State, TIMEOUT};
use crate::connection::warm_up;
use crate::failure::hint;

/// Whose records live for an hour, with the brokers' own time on each.
const TOPIC: &str = "txova-kafka-doctor";
const ROUNDS: usize = 5;
/// The platform's target for publishing.
const PUBLISH_MS: f64 = 50.0;
/// Clocks that differ by more make times of events and of records disagree.
const SKEW_WARN_MS: i64 = 1_000;
/// Brokers refuse records from a future that is further away than an hour.
const SKEW_FAIL_MS: i64 = 5 * 60 * 1_000;
/// The record says this much too early, so that a broker's own time is told from ours.
const EARLY_MS: i64 = 3_600_000;

/// A cluster that answers no tools (`tells` is false) makes the topic when it is written to.
pub(super) async fn examine(kafka: &Kafka, cluster: &ClusterInfo, tells: bool) -> Vec<Check> {
    if tells && let Err(check) = make_topic(kafka, cluster).await {
        return vec![check];
    }
    let publisher = match kafka.publisher("doctor") {
        Ok(publisher) => publisher,
        Err(error) => {
            return vec![Check::fail("publish", error.to_string(), "Look at the publisher's settings.")];
        }
    };
    let checks = rounds(kafka, &publisher).await;
    publisher.close(Duration::from_secs(1)).await;
    checks.unwrap_or_else(|check| vec![check])
}

async fn make_topic(kafka: &Kafka, cluster: &ClusterInfo) -> Result<(), Check> {
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let topic = NewTopic {
        name: TOPIC.to_owned(),
        partitions: 1,
        replication: i32::try_from(cluster.brokers.len().min(3)).unwrap_or(1),
        settings: vec![
            setting("retention.ms", "3600000"),
            setting("message.timestamp.type", "LogAppendTime"),
        ],
    };
    match kafka.create_topics(vec![topic], TIMEOUT).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind == ClientErrorKind::Authorization => {
            let advice = format!("Make the topic {TOPIC} for this user, or look without it: --no-probe.");
            Err(Check::warn("there and back", format!("the topic {TOPIC} may not be made: {error}"), advice))
        }
        Err(error) => Err(Check::unanswered("there and back", &error)),
    }
}

async fn rounds(kafka: &Kafka, publisher: &Publisher) -> Result<Vec<Check>, Check> {
    // The first record would wait for the connection.
    warm_up(publisher, TOPIC, TIMEOUT).await.map_err(|error| Check::unanswered("publish", &error))?;
    let (mut there_ms, mut back_ms, mut skews_ms) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (began, early) = (Instant::now(), Time::now().unix_ms() - EARLY_MS);
        let published = publisher.publish_record(record(early)).await.map_err(|error| {
            Check::fail(
                "publish",
                error.to_string(),
                hint(ClientErrorKind::Authorization).unwrap_or_default(),
            )
        })?;
        there_ms.push(began.elapsed().as_secs_f64() * 1_000.0);
        let middle_ms = early + EARLY_MS + began.elapsed().as_millis() as i64 / 2;

        let place = TopicPartition::new(&*published.topic, published.partition);
        let began = Instant::now();
        let following = kafka.admin().follow(vec![(place, published.offset)]);
        let mut following = following.map_err(|error| Check::unanswered("read", &error))?;
        let read = tokio::time::timeout(TIMEOUT, following.next()).await;
        let read = read.map_err(|_| {
            let found = format!(
                "{}-{}@{} did not come back within {TIMEOUT:?}",
                TOPIC, published.partition, published.offset
            );
            Check::fail("read", found, "Are the partition's leader and its copies well?")
        })?;
        match read {
            Some(Ok((_, record))) => {
                back_ms.push(began.elapsed().as_secs_f64() * 1_000.0);
                // What was given back as it was given is our own time, and says nothing.
                skews_ms.extend(record.timestamp_ms.filter(|at| *at != early).map(|at| at - middle_ms));
            }
            Some(Err(error)) => return Err(Check::unanswered("read", &error)),
            None => return Err(Check::fail("read", "the client has stopped reading", "Run it again.")),
        }
    }
    Ok(vec![published(median(&mut there_ms)), read(median(&mut back_ms)), clocks(&mut skews_ms)])
}

fn record(timestamp_ms: i64) -> OutgoingRecord {
    OutgoingRecord {
        topic: TOPIC.into(),
        partition: Some(0),
        value: Some("{\"from\":\"txova-kafka doctor\"}".into()),
        timestamp_ms: Some(timestamp_ms),
        ..OutgoingRecord::default()
    }
}

fn published(ms: f64) -> Check {
    let found = format!("acknowledged after {ms:.1} ms, the middle of {ROUNDS}");
    match ms <= PUBLISH_MS {
        true => Check::ok("publish", found),
        false => Check::warn(
            "publish",
            found,
            "The platform's target is 50 ms: how far away are the brokers, and how busy?",
        ),
    }
}

fn read(ms: f64) -> Check {
    Check::ok("read", format!("read back {ms:.1} ms later by a new reader, its connection included"))
}

fn clocks(skews_ms: &mut [i64]) -> Check {
    skews_ms.sort_unstable();
    let Some(skew_ms) = skews_ms.get(skews_ms.len() / 2).copied() else {
        return Check::new("clocks", State::Skip, "the brokers put no time of their own on records");
    };
    let found = match skew_ms {
        0 => "the brokers' clock and this one agree".to_owned(),
        ms if ms > 0 => format!("the brokers' clock is {ms} ms ahead"),
        ms => format!("the brokers' clock is {} ms behind", -ms),
    };
    let advice =
        "Do both machines keep their time by NTP? Times of events and of records disagree otherwise.";
    match skew_ms.abs() {
        SKEW_FAIL_MS.. => Check::fail("clocks", found, advice),
        SKEW_WARN_MS.. => Check::warn("clocks", found, advice),
        _ => Check::ok("clocks", found),
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_told_by_how_much_they_do() {
        let state = |skews: &[i64]| clocks(&mut skews.to_vec()).state;
        assert_eq!(state(&[3, -2, 900_000]), State::Ok, "the middle one counts");
        assert_eq!(state(&[-2_000]), State::Warn);
        assert_eq!(state(&[400_000]), State::Fail);
        assert_eq!(state(&[]), State::Skip);
        assert_eq!(clocks(&mut [-7]).found, "the brokers' clock is 7 ms behind");
    }
}
