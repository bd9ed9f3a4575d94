//! Goal: an app on a real group handles, retries, dead-letters and commits as promised, from joining to the report.
//! Method: the in-memory cluster on a paused clock, real handlers, no sleeps.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::client_error::ClientErrorKind;
use crate::config::KafkaConfig;
use crate::extract::{Attempt, Meta};
use crate::kafka::Kafka;
use crate::outcome::HandlerError;
use crate::record::{OutgoingRecord, TopicPartition};
use crate::testing::Cluster;

use super::{App, AppBuilder};

mod batches;
mod close;
mod exactly_once;
mod follow;
mod layers;
mod membership;
mod outage;
mod pause;
mod plain;
mod policies;
mod range;
mod simulation;
mod stuck;
mod trouble;

const TOPIC: &str = "parcels.v1";
const DLQ: &str = "parcels.v1.dlq";
const GROUP: &str = "depot-group";

fn kafka(cluster: &Cluster) -> Kafka {
    let mut config = KafkaConfig::default();
    config.consumer.group = Some(GROUP.to_owned());
    Kafka::over(Arc::new(cluster.clone()), config)
}

fn cluster(partitions: i32) -> Cluster {
    Cluster::new().with_topic(TOPIC, partitions).with_topic(DLQ, partitions)
}

/// An app that handles every event of the topic by `*`.
fn builder(cluster: &Cluster) -> AppBuilder {
    kafka(cluster).app("depot")
}

fn envelope(id: &str) -> String {
    format!(
        r#"{{"id":"{id}","type":"parcel.moved","version":"1.0","source":"depot","timestamp":"2026-11-24T08:00:00Z","correlation_id":"c","payload":{{"parcel_id":"p"}}}}"#
    )
}

fn produce(cluster: &Cluster, key: &str, value: &str) -> TopicPartition {
    let record = OutgoingRecord {
        topic: TOPIC.into(),
        key: Some(key.to_owned().into()),
        value: Some(value.to_owned().into()),
        ..OutgoingRecord::default()
    };
    let written = cluster.produce(record).unwrap();
    TopicPartition::new(TOPIC, written.partition)
}

/// What handlers saw, in order.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn add(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Runs the app until all is committed.
async fn run_to_the_end(cluster: &Cluster, app: App) {
    run_until(cluster, app, |cluster| cluster.lag(GROUP, TOPIC) == 0).await;
}

async fn run_until(cluster: &Cluster, app: App, is_done: impl FnMut(&Cluster) -> bool) {
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    cluster.wait_until(is_done).await;
    assert!(handle.close(LONG).await);
    let report = run.await.unwrap().unwrap();
    assert!(report.abandoned.is_empty() && report.commit_error.is_none(), "{report:?}");
}

const LONG: Duration = Duration::from_secs(60);

/// Notes the event's id.
async fn note(crate::extract::State(seen): crate::extract::State<Seen>, meta: Meta) {
    seen.add(meta.event_id.as_str());
}
