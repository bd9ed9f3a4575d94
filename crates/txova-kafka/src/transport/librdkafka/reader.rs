//! Reads partitions without a group, on a thread of its own: ranges one after the other, or all at once without an end.

use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::Offset;
use tokio::sync::mpsc;

use super::super::record_stream::{self, Item};
use super::super::{ReadRange, RecordStream};
use super::config::{Settings, check_name, refused};
use super::context::{Context, Notice};
use super::{errors, own_thread, raw};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::{self, Record, TopicPartition};

/// Records that are handed over at once, where so many are at hand.
const BATCH: usize = 128;
/// Batches on their way.
const CAPACITY: usize = 4;
const POLL: Duration = Duration::from_millis(100);
/// How long a range may give no record before a broker that does not answer, or an end that is not in the log, is an
/// error. A broker that comes back within it costs nothing.
const SILENCE: Duration = Duration::from_secs(30);

pub(super) fn read(settings: &Settings, ranges: Vec<ReadRange>) -> Result<RecordStream, ClientError> {
    for range in &ranges {
        check_name("the topic", &range.partition.topic)?;
        if range.start < 0 {
            let message = format!("{}: a range cannot start at offset {}", range.partition, range.start);
            return Err(ClientError::new(ClientErrorKind::Config, message));
        }
    }
    let consumer: BaseConsumer<Context> =
        settings.reader().create_with_context(Context::default()).map_err(refused)?;
    let (items, receiver) = record_stream::channel(CAPACITY);
    let brokers = settings.bootstrap.clone();
    own_thread::start("txova-kafka-read", move || {
        for range in ranges {
            match read_range(&consumer, &range, &items, &brokers) {
                Ok(()) => {}
                Err(Stop::Dropped) => return,
                Err(Stop::Failed(error)) => {
                    let _ = items.blocking_send(vec![Err(error)]); // nobody reads any more
                    return;
                }
            }
        }
    })?;
    Ok(receiver)
}

/// Reads without an end.
pub(super) fn follow(
    settings: &Settings,
    starts: Vec<(TopicPartition, i64)>,
) -> Result<RecordStream, ClientError> {
    let mut list = TopicPartitionList::with_capacity(starts.len());
    for (partition, start) in &starts {
        check_name("the topic", &partition.topic)?;
        if *start < 0 {
            let message = format!("{partition}: reading cannot start at offset {start}");
            return Err(ClientError::new(ClientErrorKind::Config, message));
        }
        list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(*start))
            .map_err(|error| errors::at(partition, &error))?;
    }
    let mut config = settings.reader();
    config.set("enable.partition.eof", "false");
    let consumer: BaseConsumer<Context> = config.create_with_context(Context::default()).map_err(refused)?;
    consumer.assign(&list).map_err(|error| errors::at(&settings.bootstrap, &error))?;
    let (items, receiver) = record_stream::channel(CAPACITY);
    own_thread::start("txova-kafka-follow", move || {
        let _ = follow_all(&consumer, &items); // nobody reads any more, or an error was the last
    })?;
    Ok(receiver)
}

fn follow_all(consumer: &BaseConsumer<Context>, items: &mpsc::Sender<Vec<Item>>) -> Result<(), Stop> {
    let mut outbox = Outbox::new(items);
    while !items.is_closed() {
        match consumer.poll(outbox.patience()) {
            Some(Ok(message)) => {
                let partition = TopicPartition::new(message.topic(), message.partition());
                outbox.put(Ok((partition, copied(&message))))?;
            }
            _ => outbox.hand_over()?,
        }
        for notice in consumer.context().take() {
            let Notice::Error(code, words) = notice else { continue };
            let error = errors::event(code, &words);
            let is_last = !error.is_retriable() && code != RDKafkaErrorCode::GroupAuthorizationFailed;
            outbox.put(Err(error))?;
            if is_last {
                return outbox.hand_over();
            }
        }
    }
    Ok(())
}

fn copied(message: &BorrowedMessage<'_>) -> Record {
    let (offset, timestamp_ms) = (message.offset(), message.timestamp().to_millis());
    record::alone(offset, timestamp_ms, message.key(), message.payload(), raw::headers(message))
}

/// Records that are about to be handed over.
struct Outbox<'a> {
    items: &'a mpsc::Sender<Vec<Item>>,
    batch: Vec<Item>,
}

impl<'a> Outbox<'a> {
    fn new(items: &'a mpsc::Sender<Vec<Item>>) -> Self {
        Self { items, batch: Vec::new() }
    }

