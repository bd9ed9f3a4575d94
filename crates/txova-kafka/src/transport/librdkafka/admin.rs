//! Creating topics.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic as NativeTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::super::NewTopic;
use super::config::{Settings, check_name, refused};
use super::context::Context;
use super::{errors, own_thread};
use crate::client_error::ClientError;

pub(super) async fn create_topics(
    settings: Arc<Settings>,
    topics: Vec<NewTopic>,
    timeout: Duration,
) -> Result<(), ClientError> {
    for topic in &topics {
        check_name("the topic", &topic.name)?;
    }
    if topics.is_empty() {
        return Ok(());
    }
    let client: AdminClient<Context> =
        settings.admin().create_with_context(Context::default()).map_err(refused)?;
    let native: Vec<NativeTopic<'_>> = topics.iter().map(native).collect();
    let options = AdminOptions::new().request_timeout(Some(timeout)).operation_timeout(Some(timeout));
    let results = client.create_topics(&native, &options).await;
    // Dropping the client joins its thread.
    own_thread::start("txova-kafka-admin", move || drop(client))?;

    let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
    let results = results.map_err(|error| {
        errors::at(format_args!("creating topics {} at {}", names.join(", "), settings.bootstrap), &error)
    })?;
    let failed: Vec<(String, RDKafkaErrorCode)> = results
        .into_iter()
        .filter_map(Result::err)
        .filter(|(_, code)| *code != RDKafkaErrorCode::TopicAlreadyExists)
        .collect();
    match failed.split_first() {
        None => Ok(()),
        Some(((name, code), rest)) => {
            let first = errors::at(format_args!("creating topic {name}"), &KafkaError::AdminOp(*code));
            let rest: String = rest.iter().map(|(name, code)| format!("; {name}: {code}")).collect();
            Err(ClientError::new(first.kind, first.message + &rest))
        }
    }
}

fn native(topic: &NewTopic) -> NativeTopic<'_> {
    let replication = TopicReplication::Fixed(topic.replication);
    let native = NativeTopic::new(&topic.name, topic.partitions, replication);
    topic.settings.iter().fold(native, |native, (name, value)| native.set(name, value))
}
