//! A single member of a group on the mock cluster.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::super::super::{Command, Commit, Committed, GroupEvent, OutOfRange, StartAt, Transport as _};
use super::super::mock::MockKafka;
use super::harness::*;
use crate::client_error::ClientErrorKind;
use crate::record::TopicPartition;

#[tokio::test]
async fn a_broker_that_is_not_there_is_trouble_that_names_its_address() {
    let client = client("127.0.0.1:1");
    let started = Instant::now();
    let mut member = Member::join(&client, options("g", "orders"));
    match member.any_event().await {
        GroupEvent::Trouble(error) => {
            assert_eq!(error.kind, ClientErrorKind::Unreachable);
            assert!(error.message.contains("127.0.0.1:1"), "{}", error.message);
        }
        other => panic!("expected trouble, got {other:?}"),
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    let started = Instant::now();
    member.close(vec![]).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(8), "closing took {:?}", started.elapsed());
}

#[tokio::test]
async fn an_address_that_never_answers_is_trouble_within_five_seconds() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap(); // accepts in the kernel and says nothing
    let address = silent.local_addr().unwrap().to_string();
    let started = Instant::now();
    let mut member = Member::join(&client(&address), options("g", "orders"));
    match member.any_event().await {
        GroupEvent::Trouble(error) => {
            assert_eq!(error.kind, ClientErrorKind::Unreachable);
            assert!(error.message.contains(&address), "{}", error.message);
        }
        other => panic!("expected trouble, got {other:?}"),
    }
    assert!(started.elapsed() < Duration::from_millis(5_500), "told after {:?}", started.elapsed());
}

#[tokio::test]
async fn an_unknown_topic_is_trouble_that_names_it() {
    let kafka = MockKafka::start(1, &[("orders", 1)]).unwrap();
    let mut member = Member::join(&client(kafka.bootstrap()), options("g", "nowhere"));
    match member.any_event().await {
        GroupEvent::Trouble(error) => {
            assert_eq!(error.kind, ClientErrorKind::UnknownTopic);
            assert!(error.message.contains("nowhere"), "{}", error.message);
        }
        other => panic!("expected trouble, got {other:?}"),
    }
}

#[tokio::test]
async fn records_come_in_order_with_the_epoch_told_before() {
    let kafka = MockKafka::start(1, &[("orders", 3)]).unwrap();
    let client = client(kafka.bootstrap());
    for partition in 0..3 {
        fill(&client, "orders", partition, 700).await;
    }
    let mut member = Member::join(&client, options("g", "orders"));
    let (epoch, partitions) = member.assigned().await;
    assert_eq!(partitions.len(), 3);
    assert!(partitions.iter().all(|each| each.committed.is_none()));
    let mut next = [0_i64; 3];
    for (partition, of, record) in member.records(2_100).await {
        assert_eq!(of, epoch);
        let next = &mut next[partition.partition as usize];
        assert_eq!(record.offset, *next);
        assert_eq!(record.value.as_deref(), Some(next.to_string().as_bytes()));
        *next += 1;
    }
    assert_eq!(next, [700; 3]);
    member.close(vec![]).await.unwrap();
}

#[tokio::test]
async fn a_commit_comes_back_with_its_metadata_and_reading_starts_there() {
    let kafka = MockKafka::start(1, &[("orders", 2)]).unwrap();
    let client = client(kafka.bootstrap());
    fill(&client, "orders", 0, 10).await;
    let mut member = Member::join(&client, options("g", "orders"));
    member.assigned().await;
    member.commit(vec![entry("orders", 0, 4, "so far; 🛺")]).await.unwrap();
    member.close(vec![]).await.unwrap();

    let mut member = Member::join(&client, options("g", "orders"));
    let (_, partitions) = member.assigned().await;
    let committed = Some(Committed { offset: 4, metadata: "so far; 🛺".to_owned() });
    assert_eq!(partitions[0].committed, committed);
    assert_eq!(partitions[1].committed, None);
    assert_eq!(member.records(6).await[0].2.offset, 4);
    let asked = vec![TopicPartition::new("orders", 1), TopicPartition::new("orders", 0)];
    assert_eq!(client.committed("g".to_owned(), asked, PATIENCE).await.unwrap(), [None, committed]);
    member.close(vec![]).await.unwrap();
}

#[tokio::test]
async fn closing_commits_and_a_drop_does_not() {
    let kafka = MockKafka::start(1, &[("orders", 1)]).unwrap();
    let client = client(kafka.bootstrap());
    fill(&client, "orders", 0, 5).await;
    let mut member = Member::join(&client, options("g", "orders"));
    member.assigned().await;
    member.records(5).await;
    member.close(vec![entry("orders", 0, 3, "")]).await.unwrap();

    let mut member = Member::join(&client, options("g", "orders"));
    member.assigned().await;
    member.records(2).await;
    let Member { member, .. } = member;
    let mut events = member.events;
    let started = Instant::now();
    drop((member.commands, member.batches));
    assert!(started.elapsed() < Duration::from_millis(50), "dropping took {:?}", started.elapsed());
    let end = timeout(PATIENCE, events.recv()).await.unwrap();
    assert!(matches!(end, Some(GroupEvent::Closed)), "{end:?}");

    let asked = vec![TopicPartition::new("orders", 0)];
    let committed = client.committed("g".to_owned(), asked, PATIENCE).await.unwrap();
    assert_eq!(committed[0].as_ref().unwrap().offset, 3);
}