    /// How long the next record may be waited for: not at all while somebody could go on with what is here.
    fn patience(&self) -> Duration {
        if self.batch.is_empty() { POLL } else { Duration::ZERO }
    }

    fn put(&mut self, item: Item) -> Result<(), Stop> {
        self.batch.push(item);
        if self.batch.len() < BATCH { Ok(()) } else { self.hand_over() }
    }

    fn hand_over(&mut self) -> Result<(), Stop> {
        match self.batch.is_empty() {
            true => Ok(()),
            false => self.items.blocking_send(std::mem::take(&mut self.batch)).map_err(|_| Stop::Dropped),
        }
    }
}

enum Stop {
    Dropped,
    Failed(ClientError),
}

fn read_range(
    consumer: &BaseConsumer<Context>,
    range: &ReadRange,
    items: &mpsc::Sender<Vec<Item>>,
    brokers: &str,
) -> Result<(), Stop> {
    if range.start >= range.end {
        return Ok(());
    }
    let partition = &range.partition;
    let failed = |error: &KafkaError| Stop::Failed(errors::at(partition, error));
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(range.start))
        .map_err(|error| failed(&error))?;
    consumer.assign(&list).map_err(|error| failed(&error))?;
    let mut heard_at = Instant::now();
    let mut trouble = None;
    let mut outbox = Outbox::new(items);
    loop {
        if let Some(Ok(message)) = consumer.poll(outbox.patience()) {
            heard_at = Instant::now();
            if message.topic() != partition.topic.as_ref() || message.partition() != partition.partition {
                continue; // of the range before, fetched ahead
            }
            if message.offset() >= range.end {
                return outbox.hand_over();
            }
            outbox.put(Ok((partition.clone(), copied(&message))))?;
            if message.offset() + 1 >= range.end {
                return outbox.hand_over();
            }
        } else {
            outbox.hand_over()?;
        }
        for notice in consumer.context().take() {
            match notice {
                Notice::Error(RDKafkaErrorCode::PartitionEOF, words) => {
                    heard_at = Instant::now();
                    match end_of_partition(&words) {
                        Some(end) if end < range.end => check_end(consumer, range)?,
                        _ => return outbox.hand_over(),
                    }
                }
                Notice::Error(code, words) => {
                    let error = errors::event(code, &words);
                    match error.kind {
                        ClientErrorKind::Unreachable | ClientErrorKind::TimedOut => trouble = Some(error),
                        // The group's name is only a name here; whether it may be used does not matter.
                        ClientErrorKind::Authorization
                            if code == RDKafkaErrorCode::GroupAuthorizationFailed => {}
                        kind => {
                            outbox.hand_over()?;
                            let message =
                                format!("{partition} from offset {}: {}", range.start, error.message);
                            return Err(Stop::Failed(ClientError::new(kind, message)));
                        }
                    }
                }
                Notice::Assign(_) | Notice::Revoke(_) | Notice::OffsetReset(_) => {}
            }
        }
        if items.is_closed() {
            return Err(Stop::Dropped);
        }
        if heard_at.elapsed() > SILENCE {
            let error = trouble.unwrap_or_else(|| {
                let message = format!("no record before offset {} and no end for {SILENCE:?}", range.end);
                ClientError::new(ClientErrorKind::TimedOut, message)
            });
            let message = format!("{partition} at {brokers}: {}", error.message);
            return Err(Stop::Failed(ClientError::new(error.kind, message)));
        }
    }
}

/// The partition ended before the range does: a replica that is behind catches up, but an end that is not in the log
/// would be waited for in vain.
fn check_end(consumer: &BaseConsumer<Context>, range: &ReadRange) -> Result<(), Stop> {
    let partition = &range.partition;
    match consumer.fetch_watermarks(&partition.topic, partition.partition, SILENCE) {
        Ok((_, high)) if high >= range.end => Ok(()),
        Ok((_, high)) => {
            let message =
                format!("{partition}: the log ends at offset {high}, before the range's end {}", range.end);
            Err(Stop::Failed(ClientError::new(ClientErrorKind::OffsetOutOfRange, message)))
        }
        Err(error) => Err(Stop::Failed(errors::at(partition, &error))),
    }
}

/// The offset in librdkafka's words for the end of a partition. rdkafka gives nothing but the words.
fn end_of_partition(words: &str) -> Option<i64> {
    let after = words.split("end of partition at offset ").nth(1)?;
    after.split(' ').next()?.parse().ok()
}
