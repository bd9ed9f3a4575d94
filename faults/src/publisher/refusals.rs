//! Records that are refused, a full buffer, a closed publisher: each with its error, and nothing in the log but what was
//! acknowledged.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tokio::task::block_in_place;
use txova_kafka::config::{KafkaConfig, Loader};
use txova_kafka::publisher::{PublishError, PublishErrorKind as Kind, Published, Written};
use txova_kafka::{Kafka, OutgoingRecord};

use super::{Found, away};
use crate::brokers::{Brokers, Place};
use crate::check::Rule;
use crate::dice::Dice;
use crate::failure::{Context, Failure, Result};
use crate::oracle::Oracle;

const SMALL: &str = "open.small";
const SMALL_DLQ: &str = "open.small.dlq";
/// What a topic takes that takes little.
const SMALL_BYTES: usize = 2_000;
/// The user may do nothing here.
const CLOSED: &str = "closed";

pub(super) async fn run(place: &Place, long: bool, found: &mut Found) -> Result<()> {
    let brokers = place.start_secure().await?;
    make_topics(&brokers).await?;
    refused(&brokers, found).await?;
    full_and_closed(&brokers, found).await?;
    away::run(&brokers, if long { 60 } else { 15 }, found).await
}

/// The client of the user with few permissions.
pub(super) fn secure_config(brokers: &Brokers) -> Result<KafkaConfig> {
    let loader = Loader::new().variables(brokers.secure.clone());
    let mut config = loader.load().context(|| "the secure listener's settings".to_owned())?;
    // How long a topic that nobody knows is looked for; half a minute by default.
    let looks = "topic.metadata.propagation.max.ms".to_owned();
    config.publisher.properties.insert(looks, "2000".into());
    Ok(config)
}

async fn refused(brokers: &Brokers, found: &mut Found) -> Result<()> {
    let kafka = Kafka::new(secure_config(brokers)?).context(|| "no client".to_owned())?;
    let publisher = kafka.publisher("faults").context(|| "no publisher".to_owned())?;
    let send = async |topic: &str, bytes: usize| {
        let began = Instant::now();
        let answer = publisher.publish_record(record(topic, bytes)).await;
        (answer, began.elapsed())
    };
    let mut each = Rule::new("what is refused has its error, within seconds, and was certainly not written");
    let mut look = |what: &str, took: Duration, answer: &Answer, fits: &dyn Fn(&PublishError) -> bool| {
        let holds = took < Duration::from_secs(20)
            && answer.as_ref().is_err_and(|error| error.written() == Written::No && fits(error));
        each.look(holds, || format!("{what}, after {took:?}: {answer:?}"));
    };

    let (fine, took) = send(SMALL, 100).await;
    found.fact("a record that is allowed", format!("acknowledged after {} ms", took.as_millis()));
    fine.context(|| "a record that is allowed".to_owned())?;

    let (answer, took) = send(SMALL, 2 * 1024 * 1024).await;
    look("over max_message_bytes", took, &answer, &|error| {
        error.kind() == Kind::TooLarge
            && error.size_bytes() == Some(2 * 1024 * 1024)
            && error.limit_bytes() == Some(1024 * 1024)
    });
    let (answer, took) = send(SMALL, 10_000).await;
    look("over the topic's max.message.bytes", took, &answer, &|error| {
        error.kind() == Kind::TooLarge
            && error.size_bytes() == Some(10_000)
            && error.dead_letter().is_some_and(|kept| &*kept.topic == SMALL_DLQ)
    });
    tell(found, "over the topic's max.message.bytes", &answer);
    let (answer, took) = send(CLOSED, 100).await;
    look("not allowed", took, &answer, &|error| {
        error.kind() == Kind::Refused && error.dead_letter().is_none() && !error.is_retriable()
    });
    tell(found, "not allowed", &answer);
    let (answer, took) = send("open.nowhere", 100).await;
    look("no such topic", took, &answer, &|error| error.kind() == Kind::Refused && !error.is_retriable());
    tell(found, "no such topic", &answer);
    let again = send(SMALL, 100).await.0;
    each.look(again.is_ok(), || format!("a record that is allowed, behind those: {again:?}"));
    publisher.close(Duration::from_secs(10)).await;

    let mut kept =
        Rule::new("the log has what was acknowledged, and what the topic refuses is its dead letter");
    let (log, letters, closed) = block_in_place(|| {
        let oracle = Oracle::new(&brokers.bootstrap, 1)?;
        Ok::<_, Failure>((oracle.read(SMALL)?, oracle.read(SMALL_DLQ)?, oracle.read(CLOSED)?))
    })?;
    kept.look(log.len() == 2, || format!("{SMALL} has {} records", log.len()));
    kept.look(closed.is_empty(), || format!("{CLOSED} has {} records", closed.len()));
    let letter = letters.first().and_then(|letter| txova_events::DeadLetter::decode(&letter.value).ok());
    let is_whole = letter.is_some_and(|letter| letter.body().is_some_and(|body| body.len() == 10_000));
    kept.look(is_whole && letters.len() == 1, || format!("{SMALL_DLQ} has {} letters", letters.len()));
    found.rules.extend([each, kept]);
    Ok(())
}

