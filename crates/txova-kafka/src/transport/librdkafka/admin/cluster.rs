//! Brokers and topics as a broker knows them, and what one broker says of itself.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, ResourceSpecifier};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataPartition;

use super::speech;
use super::topics::{close, options, setting};
use crate::client_error::ClientError;
use crate::transport::admin::{BrokerDetails, BrokerInfo, ClusterInfo, PartitionInfo, TopicInfo};
use crate::transport::librdkafka::config::{Settings, refused};
use crate::transport::librdkafka::context::Context;
use crate::transport::librdkafka::metadata_calls::{explain, open, there};
use crate::transport::librdkafka::{errors, own_thread};

pub(super) fn cluster(settings: &Settings, timeout: Duration) -> Result<ClusterInfo, ClientError> {
    let consumer = open(settings, None)?;
    let metadata =
        consumer.fetch_metadata(None, timeout).map_err(|error| explain(settings, &consumer, "", &error))?;
    let mut brokers: Vec<BrokerInfo> = metadata
        .brokers()
        .iter()
        .map(|broker| BrokerInfo { id: broker.id(), address: format!("{}:{}", broker.host(), broker.port()) })
        .collect();
    brokers.sort_by_key(|broker| broker.id);
    let mut topics = Vec::new();
    for topic in there(metadata.topics())? {
        let mut partitions: Vec<PartitionInfo> = topic.partitions().iter().map(partition).collect();
        partitions.sort_by_key(|partition| partition.id);
        topics.push(TopicInfo { name: topic.name().to_owned(), partitions });
    }
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    // It came with the metadata: nothing is asked for it.
    let id = consumer.client().fetch_cluster_id(Duration::ZERO);
    Ok(ClusterInfo { id, brokers, topics })
}

fn partition(partition: &MetadataPartition) -> PartitionInfo {
    PartitionInfo {
        id: partition.id(),
        leader: Some(partition.leader()).filter(|leader| *leader >= 0),
        replicas: partition.replicas().to_vec(),
        in_sync: partition.isr().to_vec(),
    }
}

/// A broker is only connected to when it is asked something: its settings are asked for, and what it said when it was
/// connected to is kept.
pub(super) async fn broker(
    settings: Arc<Settings>,
    id: i32,
    timeout: Duration,
) -> Result<BrokerDetails, ClientError> {
    let asked = Arc::clone(&settings);
    let known = own_thread::call("txova-kafka-cluster", move || cluster(&asked, timeout)).await?;
    let address = known.brokers.into_iter().find(|broker| broker.id == id).map(|broker| broker.address);
    let mut config = settings.admin();
    speech::listen(&mut config);
    let client: AdminClient<Context> = config.create_with_context(Context::default()).map_err(refused)?;
    let answers = client.describe_configs(&[ResourceSpecifier::Broker(id)], &options(timeout)).await;
    let heard = speech::heard(&client);
    let requests = heard.of_broker(id, address.as_deref());
    close(client)?;
    let place = format!("settings of broker {id} at {}", settings.bootstrap);
    let failed = |error: &KafkaError| {
        let plain = errors::at(&place, error);
        match &heard.trouble {
            Some(trouble) => {
                ClientError::new(trouble.kind, format!("{}; {}", plain.message, trouble.message))
            }
            None => plain,
        }
    };
    let answers = answers.map_err(|error| failed(&error))?;
    let answer = answers.into_iter().next().transpose();
    let answer = answer.map_err(|code| errors::at(&place, &KafkaError::AdminOp(code)))?;
    let settings = answer.into_iter().flat_map(|resource| resource.entries).map(setting).collect();
    Ok(BrokerDetails { settings, requests })
}
