//! What an app in memory tells of itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::heard::Heard;
use crate::app::App;
use crate::client_error::ClientErrorKind;
use crate::extract::{Meta, State};
use crate::outcome::HandlerError;
use crate::record::OutgoingRecord;
use crate::testing::{Cluster, CommitFault};

const TOPIC: &str = "parcels.v1";
const DLQ: &str = "parcels.v1.dlq";
const LONG: Duration = Duration::from_secs(60);

#[derive(Clone)]
struct Gate(Arc<Semaphore>);

/// Does what the event's id says.
async fn handle(State(gate): State<Gate>, meta: Meta) -> Result<(), HandlerError> {
    match meta.event_id.as_str() {
        "bad" => Err(HandlerError::permanent("never")),
        "skipped" => Err(HandlerError::skip("not for us")),
        "late" if meta.attempt == 1 => Err(HandlerError::transient("not yet")),
        "waits" => {
            gate.0.acquire().await?.forget();
            Ok(())
        }
        _ => Ok(()),
    }
}

fn app(cluster: &Cluster, gate: &Gate, subsystem: Option<&str>) -> App {
    let kafka = cluster.kafka().with(|config| config.metrics.subsystem = subsystem.map(str::to_owned));
    kafka.unwrap().app("depot").on("parcel.*", handle).topics([TOPIC]).state(gate.clone()).build().unwrap()
}

fn produce(cluster: &Cluster, key: &str, id: &str) {
    let value = format!(
        r#"{{"id":"{id}","type":"parcel.moved","version":"1.0","source":"depot","timestamp":"2026-11-24T08:00:00Z","correlation_id":"c","payload":{{}}}}"#
    );
    let record = OutgoingRecord {
        topic: TOPIC.into(),
        partition: Some(0),
        key: Some(key.to_owned().into()),
        value: Some(value.into()),
        ..OutgoingRecord::default()
    };
    cluster.produce(record).unwrap();
}

