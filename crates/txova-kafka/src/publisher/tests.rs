//! Goal: what a publisher says of an event is what happened to it, whatever the cluster does; and order holds.
//! Method: the cluster in memory on tokio's paused clock; a client that a test answers by hand where the point is the
//! moment of an answer.

use std::sync::Mutex;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::*;
use crate::config::KafkaConfig;
use crate::kafka::Kafka;
use crate::testing::Cluster;
use crate::transport::{DeliveryCallback, JoinOptions, NotTaken};

mod breaker;
mod cancel;
mod client;
mod close;
mod health;
mod inherit;
mod order;
mod real;
mod refused;
mod telemetry;
mod unhappy;

const TOPIC: &str = "notes";
const SECOND: Duration = Duration::from_secs(1);

/// A publisher into `cluster`, with settings changed.
fn publisher(cluster: &Cluster, change: impl FnOnce(&mut crate::config::PublisherConfig)) -> Publisher {
    let mut config = KafkaConfig::default();
    change(&mut config.publisher);
    Kafka::over(Arc::new(cluster.clone()), config).publisher("ride-service").unwrap()
}

fn cluster() -> Cluster {
    Cluster::new().with_topic(TOPIC, 1)
}

fn record(value: impl Into<Bytes>) -> OutgoingRecord {
    OutgoingRecord {
        topic: TOPIC.into(),
        key: Some("k".into()),
        value: Some(value.into()),
        ..OutgoingRecord::default()
    }
}

/// The values in the log, in order.
fn log(cluster: &Cluster) -> Vec<String> {
    cluster
        .records(TOPIC)
        .into_iter()
        .map(|(_, record)| String::from_utf8(record.value.unwrap().to_vec()).unwrap())
        .collect()
}
