//! Against a real broker, where `TXOVA_KAFKA_BROKERS` names one: groups of two members, transactions, topics, limits,
//! and bytes of foreign clients. Each test says on stderr when it is left out.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::time::timeout;

use super::super::super::{
    CommitEntry, GroupEvent, JoinOptions, NewTopic, OutOfRange, ReadRange, Transport as _,
};
use super::super::Librdkafka;
use super::harness::*;
use crate::client_error::ClientErrorKind;
use crate::config::KafkaConfig;
use crate::record::TopicPartition;

pub(super) fn brokers() -> Option<String> {
    let brokers = std::env::var("TXOVA_KAFKA_BROKERS").ok().filter(|brokers| !brokers.is_empty());
    if brokers.is_none() {
        eprintln!("left out: TXOVA_KAFKA_BROKERS names no real broker");
    }
    brokers
}

fn fresh(name: &str) -> String {
    format!("{name}.{}", uuid::Uuid::new_v4())
}

pub(super) async fn create(client: &Librdkafka, name: &str, partitions: i32) -> String {
    let name = fresh(name);
    let topic = NewTopic { name: name.clone(), partitions, replication: 1, settings: vec![] };
    client.create_topics(vec![topic], PATIENCE).await.unwrap();
    while client.topics(vec![name.clone()], PATIENCE).await.is_err() {} // until every broker knows it
    name
}

fn entries(partitions: &[TopicPartition], offset: i64) -> Vec<CommitEntry> {
    let entry = |partition: &TopicPartition| CommitEntry {
        partition: partition.clone(),
        epoch: NEWEST,
        offset,
        metadata: format!("of {partition}"),
    };
    partitions.iter().map(entry).collect()
}

/// A second member takes over with what the first has committed in the very moment of giving back.
async fn hands_over(strategy: &str) {
    let Some(brokers) = brokers() else { return };
    let client = client_with(&brokers, &[("partition.assignment.strategy", strategy)]);
    let topic = create(&client, "hand-over", 4).await;
    let group = fresh("group");
    for partition in 0..4 {
        fill(&client, &topic, partition, 10).await;
    }
    let mut first = Member::join(&client, options(&group, &topic));
    let (first_epoch, all) = first.assigned().await;
    assert_eq!(all.len(), 4);
    first.records(40).await;

    let mut second = Member::join(&client, options(&group, &topic));
    let taken = first.revoked().await;
    let eager = strategy != "cooperative-sticky";
    assert_eq!(taken.len(), if eager { 4 } else { 2 });
    // Commits are still taken here, and what is not part of the revocation stays with the first member.
    first.commit(entries(&taken, 5)).await.unwrap();
    first.release(entries(&taken, 7)).await.unwrap();
    let late = first.commit(entries(&taken[..1], 9)).await.unwrap_err();
    assert_eq!(late.kind, ClientErrorKind::StaleMember);

    let (_, given) = second.assigned().await;
    assert_eq!(given.len(), 2);
    for each in &given {
        let committed = each.committed.as_ref().unwrap();
        assert_eq!((committed.offset, committed.metadata.clone()), (7, format!("of {}", each.partition)));
    }
    let read = second.records(6).await;
    assert!(read.iter().all(|(.., record)| record.offset >= 7));
    if eager {
        let (epoch, again) = first.assigned().await;
        assert_eq!((epoch, again.len()), (first_epoch + 1, 2));
    }

    // Leaving gives the rest to the second, without a revocation being announced to the first.
    first.close(vec![]).await.unwrap();
    if eager {
        let back = second.revoked().await;
        assert_eq!(back.len(), 2);
        second.release(entries(&back, 8)).await.unwrap();
        assert_eq!(second.assigned().await.1.len(), 4);
    } else {
        assert_eq!(second.assigned().await.1.len(), 2);
    }
    second.close(vec![]).await.unwrap();
}

#[tokio::test]
async fn two_members_hand_over_cooperatively() {
    hands_over("cooperative-sticky").await;
}

#[tokio::test]
async fn two_members_hand_over_eagerly() {
    hands_over("range").await;
}

