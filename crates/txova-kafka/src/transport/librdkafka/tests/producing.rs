//! The producer on the mock cluster.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::types::RDKafkaApiKey;
use tokio::time::timeout;

use super::super::super::Transport as _;
use super::super::Librdkafka;
use super::super::mock::MockKafka;
use super::harness::*;
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::{OutgoingRecord, Record};
use crate::transport::Delivery;
use crate::transport::properties::ClientProperties;

fn with(bootstrap: &str, producer: &[(&str, &str)]) -> Librdkafka {
    let producer = producer.iter().map(|(name, value)| pair(name, value)).collect();
    let common = vec![pair("bootstrap.servers", bootstrap)];
    Librdkafka::new(ClientProperties { common, producer, ..ClientProperties::default() }).unwrap()
}

#[tokio::test]
async fn a_record_that_no_broker_took_in_time_was_not_written() {
    let client = with("127.0.0.1:1", &[("message.timeout.ms", "500")]);
    let producer = client.producer().unwrap();
    let error = send(&producer, outgoing("orders", 0, "x")).await.unwrap().unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::TimedOutNotWritten);
    assert!(error.message.contains("orders"), "{}", error.message);
}

#[tokio::test]
async fn a_full_buffer_and_a_record_too_large_come_back_at_once() {
    let limits = [("queue.buffering.max.messages", "3"), ("message.max.bytes", "2000")];
    let producer = with("127.0.0.1:1", &limits).producer().unwrap();
    let large = producer.send(&outgoing("orders", 0, vec![0; 5_000]), Box::new(|_| panic!("called")));
    assert_eq!(large.unwrap_err().error.kind, ClientErrorKind::TooLarge);
    for _ in 0..3 {
        drop(send(&producer, outgoing("orders", 0, "x")));
    }
    let started = Instant::now();
    let full = producer.send(&outgoing("orders", 0, "x"), Box::new(|_| panic!("called")));
    assert_eq!(full.unwrap_err().error.kind, ClientErrorKind::QueueFull);
    assert!(started.elapsed() < Duration::from_millis(50));
}

#[tokio::test]
async fn what_the_client_would_change_without_a_word_is_refused() {
    let producer = client("127.0.0.1:1").producer().unwrap();
    let kind = |record| producer.send(&record, Box::new(|_| panic!("called"))).unwrap_err().error.kind;
    let good = || outgoing("orders", 0, "x");
    assert_eq!(kind(OutgoingRecord { timestamp_ms: Some(0), ..good() }), ClientErrorKind::InvalidRecord);
    assert_eq!(kind(OutgoingRecord { partition: Some(-1), ..good() }), ClientErrorKind::InvalidRecord);
    assert_eq!(kind(OutgoingRecord { topic: "a\0b".into(), ..good() }), ClientErrorKind::InvalidRecord);
    let headers = vec![("a\0b".into(), None)];
    assert_eq!(kind(OutgoingRecord { headers, ..good() }), ClientErrorKind::InvalidRecord);
}

#[tokio::test]
async fn a_record_comes_back_byte_for_byte() {
    let kafka = MockKafka::start(1, &[("orders", 1)]).unwrap();
    let client = client(kafka.bootstrap());
    let producer = client.producer().unwrap();
    let bytes = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    let headers = vec![
        ("a".into(), bytes("1")),
        ("b".into(), None),
        ("a".into(), bytes("")),
        ("".into(), bytes("unnamed")),
    ];
    let shapes = [
        OutgoingRecord {
            key: bytes("key"),
            value: bytes("value"),
            headers,
            timestamp_ms: Some(1_234),
            ..blank()
        },
        OutgoingRecord { key: bytes(""), value: None, timestamp_ms: Some(1), ..blank() },
        OutgoingRecord { key: None, value: bytes(""), timestamp_ms: Some(2), ..blank() },
    ];
    for (offset, shape) in shapes.iter().enumerate() {
        let delivery = send(&producer, shape.clone()).await.unwrap().unwrap();
        assert_eq!((delivery.partition, delivery.offset), (0, offset as i64));
    }
    let mut member = Member::join(&client, options("g", "orders"));
    member.assigned().await;
    for (shape, (_, _, record)) in shapes.iter().zip(member.records(3).await) {
        let headers = shape.headers.iter().map(|(name, value)| (&**name, value.as_deref()));
        let (key, value) = (shape.key.as_deref(), shape.value.as_deref());
        assert_eq!(record, Record::copy_from(record.offset, shape.timestamp_ms, key, value, headers));
    }
}

