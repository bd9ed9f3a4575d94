//! What the client is told.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::BaseProducer;

use super::*;

fn map(list: Vec<(String, String)>) -> BTreeMap<String, String> {
    list.into_iter().collect()
}

/// Every setting that becomes a property, away from its default.
fn unusual() -> KafkaConfig {
    let mut config = KafkaConfig::for_brokers("127.0.0.1:1");
    config.publisher = PublisherConfig {
        acks: Acks::Leader,
        idempotent: false,
        retries: 2,
        compression: Compression::Zstd,
        compression_level: Some(7),
        partitioner: Partitioner::Fnv1a,
        ..PublisherConfig::default()
    };
    config.consumer = ConsumerConfig {
        assignment: Assignor::Range,
        isolation: Isolation::ReadUncommitted,
        group_instance_id: Some("ride-1".to_owned()),
        properties: [("fetch.wait.max.ms".to_owned(), Secret::new("50"))].into(),
        ..ConsumerConfig::default()
    };
    config
}

#[test]
fn a_password_file_that_went_away_is_an_error_with_its_path() {
    let mut config = KafkaConfig::for_brokers("kafka:9092");
    config.connection.security_protocol = SecurityProtocol::SaslTls;
    config.connection.sasl.password_file = Some("/nowhere/password".into());
    let error = config.client_properties().unwrap_err();
    assert!(error.message.contains("/nowhere/password"), "{error}");
}

#[test]
fn the_password_of_a_file_has_no_end_of_line() {
    let file = TempFile::new("hunter2\r\n");
    let mut config = KafkaConfig::for_brokers("kafka:9092");
    config.connection.security_protocol = SecurityProtocol::SaslTls;
    config.connection.sasl.username = Some("ride".to_owned());
    config.connection.sasl.password_file = Some(file.path.clone());
    let common = map(config.client_properties().unwrap().common);
    assert_eq!(common["sasl.password"], "hunter2");
    assert_eq!(common["sasl.mechanisms"], "SCRAM-SHA-512");
    assert_eq!(common["security.protocol"], "sasl_ssl");
    assert_eq!(common["ssl.endpoint.identification.algorithm"], "https");
}

#[test]
fn the_client_takes_every_property_it_is_given() {
    let mut tls = KafkaConfig::for_brokers("127.0.0.1:1");
    tls.connection.security_protocol = SecurityProtocol::Tls;
    let mechanisms = [SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512];
    let with_users = mechanisms.map(|mechanism| {
        let mut config = tls.clone();
        config.connection.security_protocol = SecurityProtocol::SaslTls;
        config.connection.tls.verify_hostname = false;
        config.connection.sasl.mechanism = mechanism;
        config.connection.sasl.username = Some("ride".to_owned());
        config.connection.sasl.password = Some("hunter2".into());
        config
    });
    let plain = [KafkaConfig::for_brokers("127.0.0.1:1"), unusual(), tls];
    for config in plain.into_iter().chain(with_users) {
        assert_eq!(config.validate(), Ok(()));
        let properties = config.client_properties().unwrap();
        let client = |role: Vec<(String, String)>| {
            let mut client = ClientConfig::new();
            for (name, value) in properties.common.iter().chain(&role) {
                client.set(name, value);
            }
            client
        };
        let producer: BaseProducer = client(properties.producer.clone()).create().unwrap();
        drop(producer);
        let consumer: BaseConsumer =
            client(properties.consumer.clone()).set("group.id", "ride-service-group").create().unwrap();
        assert!(consumer.subscription().unwrap().elements().is_empty());
    }
}

#[test]
fn settings_become_the_properties_of_their_meaning() {
    let properties = unusual().client_properties().unwrap();
    let (producer, consumer) = (map(properties.producer), map(properties.consumer));
    assert_eq!(producer["acks"], "1");
    assert_eq!(producer["retries"], "2");
    assert_eq!(producer["compression.type"], "zstd");
    assert_eq!(producer["compression.level"], "7");
    assert_eq!(producer["partitioner"], "fnv1a_random");
    assert_eq!(consumer["partition.assignment.strategy"], "range");
    assert_eq!(consumer["isolation.level"], "read_uncommitted");
    assert_eq!(
        consumer.get("group.instance.id"),
        None,
        "only a member has one: the transport sets it where it joins"
    );
    assert_eq!(consumer["fetch.wait.max.ms"], "50");
    assert_eq!(consumer["enable.auto.commit"], "false");
}

#[test]
fn readers_are_read_committed_and_publishers_idempotent_by_default() {
    let properties = KafkaConfig::for_brokers("kafka:9092").client_properties().unwrap();
    let (producer, consumer) = (map(properties.producer), map(properties.consumer));
    assert_eq!(consumer["isolation.level"], "read_committed");
    assert_eq!((&*producer["enable.idempotence"], &*producer["acks"]), ("true", "-1"));
}

#[test]
fn every_property_that_is_set_here_is_refused_from_others() {
    let mut config = unusual();
    config.consumer.properties.clear();
    let properties = config.client_properties().unwrap();
    for (name, _) in properties.common.iter().chain(&properties.producer).chain(&properties.consumer) {
        assert!(super::super::properties::owner(name).is_some(), "{name}");
    }
}