async fn full_and_closed(brokers: &Brokers, found: &mut Found) -> Result<()> {
    let mut config = KafkaConfig::for_brokers(&brokers.bootstrap);
    (config.publisher.buffer_records, config.publisher.max_block_ms) = (10, 500);
    let kafka = Kafka::new(config).context(|| "no client".to_owned())?;
    let publisher = kafka.publisher("faults").context(|| "no publisher".to_owned())?;
    publisher.warm_up([SMALL], Duration::from_secs(30)).await.context(|| "warming up".to_owned())?;
    let mut rule =
        Rule::new("a full buffer is an error after max_block_ms, and what has its place is not lost");
    brokers.act("pause", 1).await?;
    let mut handles = Vec::new();
    for _ in 0..10 {
        handles.push(publisher.enqueue_record(record(SMALL, 100)).await.context(|| "a place".to_owned())?);
    }
    let began = Instant::now();
    let answer = publisher.enqueue_record(record(SMALL, 100)).await.map(drop);
    let took = began.elapsed();
    let fits = answer.as_ref().is_err_and(|error| {
        error.kind() == Kind::BufferFull && error.written() == Written::No && error.is_retriable()
    });
    rule.look(fits && took >= Duration::from_millis(500), || format!("after {took:?}: {answer:?}"));
    rule.look(publisher.stats().in_flight == 10, || format!("{:?}", publisher.stats()));
    brokers.act("resume", 1).await?;
    for handle in handles {
        let answer = handle.await;
        rule.look(answer.is_ok(), || format!("{answer:?}"));
    }
    publisher.close(Duration::from_secs(10)).await;
    let answer = publisher.publish_record(record(SMALL, 100)).await;
    let fits =
        answer.as_ref().is_err_and(|error| error.kind() == Kind::Closed && error.written() == Written::No);
    rule.look(fits, || format!("after close: {answer:?}"));
    found.rules.push(rule);
    Ok(())
}

type Answer = std::result::Result<Published, PublishError>;

fn tell(found: &mut Found, what: &str, answer: &Answer) {
    let text = answer.as_ref().err().map(ToString::to_string).unwrap_or_default();
    found.fact(what, text);
}

fn record(topic: &str, bytes: usize) -> OutgoingRecord {
    OutgoingRecord { topic: topic.into(), value: Some(noise(bytes).into()), ..OutgoingRecord::default() }
}

/// Bytes that no compression makes fewer: the topic's limit is on what arrives.
fn noise(bytes: usize) -> Vec<u8> {
    let mut dice = Dice::new(bytes as u64);
    (0..bytes).map(|_| dice.next() as u8).collect()
}

async fn make_topics(brokers: &Brokers) -> Result<()> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &brokers.bootstrap);
    let admin: AdminClient<DefaultClientContext> =
        config.create().context(|| "no client to make topics".to_owned())?;
    let limit = SMALL_BYTES.to_string();
    let topic = |name| NewTopic::new(name, 1, TopicReplication::Fixed(1));
    let topics = [topic(SMALL).set("max.message.bytes", &limit), topic(SMALL_DLQ), topic(CLOSED)];
    let made = admin.create_topics(&topics, &AdminOptions::new()).await;
    for result in made.context(|| "making topics".to_owned())? {
        result.map_err(|(topic, code)| Failure::new(format!("the topic {topic} was not made: {code}")))?;
    }
    Ok(())
}
