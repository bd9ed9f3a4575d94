//! Goal: dead letters are sent back on a real Kafka as in memory: to the group that failed, each once, whatever happens
//! to who sends them. Method: real apps, letters and transactions, on the cluster that TXOVA_KAFKA_BROKERS names.
#![allow(clippy::unwrap_used, missing_docs)] // a test says what it expects by failing

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use txova_events::{DeadLetter, EventId, RawEnvelope, Time};
use txova_kafka::config::{Compression, KafkaConfig};
use txova_kafka::{
    App, HandlerError, Kafka, Meta, NewTopic, OutgoingRecord, Plan, Replay, ReplayError, ReplayReport,
    Selection, State, TopicPartition,
};

const WAIT: Duration = Duration::from_secs(60);

fn brokers() -> Option<String> {
    let brokers = std::env::var("TXOVA_KAFKA_BROKERS").ok().filter(|brokers| !brokers.is_empty());
    if brokers.is_none() {
        eprintln!("left out: no real Kafka (TXOVA_KAFKA_BROKERS is not set)");
    }
    brokers
}

/// Counts how often each event was handled; refuses some until it is repaired.
#[derive(Clone, Default)]
struct Depot {
    repaired: Arc<[AtomicBool; 4]>,
    is_gateway_away: Arc<AtomicBool>,
    turned_away: Arc<AtomicUsize>,
    handled: Arc<Mutex<BTreeMap<usize, usize>>>,
}

/// Four ways to be poisoned, 3 % of all: by the number's last two digits.
fn poison(number: usize) -> Option<usize> {
    match number % 100 {
        _ if number >= LAST => None,
        13 => Some(number / 100 % 2),
        37 => Some(2),
        71 => Some(3),
        _ => None,
    }
}

async fn store(State(depot): State<Depot>, meta: Meta) -> Result<(), HandlerError> {
    let number: usize = meta.event_id.parse()?;
    if depot.is_gateway_away.load(SeqCst) {
        depot.turned_away.fetch_add(1, SeqCst);
        return Err(HandlerError::transient("the gateway is away").retry_after(Duration::from_millis(200)));
    }
    if let Some(way) = poison(number).filter(|way| !depot.repaired[*way].load(SeqCst)) {
        return Err(HandlerError::permanent(match way {
            0 => format!("parcel {number} has no weight"),
            1 => format!("the shelf \"{number}\" is full"),
            2 => format!("the customer {} is unknown", EventId::new()),
            _ => format!("{number}.5 kg are too much"),
        }));
    }
    *depot.handled.lock().unwrap().entry(number).or_default() += 1;
    Ok(())
}

