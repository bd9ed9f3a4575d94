//! A publisher and an app as parts, and the signals of this process.

use super::*;
use crate::app::App;
use crate::extract::{Meta, State};
use crate::outcome::HandlerError;
use crate::publisher::Publisher;
use crate::record::OutgoingRecord;
use crate::testing::Cluster;

const TOPIC: &str = "parcels.v1";

fn event(id: &str) -> OutgoingRecord {
    let value = format!(
        r#"{{"id":"{id}","type":"parcel.moved","version":"1.0","source":"depot","timestamp":"2026-11-24T08:00:00Z","correlation_id":"c","payload":{{}}}}"#
    );
    OutgoingRecord {
        topic: TOPIC.into(),
        key: Some(id.to_owned().into()),
        value: Some(value.into()),
        ..Default::default()
    }
}

/// Does what the event's id says, and publishes a note of it.
async fn handle(State(events): State<Publisher>, meta: Meta) -> Result<(), HandlerError> {
    match meta.event_id.as_str() {
        "stop" => return Err(HandlerError::stop("the till is gone")),
        "hang" => std::future::pending().await,
        id => {
            let record = OutgoingRecord {
                topic: "notes".into(),
                value: Some(id.to_owned().into()),
                ..Default::default()
            };
            events.publish_record(record).await?;
        }
    }
    Ok(())
}

fn service(cluster: &Cluster) -> (Publisher, App) {
    let kafka = cluster.kafka();
    let events = kafka.publisher("depot").unwrap();
    let app = kafka.app("depot").on("parcel.*", handle).topics([TOPIC]).state(events.clone());
    (events, app.build().unwrap())
}

fn cluster() -> Cluster {
    Cluster::new().with_topic(TOPIC, 1).with_topic("parcels.v1.dlq", 1).with_topic("notes", 1)
}

#[tokio::test(start_paused = true)]
async fn a_publisher_and_an_app_work_and_end_with_nothing_left_behind() {
    let cluster = cluster();
    let (events, app) = service(&cluster);
    for n in 0..20 {
        cluster.produce(event(&format!("{n}"))).unwrap();
    }
    let done = cluster.clone();
    let report = Lifecycle::new()
        .with(events)
        .with(app.into_service())
        .run_until(async move { done.wait_until(|cluster| cluster.records("notes").len() == 20).await })
        .await;
    assert!(report.is_clean(), "{report}");
    let closed: Vec<&str> = report.steps.iter().map(|step| &*step.name).collect();
    assert_eq!(closed, ["publisher", "depot-group", "depot-group", "publisher"]);
    assert_eq!(cluster.lag("depot-group", TOPIC), 0);
}

#[tokio::test(start_paused = true)]
async fn an_app_that_stops_by_itself_ends_the_life_with_its_reason() {
    let cluster = cluster();
    let (events, app) = service(&cluster);
    cluster.produce(event("stop")).unwrap();
    let life = Lifecycle::new().with(events).with(app.into_service());
    let report = life.run_until(std::future::pending()).await;
    assert!(matches!(&report.cause, Cause::PartEnded(name, Ended::Failed(_)) if &**name == "depot-group"));
    assert!(
        report.to_string().contains("asked to stop at parcels.v1-0 offset 0: the till is gone"),
        "{report}"
    );
    assert_eq!(report.failures().count(), 0, "the publisher closes well all the same: {report}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_end_is_named_and_closing_keeps_its_time() {
    let cluster = cluster();
    let (events, app) = service(&cluster);
    cluster.produce(event("hang")).unwrap();
    let handle = app.handle();
    let running = async move {
        while handle.status().await.is_none_or(|status| status.engine.running == 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let life = Lifecycle::new().with(events).with(app.into_service()).close_timeout(Duration::from_secs(8));
    let report = life.run_until(running).await;
    let left = report.failures().next().unwrap();
    assert!(left.ended.to_string().contains("1 did not (parcels.v1-0 offset 0)"), "{report}");
    assert!(left.took < Duration::from_secs(8), "{report}");
}

#[tokio::test(start_paused = true)]
async fn an_app_whose_life_is_over_at_once_runs_no_further() {
    let cluster = cluster();
    let (events, app) = service(&cluster);
    cluster.produce(event("hang")).unwrap();
    let handle = app.handle();
    let (asks, asked) = unbounded_channel();
    let life = tokio::spawn(Lifecycle::new().with(events).with(app.into_service()).drive(asked));
    while handle.status().await.is_none_or(|status| status.engine.running == 0) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    asks.send("SIGTERM").unwrap();
    settled().await;
    asks.send("SIGTERM").unwrap();
    let report = life.await.unwrap();
    assert!(report.to_string().contains("closing depot-group was cut short"), "{report}");
    settled().await;
    assert!(handle.status().await.is_none());
}

#[cfg(unix)]
#[tokio::test]
async fn sigterm_ends_the_life_and_a_second_one_ends_it_at_once() {
    let diary = Diary::default();
    let slow = Part { close: Does::Hangs, ..Part::new("a", &diary) };
    let life = tokio::spawn(Lifecycle::new().with(slow).run());
    let kill = || {
        let pid = std::process::id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    };
    let until = async |entries: usize| {
        while told(&diary).len() < entries {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    until(1).await; // it listens before it starts anything
    kill();
    until(2).await;
    kill();
    let report = life.await.unwrap();
    assert_eq!(report.to_string(), "ended by SIGTERM; closing a was cut short");
}
