//! Creating topics, their settings, and more partitions for them.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigEntry, ConfigSource, NewPartitions, NewTopic as NativeTopic,
    ResourceSpecifier, TopicReplication,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::client_error::{ClientError, ClientErrorKind};
use crate::transport::NewTopic;
use crate::transport::admin::Setting;
use crate::transport::librdkafka::config::{Settings, check_name, refused};
use crate::transport::librdkafka::context::Context;
use crate::transport::librdkafka::{errors, own_thread};

pub(in super::super) async fn create_topics(
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
    let client = open(&settings)?;
    let native: Vec<NativeTopic<'_>> = topics.iter().map(native).collect();
    let results = client.create_topics(&native, &options(timeout)).await;
    close(client)?;

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

pub(super) async fn topic_settings(
    settings: Arc<Settings>,
    topics: Vec<String>,
    timeout: Duration,
) -> Result<Vec<Vec<Setting>>, ClientError> {
    for topic in &topics {
        check_name("the topic", topic)?;
    }
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let client = open(&settings)?;
    let asked: Vec<ResourceSpecifier<'_>> =
        topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
    let answers = client.describe_configs(&asked, &options(timeout)).await;
    close(client)?;
    let place = |what: &str| format!("settings of {what} at {}", settings.bootstrap);
    let all = match &topics[..] {
        [topic] => topic.clone(),
        topics => format!("{} topics", topics.len()),
    };
    let answers = answers.map_err(|error| errors::at(place(&all), &error))?;
    if answers.len() != topics.len() {
        let message = format!("{}: {} answers", place(&all), answers.len());
        return Err(ClientError::new(ClientErrorKind::Other, message));
    }
    let answers = answers.into_iter().zip(&topics).map(|(answer, topic)| match answer {
        // rdkafka passes over what the broker says of the topic; one that is there has settings.
        Ok(resource) if resource.entries.is_empty() => {
            let message = format!("{}: the cluster has no such topic", place(topic));
            Err(ClientError::new(ClientErrorKind::UnknownTopic, message))
        }
        Ok(resource) => Ok(resource.entries.into_iter().map(setting).collect()),
        Err(code) => Err(errors::at(place(topic), &KafkaError::AdminOp(code))),
    });
    answers.collect()
}

pub(super) fn setting(entry: ConfigEntry) -> Setting {
    let is_own = matches!(entry.source, ConfigSource::DynamicTopic | ConfigSource::DynamicBroker);
    Setting { is_own, value: entry.value.filter(|_| !entry.is_sensitive), name: entry.name }
}

pub(super) async fn add_partitions(
    settings: Arc<Settings>,
    topic: String,
    total: i32,
    timeout: Duration,
) -> Result<(), ClientError> {
    check_name("the topic", &topic)?;
    let Some(count) = usize::try_from(total).ok().filter(|count| *count > 0) else {
        let message = format!("topic {topic} cannot have {total} partitions: expected 1 or more");
        return Err(ClientError::new(ClientErrorKind::Config, message));
    };
    let client = open(&settings)?;
    let results = client.create_partitions(&[NewPartitions::new(&topic, count)], &options(timeout)).await;
    close(client)?;
    let place = format!("giving topic {topic} {total} partitions");
    let results = results.map_err(|error| errors::at(&place, &error))?;
    match results.into_iter().find_map(Result::err) {
        None => Ok(()),
        Some((_, code)) => Err(errors::at(&place, &KafkaError::AdminOp(code))),
    }
}

fn open(settings: &Settings) -> Result<AdminClient<Context>, ClientError> {
    settings.admin().create_with_context(Context::default()).map_err(refused)
}

/// Dropping a client joins its thread: never on the caller's.
pub(super) fn close(client: AdminClient<Context>) -> Result<(), ClientError> {
    own_thread::start("txova-kafka-admin", move || drop(client))
}

pub(super) fn options(timeout: Duration) -> AdminOptions {
    AdminOptions::new().request_timeout(Some(timeout)).operation_timeout(Some(timeout))
}
