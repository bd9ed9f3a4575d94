//! An operator pauses a running app.

use super::*;
use crate::extract::State;

const OTHER: &str = "letters.v1";

async fn until_paused(handle: &crate::AppHandle, pauses: usize) {
    while handle.status().await.is_none_or(|status| status.engine.paused.len() != pauses) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_starts_while_the_app_is_paused_through_a_rebalance_and_all_is_done_when_it_is_resumed() {
    let (cluster, seen) = (cluster(2), Seen::default());
    let app = builder(&cluster).on("*", note).topics([TOPIC]).state(seen.clone()).build().unwrap();
    let handle = app.handle();
    handle.pause(); // before it runs: it starts paused
    let run = tokio::spawn(app.run());
    until_paused(&handle, 1).await;
    for n in 0..20 {
        produce(&cluster, &format!("k{n}"), &envelope(&n.to_string()));
    }
    cluster.wait_until(|cluster| cluster.members(GROUP).len() == 1).await;
    let id = cluster.members(GROUP)[0].id;
    let first = TopicPartition::new(TOPIC, 0);
    cluster.revoke(GROUP, &first).unwrap();
    tokio::time::sleep(LONG).await;
    cluster.move_to(GROUP, &first, id).unwrap();
    tokio::time::sleep(LONG).await;
    assert_eq!(seen.all(), Vec::<String>::new());
    let status = handle.status().await.unwrap();
    let all_paused = |is: fn(&crate::PartitionStatus) -> bool| status.engine.partitions.iter().all(is);
    assert!(status.engine.partitions.len() == 2 && all_paused(|it| it.paused && it.paused_by_operator));
    handle.resume();
    cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    assert_eq!(seen.all().len(), 20);
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_topic_is_paused_and_the_other_goes_on_and_a_topic_nobody_reads_is_named() {
    let seen = Seen::default();
    let cluster = cluster(1).with_topic(OTHER, 1);
    let app = builder(&cluster).on("*", note).topics([TOPIC, OTHER]).state(seen.clone()).build().unwrap();
    let handle = app.handle();
    let unknown = handle.pause_topic("parcel.v1").unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "the app does not read the topic `parcel.v1`; it reads parcels.v1, letters.v1"
    );
    assert_eq!(handle.resume_topic("parcel.v1"), Err(unknown));
    handle.pause_topic(TOPIC).unwrap();
    let run = tokio::spawn(app.run());
    produce(&cluster, "a", &envelope("waits"));
    let (key, value) = (Some("a".into()), Some(envelope("goes on").into()));
    cluster.produce(OutgoingRecord { topic: OTHER.into(), key, value, ..OutgoingRecord::default() }).unwrap();
    cluster.wait_until(|cluster| cluster.lag(GROUP, OTHER) == 0).await;
    tokio::time::sleep(LONG).await;
    assert_eq!(seen.all(), ["goes on"]);
    handle.resume_topic(TOPIC).unwrap();
    cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    assert_eq!(seen.all(), ["goes on", "waits"]);
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
}

/// What runs when the pause comes may end, and what it leaves to do is done: its commit, its dead letter.
#[tokio::test(start_paused = true)]
async fn a_paused_app_ends_what_runs_writes_its_dead_letter_commits_and_closes() {
    async fn refuse_late(State(seen): State<Seen>, meta: Meta) -> Result<(), HandlerError> {
        seen.add(meta.event_id.as_str());
        tokio::time::sleep(Duration::from_secs(5)).await;
        Err(HandlerError::permanent("never"))
    }
    let (cluster, seen) = (cluster(1), Seen::default());
    let app = builder(&cluster).on("*", refuse_late).topics([TOPIC]).state(seen.clone());
    let app = app.consumer(|consumer| consumer.concurrency = 1).build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    let partition = produce(&cluster, "a", &envelope("runs"));
    produce(&cluster, "b", &envelope("waits"));
    cluster.wait_until(|_| !seen.all().is_empty()).await;
    handle.pause();
    until_paused(&handle, 1).await;
    let committed =
        |cluster: &Cluster| cluster.committed_by(GROUP, &partition).is_some_and(|(offset, _)| offset == 1);
    cluster.wait_until(committed).await;
    assert_eq!(cluster.records(DLQ).len(), 1);
    tokio::time::sleep(LONG).await;
    assert_eq!(seen.all(), ["runs"]);
    assert!(handle.close(LONG).await);
    let report = run.await.unwrap().unwrap();
    assert!(report.returned == 1 && report.abandoned.is_empty(), "{report:?}");
}
