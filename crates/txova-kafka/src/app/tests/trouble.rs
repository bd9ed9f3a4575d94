//! A dead-letter topic that is down, commits that fail, partitions that move.

use super::*;
use crate::engine::RecordState;
use crate::extract::State;
use crate::testing::CommitFault;

async fn refuse(State(seen): State<Seen>, meta: Meta) -> Result<(), HandlerError> {
    seen.add(meta.event_id.as_str());
    Err(HandlerError::permanent("never"))
}

#[tokio::test(start_paused = true)]
async fn a_down_dead_letter_topic_pins_the_partition_and_runs_no_handler_twice() {
    let (cluster, seen) = (cluster(1), Seen::default());
    cluster.produce_down(DLQ);
    produce(&cluster, "a", &envelope("bad"));
    let app = builder(&cluster).on("*", refuse).topics([TOPIC]).state(seen.clone()).build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    cluster.wait_until(|_| !seen.all().is_empty()).await;
    let pinned = loop {
        let status = handle.status().await.unwrap();
        if let Some(partition) = status.engine.partitions.iter().find(|partition| partition.pinned.is_some())
        {
            break partition.clone();
        }
        tokio::time::advance(Duration::from_millis(50)).await;
    };
    let stuck = pinned.oldest.unwrap();
    assert!(matches!(stuck.state, RecordState::DeadLetterDown | RecordState::DeadLettering), "{stuck:?}");
    assert_eq!((stuck.offset, stuck.last_error.as_deref()), (0, Some("never")));
    tokio::time::advance(Duration::from_secs(300)).await;
    assert_eq!(seen.all(), ["bad"]);
    cluster.produce_up(DLQ);
    cluster.wait_until(|cluster| cluster.records(DLQ).len() == 1).await;
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
    assert_eq!(seen.all(), ["bad"]);
    assert_eq!(cluster.committed_by(GROUP, &TopicPartition::new(TOPIC, 0)).unwrap().0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_fails_is_made_again() {
    let (cluster, seen) = (cluster(1), Seen::default());
    cluster.fail_commits(GROUP, 3, CommitFault::Refused(ClientErrorKind::TimedOut));
    produce(&cluster, "a", &envelope("one"));
    let app = builder(&cluster).on("*", note).topics([TOPIC]).state(seen.clone()).build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    let partition = TopicPartition::new(TOPIC, 0);
    let committed =
        |cluster: &Cluster| cluster.committed_by(GROUP, &partition).is_some_and(|(offset, _)| offset == 1);
    cluster.wait_until(committed).await;
    assert_eq!(handle.status().await.unwrap().engine.counts.commit_failures, 3);
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_members_share_a_topic_and_every_record_is_handled_in_order_for_its_key() {
    let (cluster, seen) = (cluster(6), Seen::default());
    async fn handler(State(seen): State<Seen>, meta: Meta) {
        tokio::time::sleep(Duration::from_millis(3)).await;
        seen.add(meta.event_id.as_str());
    }
    let start = |cluster: &Cluster| {
        let app = builder(cluster).on("*", handler).topics([TOPIC]).state(seen.clone()).build().unwrap();
        (app.handle(), tokio::spawn(app.run()))
    };
    let first = start(&cluster);
    for n in 0..300 {
        produce(&cluster, &format!("k{}", n % 30), &envelope(&format!("{} {n}", n % 30)));
    }
    cluster.wait_until(|_| seen.all().len() > 30).await;
    let second = start(&cluster);
    cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    for (handle, run) in [first, second] {
        assert!(handle.close(LONG).await);
        run.await.unwrap().unwrap();
    }
    let mut last = std::collections::HashMap::new();
    for id in seen.all() {
        let (key, n) = id.split_once(' ').unwrap();
        let n: u32 = n.parse().unwrap();
        let before = last.insert(key.to_owned(), n);
        assert!(before.is_none_or(|before| before < n), "{key}: {n} after {before:?}");
    }
    assert_eq!(seen.all().len(), 300, "nothing is handled twice in a calm rebalance");
}

/// The record behind it found no room; the room comes from a partition that is given back at its deadline, of which
/// nobody hears.
#[tokio::test(start_paused = true)]
async fn what_found_no_room_is_taken_when_a_partition_that_goes_makes_some() {
    let (cluster, seen) = (cluster(2), Seen::default());
    async fn handler(State(seen): State<Seen>, meta: Meta) {
        seen.add(format!("{} of {}", meta.event_id.as_str(), meta.partition));
        if meta.event_id.as_str().starts_with("endless") {
            std::future::pending().await
        }
    }
    let start = |cluster: &Cluster| {
        let app = builder(cluster).on("*", handler).topics([TOPIC]).state(seen.clone());
        let app = app.consumer(|consumer| {
            (consumer.max_in_flight_records, consumer.concurrency) = (2, 2);
            (consumer.revoke_timeout_ms, consumer.processing_timeout_ms) = (1_000, 3_600_000);
        });
        tokio::spawn(app.build().unwrap().run())
    };
    let at = |partition: i32, id: &str| {
        let (key, value) = (Some(id.to_owned().into()), Some(envelope(id).into()));
        let record = OutgoingRecord {
            topic: TOPIC.into(),
            partition: Some(partition),
            key,
            value,
            ..OutgoingRecord::default()
        };
        cluster.produce(record).unwrap();
    };
    let apps = [start(&cluster), start(&cluster)];
    cluster.wait_until(|cluster| cluster.members(GROUP).len() == 2).await;
    let [first, second] = [0, 1].map(|number: usize| cluster.members(GROUP)[number].id);
    let [stays, goes] = [1, 0].map(|partition| TopicPartition::new(TOPIC, partition));
    for partition in [&stays, &goes] {
        cluster.move_to(GROUP, partition, first).unwrap();
    }
    cluster.wait_until(|cluster| cluster.members(GROUP)[0].partitions.len() == 2).await;
    at(0, "endless");
    at(1, "endless too");
    at(1, "next");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(seen.all().len(), 2);
    cluster.move_to(GROUP, &goes, second).unwrap();
    tokio::time::sleep(LONG).await;
    assert_eq!(seen.all().len(), 4, "endless once more, and next: {:?}", seen.all());
    assert!(seen.all().contains(&"next of 1".to_owned()));
    apps.iter().for_each(|app| app.abort());
}

/// More of it than the app has room for is fetched before it can be paused.
#[tokio::test(start_paused = true)]
async fn a_partition_that_is_stuck_leaves_the_others_their_room_however_much_of_it_was_fetched() {
    let (cluster, seen) = (cluster(2).with_fetch_limits(500, 32), Seen::default());
    async fn handler(State(seen): State<Seen>, meta: Meta) {
        if meta.partition == 0 && !seen.all().contains(&"go on".to_owned()) {
            std::future::pending().await
        }
        seen.add(meta.event_id.as_str());
    }
    let to = |partition: i32, id: String| {
        let (topic, value) = (TOPIC.into(), Some(envelope(&id).into()));
        let record = OutgoingRecord { topic, partition: Some(partition), value, ..OutgoingRecord::default() };
        cluster.produce(OutgoingRecord { key: Some(id.into()), ..record }).unwrap();
    };
    (0..1_000).for_each(|n| to(0, format!("stuck {n}")));
    let app = builder(&cluster).on("*", handler).topics([TOPIC]).state(seen.clone());
    let app = app.consumer(|consumer| {
        (consumer.max_in_flight_records, consumer.processing_timeout_ms) = (200, 10_000);
        (consumer.concurrency, consumer.retry_backoff_ms) = (150, 1);
    });
    let app = app.build().unwrap();
    let (handle, run) = (app.handle(), tokio::spawn(app.run()));
    while handle.status().await.is_none_or(|status| status.engine.in_flight_records < 100) {
        tokio::task::yield_now().await;
    }
    (0..300).for_each(|n| to(1, format!("sound {n}")));
    let sound = || seen.all().iter().filter(|id| id.starts_with("sound")).count();
    let done = cluster.wait_until(|_| sound() == 300);
    assert!(tokio::time::timeout(Duration::from_secs(5), done).await.is_ok(), "{} of 300", sound());

    seen.add("go on");
    cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
    let each: std::collections::BTreeSet<String> = seen.all().into_iter().collect();
    assert_eq!((each.len(), seen.all().len()), (1_301, 1_301), "each once");
}
