//! Follow mode on a running app: a key's later records follow its dead letter until that is resolved, through replays,
//! restarts, rebalances and crashes.

use std::collections::HashSet;

use super::*;
use crate::batch::{BatchError, Batching};
use crate::dead_letter::DeadLetterEntry;
use crate::extract::State;
use crate::replay::{Replay, ReplayReport};

/// What the handler refuses.
#[derive(Clone, Default)]
struct Refused(Arc<Mutex<HashSet<String>>>);

impl Refused {
    fn these(&self, ids: &[&str]) {
        *self.0.lock().unwrap() = ids.iter().map(|id| (*id).to_owned()).collect();
    }
}

async fn store(
    State(refused): State<Refused>,
    State(seen): State<Seen>,
    meta: Meta,
) -> Result<(), HandlerError> {
    if refused.0.lock().unwrap().contains(meta.event_id.as_str()) {
        return Err(HandlerError::permanent("there is no room"));
    }
    seen.add(meta.event_id.as_str());
    Ok(())
}

struct World {
    cluster: Cluster,
    seen: Seen,
    refused: Refused,
}

impl World {
    fn new(refused: &[&str]) -> Self {
        let world = Self { cluster: cluster(1), seen: Seen::default(), refused: Refused::default() };
        world.refused.these(refused);
        world
    }

    fn builder(&self) -> AppBuilder {
        let builder = builder(&self.cluster).on("*", store).topics([TOPIC]);
        let builder = builder.state(self.seen.clone()).state(self.refused.clone());
        builder.consumer(|consumer| consumer.follow_dead_letters = true)
    }

    fn produce(&self, key: &str, ids: &[&str]) {
        ids.iter().for_each(|id| drop(produce(&self.cluster, key, &envelope(id))));
    }

    /// Runs an app until everything is settled.
    async fn settle(&self) {
        run_to_the_end(&self.cluster, self.builder().build().unwrap()).await;
    }

    async fn replay(&self, replay: Replay) -> ReplayReport {
        kafka(&self.cluster).replay(replay).await.unwrap()
    }

    async fn open(&self) -> Vec<DeadLetterEntry> {
        let entries = kafka(&self.cluster).dead_letters([TOPIC]).await.unwrap();
        entries.into_iter().filter(DeadLetterEntry::is_open).collect()
    }

