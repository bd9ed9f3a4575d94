//! A member whose name another takes, topics that are not there yet, and a group that went on without telling.

use super::*;
use crate::extract::State;
use crate::testing::MemberId;

/// Endless for the first app that gets "slow".
async fn slow(State(seen): State<Seen>, meta: Meta) {
    let is_first = !seen.all().iter().any(|id| id == "slow");
    seen.add(meta.event_id.as_str());
    if meta.event_id.as_str() == "slow" && is_first {
        std::future::pending().await
    }
}

fn member(cluster: &Cluster, seen: &Seen, instance: Option<&str>) -> App {
    let app = builder(cluster).on("*", slow).topics([TOPIC]).state(seen.clone());
    let named = |consumer: &mut crate::config::ConsumerConfig| {
        consumer.group_instance_id = instance.map(str::to_owned);
        consumer.processing_timeout_ms = 3_600_000;
    };
    app.consumer(named).build().unwrap()
}

fn newest(cluster: &Cluster) -> MemberId {
    cluster.members(GROUP).last().unwrap().id
}

#[tokio::test(start_paused = true)]
async fn an_app_whose_name_another_takes_ends_with_an_error_that_says_so_and_commits_nothing_more() {
    let (cluster, seen) = (cluster(1), Seen::default());
    let first = tokio::spawn(member(&cluster, &seen, Some("depot-1")).run());
    ["a", "slow", "b"].iter().for_each(|id| drop(produce(&cluster, id, &envelope(id))));
    cluster.wait_until(|cluster| !cluster.commits().is_empty()).await;
    let (commits, began) = (cluster.commits().len(), tokio::time::Instant::now());

    let second = member(&cluster, &seen, Some("depot-1"));
    let (handle, run) = (second.handle(), tokio::spawn(second.run()));
    let error = first.await.unwrap().unwrap_err();
    assert_eq!(error.client.as_ref().map(|client| client.kind), Some(ClientErrorKind::Fenced));
    let words = error.to_string();
    assert!(
        words.contains("`depot-1`") && words.contains(GROUP) && words.contains("name of its own"),
        "{words}"
    );
    assert!(began.elapsed() < Duration::from_secs(1), "{:?} for what is another's already", began.elapsed());

    cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    let by = newest(&cluster);
    assert!(cluster.commits()[commits..].iter().all(|commit| commit.member == by), "the first is out");
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
    assert_eq!(seen.all(), ["a", "slow", "b", "slow"]);
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_not_there_is_told_by_the_status_until_it_is_and_then_handled() {
    let (cluster, seen) = (Cluster::new().without_auto_create().with_topic(DLQ, 1), Seen::default());
    let other = "other.v1";
    cluster.create_topic(other, 1);
    let app = builder(&cluster).on("*", note).topics([TOPIC, other]).state(seen.clone()).build().unwrap();
    let (handle, run) = (app.handle(), tokio::spawn(app.run()));
    let record = |topic: &str, id: &str| OutgoingRecord {
        topic: topic.into(),
        value: Some(envelope(id).into()),
        ..OutgoingRecord::default()
    };
    cluster.produce(record(other, "of another topic")).unwrap();
    cluster.wait_until(|cluster| cluster.lag(GROUP, other) == 0).await;
    let trouble = handle.status().await.unwrap().trouble.expect("a topic is missing");
    assert_eq!(trouble.kind, ClientErrorKind::UnknownTopic);
    assert!(trouble.message.contains(TOPIC) && !trouble.message.contains(other), "{trouble}");

    cluster.create_topic(TOPIC, 1);
    cluster.produce(record(TOPIC, "late")).unwrap();
    cluster.wait_until(|_| seen.all().len() == 2).await;
    assert_eq!(handle.status().await.unwrap().trouble, None);
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
    assert_eq!(seen.all(), ["of another topic", "late"]);
}

/// fede1024/rust-rdkafka #433: the group throws a member out, and all that says so is a line of the client's log: the
/// application waits for records for ever, or commits over its successor. Here the next commit is refused, and with that
/// all is lost: nothing more is committed for it, and the member is back in the group. The same with a process that is
/// stopped, on a real Kafka: tests/membership_on_kafka.
#[tokio::test(start_paused = true)]
async fn a_member_that_left_the_group_and_cannot_know_commits_nothing_more_and_comes_back() {
    let (cluster, seen) = (cluster(2), Seen::default());
    let first = member(&cluster, &seen, None);
    let (handle, run) = (first.handle(), tokio::spawn(first.run()));
    let second = member(&cluster, &seen, None);
    let (other, other_run) = (second.handle(), tokio::spawn(second.run()));
    let share = |cluster: &Cluster| {
        let members = cluster.members(GROUP);
        members.len() == 2 && members.iter().all(|it| it.partitions.len() == 1)
    };
    cluster.wait_until(share).await;
    let views = cluster.members(GROUP);
    let (out, partition) = (views[0].id, views[0].partitions[0].clone());
    let to = |partition: &TopicPartition, id: &str| {
        let (topic, value) = (partition.topic.clone(), Some(envelope(id).into()));
        let (partition, key) = (Some(partition.partition), Some(id.to_owned().into()));
        cluster
            .produce(OutgoingRecord { topic, partition, key, value, ..OutgoingRecord::default() })
            .unwrap();
    };

    to(&partition, "before");
    cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    let commits = cluster.commits().len();
    cluster.expel_unnoticed(GROUP, out).unwrap();
    cluster.wait_until(|cluster| cluster.members(GROUP)[1].partitions.len() == 2).await;
    assert_eq!(handle.status().await.unwrap().engine.partitions.len(), 1, "it cannot know");
    to(&partition, "both have it"); // the one that is out still reads what it believes to have
    cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    cluster.wait_until(share).await;
    let made = cluster.commits();
    let stale = made[commits..].iter().find(|commit| commit.member == out);
    assert_eq!(stale, None, "it committed for what was no longer its own");
    to(&cluster.members(GROUP)[0].partitions[0], "after");
    cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    for (handle, run) in [(handle, run), (other, other_run)] {
        assert!(handle.close(LONG).await);
        run.await.unwrap().unwrap();
    }
    assert_eq!(seen.all().iter().filter(|id| *id == "after").count(), 1);
}
