//! Writing records.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::probe::{numbered, send, within, write};
use super::{Bench, PATIENCE};
use crate::client_error::ClientErrorKind;
use crate::record::{OutgoingRecord, TopicPartition};
use crate::transport::ReadRange;

pub(super) async fn records_of_a_partition_are_written_in_the_order_sent(bench: &dyn Bench) {
    let topic = bench.topic(1).await;
    let partition = TopicPartition::new(&*topic, 0);
    let deliveries = write(bench, numbered(&partition, 0, 1000)).await;
    let offsets: Vec<i64> = deliveries.iter().map(|delivery| delivery.offset).collect();
    assert_eq!(offsets, (0..1000).collect::<Vec<_>>());
    let range = ReadRange { partition, start: 0, end: 1000 };
    let mut records = bench.transport().read(vec![range]).expect("a reader");
    for number in 0..1000 {
        let (_, record) = within("a record", records.recv()).await.expect("it is there").expect("it is read");
        assert_eq!(record.value, Some(Bytes::from(number.to_string())));
    }
}

pub(super) async fn a_record_too_large_is_refused_as_too_large(bench: &dyn Bench) {
    let topic = bench.topic(1).await;
    let producer = bench.transport().producer().expect("a producer");
    let value = Some(Bytes::from(vec![b'x'; 20 * 1024 * 1024]));
    let large = OutgoingRecord { topic: (&*topic).into(), value, ..OutgoingRecord::default() };
    let answer = within("an answer", send(&*producer, large)).await.expect("an answer");
    assert_eq!(answer.map_err(|error| error.kind), Err(ClientErrorKind::TooLarge));
}

pub(super) async fn a_partition_that_is_not_there_is_unknown(bench: &dyn Bench) {
    let topic = bench.topic(2).await;
    let producer = bench.transport().producer().expect("a producer");
    let stray = numbered(&TopicPartition::new(&*topic, 99), 0, 1).remove(0);
    let answer = within("an answer", send(&*producer, stray)).await.expect("an answer");
    assert_eq!(answer.map_err(|error| error.kind), Err(ClientErrorKind::UnknownTopic));
}

pub(super) async fn flush_waits_until_everything_is_answered(bench: &dyn Bench) {
    let topic = bench.topic(2).await;
    let producer = bench.transport().producer().expect("a producer");
    let answered = Arc::new(AtomicUsize::new(0));
    for partition in 0..2 {
        for record in numbered(&TopicPartition::new(&*topic, partition), 0, 200) {
            let answered = answered.clone();
            let done = Box::new(move |_| {
                answered.fetch_add(1, Ordering::SeqCst);
            });
            producer.send(&record, done).expect("there is room");
        }
    }
    producer.flush(PATIENCE).await.expect("all is answered");
    assert_eq!(answered.load(Ordering::SeqCst), 400);
}

pub(super) async fn done_is_called_exactly_once(bench: &dyn Bench) {
    let topic = bench.topic(1).await;
    let producer = bench.transport().producer().expect("a producer");
    let (answers, mut answered) = tokio::sync::mpsc::unbounded_channel();
    let good = numbered(&TopicPartition::new(&*topic, 0), 0, 50);
    let stray = numbered(&TopicPartition::new(&*topic, 99), 50, 60);
    let mut expected = Vec::new();
    for (number, record) in good.into_iter().chain(stray).enumerate() {
        let answers = answers.clone();
        let done = Box::new(move |_| answers.send(number).expect("the test listens"));
        if producer.send(&record, done).is_ok() {
            expected.push(number);
        }
    }
    // What is not answered by the flush is answered when the producer goes; either way once.
    producer.flush(PATIENCE).await.expect("all is answered");
    drop((producer, answers));
    let mut numbers = Vec::new();
    while let Some(number) = within("an answer or the end", answered.recv()).await {
        numbers.push(number);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, expected);
}

pub(super) async fn flush_is_bounded_with_no_broker_there(bench: &dyn Bench) {
    let transport = bench.unreachable();
    let producer = transport.producer().expect("a producer");
    let _answer = send(&*producer, numbered(&TopicPartition::new("nowhere", 0), 0, 1).remove(0));
    let flushed = within("the flush", producer.flush(Duration::from_millis(200))).await;
    assert_eq!(flushed.map_err(|error| error.kind), Err(ClientErrorKind::TimedOut));
}
