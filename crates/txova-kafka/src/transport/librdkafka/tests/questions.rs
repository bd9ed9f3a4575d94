//! Properties, topics, the ends of logs and committed offsets.

use std::time::Duration;

use super::super::super::{Transport as _, Watermarks};
use super::super::Librdkafka;
use super::super::mock::MockKafka;
use super::harness::*;
use crate::client_error::ClientErrorKind;
use crate::record::TopicPartition;
use crate::transport::properties::ClientProperties;

fn refused(common: &[(&str, &str)]) -> String {
    let common = common.iter().map(|(name, value)| pair(name, value)).collect();
    let error = Librdkafka::new(ClientProperties { common, ..ClientProperties::default() }).unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::Config);
    error.message
}

#[test]
fn a_refused_property_is_named_and_its_value_is_not() {
    assert!(refused(&[]).contains("bootstrap.servers"));
    let there = ("bootstrap.servers", "127.0.0.1:1");
    assert!(refused(&[there, ("no.such.thing", "1")]).contains("no.such.thing"));
    let message = refused(&[there, ("security.protocol", "hunter2")]);
    assert!(message.contains("security.protocol") && !message.contains("hunter2"), "{message}");
}

#[tokio::test]
async fn settings_that_do_not_fit_together_are_refused_when_joining() {
    let client =
        client_with("127.0.0.1:1", &[("session.timeout.ms", "6000"), ("max.poll.interval.ms", "100")]);
    let error = client.join(options("g", "orders")).err().unwrap();
    assert_eq!(error.kind, ClientErrorKind::Config);
    assert!(error.message.contains("max.poll.interval.ms"), "{}", error.message);
    let error = client.join(options("g", "a\0b")).err().unwrap();
    assert_eq!(error.kind, ClientErrorKind::Config);
}

#[tokio::test]
async fn questions_without_a_broker_end_in_time_and_name_its_address() {
    let client = client("127.0.0.1:1");
    let limit = Duration::from_millis(700);
    let orders = || vec![TopicPartition::new("orders", 0)];
    let errors = [
        client.topics(vec![], limit).await.unwrap_err(),
        client.topics(vec!["orders".to_owned()], limit).await.unwrap_err(),
        client.watermarks(orders(), limit).await.unwrap_err(),
        client.committed("g".to_owned(), orders(), limit).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind, ClientErrorKind::Unreachable, "{}", error.message);
        assert!(error.message.contains("127.0.0.1:1"), "{}", error.message);
    }
}

#[tokio::test]
async fn topics_and_the_ends_of_logs_are_told() {
    let kafka = MockKafka::start(1, &[("orders", 3), ("rides", 1)]).unwrap();
    let client = client(kafka.bootstrap());
    let all = client.topics(vec![], PATIENCE).await.unwrap();
    assert_eq!(all, [("orders".to_owned(), 3), ("rides".to_owned(), 1)]);
    let one = client.topics(vec!["rides".to_owned()], PATIENCE).await.unwrap();
    assert_eq!(one, [("rides".to_owned(), 1)]);
    fill(&client, "orders", 1, 7).await;
    let asked = vec![TopicPartition::new("orders", 1), TopicPartition::new("rides", 0)];
    let ends = client.watermarks(asked, PATIENCE).await.unwrap();
    assert_eq!(ends, [Watermarks { low: 0, high: 7 }, Watermarks { low: 0, high: 0 }]);
    let asked = vec![TopicPartition::new("orders", 3)];
    let error = client.watermarks(asked, PATIENCE).await.unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::UnknownTopic);
    assert!(error.message.contains("orders-3"), "{}", error.message);
}

#[test]
fn a_mock_cluster_refuses_what_it_cannot_be() {
    assert_eq!(MockKafka::start(0, &[]).unwrap_err().kind, ClientErrorKind::Config);
    assert_eq!(MockKafka::start(1, &[("orders", 0)]).unwrap_err().kind, ClientErrorKind::Config);
}
