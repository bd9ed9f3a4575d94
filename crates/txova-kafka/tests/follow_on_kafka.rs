//! Goal: with `consumer.follow_dead_letters` the order of every key holds through failures, repair and rebalances on a real
//! Kafka: nothing of a key is handled before what came earlier.
//! Method: real apps, letters and replays, on the cluster that TXOVA_KAFKA_BROKERS names.
#![allow(clippy::unwrap_used, missing_docs)] // a test says what it expects by failing

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use txova_events::EventId;
use txova_kafka::config::KafkaConfig;
use txova_kafka::{App, HandlerError, Kafka, Meta, NewTopic, OutgoingRecord, Replay, State};

const WAIT: Duration = Duration::from_secs(60);
const KEYS: usize = 23;

/// What was handled, in order, and whether the poison is still poison.
#[derive(Clone, Default)]
struct Depot {
    is_repaired: Arc<AtomicBool>,
    handled: Arc<Mutex<Vec<usize>>>,
}

async fn store(State(depot): State<Depot>, meta: Meta) -> Result<(), HandlerError> {
    let number: usize = meta.event_id.parse()?;
    if number % 41 == 7 && !depot.is_repaired.load(SeqCst) {
        return Err(HandlerError::permanent("there is no room"));
    }
    tokio::task::yield_now().await;
    depot.handled.lock().unwrap().push(number);
    Ok(())
}

struct World {
    kafka: Kafka,
    topic: String,
    group: String,
    depot: Depot,
}

impl World {
    fn app(&self) -> App {
        let app = self.kafka.app("depot").on("*", store).topics([&self.topic]).state(self.depot.clone());
        let app = app.consumer(|consumer| {
            consumer.group = Some(self.group.clone());
            consumer.follow_dead_letters = true;
        });
        app.build().unwrap()
    }

    async fn publish(&self, numbers: std::ops::Range<usize>) {
        let publisher = self.kafka.publisher("depot").unwrap();
        let sent: Vec<_> = numbers
            .map(|number| {
                let value = format!(
                    r#"{{"id":"{number}","type":"parcel.moved","version":"1.0","source":"depot","timestamp":"2026-11-24T08:00:00Z","correlation_id":"c","payload":{{}}}}"#
                );
                publisher.publish_record(OutgoingRecord {
                    topic: self.topic.as_str().into(),
                    key: Some(format!("key {}", number % KEYS).into()),
                    value: Some(value.into()),
                    ..OutgoingRecord::default()
                })
            })
            .collect();
        for sent in sent {
            sent.await.unwrap();
        }
        publisher.close(WAIT).await;
    }

    /// Entries, and those of them that are open.
    async fn letters(&self) -> (usize, usize) {
        let entries = self.kafka.dead_letters([&self.topic]).await.unwrap();
        (entries.len(), entries.iter().filter(|entry| entry.is_open()).count())
    }

    async fn until(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + WAIT * 3;
        while !is_so().await {
            let handled = self.depot.handled.lock().unwrap().len();
            assert!(
                Instant::now() < deadline,
                "waited for {what}: {handled} handled, {:?}",
                self.letters().await
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until so many events are handled or open dead letters.
    async fn settled(&self, events: usize) {
        self.until(&format!("{events} to be settled"), async || {
            let open = self.letters().await.1;
            self.depot.handled.lock().unwrap().len() + open >= events
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_every_key_holds_from_poison_to_repair_while_events_arrive_and_members_change() {
    let brokers = std::env::var("TXOVA_KAFKA_BROKERS").ok().filter(|brokers| !brokers.is_empty());
    let Some(brokers) = brokers else {
        eprintln!("left out: no real Kafka (TXOVA_KAFKA_BROKERS is not set)");
        return;
    };
    let kafka = Kafka::new(KafkaConfig::for_brokers(&brokers)).unwrap();
    let topic = format!("follow-{}", EventId::new());
    let new = NewTopic { name: topic.clone(), partitions: 3, replication: 1, settings: vec![] };
    kafka.create_topics(vec![new], WAIT).await.unwrap();
    kafka.create_dead_letter_topics(&[&topic]).await.unwrap();
    let world = World { kafka, topic, group: format!("depot-{}", EventId::new()), depot: Depot::default() };
    let start = || {
        let app = world.app();
        (app.handle(), tokio::spawn(app.run()))
    };

    let first = start();
    world.publish(0..500).await;
    world.settled(500).await;
    let (letters, open) = world.letters().await;
    assert_eq!(letters, open);
    assert!(open > 100, "13 events are refused and the rest of their keys follow: {open}");

    // Others take partitions over, and know what is followed.
    let second = start();
    world.publish(500..800).await;
    world.settled(800).await;
    assert!(first.0.close(WAIT).await);
    first.1.await.unwrap().unwrap();

    world.depot.is_repaired.store(true, SeqCst);
    let replay = || Replay::new().topics([&world.topic]).key_order(true).why("there is room again");
    let sending = async {
        for round in 0..10 {
            world.publish(800 + round * 50..850 + round * 50).await;
        }
    };
    let repairing = async {
        for _ in 0..5 {
            world.kafka.replay(replay()).await.unwrap();
        }
    };
    tokio::join!(sending, repairing);
    // What arrived meanwhile has followed; it is sent back until nothing arrives any more.
    world
        .until("everything to be handled", async || {
            let report = world.kafka.replay(replay()).await.unwrap();
            report.replayed == 0 && world.depot.handled.lock().unwrap().len() >= 1_300
        })
        .await;
    assert_eq!(world.letters().await.1, 0);
    let mut last: BTreeMap<usize, usize> = BTreeMap::new();
    let handled = world.depot.handled.lock().unwrap().clone();
    for number in &handled {
        let before = last.insert(number % KEYS, *number);
        assert!(before.is_none_or(|before| before < *number), "{number} was handled after {before:?}");
    }
    assert_eq!(handled.len(), 1_300, "each once");
    assert!(second.0.close(WAIT).await);
    second.1.await.unwrap().unwrap();
    eprintln!("{} dead letters, all repaired in order", world.letters().await.0);
}