#[tokio::test]
async fn a_session_time_the_broker_does_not_take_is_fatal_and_said() {
    let Some(brokers) = brokers() else { return };
    let client = client_with(&brokers, &[("session.timeout.ms", "3000"), ("heartbeat.interval.ms", "500")]);
    let topic = create(&client, "short", 1).await;
    let mut member = Member::join(&client, options(&fresh("group"), &topic));
    match member.event().await {
        GroupEvent::Fatal(error) => {
            assert_eq!(error.kind, ClientErrorKind::Config);
            assert!(error.message.contains("session timeout"), "{error}");
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test]
async fn a_revocation_that_is_never_answered_is_given_up_alone() {
    let Some(brokers) = brokers() else { return };
    let client = client(&brokers);
    let topic = create(&client, "silent", 2).await;
    let group = fresh("group");
    let mut silent = options(&group, &topic);
    silent.revoke_timeout = Duration::from_secs(1);
    let mut first = Member::join(&client, silent);
    first.assigned().await;
    let mut second = Member::join(&client, options(&group, &topic));
    first.revoked().await;
    let started = Instant::now();
    assert_eq!(second.assigned().await.1.len(), 1);
    assert!(started.elapsed() < Duration::from_secs(6), "given up after {:?}", started.elapsed());
    let late = first.release(vec![]).await.unwrap_err();
    assert_eq!(late.kind, ClientErrorKind::StaleMember);
}

#[tokio::test]
async fn an_engine_that_neither_reads_nor_answers_does_not_hold_the_group() {
    let Some(brokers) = brokers() else { return };
    let client = client(&brokers);
    let topic = create(&client, "stuck", 2).await;
    for partition in 0..2 {
        fill(&client, &topic, partition, 30_000).await;
    }
    let group = fresh("group");
    let mut stuck = options(&group, &topic);
    stuck.revoke_timeout = Duration::from_secs(1);
    let mut first = Member::join(&client, stuck);
    first.assigned().await;
    tokio::time::sleep(Duration::from_secs(1)).await; // its channel is full and its partitions are paused by now
    let mut second = Member::join(&client, options(&group, &topic));
    let (_, given) = second.assigned().await;
    let read = second.records(30_000).await;
    let offsets: Vec<i64> = read.iter().map(|(.., record)| record.offset).collect();
    assert_eq!(offsets, (0..30_000).collect::<Vec<_>>());
    // The first goes on with the partition it kept, from where it was.
    let kept = TopicPartition::new(topic.as_str(), 1 - given[0].partition.partition);
    let mut next = 0;
    while next < 30_000 {
        let batch = first.batch().await;
        for record in batch.records.iter().filter(|_| batch.partition == kept) {
            assert_eq!(record.offset, next);
            next += 1;
        }
    }
}

#[tokio::test]
async fn metadata_that_is_too_long_is_refused_and_its_partition_named() {
    let Some(brokers) = brokers() else { return };
    let client = client(&brokers);
    let topic = create(&client, "long", 2).await;
    let mut member = Member::join(&client, options(&fresh("group"), &topic));
    member.assigned().await;
    let long = "x".repeat(5_000);
    let error = member.commit(vec![entry(&topic, 0, 1, ""), entry(&topic, 1, 1, &long)]).await.unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::OffsetMetadataTooLarge);
    assert!(error.message.contains(&format!("{topic}-1")), "{}", error.message);
    member.commit(vec![entry(&topic, 0, 2, &"x".repeat(4_000))]).await.unwrap();
}

#[tokio::test]
async fn creating_a_topic_that_exists_is_no_error_and_a_wrong_one_is_named() {
    let Some(brokers) = brokers() else { return };
    let client = client(&brokers);
    let topic = |name: &str, settings: &[(&str, &str)]| NewTopic {
        name: name.to_owned(),
        partitions: 3,
        replication: 1,
        settings: settings.iter().map(|(name, value)| pair(name, value)).collect(),
    };
    let name = fresh("created");
    let settings = [("cleanup.policy", "compact")];
    client.create_topics(vec![topic(&name, &settings)], PATIENCE).await.unwrap();
    client.create_topics(vec![topic(&name, &settings)], PATIENCE).await.unwrap();
    let wrong = vec![topic(&name, &[]), topic("wrong", &[("cleanup.policy", "shred")])];
    let error = client.create_topics(wrong, PATIENCE).await.unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::Config);
    assert!(error.message.contains("wrong"), "{}", error.message);

    // A compacted topic takes no record without a key.
    let producer = client.producer().unwrap();
    let error = send(&producer, outgoing(&name, 0, "x")).await.unwrap().unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::InvalidRecord);
}