/// Two looks of the one who measures: what was true at the first is told at the second at last.
async fn looked() {
    tokio::time::sleep(Duration::from_secs(12)).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_waits_shows_as_lag_and_in_the_map_and_holds_no_commit_up() {
    let (heard, gate) = (Heard::listen(), Gate(Arc::new(Semaphore::new(0))));
    let cluster = Cluster::new().with_topic(TOPIC, 2).with_topic(DLQ, 2);
    let app = app(&cluster, &gate, None);
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    produce(&cluster, "a", "fine");
    produce(&cluster, "a", "waits");
    for _ in 0..5 {
        produce(&cluster, "a", "behind it");
        produce(&cluster, "b", "beside it");
    }
    looked().await;
    let partition = |name: &str| format!("txova_kafka_{name}{{topic={TOPIC},partition=0,group=depot-group}}");
    let group = |name: &str| format!("txova_kafka_{name}{{group=depot-group}}");
    assert_eq!(heard.of(&partition("consumer_lag")), 11.0, "all but the first, of which five are done");
    assert_eq!(heard.of(&partition("consumer_commit_age_seconds")), 0.0, "what can be committed is");
    assert!(heard.of(&partition("consumer_offset_map_ratio")) > 0.0, "the five are in the map");
    assert_eq!(heard.of(&group("consumer_in_flight_records")), 6.0);
    assert_eq!(heard.of(&group("consumer_running_handlers")), 1.0);
    assert_eq!(heard.of(&group("consumer_assigned_partitions")), 2.0);

    gate.0.add_permits(1);
    looked().await;
    assert_eq!(heard.of(&partition("consumer_lag")), 0.0);
    assert_eq!(heard.of(&partition("consumer_lag_seconds")), 0.0);
    assert_eq!(heard.of(&group("consumer_in_flight_records")), 0.0);
    let topic = |name: &str| format!("txova_kafka_{name}{{topic={TOPIC},group=depot-group}}");
    assert_eq!(heard.of(&topic("messages_consumed_total")), 12.0);
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
    assert_eq!(heard.of(&group("consumer_assigned_partitions")), 0.0, "what has ended has nothing");
}

#[tokio::test(start_paused = true)]
async fn failures_retries_dead_letters_and_refused_commits_are_counted_by_topic() {
    let (heard, gate) = (Heard::listen(), Gate(Arc::new(Semaphore::new(0))));
    let cluster = Cluster::new().with_topic(TOPIC, 1).with_topic(DLQ, 1);
    cluster.fail_commits("depot-group", 2, CommitFault::Refused(ClientErrorKind::TimedOut));
    for id in ["bad", "late", "skipped", "fine"] {
        produce(&cluster, id, id);
    }
    let app = app(&cluster, &gate, Some("depot"));
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    cluster.wait_until(|cluster| cluster.lag("depot-group", TOPIC) == 0).await;
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
    let topic = |name: &str| format!("txova_depot_kafka_{name}{{topic={TOPIC},group=depot-group}}");
    assert_eq!(heard.of(&topic("messages_consumed_total")), 4.0);
    assert_eq!(heard.of(&topic("consumer_retries_total")), 1.0);
    assert_eq!(heard.of(&topic("dead_letters_total")), 1.0);
    assert_eq!(heard.of(&format!("txova_depot_kafka_consume_errors_total{{topic={TOPIC}}}")), 2.0);
    let commits =
        |result| format!("txova_depot_kafka_consumer_commits_total{{group=depot-group,result={result}}}");
    assert_eq!(heard.of(&commits("error")), 2.0);
    assert!(heard.of(&commits("ok")) >= 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_partition_whose_dead_letters_are_not_taken_is_stuck_and_its_commit_waits() {
    let (heard, gate) = (Heard::listen(), Gate(Arc::new(Semaphore::new(0))));
    let cluster = Cluster::new().with_topic(TOPIC, 1).with_topic(DLQ, 1);
    cluster.produce_down(DLQ);
    produce(&cluster, "a", "bad");
    let app = app(&cluster, &gate, None);
    let run = tokio::spawn(app.run());
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(heard.of("txova_kafka_consumer_stuck_partitions{group=depot-group}"), 1.0);
    assert!(heard.of("txova_kafka_dead_letter_failures_total{topic=parcels.v1,group=depot-group}") > 0.0);
    run.abort();
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_held_back_is_counted_until_what_it_needs_is_back() {
    let (heard, gate) = (Heard::listen(), Gate(Arc::new(Semaphore::new(0))));
    let cluster = Cluster::new().with_topic(TOPIC, 1).with_topic(DLQ, 1);
    async fn ask(State(gate): State<Gate>) -> Result<(), HandlerError> {
        match gate.0.available_permits() {
            0 => Err(HandlerError::transient("no answer")),
            _ => Ok(()),
        }
    }
    let app = cluster.kafka().app("depot").on("parcel.*", ask).topics([TOPIC]).state(gate.clone());
    let app = app.consumer(|consumer| consumer.breaker_failures = 3).build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    for key in ["a", "b", "c"] {
        produce(&cluster, key, key);
    }
    looked().await;
    assert_eq!(heard.of("txova_kafka_consumer_held_handlers{group=depot-group}"), 1.0);
    gate.0.add_permits(1);
    cluster.wait_until(|cluster| cluster.lag("depot-group", TOPIC) == 0).await;
    looked().await;
    assert_eq!(heard.of("txova_kafka_consumer_held_handlers{group=depot-group}"), 0.0);
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn where_nobody_listens_nobody_asks() {
    let gate = Gate(Arc::new(Semaphore::new(0)));
    let cluster = Cluster::new().with_topic(TOPIC, 1).with_topic(DLQ, 1);
    assert!(!super::Namespace::is_heard());
    let app = app(&cluster, &gate, None);
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    produce(&cluster, "a", "fine");
    cluster.wait_until(|cluster| cluster.lag("depot-group", TOPIC) == 0).await;
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
    let heard = Heard::listen();
    assert!(super::Namespace::is_heard());
    assert!(heard.all().is_empty());
}
