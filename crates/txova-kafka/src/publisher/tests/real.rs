//! Through librdkafka, over TCP, on its mock brokers.

use futures_util::future::join_all;

use super::*;
use crate::client_error::ClientErrorKind;
use crate::kafka::KafkaError;
use crate::transport::librdkafka::mock::MockKafka;

fn connect(config: KafkaConfig) -> Publisher {
    Kafka::new(config).unwrap().publisher("ride-service").unwrap()
}

#[tokio::test]
async fn an_absent_broker_is_told_with_its_address_and_what_waits_for_it_was_not_written() {
    let mut config = KafkaConfig::for_brokers("127.0.0.1:1");
    (config.publisher.request_timeout_ms, config.publisher.delivery_timeout_ms) = (500, 505);
    let publisher = connect(config);
    let error = publisher.warm_up([TOPIC], SECOND).await.unwrap_err();
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    let error = publisher.publish_record(record("1")).await.unwrap_err();
    assert_eq!((error.kind(), error.written()), (PublishErrorKind::TimedOut, Written::No), "{error}");
    assert_eq!((error.topic(), error.key()), (Some(TOPIC), Some(&b"k"[..])));
    assert_eq!(publisher.close(SECOND).await, CloseReport { acknowledged: 0, failed: 0, unanswered: 0 });
}

#[tokio::test]
async fn what_the_client_refuses_is_said_before_anything_is_made() {
    let mut config = KafkaConfig::for_brokers("127.0.0.1:1");
    config.connection.properties.insert("no.such.property".to_owned(), "hidden".into());
    let error = Kafka::new(config).unwrap_err();
    let KafkaError::Client(client) = &error else { panic!("{error}") };
    assert_eq!(client.kind, ClientErrorKind::Config);
    assert!(error.to_string().contains("no.such.property"), "{error}");
    assert!(!error.to_string().contains("hidden"), "{error}");
}

#[tokio::test]
async fn a_buffer_far_smaller_than_what_is_published_loses_nothing_and_keeps_order() {
    let kafka = MockKafka::start(1, &[(TOPIC, 1)]).unwrap();
    let mut config = KafkaConfig::for_brokers(kafka.bootstrap());
    config.publisher.buffer_records = 50;
    let publisher = connect(config);
    publisher.warm_up([TOPIC], 10 * SECOND).await.unwrap();
    let published =
        join_all((0..5_000).map(|number| publisher.publish_record(record(number.to_string())))).await;
    let offsets: Vec<i64> = published.into_iter().map(|answer| answer.unwrap().offset).collect();
    assert!(offsets.iter().copied().eq(0..5_000), "the order of the calls is the order of the log");
    assert!(publisher.close(10 * SECOND).await.is_clean());
    let stats = publisher.stats();
    assert_eq!((stats.published, stats.in_flight), (5_000, 0));
    assert!(stats.latency_p99_us > Some(0));
}

#[tokio::test]
async fn a_record_at_the_limit_gets_through_and_dropping_the_publisher_right_after_does_not_lose_it() {
    let kafka = MockKafka::start(1, &[(TOPIC, 1)]).unwrap();
    let publisher = connect(KafkaConfig::for_brokers(kafka.bootstrap()));
    let handle = publisher.enqueue_record(record(vec![b'x'; 1024 * 1024 - 1])).await.unwrap();
    drop(publisher);
    assert_eq!(handle.await.unwrap().offset, 0);
}
