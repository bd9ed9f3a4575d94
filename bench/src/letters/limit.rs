//! The limit of sending back: the client beneath the library alone, in transactions, with the records that were written
//! about letters a moment ago. It must never wait for what only the library has to know, such as where a record went.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Headers as _, Message as _, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

use crate::broker::Broker;
use crate::failure::{Context, Failure, Result};

const LIMIT: Duration = Duration::from_secs(60);
/// Letters of one transaction.
const AT_ONCE: usize = 5_000;
/// Records of each topic that are written again and again.
const SAMPLE: i64 = 3_000;

/// Writes as many records as were written for `letters` letters on `topics`, to topics of their own with as many partitions;
/// how long that took, from the client's beginning to the last commit.
pub(super) fn measure(broker: &Broker, letters: u32, topics: [(&str, i32); 3]) -> Result<Duration> {
    let mut samples = Vec::new();
    for (topic, partitions) in topics {
        let sample = sample(broker, topic, partitions)?;
        let topic = format!("bench.raw.{topic}");
        broker.fresh(&topic, partitions)?;
        samples.push((topic, sample));
    }
    let began = Instant::now();
    let failed = || "the transaction of the bare client".to_owned();
    let producer: ThreadedProducer<DefaultProducerContext> = broker
        .client()
        .set("transactional.id", "bench.raw")
        .set("compression.type", "snappy")
        .set("batch.size", "921600")
        .set("linger.ms", "5")
        .set("queue.buffering.max.messages", "0")
        .create()
        .context(failed)?;
    producer.init_transactions(LIMIT).context(failed)?;
    let letters = letters as usize;
    for first in (0..letters).step_by(AT_ONCE) {
        producer.begin_transaction().context(failed)?;
        for letter in first..letters.min(first + AT_ONCE) {
            for (topic, sample) in &samples {
                let message = &sample[letter % sample.len()];
                send(&producer, topic, message)?;
            }
        }
        producer.commit_transaction(LIMIT).context(failed)?; // it flushes
    }
    Ok(began.elapsed())
}

fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    topic: &str,
    message: &OwnedMessage,
) -> Result<()> {
    let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(message.partition());
    record.key = message.key();
    record.payload = message.payload();
    record.headers =
        message.headers().map(|headers| headers.iter().fold(OwnedHeaders::new(), |all, it| all.insert(it)));
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((error, back)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                record = back;
                thread::sleep(Duration::from_millis(1));
            }
            Err((error, _)) => return Err(Failure::new(format!("writing to {topic}: {error}"))),
        }
    }
}

/// The last records of a topic.
fn sample(broker: &Broker, topic: &str, partitions: i32) -> Result<Vec<OwnedMessage>> {
    let failed = || format!("reading {topic}");
    let consumer: BaseConsumer = broker
        .client()
        .set("group.id", "bench.raw")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .context(failed)?;
    let mut records = Vec::new();
    for partition in 0..partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition, LIMIT).context(failed)?;
        let start = low.max(high - SAMPLE / i64::from(partitions));
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(start)).context(failed)?;
        consumer.assign(&list).context(failed)?;
        let until = Instant::now() + LIMIT;
        while Instant::now() < until {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => records.push(message.detach()),
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(at))) if at == partition => break,
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) | None => {}
                Some(Err(error)) => return Err(Failure::new(format!("reading {topic}: {error}"))),
            }
        }
    }
    match records.is_empty() {
        true => Err(Failure::new(format!("{topic} is empty"))),
        false => Ok(records),
    }
}