/// Three records in each of four transactions, every other of which is aborted; each ends in a marker.
async fn write_in_transactions(brokers: &str, topic: &str) {
    let (brokers, name, id) = (brokers.to_owned(), topic.to_owned(), fresh("writer"));
    tokio::task::spawn_blocking(move || {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &brokers)
            .set("transactional.id", &id)
            .create()
            .unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        for commit in [true, false, true, false] {
            producer.begin_transaction().unwrap();
            for _ in 0..3 {
                producer.send(BaseRecord::<(), str>::to(&name).payload("x")).unwrap();
            }
            if commit {
                producer.commit_transaction(PATIENCE).unwrap();
            } else {
                producer.flush(PATIENCE).unwrap();
                producer.abort_transaction(PATIENCE).unwrap();
            }
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn reading_passes_over_aborted_records_and_markers() {
    let Some(brokers) = brokers() else { return };
    let client = client(&brokers);
    let topic = create(&client, "transactions", 1).await;
    write_in_transactions(&brokers, &topic).await;
    let partition = TopicPartition::new(topic.as_str(), 0);
    let ends = client.watermarks(vec![partition.clone()], PATIENCE).await.unwrap();
    assert_eq!((ends[0].low, ends[0].high), (0, 16));
    let mut records = client.read(vec![ReadRange { partition, start: 1, end: 16 }]).unwrap();
    let mut offsets = Vec::new();
    while let Some(item) = timeout(PATIENCE, records.recv()).await.unwrap() {
        offsets.push(item.unwrap().1.offset);
    }
    assert_eq!(offsets, [1, 2, 8, 9, 10]);
}

/// With the settings of a service that sets none.
#[tokio::test]
async fn who_reads_by_default_never_sees_what_an_aborted_transaction_wrote() {
    let Some(brokers) = brokers() else { return };
    let defaults = KafkaConfig::for_brokers(&brokers).client_properties().unwrap();
    let client = Librdkafka::new(defaults).unwrap();
    let topic = create(&client, "aborted", 1).await;
    write_in_transactions(&brokers, &topic).await;
    let mut member = Member::join(&client, options(&fresh("group"), &topic));
    member.assigned().await;
    let offsets: Vec<_> = member.records(6).await.iter().map(|(_, _, record)| record.offset).collect();
    assert_eq!(offsets, [0, 1, 2, 8, 9, 10]);
}

#[tokio::test]
#[allow(unsafe_code)]
async fn bytes_of_a_foreign_client_that_are_no_text_do_not_stop_the_member() {
    let Some(brokers) = brokers() else { return };
    let client = client(&brokers);
    let topic = create(&client, "foreign", 1).await;
    let group = fresh("group");
    // SAFETY: rdkafka passes the bytes on to C and reads them nowhere.
    let no_text = unsafe { String::from_utf8_unchecked(vec![0xff, 0xfe]) };
    let no_text = no_text.as_str();
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", &brokers).create().unwrap();
    let headers = OwnedHeaders::new().insert(Header { key: no_text, value: Some(b"\xff") });
    producer.send(BaseRecord::<(), str>::to(&topic).payload("x").headers(headers)).unwrap();
    producer.flush(PATIENCE).unwrap();
    let foreign: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", &brokers).set("group.id", &group).create().unwrap();
    let mut list = TopicPartitionList::new();
    let mut element = list.add_partition(&topic, 0);
    element.set_offset(Offset::Offset(0)).unwrap();
    element.set_metadata(no_text);
    foreign.commit(&list, CommitMode::Sync).unwrap();
    drop(foreign);

    let mut member = Member::join(&client, options(&group, &topic));
    let (_, partitions) = member.assigned().await;
    assert_eq!(partitions[0].committed.as_ref().unwrap().metadata, "\u{fffd}\u{fffd}");
    let records = member.records(1).await;
    let headers: Vec<_> = records[0].2.headers.iter().collect();
    assert_eq!(headers, [("\u{fffd}\u{fffd}", Some(&b"\xff"[..]))]);
}

#[tokio::test]
async fn a_static_member_whose_name_is_taken_is_told_that_it_is_fenced() {
    let Some(brokers) = brokers() else { return };
    let client = client(&brokers);
    let topic = create(&client, "fenced", 1).await;
    let group = fresh("group");
    let options = JoinOptions { instance: Some("driver-1".to_owned()), ..options(&group, &topic) };
    let mut first = Member::join(&client, options.clone());
    first.assigned().await;
    let mut second = Member::join(&client, options);
    second.assigned().await;
    loop {
        match first.event().await {
            GroupEvent::Fatal(error) => {
                assert!(error.message.contains("`driver-1`"), "{error}");
                break assert_eq!(error.kind, ClientErrorKind::Fenced);
            }
            GroupEvent::Lost { .. } | GroupEvent::Revoked { .. } => {}
            other => panic!("expected to be fenced, got {other:?}"),
        }
    }
    let started = Instant::now();
    first.close(vec![]).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(8));
}

/// A member that has read ten records of a topic.
async fn in_the_middle(client: &Librdkafka) -> (Member, u64, String) {
    let topic = create(client, "anew", 1).await;
    fill(client, &topic, 0, 10).await;
    let mut options = options(&fresh("group"), &topic);
    options.out_of_range = OutOfRange::Earliest;
    let mut member = Member::join(client, options);
    let (epoch, _) = member.assigned().await;
    member.records(10).await;
    (member, epoch, topic)
}

async fn delete(brokers: &str, topic: &str) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    admin.delete_topics(&[topic], &AdminOptions::new()).await.unwrap();
}

/// Until the old one is gone and the new one is there, with three records.
async fn make_anew(client: &Librdkafka, topic: &str) {
    let again = NewTopic { name: topic.to_owned(), partitions: 1, replication: 1, settings: vec![] };
    while client.create_topics(vec![again.clone()], PATIENCE).await.is_err()
        || client.watermarks(vec![TopicPartition::new(topic, 0)], PATIENCE).await.is_err()
    {}
    fill(client, topic, 0, 3).await;
}

/// The old topic's partition is lost; the new one's is another assignment, which begins with its first record.
async fn begins_anew(member: &mut Member, lost: &[TopicPartition], before: u64) {
    assert_eq!(lost.len(), 1);
    let (epoch, partitions) = member.assigned().await;
    assert_eq!((epoch, &partitions[0].committed), (before + 1, &None));
    let records = member.records(3).await;
    let read: Vec<_> = records.iter().map(|(_, epoch, record)| (*epoch, record.offset)).collect();
    assert_eq!(read, [(epoch, 0), (epoch, 1), (epoch, 2)]);
}

#[tokio::test]
async fn a_topic_that_is_deleted_while_it_is_read_is_lost_and_made_anew_it_is_read_from_its_first_record() {
    let Some(brokers) = brokers() else { return };
    let client = client_with(&brokers, &[("topic.metadata.refresh.interval.ms", "500")]);
    let (mut member, epoch, topic) = in_the_middle(&client).await;
    delete(&brokers, &topic).await;
    let GroupEvent::Lost { partitions } = member.event().await else { panic!("expected a loss") };
    make_anew(&client, &topic).await;
    begins_anew(&mut member, &partitions, epoch).await;
}

/// Made anew at once: the client may or may not see that it was away. Where it does not, its log has gone back.
#[tokio::test]
async fn a_topic_made_anew_while_it_is_read_is_fatal_and_none_of_its_records_is_taken_for_an_old_one() {
    let Some(brokers) = brokers() else { return };
    let client = client_with(&brokers, &[("topic.metadata.refresh.interval.ms", "500")]);
    let (mut member, epoch, topic) = in_the_middle(&client).await;
    delete(&brokers, &topic).await;
    make_anew(&client, &topic).await;
    match member.event().await {
        GroupEvent::Fatal(error) => {
            assert_eq!(error.kind, ClientErrorKind::OffsetOutOfRange);
            assert!(error.message.contains("from offset 10 to 0"), "{error}");
            assert!(member.member.batches.try_recv().is_err(), "nothing of the new one was handed over");
        }
        GroupEvent::Lost { partitions } => begins_anew(&mut member, &partitions, epoch).await,
        other => panic!("expected the end or a loss, got {other:?}"),
    }
}
