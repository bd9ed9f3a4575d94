//! A whole service through everything that is counted, and through more keys, ids and types than anybody should count.

use std::collections::BTreeSet;
use std::time::Duration;

use super::heard::Heard;
use super::*;
use crate::client_error::ClientErrorKind;
use crate::extract::Meta;
use crate::kafka::Kafka;
use crate::outcome::HandlerError;
use crate::publisher::Publisher;
use crate::record::OutgoingRecord;
use crate::testing::{Cluster, CommitFault, ProduceFault};

const TOPIC: &str = "parcels.v1";
const DLQ: &str = "parcels.v1.dlq";
const LONG: Duration = Duration::from_secs(60);

async fn handle(meta: Meta) -> Result<(), HandlerError> {
    match meta.event_id.as_str() {
        "bad" => Err(HandlerError::permanent("never")),
        "late" if meta.attempt == 1 => Err(HandlerError::transient("not yet")),
        _ => Ok(()),
    }
}

fn record(key: &str, event_type: &str, id: &str) -> OutgoingRecord {
    let value = format!(
        r#"{{"id":"{id}","type":"{event_type}","version":"1.0","source":"depot","timestamp":"2026-11-24T08:00:00Z","correlation_id":"{id}","payload":{{}}}}"#
    );
    OutgoingRecord {
        topic: TOPIC.into(),
        key: Some(key.to_owned().into()),
        value: Some(value.into()),
        ..OutgoingRecord::default()
    }
}

fn cluster() -> Cluster {
    Cluster::new().with_topic(TOPIC, 2).with_topic(DLQ, 2)
}

/// Handles what is there and ends.
async fn work(kafka: &Kafka, cluster: &Cluster) {
    let app = kafka.app("depot").on("parcel.*", handle).topics([TOPIC]).build().unwrap();
    let (handle, run) = (app.handle(), tokio::spawn(app.run()));
    cluster.wait_until(|cluster| cluster.lag("depot-group", TOPIC) == 0).await;
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
}

async fn publish(events: &Publisher, records: impl IntoIterator<Item = OutgoingRecord>) {
    for record in records {
        let _ = events.publish_record(record).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_metric_of_the_table_is_measured_and_nothing_else_is() {
    let heard = Heard::listen();
    let cluster = cluster();
    let kafka = cluster.kafka();
    let events = kafka.publisher("depot").unwrap();
    publish(&events, ["bad", "late", "fine"].map(|id| record(id, "parcel.moved", id))).await;
    cluster.fail_produces(TOPIC, 1, ProduceFault::Refused(ClientErrorKind::InvalidRecord));
    publish(&events, [record("a", "parcel.moved", "refused for good")]).await;
    cluster.fail_produces(DLQ, 1, ProduceFault::Refused(ClientErrorKind::TimedOutNotWritten));
    cluster.fail_commits("depot-group", 1, CommitFault::Refused(ClientErrorKind::TimedOut));
    work(&kafka, &cluster).await;
    events.close(LONG).await;
    let expected: BTreeSet<String> = TABLE.iter().map(|metric| format!("txova_{}", metric.name)).collect();
    assert_eq!(heard.names(), expected);
    for (series, _) in heard.all() {
        let (name, labels) = series.trim_end_matches('}').split_once('{').unwrap();
        let metric = TABLE.iter().find(|metric| name.ends_with(metric.name)).unwrap();
        let labels: Vec<&str> =
            labels.split(',').filter_map(|label| Some(label.split_once('=')?.0)).collect();
        assert_eq!(labels, metric.labels, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_ids_types_and_topics_without_number_make_no_metrics_without_number() {
    let heard = Heard::listen();
    let cluster = cluster();
    let kafka = cluster.kafka();
    let events = kafka.publisher("depot").unwrap();
    publish(&events, [record("a", "parcel.moved", "first"), record("b", "other.type", "second")]).await;
    work(&kafka, &cluster).await;
    let few: BTreeSet<String> = heard.all().into_keys().collect();

    let marked = |n: usize| record(&format!("k{n}mark"), &format!("made.up{n}mark"), &format!("i{n}mark"));
    publish(&events, (0..1_000).map(marked)).await;
    publish(&events, (0..1_000).map(|n| record(&format!("k{n}mark"), "parcel.moved", &format!("i{n}mark"))))
        .await;
    work(&kafka, &cluster).await;
    let many: BTreeSet<String> = heard.all().into_keys().collect();
    assert_eq!(many.difference(&few).collect::<Vec<_>>(), [&""; 0]);

    let topic =
        |n: usize| OutgoingRecord { topic: format!("topic{n}").into(), ..record("a", "parcel.moved", "x") };
    publish(&events, (0..1_000).map(topic)).await;
    events.close(LONG).await;
    let topics = heard.all().into_keys().filter(|series| series.contains("messages_produced_total")).count();
    assert!(topics <= 201, "{topics}");
    assert!(heard.of("txova_kafka_messages_produced_total{topic=other}") >= 800.0);
}