fn blank() -> OutgoingRecord {
    OutgoingRecord { topic: "orders".into(), partition: Some(0), ..OutgoingRecord::default() }
}

#[tokio::test]
async fn answers_come_once_and_in_order_and_a_flush_waits_for_them() {
    let kafka = MockKafka::start(1, &[("orders", 1)]).unwrap();
    let producer = with(kafka.bootstrap(), &[("linger.ms", "20")]).producer().unwrap();
    let answers = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..1_000 {
        let answers = Arc::clone(&answers);
        let done = Box::new(move |result: Result<super::super::super::Delivery, _>| {
            answers.lock().unwrap().push(result.unwrap().offset);
        });
        producer.send(&outgoing("orders", 0, "x"), done).unwrap();
    }
    producer.flush(PATIENCE).await.unwrap();
    assert_eq!(*answers.lock().unwrap(), (0..1_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_flush_that_runs_out_of_time_says_how_many_are_open() {
    let producer = client("127.0.0.1:1").producer().unwrap();
    drop(send(&producer, outgoing("orders", 0, "x")));
    let error = producer.flush(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::TimedOut);
    assert!(error.message.starts_with("1 records"), "{}", error.message);
}

#[tokio::test]
async fn a_callback_that_panics_does_not_silence_the_next() {
    let kafka = MockKafka::start(1, &[("orders", 1)]).unwrap();
    let producer = client(kafka.bootstrap()).producer().unwrap();
    producer.send(&outgoing("orders", 0, "x"), Box::new(|_| panic!("as the test wants"))).unwrap();
    send(&producer, outgoing("orders", 0, "y")).await.unwrap().unwrap();
}

#[tokio::test]
async fn dropping_the_producer_returns_at_once_and_its_records_are_still_written() {
    let kafka = MockKafka::start(1, &[("orders", 1)]).unwrap();
    let producer = with(kafka.bootstrap(), &[("linger.ms", "300")]).producer().unwrap();
    let answers: Vec<_> = (0..100).map(|_| send(&producer, outgoing("orders", 0, "x"))).collect();
    let started = Instant::now();
    drop(producer);
    assert!(started.elapsed() < Duration::from_millis(50));
    for answer in answers {
        timeout(PATIENCE, answer).await.unwrap().unwrap().unwrap();
    }
}

#[tokio::test]
async fn warming_up_takes_the_wait_from_the_first_record() {
    let kafka = MockKafka::start(2, &[("orders", 4)]).unwrap();
    let producer = client(kafka.bootstrap()).producer().unwrap();
    producer.warm_up(vec!["orders".to_owned()], PATIENCE).await.unwrap();
    let started = Instant::now();
    send(&producer, outgoing("orders", 0, "x")).await.unwrap().unwrap();
    assert!(started.elapsed() < Duration::from_millis(100), "the first took {:?}", started.elapsed());
}

#[tokio::test]
async fn warming_up_without_a_broker_names_its_address() {
    let producer = client("127.0.0.1:1").producer().unwrap();
    let error = producer.warm_up(vec!["orders".to_owned()], Duration::from_secs(1)).await.unwrap_err();
    assert!(error.message.contains("127.0.0.1:1"), "{}", error.message);
}

/// Answered or not by a cluster that tells nobody anything new: neither where a topic is, nor a producer's id.
async fn first_record(topics: Option<&[&str]>) -> Result<Delivery, ClientError> {
    let (told, bootstrap) = std::sync::mpsc::channel();
    let (be_silent, silent) = std::sync::mpsc::channel::<()>();
    // A mock cluster must not leave the thread it was made on.
    std::thread::spawn(move || {
        let mock = rdkafka::mocking::MockCluster::new(1).unwrap();
        mock.create_topic("orders", 1, 1).unwrap();
        told.send(mock.bootstrap_servers()).unwrap();
        silent.recv().unwrap();
        let refused = rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT;
        for question in [RDKafkaApiKey::Metadata, RDKafkaApiKey::InitProducerId] {
            mock.request_errors(question, &[refused; 1_000]);
        }
        told.send(String::new()).unwrap();
        let _ = silent.recv(); // until the test has ended
    });
    let producer = with(&bootstrap.recv().unwrap(), &[("message.timeout.ms", "5000")]).producer().unwrap();
    if let Some(topics) = topics {
        producer.warm_up(topics.iter().map(|&topic| topic.to_owned()).collect(), PATIENCE).await.unwrap();
    }
    be_silent.send(()).unwrap();
    bootstrap.recv().unwrap();
    send(&producer, outgoing("orders", 0, "x")).await.unwrap()
}

#[tokio::test]
async fn the_first_record_of_a_producer_that_was_warmed_up_waits_for_no_metadata_and_no_producer_id() {
    first_record(None).await.expect_err("it has to ask");
    first_record(Some(&["orders"])).await.expect("all it needs is known");
}

/// A leader that steps down says "not the leader" also of what it has appended and its followers have copied.
#[tokio::test]
async fn what_a_leader_sent_back_and_nobody_took_in_time_may_have_been_written() {
    let (told, bootstrap) = std::sync::mpsc::channel();
    let (refuse, refusing) = std::sync::mpsc::channel::<()>();
    // A mock cluster must not leave the thread it was made on.
    std::thread::spawn(move || {
        let mock = rdkafka::mocking::MockCluster::new(1).unwrap();
        mock.create_topic("orders", 2, 1).unwrap();
        told.send(mock.bootstrap_servers()).unwrap();
        refusing.recv().unwrap();
        let not_leader = rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
        mock.request_errors(rdkafka::types::RDKafkaApiKey::Produce, &[not_leader; 1_000]);
        told.send(String::new()).unwrap();
        let _ = refusing.recv(); // until the test has ended
    });
    let limits = [("message.timeout.ms", "2000"), ("linger.ms", "0")];
    let producer = with(&bootstrap.recv().unwrap(), &limits).producer().unwrap();
    send(&producer, outgoing("orders", 0, "1")).await.unwrap().unwrap();
    refuse.send(()).unwrap();
    bootstrap.recv().unwrap();
    let error = send(&producer, outgoing("orders", 0, "2")).await.unwrap().unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::TimedOutMaybeWritten, "{error}");
}

#[tokio::test]
async fn a_record_that_comes_alone_does_not_wait_for_others() {
    let kafka = MockKafka::start(1, &[("orders", 1)]).unwrap();
    let producer = with(kafka.bootstrap(), &[("linger.ms", "1000")]).producer().unwrap();
    producer.warm_up(vec!["orders".to_owned()], PATIENCE).await.unwrap();
    let mut took = Vec::new();
    for _ in 0..10 {
        let started = Instant::now();
        send(&producer, outgoing("orders", 0, "x")).await.unwrap().unwrap();
        took.push(started.elapsed());
    }
    assert!(took.iter().any(|took| *took < Duration::from_secs(1)), "{took:?}");
}

/// The first record's answer is so late that it runs out of time; the second is written meanwhile, its answer late too.
#[tokio::test]
async fn what_is_sent_again_behind_a_record_that_ran_out_of_time_is_told_as_maybe_twice() {
    let (told, bootstrap) = std::sync::mpsc::channel();
    let (answer_after, round_trips) = std::sync::mpsc::channel();
    // A mock cluster must not leave the thread it was made on.
    std::thread::spawn(move || {
        let mock = rdkafka::mocking::MockCluster::new(1).unwrap();
        mock.create_topic("orders", 2, 1).unwrap();
        told.send(mock.bootstrap_servers()).unwrap();
        for round_trip in round_trips {
            mock.broker_round_trip_time(1, round_trip).unwrap();
            told.send(String::new()).unwrap();
        }
    });
    let answer_after = |round_trip: Duration| {
        answer_after.send(round_trip).unwrap();
        bootstrap.recv().unwrap();
    };
    let brokers = bootstrap.recv().unwrap();
    let limits = [("message.timeout.ms", "8000"), ("request.timeout.ms", "500"), ("linger.ms", "0")];
    let producer = with(&brokers, &limits).producer().unwrap();
    for partition in [0, 1] {
        let first = send(&producer, outgoing("orders", partition, "0")).await.unwrap().unwrap();
        assert!(!first.maybe_twice, "nothing ran out of time");
    }
    answer_after(Duration::from_secs(60));
    let late = send(&producer, outgoing("orders", 0, "late"));
    // The second must be the younger by enough to have its answer still.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let again = send(&producer, outgoing("orders", 1, "again"));
    assert_eq!(late.await.unwrap().unwrap_err().kind, ClientErrorKind::TimedOutMaybeWritten);
    answer_after(Duration::ZERO);
    let delivery = again.await.unwrap().unwrap();
    assert!(delivery.maybe_twice && delivery.offset > 1, "{delivery:?}");
    let last = send(&producer, outgoing("orders", 1, "last")).await.unwrap().unwrap();
    assert!(!last.maybe_twice, "it was sent once");
}
