//! Alive is whose client is polled, over the real client on the mock cluster.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use super::*;
use crate::config::KafkaConfig;
use crate::extract::State;
use crate::kafka::Kafka;
use crate::record::OutgoingRecord;
use crate::testing::MockKafka;

const TOPIC: &str = "parcels.v1";

#[derive(Clone)]
struct Door {
    entered: Sender<()>,
    opened: Arc<Mutex<Receiver<()>>>,
}

/// Blocks its thread, as no handler should.
async fn blocking(State(door): State<Door>) {
    door.entered.send(()).unwrap();
    door.opened.lock().unwrap().recv().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn an_app_whose_handler_blocks_its_thread_is_alive_until_it_has_ended() {
    let mock = MockKafka::start(1, &[(TOPIC, 1), ("parcels.v1.dlq", 1)]).unwrap();
    let kafka = Kafka::new(KafkaConfig::for_brokers(mock.bootstrap())).unwrap();
    let ((entered, entering), (open, opened)) = (channel(), channel());
    let door = Door { entered, opened: Arc::new(Mutex::new(opened)) };
    let app = kafka.app("depot").on("parcel.*", blocking).topics([TOPIC]).state(door).build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    let value = r#"{"id":"1","type":"parcel.moved","version":"1.0","source":"depot","timestamp":"2026-11-24T08:00:00Z","correlation_id":"c","payload":{}}"#;
    let record =
        OutgoingRecord { topic: TOPIC.into(), value: Some(value.into()), ..OutgoingRecord::default() };
    kafka.publisher("depot").unwrap().publish_record(record).await.unwrap();
    tokio::task::spawn_blocking(move || entering.recv().unwrap()).await.unwrap();

    let soon = || Instant::now() + Duration::from_secs(10);
    assert!(handle.check_live(soon()).await.is_well(), "a restart would not help the handler");
    assert!(handle.polled_ago().is_some_and(|ago| ago < Duration::from_secs(10)));

    open.send(()).unwrap();
    assert!(handle.close(Duration::from_secs(30)).await);
    run.await.unwrap().unwrap();
    assert!(!handle.check_live(soon()).await.is_well(), "it has ended");
}