#[tokio::test]
async fn after_the_end_every_command_is_answered_with_closed() {
    let kafka = MockKafka::start(1, &[("orders", 1)]).unwrap();
    let mut member = Member::join(&client(kafka.bootstrap()), options("g", "orders"));
    member.assigned().await;
    let (reply, answer) = tokio::sync::oneshot::channel();
    member.member.commands.send(Command::Close { commit: Commit::default(), reply });
    answer.await.unwrap().unwrap();
    while !matches!(member.event().await, GroupEvent::Closed) {}
    let kind = |result: Result<(), crate::ClientError>| result.unwrap_err().kind;
    assert_eq!(kind(member.commit(vec![entry("orders", 0, 1, "")]).await), ClientErrorKind::Closed);
    assert_eq!(kind(member.release(vec![]).await), ClientErrorKind::Closed);
}

#[tokio::test]
async fn a_commit_for_a_partition_that_is_not_assigned_is_refused() {
    let kafka = MockKafka::start(1, &[("orders", 1), ("other", 1)]).unwrap();
    let mut member = Member::join(&client(kafka.bootstrap()), options("g", "orders"));
    member.assigned().await;
    let error = member.commit(vec![entry("other", 0, 1, "")]).await.unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::StaleMember);
    assert!(error.message.contains("other-0"), "{}", error.message);
}

#[tokio::test]
async fn latest_starts_behind_the_last_record_and_misses_none_written_after_the_assignment() {
    let kafka = MockKafka::start(1, &[("orders", 1)]).unwrap();
    let client = client(kafka.bootstrap());
    fill(&client, "orders", 0, 5).await;
    let mut options = options("g", "orders");
    options.start = StartAt::Latest;
    let mut member = Member::join(&client, options);
    member.assigned().await;
    fill(&client, "orders", 0, 1).await;
    assert_eq!(member.records(1).await[0].2.offset, 5);
}

#[tokio::test]
async fn a_committed_offset_that_is_not_in_the_log_is_fatal_and_named() {
    let kafka = MockKafka::start(1, &[("orders", 2)]).unwrap();
    let client = client(kafka.bootstrap());
    fill(&client, "orders", 1, 5).await;
    let mut member = Member::join(&client, options("g", "orders"));
    member.assigned().await;
    member.commit(vec![entry("orders", 1, 500, "")]).await.unwrap();
    member.close(vec![]).await.unwrap();

    let mut member = Member::join(&client, options("g", "orders"));
    member.assigned().await;
    match member.event().await {
        GroupEvent::Fatal(error) => {
            assert_eq!(error.kind, ClientErrorKind::OffsetOutOfRange);
            assert!(error.message.contains("orders-1: offset 500"), "{}", error.message);
        }
        other => panic!("expected a fatal error, got {other:?}"),
    }
    member.close(vec![]).await.unwrap();

    let mut earliest = options("g", "orders");
    earliest.out_of_range = OutOfRange::Earliest;
    let mut member = Member::join(&client, earliest);
    member.assigned().await;
    assert_eq!(member.records(5).await[0].2.offset, 0);
    match member.any_event().await {
        GroupEvent::Trouble(error) => assert_eq!(error.kind, ClientErrorKind::OffsetOutOfRange),
        other => panic!("expected a warning, got {other:?}"),
    }
}

#[tokio::test]
async fn a_paused_partition_gives_nothing_until_it_is_resumed() {
    let kafka = MockKafka::start(1, &[("orders", 2)]).unwrap();
    let client = client(kafka.bootstrap());
    let mut member = Member::join(&client, options("g", "orders"));
    let (epoch, _) = member.assigned().await;
    for partition in [TopicPartition::new("orders", 0), TopicPartition::new("unknown", 7)] {
        member.member.commands.send(Command::Pause { partition, epoch });
    }
    // A release without a revocation is answered at once, behind the pause.
    assert_eq!(member.release(vec![]).await.unwrap_err().kind, ClientErrorKind::StaleMember);
    fill(&client, "orders", 0, 5).await;
    fill(&client, "orders", 1, 5).await;
    assert!(member.records(5).await.iter().all(|(partition, ..)| partition.partition == 1));
    let partition = TopicPartition::new("orders", 0);
    member.member.commands.send(Command::Resume { partition, epoch });
    let records = member.records(5).await;
    assert_eq!(records.iter().map(|(.., record)| record.offset).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn an_engine_that_stops_reading_is_waited_for_and_nothing_is_lost_or_doubled() {
    let kafka = MockKafka::start(1, &[("orders", 2)]).unwrap();
    let client = client(kafka.bootstrap());
    for partition in 0..2 {
        fill(&client, "orders", partition, 20_000).await;
    }
    let mut member = Member::join(&client, options("g", "orders"));
    member.assigned().await;
    // The channel fills up; a commit long after that shows that polling and the group go on.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    member.commit(vec![entry("orders", 0, 1, "")]).await.unwrap();
    let mut next = [0; 2];
    for (partition, _, record) in member.records(40_000).await {
        let next = &mut next[partition.partition as usize];
        assert_eq!(record.offset, *next);
        *next += 1;
    }
    assert_eq!(next, [20_000; 2]);
}

#[tokio::test]
async fn no_more_records_cross_at_a_time_than_are_asked_for() {
    let mock = MockKafka::start(1, &[("few", 1)]).unwrap();
    let client = client(mock.bootstrap());
    fill(&client, "few", 0, 50).await;
    let mut options = options("g", "few");
    options.max_poll_records = 7;
    let mut member = Member::join(&client, options);
    member.assigned().await;
    let mut read = 0;
    while read < 50 {
        let batch = member.batch().await;
        assert!(batch.records.len() <= 7, "{}", batch.records.len());
        read += batch.records.len();
    }
}
