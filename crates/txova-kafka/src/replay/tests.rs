//! Goal: a replay does what was picked and loses nothing else. Method: the in-memory cluster on a paused clock, letters
//! that a failing app has written itself, no sleeps.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::app::{App, AppBuilder};
use crate::config::KafkaConfig;
use crate::dead_letter::{AuditRecord, EntryPlace, Resolution, resolutions};
use crate::extract::{Attempt, Meta, State};
use crate::kafka::Kafka;
use crate::outcome::HandlerError;
use crate::record::{OutgoingRecord, Record, TopicPartition};
use crate::router::{Policy, Unexpected};
use crate::testing::Cluster;

use super::{Replay, ReplayError, ReplayReport};

mod audit;
mod picking;
mod records;
mod redrive;
mod trouble;

const TOPIC: &str = "parcels.v1";
const DLQ: &str = "parcels.v1.dlq";
const GROUP: &str = "depot-group";

/// What the handler does and did.
#[derive(Clone, Default)]
struct Depot(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    refused: HashSet<String>,
    seen: Vec<String>,
}

impl Depot {
    fn refuse(&self, ids: &[&str]) {
        self.0.lock().unwrap().refused = ids.iter().map(|id| (*id).to_owned()).collect();
    }

    /// What was handled since the last look, in order.
    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().seen)
    }
}

/// Notes the event's id, where it does not refuse it.
async fn store(State(depot): State<Depot>, meta: Meta) -> Result<(), HandlerError> {
    let mut depot = depot.0.lock().unwrap();
    if depot.refused.contains(&meta.event_id) {
        return Err(HandlerError::permanent(format!("there is no room for {}", meta.event_id)));
    }
    depot.seen.push(meta.event_id);
    Ok(())
}

fn cluster() -> Cluster {
    Cluster::new().with_topic(TOPIC, 2).with_topic(DLQ, 2)
}

fn kafka(cluster: &Cluster) -> Kafka {
    let mut config = KafkaConfig::default();
    config.consumer.group = Some(GROUP.to_owned());
    Kafka::over(Arc::new(cluster.clone()), config)
}

fn builder(cluster: &Cluster, depot: &Depot) -> AppBuilder {
    let types = [("parcel.moved", [TOPIC]), ("parcel.lost", [TOPIC])];
    kafka(cluster).app("depot").catalogue(types).state(depot.clone())
}

fn app(cluster: &Cluster, depot: &Depot) -> App {
    builder(cluster, depot).on("parcel.moved", store).build().unwrap()
}

fn envelope(id: &str) -> String {
    format!(
        r#"{{"id":"{id}","type":"parcel.moved","version":"1.0","source":"depot","timestamp":"2026-11-24T08:00:00Z","correlation_id":"of {id}","payload":{{"parcel_id":"p"}}}}"#
    )
}

fn record(topic: &str, partition: i32, value: &str) -> OutgoingRecord {
    OutgoingRecord {
        topic: topic.into(),
        partition: Some(partition),
        key: Some("p".into()),
        value: Some(value.to_owned().into()),
        ..OutgoingRecord::default()
    }
}

/// Lets an app fail until every record of the topic is a dead letter.
async fn give_up(cluster: &Cluster, app: App) {
    let all = cluster.records(TOPIC).len();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    cluster.wait_until(|cluster| cluster.records(DLQ).len() == all && cluster.lag(GROUP, TOPIC) == 0).await;
    assert!(handle.close(Duration::from_secs(60)).await);
    run.await.unwrap().unwrap();
}

/// A cluster with dead letters about these events, and a depot that refuses nothing any more.
async fn with_letters(ids: &[&str]) -> (Cluster, Depot) {
    let (cluster, depot) = (cluster(), Depot::default());
    depot.refuse(ids);
    for (n, id) in ids.iter().enumerate() {
        cluster.produce(record(TOPIC, n as i32 % 2, &envelope(id))).unwrap();
    }
    give_up(&cluster, app(&cluster, &depot)).await;
    depot.refuse(&[]);
    (cluster, depot)
}

/// Replays, and checks what holds for every replay: each entry is counted once, and nothing but decisions is written.
async fn replay(cluster: &Cluster, app: &App, replay: Replay) -> Result<ReplayReport, ReplayError> {
    let before = everything(cluster);
    let replayed = app.replay(replay).await;
    assert_eq!(everything(cluster), before, "a replay changed something else than the resolutions");
    let report = match &replayed {
        Ok(report) => Some(report),
        Err(error) => error.report(),
    };
    if let Some(report) = report {
        assert_eq!(report.accounted_for(), report.read, "{report:?}");
    }
    replayed
}

/// All records but the resolutions, and all that is committed.
#[derive(Debug, PartialEq)]
struct Everything {
    records: Vec<(TopicPartition, Record)>,
    ends: BTreeMap<TopicPartition, (i64, i64)>,
    committed: BTreeMap<TopicPartition, Option<(i64, String)>>,
}

fn everything(cluster: &Cluster) -> Everything {
    let partitions = [TOPIC, DLQ].map(|topic| [TopicPartition::new(topic, 0), TopicPartition::new(topic, 1)]);
    let partitions = partitions.as_flattened();
    Everything {
        records: [TOPIC, DLQ].iter().flat_map(|topic| cluster.records(topic)).collect(),
        ends: partitions.iter().map(|at| (at.clone(), cluster.ends(at).unwrap())).collect(),
        committed: partitions.iter().map(|at| (at.clone(), cluster.committed_by(GROUP, at))).collect(),
    }
}

/// What was decided about entries, in order.
fn resolutions(cluster: &Cluster) -> Vec<Resolution> {
    let records = cluster.records(resolutions::TOPIC).into_iter();
    let about_entries = records.filter(|(_, record)| {
        let key = std::str::from_utf8(record.key.as_deref().unwrap_or_default()).unwrap();
        key.parse::<EntryPlace>().is_ok()
    });
    about_entries.map(|(_, record)| serde_json::from_slice(&record.value.unwrap()).unwrap()).collect()
}

/// What the audit topic says of what was done to entries: the act, the event's id and the result.
fn audit(cluster: &Cluster) -> Vec<String> {
    let records = cluster.records(crate::dead_letter::audit::TOPIC).into_iter();
    let read =
        |(_, record): (_, Record)| serde_json::from_slice::<AuditRecord>(&record.value.unwrap()).unwrap();
    let told = |it: AuditRecord| format!("{} {} {}", it.act, it.event_id, it.result).trim_end().to_owned();
    records.map(read).map(told).collect()
}

/// The event ids of the letters that are open.
async fn open(cluster: &Cluster) -> Vec<String> {
    let entries = kafka(cluster).dead_letters([TOPIC]).await.unwrap();
    let open = entries.iter().filter(|entry| entry.is_open());
    let mut ids: Vec<String> = open
        .map(|entry| entry.letter.as_ref().map_or("?".into(), |letter| letter.event_id().into()))
        .collect();
    ids.sort();
    ids
}
