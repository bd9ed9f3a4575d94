//! What a health check is told.

use super::*;
use crate::transport::librdkafka::mock::MockKafka;

#[tokio::test(start_paused = true)]
async fn before_anything_was_published_nothing_is_known() {
    let health = publisher(&cluster(), |_| {}).health();
    assert_eq!((health.is_reachable, health.last_answer, health.last_error.clone()), (None, None, None));
    assert!(health.is_ready());
}

#[tokio::test(start_paused = true)]
async fn an_answer_says_that_brokers_are_there_and_a_failure_that_they_are_not() {
    let cluster = cluster().with_timeouts(SECOND, SECOND);
    let publisher = publisher(&cluster, |_| {});
    publisher.publish_record(record("1")).await.unwrap();
    assert_eq!(publisher.health().is_reachable, Some(true));
    tokio::time::sleep(SECOND).await;
    cluster.broker_away();
    publisher.publish_record(record("2")).await.unwrap_err();
    let health = publisher.health();
    assert_eq!((health.is_reachable, health.is_ready()), (Some(false), false));
    let error = health.last_error.unwrap().message;
    assert!(error.contains("cannot publish to notes: ") && !error.contains("key"), "{error}");
    assert!(!publisher.check_health(SECOND).await.is_ready());
    tokio::time::sleep(SECOND).await;
    cluster.broker_back();
    assert!(publisher.check_health(SECOND).await.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_and_a_closed_publisher_are_not_ready() {
    let cluster = cluster();
    let publisher = publisher(&cluster, |config| config.buffer_records = 1);
    cluster.produce_down(TOPIC);
    let held = publisher.enqueue_record(record("1")).await.unwrap();
    let waiting = tokio::spawn({
        let publisher = publisher.clone();
        async move { publisher.enqueue_record(record("2")).await.map(drop) }
    });
    while publisher.health().buffer.waiting == 0 {
        tokio::task::yield_now().await;
    }
    let health = publisher.health();
    assert_eq!((health.buffer.records, health.buffer.records_limit), (1, 1));
    assert!(!health.is_ready());
    cluster.produce_up(TOPIC);
    held.await.unwrap();
    waiting.await.unwrap().unwrap();
    publisher.close(SECOND).await;
    assert!(publisher.health().is_closed && !publisher.health().is_ready());
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_told_with_its_address_and_as_json() {
    let mut config = KafkaConfig::for_brokers("127.0.0.1:1");
    config.publisher.linger_ms = 0;
    let publisher = Kafka::new(config).unwrap().publisher("ride-service").unwrap();
    let health = publisher.check_health(2 * SECOND).await;
    assert_eq!(health.is_reachable, Some(false));
    let trouble = &health.last_trouble.as_ref().expect("the client said so").message;
    assert!(trouble.contains("127.0.0.1:1"), "{trouble}");
    let json = serde_json::to_value(&health).unwrap();
    assert_eq!((&json["is_reachable"], &json["breaker"]), (&false.into(), &"closed".into()));
}

#[tokio::test]
async fn an_idle_publisher_finds_a_broker_by_asking() {
    let kafka = MockKafka::start(1, &[(TOPIC, 1)]).unwrap();
    let config = KafkaConfig::for_brokers(kafka.bootstrap());
    let publisher = Kafka::new(config).unwrap().publisher("ride-service").unwrap();
    assert_eq!(publisher.check_health(30 * SECOND).await.is_reachable, Some(true));
}