/// A broker tells nobody when a topic has changed: it is looked at again and again.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + WAIT * 2;
    while !is_so().await {
        assert!(Instant::now() < deadline, "waited two minutes until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Behind all events: one that tells that a partition is read to here.
const LAST: usize = 1_000_000;

impl Depot {
    /// How many events were handled, and how often altogether.
    fn handled(&self) -> (usize, usize) {
        let handled = self.handled.lock().unwrap();
        let times: Vec<usize> = handled.range(..LAST).map(|(_, times)| *times).collect();
        (times.len(), times.iter().sum())
    }
}

struct World {
    kafka: Kafka,
    topic: String,
    group: String,
    depot: Depot,
    /// How often everything was settled.
    rounds: AtomicUsize,
}

impl World {
    async fn new(brokers: &str, name: &str) -> Self {
        let kafka = Kafka::new(KafkaConfig::for_brokers(brokers)).unwrap();
        let topic = format!("{name}-{}", EventId::new());
        let new = NewTopic { name: topic.clone(), partitions: 6, replication: 1, settings: vec![] };
        kafka.create_topics(vec![new], WAIT).await.unwrap();
        kafka.create_dead_letter_topics(&[&topic]).await.unwrap();
        let dlq = format!("{topic}.dlq");
        assert_eq!(kafka.topics(&[&dlq], WAIT).await.unwrap(), [(dlq, 6)], "as many partitions");
        let group = format!("depot-{}", EventId::new());
        Self { kafka, topic, group, depot: Depot::default(), rounds: AtomicUsize::new(0) }
    }

    fn app(&self, group: &str, depot: &Depot) -> App {
        let builder =
            self.kafka.app("depot").on("parcel.moved", store).topics([&self.topic]).state(depot.clone());
        let edit = |consumer: &mut txova_kafka::config::ConsumerConfig| {
            consumer.group = Some(group.to_owned());
            consumer.max_retries = 1_000;
            consumer.retry_backoff_max_ms = 1_000;
        };
        builder.consumer(edit).build().unwrap()
    }

    async fn publish(&self, numbers: std::ops::Range<usize>) {
        let key = |number: usize| (None, format!("key {}", number % 211));
        self.publish_all(numbers.map(|number| (number, key(number)))).await;
    }

    async fn publish_all(&self, events: impl Iterator<Item = (usize, (Option<i32>, String))>) {
        let publisher = self.kafka.publisher("depot").unwrap();
        let records = events.map(|(number, (partition, key))| {
            let value = format!(
                r#"{{"id":"{number}","type":"parcel.moved","version":"1.0","source":"depot","timestamp":"2026-11-24T08:00:00Z","correlation_id":"c","payload":{{"n":{number}}}}}"#
            );
            OutgoingRecord {
                topic: self.topic.as_str().into(),
                partition,
                key: Some(key.into()),
                value: Some(value.into()),
                ..OutgoingRecord::default()
            }
        });
        let sent: Vec<_> = records.map(|record| publisher.publish_record(record)).collect();
        for sent in sent {
            sent.await.unwrap();
        }
        assert!(publisher.close(WAIT).await.is_clean());
    }

    /// Runs an app of the group until it has read everything there is, and so many events are handled and so many letters
    /// there.
    async fn settle(
        &self,
        group: &str,
        depot: &Depot,
        (events, letters): (usize, usize),
        meanwhile: impl Future<Output = ()>,
    ) {
        let app = self.app(group, depot);
        let handle = app.handle();
        let run = tokio::spawn(app.run());
        meanwhile.await;
        // A transaction's marker takes an offset that nobody commits beyond, so lag does not tell.
        let round = LAST + 10 * self.rounds.fetch_add(1, SeqCst);
        self.publish_all((0..6).map(|at| (round + at, (Some(at as i32), format!("last {at}"))))).await;
        let are_read = || depot.handled.lock().unwrap().range(round..round + 6).count() == 6;
        until("everything is read", async || {
            are_read() && depot.handled().0 >= events && self.letters().await.len() >= letters
        })
        .await;
        assert!(handle.close(WAIT).await);
        run.await.unwrap().unwrap();
    }

    async fn letters(&self) -> Vec<(DeadLetter, bool)> {
        let entries = self.kafka.dead_letters([&self.topic]).await.unwrap();
        entries
            .into_iter()
            .map(|entry| (entry.is_open(), entry.letter.unwrap()))
            .map(|(open, it)| (it, open))
            .collect()
    }

    async fn open(&self) -> usize {
        self.letters().await.iter().filter(|(_, open)| *open).count()
    }

    async fn committed(&self) -> Vec<Option<i64>> {
        let lag = self.kafka.lag(&self.group, &[&self.topic], WAIT).await.unwrap();
        lag.iter().map(|lag| lag.committed).collect()
    }

    /// The end of every partition there is to change.
    async fn ends(&self) -> Vec<i64> {
        let topics = [self.topic.clone(), format!("{}.dlq", self.topic)];
        let nobody = format!("nobody-{}", EventId::new());
        let mut ends = Vec::new();
        for topic in &topics {
            let lag = self.kafka.lag(&nobody, &[topic], WAIT).await.unwrap();
            ends.extend(lag.iter().map(|lag| lag.end));
        }
        ends
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_thousand_events_exactly_the_poison_is_kept_grouped_and_repaired_as_chosen() {
    const EVENTS: usize = 10_000;
    let Some(brokers) = brokers() else { return };
    let world = World::new(&brokers, "poisoned").await;
    let outage = async {
        world.publish(0..EVENTS / 2).await;
        world.depot.is_gateway_away.store(true, SeqCst);
        world.publish(EVENTS / 2..EVENTS).await;
        until("the outage is felt", async || world.depot.turned_away.load(SeqCst) >= 20).await;
        world.depot.is_gateway_away.store(false, SeqCst);
    };
    world.settle(&world.group, &world.depot, (EVENTS - 300, 300), outage).await;
    let letters = world.letters().await;
    let mut numbers: Vec<usize> =
        letters.iter().map(|(letter, _)| letter.event_id().parse().unwrap()).collect();
    numbers.sort_unstable();
    let poisoned: Vec<usize> = (0..EVENTS).filter(|number| poison(*number).is_some()).collect();
    assert_eq!((numbers.len(), &numbers), (300, &poisoned), "exactly the poison, nothing of the outage");
    assert_eq!(world.depot.handled(), (EVENTS - 300, EVENTS - 300));

    // A plan groups them, and changes nothing.
    let before = (world.ends().await, world.committed().await);
    let only = |selection: Selection| {
        Replay::new().topics([&world.topic]).select(selection).by("ana").why("repaired")
    };
    let plan = world.kafka.plan_replay(only(Selection::default())).await.unwrap();
    assert_eq!(
        plan.reasons.iter().map(|reason| reason.count).collect::<Vec<_>>(),
        [100, 100, 50, 50],
        "{plan}"
    );
    assert!(!plan.overtaken.is_empty(), "keys have moved on");
    let customers = Selection { error_text: Some("customer".into()), ..Selection::default() };
    let chosen = world.kafka.plan_replay(only(customers)).await.unwrap();
    assert_eq!((chosen.entries.len(), chosen.reasons.len()), (100, 1), "{chosen}");
    assert_eq!((world.ends().await, world.committed().await), before);

    // The plan is done: what was chosen, and nothing else.
    world.depot.repaired[2].store(true, SeqCst);
    let report = world.kafka.replay(only(Selection::default()).plan(chosen.clone())).await.unwrap();
    assert_eq!((report.replayed, report.passed_over), (100, 200), "{report}");
    let archive = Depot::default();
    archive.repaired.iter().for_each(|repaired| repaired.store(true, SeqCst));
    let other_group = format!("archive-{}", EventId::new());
    world.settle(&world.group, &world.depot, (EVENTS - 200, 300), async {}).await;
    world.settle(&other_group, &archive, (EVENTS, 300), async {}).await;
    {
        let handled = world.depot.handled.lock().unwrap();
        let repaired: Vec<usize> =
            poisoned.iter().copied().filter(|number| poison(*number) == Some(2)).collect();
        assert!(repaired.iter().all(|number| handled.get(number) == Some(&1)), "each of the chosen once");
    }
    assert_eq!(world.depot.handled(), (EVENTS - 200, EVENTS - 200));
    assert_eq!(archive.handled(), (EVENTS, EVENTS), "the other group saw each once");
    assert_eq!(world.open().await, 200, "the rest stays open");
    let again = world.kafka.replay(only(Selection::default()).plan(chosen)).await.unwrap();
    assert_eq!((again.replayed, again.resolved_before), (0, 100), "{again}");

    // In the process, with the app's own handlers.
    world.depot.repaired[3].store(true, SeqCst);
    let heavy = Selection { error_text: Some("too much".into()), ..Selection::default() };
    let report = world.app(&world.group, &world.depot).replay(only(heavy)).await.unwrap();
    assert_eq!((report.replayed, report.passed_over), (100, 100), "{report}");
    assert_eq!(world.open().await, 100);

    let dlq = format!("{}.dlq/", world.topic);
    let audit = world.kafka.dead_letter_audit().await.unwrap();
    let of_topic: Vec<_> = audit.iter().filter(|it| it.entry.starts_with(&dlq)).collect();
    let count = |act: &str| of_topic.iter().filter(|it| it.act == act && it.by == "ana").count();
    assert_eq!((count("redrive"), count("try"), count("replay")), (100, 100, 100), "the audit is complete");
    let plan: Plan = world.kafka.plan_replay(only(Selection::default())).await.unwrap();
    assert_eq!(plan.entries.len(), 100);
}

/// Whoever comes second is told, and whoever goes on afterwards finds what is left: each letter goes back once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_who_send_back_at_once_send_each_letter_once() {
    const EVENTS: usize = 4_000;
    let Some(brokers) = brokers() else { return };
    let world = World::new(&brokers, "contested").await;
    world.publish(0..EVENTS).await;
    let poisoned = EVENTS / 100 * 3;
    world.settle(&world.group, &world.depot, (EVENTS - poisoned, poisoned), async {}).await;
    let all = world.open().await;
    assert_eq!(all, poisoned);
    let replay = |by: &str, takes_over: bool| {
        Replay::new().topics([&world.topic]).by(by).per_second(40).take_over(takes_over) // three seconds' work
    };
    // One who asks and one who pushes; the first is thrown out in the middle, or finds the place taken.
    let first = world.kafka.replay(replay("ana", false));
    let has_begun = async || until("the first is at work", async || world.open().await < all).await;
    let second = async {
        has_begun().await;
        world.kafka.replay(replay("bia", true)).await
    };
    let third = async {
        has_begun().await;
        world.kafka.replay(replay("caio", false)).await
    };
    let (first, second, third) = tokio::join!(first, second, third);
    let told =
        |result: &Result<ReplayReport, ReplayError>| matches!(result, Err(ReplayError::Claimed { .. }));
    assert!(told(&first) || told(&third), "{first:?} {third:?}");
    let done = |result: &Result<ReplayReport, ReplayError>| match result {
        Ok(report) => report.replayed,
        Err(error) => error.report().map_or(0, |report| report.replayed),
    };
    let rest = world.kafka.replay(replay("dia", true)).await.unwrap();
    eprintln!("ana {}, bia {}, caio {}, dia {}", done(&first), done(&second), done(&third), rest.replayed);
    assert_eq!(world.open().await, 0);
    world.depot.repaired.iter().for_each(|repaired| repaired.store(true, SeqCst));
    world.settle(&world.group, &world.depot, (EVENTS, poisoned), async {}).await;
    assert_eq!(world.depot.handled(), (EVENTS, EVENTS), "each once");
}

/// Letters go back in batches as large as a topic takes by default; one that takes only smaller ones gets smaller ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_topic_that_takes_no_large_batch_gets_smaller_ones_and_each_letter_goes_back_once() {
    const LETTERS: usize = 400;
    let Some(brokers) = brokers() else { return };
    let mut config = KafkaConfig::for_brokers(&brokers);
    config.publisher.compression = Compression::None;
    let kafka = Kafka::new(config).unwrap();
    let topic = format!("narrow-{}", EventId::new());
    let settings = vec![("max.message.bytes".to_owned(), (256 * 1024).to_string())];
    kafka
        .create_topics(vec![NewTopic { name: topic.clone(), partitions: 1, replication: 1, settings }], WAIT)
        .await
        .unwrap();
    kafka.create_dead_letter_topics(&[&topic]).await.unwrap();
    let letter = |number: usize| {
        let mut letter = DeadLetter::new(&topic, 0, number as i64, "no room", Time::now());
        let note = "a long note ".repeat(300);
        let value = format!(r#"{{"id":"{number}","type":"parcel.moved","payload":{{"note":"{note}"}}}}"#);
        letter.envelope = Some(RawEnvelope::decode(value.as_bytes()).unwrap());
        letter.consumer_group = Some("depot".to_owned());
        letter
    };
    let by = || Replay::new().topics([&topic]).by("ana");
    kafka.import_dead_letters((0..LETTERS).map(letter).collect(), by()).await.unwrap();
    let report = kafka.replay(by()).await.unwrap();
    assert_eq!((report.replayed as usize, report.failed.len()), (LETTERS, 0), "{report}");
    let [entry, ..] = &kafka.dead_letters([&topic]).await.unwrap()[..] else { panic!("they stay") };
    assert!(!entry.is_open());
    let lag = kafka.lag(&format!("nobody-{}", EventId::new()), &[&topic], WAIT).await.unwrap();
    // What was aborted is in the log, too, with its marker; what was committed is read below.
    let partition = TopicPartition::new(topic.as_str(), 0);
    let mut records = kafka.admin().follow(vec![(partition, 0)]).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < LETTERS {
        let (_, record) = tokio::time::timeout(WAIT, records.next()).await.unwrap().unwrap().unwrap();
        assert!(record.offset < lag[0].end);
        assert!(seen.insert(record.headers.text("redrive_entry").unwrap().to_owned()), "each once");
    }
}
