//! What a publisher counts.

use std::time::Duration;

use super::heard::Heard;
use crate::client_error::ClientErrorKind;
use crate::publisher::Publisher;
use crate::record::OutgoingRecord;
use crate::testing::{Cluster, ProduceFault};

const TOPIC: &str = "parcels.v1";

fn record() -> OutgoingRecord {
    OutgoingRecord { topic: TOPIC.into(), value: Some("1".into()), ..OutgoingRecord::default() }
}

fn publisher(cluster: &Cluster) -> Publisher {
    let kafka = cluster.kafka().with(|config| {
        (config.publisher.breaker_failures, config.publisher.buffer_records) = (1, 1);
    });
    kafka.unwrap().publisher("depot").unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_end_of_a_record_is_counted_once_by_what_it_was() {
    let heard = Heard::listen();
    let second = Duration::from_secs(1);
    let cluster = Cluster::new().with_topic(TOPIC, 1).with_timeouts(second, second);
    let publisher = publisher(&cluster);
    publisher.publish_record(record()).await.unwrap();
    cluster.fail_produces(TOPIC, 1, ProduceFault::Refused(ClientErrorKind::InvalidRecord));
    publisher.publish_record(record()).await.unwrap_err();
    cluster.fail_produces(TOPIC, 1, ProduceFault::WrittenButTimedOut);
    publisher.publish_record(record()).await.unwrap_err();

    let count = |name: &str, more: &str| heard.of(&format!("txova_kafka_{name}{{topic={TOPIC}{more}}}"));
    assert_eq!(count("messages_produced_total", ""), 1.0);
    assert_eq!(count("publish_duration_seconds", ""), 1.0);
    assert_eq!(count("produce_errors_total", ""), 2.0);
    assert_eq!(count("publish_failures_total", ",kind=refused,written=no"), 1.0);
    assert_eq!(count("publish_failures_total", ",kind=timed_out,written=maybe"), 1.0);
    assert_eq!(count("publish_dead_letters_total", ""), 1.0);
}

#[tokio::test(start_paused = true)]
async fn the_buffer_and_the_breaker_are_seen() {
    let heard = Heard::listen();
    let second = Duration::from_secs(1);
    let cluster = Cluster::new().with_topic(TOPIC, 1).with_timeouts(second, second);
    let publisher = publisher(&cluster);
    let of = |name: &str| heard.of(&format!("txova_kafka_publisher_{name}{{source=depot}}"));
    assert_eq!((of("buffer_records"), of("breaker_state")), (0.0, 0.0));
    cluster.broker_away();
    let handle = publisher.enqueue_record(record()).await.unwrap();
    assert_eq!((of("buffer_records"), of("buffer_bytes"), of("waiting_calls")), (1.0, 1.0, 0.0));
    handle.await.unwrap_err();
    assert_eq!((of("buffer_records"), of("breaker_state"), of("breaker_opened_total")), (0.0, 1.0, 1.0));
    publisher.publish_record(record()).await.unwrap_err();
    let refused = format!("txova_kafka_publish_failures_total{{topic={TOPIC},kind=circuit_open,written=no}}");
    assert_eq!(heard.of(&refused), 1.0);
}