    /// The open letters' events and why.
    async fn letters(&self) -> Vec<String> {
        let letters = self.open().await.into_iter().map(|entry| entry.letter.unwrap());
        letters.map(|letter| format!("{}: {}", letter.event_id(), letter.error_message)).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn later_records_of_a_key_follow_its_dead_letter_and_are_handled_in_order_when_all_are_sent_back() {
    let world = World::new(&["1"]);
    let app = world.builder().build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    world.produce("k", &["1", "2", "3"]);
    world.produce("other", &["a"]);
    world.cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    assert_eq!(world.seen.all(), ["a"]);
    let follows = format!("follows {TOPIC}/0/0");
    let expected = ["1: there is no room".to_owned(), format!("2: {follows}"), format!("3: {follows}")];
    assert_eq!(world.letters().await, expected);
    assert_eq!(handle.status().await.unwrap().followed_keys, 1);

    world.refused.these(&[]);
    assert_eq!(world.replay(Replay::new().key_order(true)).await.replayed, 3);
    world.produce("k", &["4"]);
    world.cluster.wait_until(|_| world.seen.all().len() == 5).await;
    assert_eq!(world.seen.all(), ["a", "1", "2", "3", "4"]);
    assert_eq!(handle.status().await.unwrap().followed_keys, 0);
    assert!(world.open().await.is_empty());
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
}

/// The record lies before what was sent back, and everything has been decided long before the app comes to it.
#[tokio::test(start_paused = true)]
async fn what_arrived_before_letters_were_sent_back_follows_them_though_they_are_resolved_by_then() {
    let world = World::new(&["1"]);
    world.produce("k", &["1", "2"]);
    world.settle().await;
    world.produce("k", &["3"]);
    world.refused.these(&[]);
    world.replay(Replay::new()).await;
    world.produce("k", &["4"]);
    world.settle().await;
    assert_eq!(world.seen.all(), ["1", "2"], "3 stands before them, and 4 behind 3");
    assert_eq!(world.letters().await.len(), 2);
    world.replay(Replay::new()).await;
    world.produce("k", &["5"]);
    world.settle().await;
    assert_eq!(world.seen.all(), ["1", "2", "3", "4", "5"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_again_takes_those_behind_it_along_and_what_came_meanwhile_stays_behind_them() {
    let world = World::new(&["1"]);
    world.produce("k", &["1", "2"]);
    world.settle().await;
    world.produce("k", &["3"]);
    world.replay(Replay::new()).await; // 1 and 2 stand behind 3 now, and 1 fails again
    world.settle().await;
    assert_eq!(world.seen.all(), [""; 0]);
    world.refused.these(&[]);
    assert_eq!(world.replay(Replay::new()).await.replayed, 3);
    world.settle().await;
    assert_eq!(world.seen.all(), ["1", "2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_is_discarded_holds_its_key_no_more_and_one_that_is_opened_again_does() {
    let world = World::new(&["1"]);
    let app = world.builder().build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    world.produce("k", &["1"]);
    world.cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    let followed = async |count: usize| {
        while handle.status().await.unwrap().followed_keys != count {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    followed(1).await;
    kafka(&world.cluster).discard(Replay::new().why("nobody needs it")).await.unwrap();
    let heard = tokio::time::timeout(Duration::from_secs(3), followed(0)).await;
    heard.expect("it is heard of within three seconds");
    world.produce("k", &["2"]);
    world.cluster.wait_until(|_| world.seen.all().len() == 1).await;
    kafka(&world.cluster).reopen(Replay::new().why("somebody does")).await.unwrap();
    tokio::time::timeout(Duration::from_secs(3), followed(1)).await.expect("it is heard of, too");
    world.produce("k", &["3"]);
    world.cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    assert_eq!(world.seen.all(), ["2"]);
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn whoever_has_the_partition_next_knows_what_is_followed_before_the_first_record_starts() {
    let world = World::new(&["1"]);
    let start = || {
        let app = world.builder().build().unwrap();
        (app.handle(), tokio::spawn(app.run()))
    };
    let first = start();
    world.produce("k", &["1"]);
    world.cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    let second = start();
    world.cluster.wait_until(|cluster| cluster.members(GROUP).len() == 2).await;
    for n in 0..6 {
        let member = world.cluster.members(GROUP)[n % 2].id;
        world.cluster.move_to(GROUP, &TopicPartition::new(TOPIC, 0), member).unwrap();
        world.produce("k", &[&format!("after {n}")]);
        world.cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    }
    assert_eq!(world.seen.all(), [""; 0]);
    assert_eq!(world.open().await.len(), 7);
    for (handle, run) in [first, second] {
        assert!(handle.close(LONG).await);
        run.await.unwrap().unwrap();
    }
}

/// The group takes the partition and gives it back while a letter is on its way: whether that gets there or not is awaited.
#[tokio::test(start_paused = true)]
async fn nothing_starts_in_a_partition_that_is_back_before_letters_from_before_it_went_are_answered() {
    for fault in [None, Some(crate::testing::ProduceFault::WrittenButTimedOut)] {
        let world = World::new(&["1"]);
        world.cluster.produce_down(DLQ);
        let app = world.builder().build().unwrap();
        let handle = app.handle();
        let run = tokio::spawn(app.run());
        world.produce("k", &["1", "2"]);
        world.produce("other", &["a"]);
        world.cluster.wait_until(|_| world.seen.all() == ["a"]).await;
        world.refused.these(&[]);
        world.cluster.lose(GROUP, &TopicPartition::new(TOPIC, 0)).unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(world.seen.all(), ["a"], "1 and 2 would be handled, and 1 is a letter");
        fault.into_iter().for_each(|fault| world.cluster.fail_produces(DLQ, 1, fault));
        world.cluster.produce_up(DLQ);
        world.cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
        let follows = format!("2: follows {TOPIC}/0/0");
        assert_eq!(world.letters().await, ["1: there is no room".to_owned(), follows]);
        assert!(!world.seen.all().iter().any(|id| id == "1" || id == "2"));
        assert!(handle.close(LONG).await);
        run.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_letter_was_written_and_not_committed_is_no_second_letter_and_is_not_handled() {
    let world = World::new(&["1"]);
    world.cluster.fail_commits(GROUP, 1_000, crate::testing::CommitFault::Refused(ClientErrorKind::TimedOut));
    world.produce("k", &["1", "2"]);
    let run = tokio::spawn(world.builder().build().unwrap().run());
    world.cluster.wait_until(|cluster| cluster.records(DLQ).len() == 2).await;
    run.abort(); // as a crash does
    let _ = run.await;
    world.cluster.fail_commits(GROUP, 0, crate::testing::CommitFault::Refused(ClientErrorKind::TimedOut));
    world.refused.these(&[]);
    world.settle().await;
    assert_eq!((world.seen.all().len(), world.cluster.records(DLQ).len()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn an_app_that_follows_replays_a_key_no_further_than_its_first_failure() {
    let world = World::new(&["1"]);
    world.produce("k", &["1", "2"]);
    world.settle().await;
    let report = world.builder().build().unwrap().replay(Replay::new()).await.unwrap();
    assert_eq!((report.failed.len(), report.not_reached.len(), world.seen.all().len()), (1, 1, 0));
    world.refused.these(&[]);
    let report = world.builder().build().unwrap().replay(Replay::new()).await.unwrap();
    assert_eq!((report.replayed, world.seen.all()), (2, vec!["1".to_owned(), "2".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn with_more_letters_than_are_kept_in_mind_nothing_starts_and_status_says_why() {
    let world = World::new(&["1", "2", "3"]);
    for key in ["1", "2", "3"] {
        world.produce(key, &[key]);
    }
    world.settle().await;
    world.produce("free", &["free"]);
    let app = world.builder().consumer(|consumer| consumer.follow_max_letters = 2).build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    let pinned = loop {
        let status = handle.status().await.unwrap().engine;
        if let Some((_, why)) = status.partitions.first().and_then(|partition| partition.pinned.clone())
            && why.contains("consumer.follow_max_letters")
        {
            break why;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(pinned.starts_with("3 dead letters of depot-group are open"), "{pinned}");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(world.seen.all(), [""; 0]);
    let one = world.open().await[0].place.clone();
    let selection = crate::dead_letter::Selection { entries: vec![one], ..Default::default() };
    kafka(&world.cluster).discard(Replay::new().select(selection)).await.unwrap();
    world.cluster.wait_until(|_| world.seen.all() == ["free"]).await;

    // One more while it runs, and what it has in hand is not lost.
    world.refused.these(&["4", "5"]);
    world.produce("4", &["4"]);
    world.cluster.wait_until(|cluster| cluster.records(DLQ).len() == 4).await;
    world.produce("free", &["free too"]);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(world.seen.all(), ["free"]);
    kafka(&world.cluster).discard(Replay::new()).await.unwrap();
    world.cluster.wait_until(|_| world.seen.all() == ["free", "free too"]).await;
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
}

async fn store_all(
    events: Vec<Meta>,
    State(seen): State<Seen>,
    State(refused): State<Refused>,
) -> Result<(), HandlerError> {
    let mut failed = BatchError::new();
    for (at, meta) in events.iter().enumerate() {
        match refused.0.lock().unwrap().contains(meta.event_id.as_str()) {
            true => failed.add(at, HandlerError::permanent("there is no room")),
            false => seen.add(meta.event_id.as_str()),
        }
    }
    Ok(failed.into_result()?)
}

#[tokio::test(start_paused = true)]
async fn records_that_follow_are_taken_out_of_batches_and_the_others_of_the_batch_are_handled() {
    let world = World::new(&["1"]);
    let builder = builder(&world.cluster).on("*", store_all).topics([TOPIC]);
    let builder = builder.batch(Batching { max_size: 3, max_wait_ms: 50, max_bytes: 1 << 20 });
    let builder = builder.state(world.seen.clone()).state(world.refused.clone());
    let app = builder.consumer(|consumer| consumer.follow_dead_letters = true).build().unwrap();
    world.produce("k", &["1"]);
    world.produce("x", &["a"]);
    world.produce("y", &["b"]);
    world.produce("k", &["2"]);
    world.produce("x", &["c"]);
    world.produce("k", &["3"]);
    run_to_the_end(&world.cluster, app).await;
    let mut seen = world.seen.all();
    seen.sort();
    assert_eq!(seen, ["a", "b", "c"]);
    assert_eq!(world.letters().await.len(), 3);
}

#[test]
fn what_keeps_no_order_of_keys_cannot_follow() {
    let world = World::new(&[]);
    let error = world.builder().consumer(|consumer| consumer.order = crate::config::Order::None).build();
    assert!(error.unwrap_err().to_string().contains("follow_dead_letters keeps the order of keys"));
    let error = world.builder().exactly_once("depot").build().unwrap_err();
    assert!(error.to_string().contains("consumer.follow_dead_letters"), "{error}");
}
