//! What tools ask of a cluster, and change in it.

use std::time::Duration;

use super::probe::{Probe, entry, numbered, options, within, write};
use super::{Bench, PATIENCE};
use crate::client_error::ClientErrorKind;
use crate::record::TopicPartition;
use crate::transport::NewTopic;
use crate::transport::admin::{GroupState, Setting};

/// A topic of its own with this retention.
async fn topic_with_retention(bench: &dyn Bench, retention_ms: &str) -> String {
    let name = format!("txova-test-{}", uuid::Uuid::new_v4());
    let settings = vec![("retention.ms".to_owned(), retention_ms.to_owned())];
    let topic = NewTopic { name: name.clone(), partitions: 2, replication: 1, settings };
    bench.transport().create_topics(vec![topic], PATIENCE).await.expect("the topic is created");
    name
}

async fn settings(bench: &dyn Bench, topic: &str) -> Vec<Setting> {
    let asked = vec![topic.to_owned()];
    bench.transport().admin().topic_settings(asked, PATIENCE).await.expect("an answer").remove(0)
}

fn own(settings: &[Setting]) -> Vec<(&str, &str)> {
    let own = settings.iter().filter(|setting| setting.is_own);
    let mut own: Vec<_> =
        own.map(|setting| (&*setting.name, setting.value.as_deref().unwrap_or_default())).collect();
    own.sort_unstable();
    own
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

pub(super) async fn the_cluster_is_told_with_its_brokers_and_where_each_partition_is(bench: &dyn Bench) {
    let topic = bench.topic(3).await;
    let cluster = bench.transport().admin().cluster(PATIENCE).await.expect("an answer");
    assert!(cluster.brokers.iter().all(|broker| broker.address.contains(':')), "{cluster:?}");
    let ids: Vec<i32> = cluster.brokers.iter().map(|broker| broker.id).collect();
    let found = cluster.topics.iter().find(|found| found.name == topic).expect("it is there");
    assert_eq!((found.partitions.len(), found.replication()), (3, 1));
    for (id, partition) in (0..).zip(&found.partitions) {
        assert_eq!(partition.id, id);
        assert!(partition.leader.is_some_and(|leader| ids.contains(&leader)), "{partition:?}");
        assert_eq!(partition.in_sync, partition.replicas);
    }
}

pub(super) async fn a_setting_that_is_changed_leaves_the_others_as_they_are(bench: &dyn Bench) {
    if !bench.answers_tools() {
        return;
    }
    let topic = topic_with_retention(bench, "60000").await;
    assert_eq!(own(&settings(bench, &topic).await), [("retention.ms", "60000")]);
    let change = vec![pair("max.message.bytes", "2000000")];
    bench.transport().admin().change_topic(topic.clone(), change, PATIENCE).await.expect("it may be changed");
    // On a real Kafka another broker may answer, which knows a moment later.
    let expected = [("max.message.bytes", "2000000"), ("retention.ms", "60000")];
    let told = async {
        while own(&settings(bench, &topic).await) != expected {
            tokio::task::yield_now().await;
        }
    };
    within("both settings", told).await;
    let defaults = settings(bench, &topic).await;
    assert!(
        defaults.iter().any(|setting| setting.name == "cleanup.policy" && !setting.is_own),
        "{defaults:?}"
    );
}

pub(super) async fn a_value_that_is_refused_changes_nothing_and_says_why(bench: &dyn Bench) {
    // The in-memory cluster takes any value.
    if !bench.answers_tools() || bench.cluster().is_some() {
        return;
    }
    let topic = topic_with_retention(bench, "60000").await;
    let change = vec![pair("max.message.bytes", "2000000"), pair("retention.ms", "soon")];
    let refused = bench.transport().admin().change_topic(topic.clone(), change, PATIENCE).await;
    let error = refused.expect_err("soon is no number");
    assert_eq!(error.kind, ClientErrorKind::Config, "{error}");
    assert!(error.message.contains(&topic) && error.message.contains("retention.ms"), "{error}");
    assert_eq!(own(&settings(bench, &topic).await), [("retention.ms", "60000")]);
}

pub(super) async fn partitions_are_added_and_never_taken(bench: &dyn Bench) {
    if !bench.answers_tools() {
        return;
    }
    let topic = bench.topic(2).await;
    let admin = bench.transport().admin();
    admin.add_partitions(topic.clone(), 5, PATIENCE).await.expect("more than there are");
    let told = async {
        while bench.transport().topics(vec![topic.clone()], PATIENCE).await != Ok(vec![(topic.clone(), 5)]) {
            tokio::task::yield_now().await;
        }
    };
    within("five partitions", told).await;
    for total in [5, 3, 0] {
        let refused = admin.add_partitions(topic.clone(), total, PATIENCE).await.expect_err("not more");
        assert_eq!(refused.kind, ClientErrorKind::Config, "{total}: {refused}");
    }
}

pub(super) async fn what_is_not_there_has_no_settings(bench: &dyn Bench) {
    if !bench.answers_tools() {
        return;
    }
    let missing = "txova-test-missing".to_owned();
    let admin = bench.transport().admin();
    let error = admin.topic_settings(vec![missing.clone()], PATIENCE).await.expect_err("it is not there");
    assert_eq!(error.kind, ClientErrorKind::UnknownTopic);
    assert!(error.message.contains(&missing), "{error}");
    let change = vec![pair("retention.ms", "1000")];
    let error = admin.change_topic(missing.clone(), change, PATIENCE).await.expect_err("it is not there");
    assert_eq!(error.kind, ClientErrorKind::UnknownTopic);
    assert!(admin.add_partitions(missing, 3, PATIENCE).await.is_err());
    assert!(admin.broker(4_711, Duration::from_secs(2)).await.is_err(), "there is no such broker");
}

pub(super) async fn a_group_is_listed_with_its_member_and_what_that_has(bench: &dyn Bench) {
    if !bench.answers_tools() {
        return;
    }
    let (topic, group) = (bench.topic(2).await, bench.group());
    let mut member = Probe::assigned(bench, options(&group, &topic), 2).await;
    let find = async || {
        let groups = bench.transport().admin().groups(PATIENCE).await.expect("an answer");
        groups.into_iter().find(|found| found.name == group).expect("it is there")
    };
    let found = find().await;
    assert_eq!(found.state, GroupState::Stable);
    let mut has = found.members[0].partitions.clone();
    has.sort();
    assert_eq!(has, [0, 1].map(|p| TopicPartition::new(&*topic, p)));
    let zero = TopicPartition::new(&*topic, 0);
    member.close(vec![entry(&zero, 0, "")]).await.expect("the last commit");
    let empty = async {
        while find().await.state != GroupState::Empty {
            tokio::task::yield_now().await;
        }
    };
    within("an empty group", empty).await;
}

pub(super) async fn offsets_are_set_for_a_group_without_members_and_refused_while_it_has_one(
    bench: &dyn Bench,
) {
    if !bench.answers_tools() {
        return;
    }
    let (topic, group) = (bench.topic(2).await, bench.group());
    let [zero, one] = [0, 1].map(|p| TopicPartition::new(&*topic, p));
    write(bench, numbered(&zero, 0, 9)).await;
    let admin = bench.transport().admin();
    let set = |offset| vec![(zero.clone(), offset), (one.clone(), 0)];
    admin.set_offsets(group.clone(), set(7), PATIENCE).await.expect("nobody is there");
    let mut member = Probe::assigned(bench, options(&group, &topic), 2).await;
    member.until("what is behind 7", |member| member.seen.len() >= 2).await;
    assert_eq!(member.offsets(&zero), [7, 8]);

    member.commit(vec![entry(&zero, 8, "a note")]).await.expect("it is its own");
    let refused = admin.set_offsets(group.clone(), set(0), PATIENCE).await.expect_err("somebody is there");
    assert_eq!(refused.kind, ClientErrorKind::StaleMember, "{refused}");
    let committed = bench.transport().committed(group.clone(), vec![zero.clone()], PATIENCE).await;
    let committed = committed.expect("an answer").remove(0).expect("it is there");
    assert_eq!((committed.offset, &*committed.metadata), (8, "a note"));

    let unknown = vec![(TopicPartition::new(&*topic, 9), 0)];
    let error = admin.set_offsets(bench.group(), unknown, PATIENCE).await.expect_err("there are two");
    assert_eq!(error.kind, ClientErrorKind::UnknownTopic);
}

pub(super) async fn every_call_is_bounded_with_no_broker_there(bench: &dyn Bench) {
    let nowhere = bench.unreachable();
    let (admin, short) = (nowhere.admin(), Duration::from_millis(500));
    let topic = || "txova-test".to_owned();
    within("the cluster", admin.cluster(short)).await.expect_err("nobody is there");
    within("settings", admin.topic_settings(vec![topic()], short)).await.expect_err("nobody is there");
    within("a broker", admin.broker(1, short)).await.expect_err("nobody is there");
    let change = vec![pair("retention.ms", "1000")];
    within("a change", admin.change_topic(topic(), change, short)).await.expect_err("nobody is there");
    within("partitions", admin.add_partitions(topic(), 9, short)).await.expect_err("nobody is there");
    within("groups", admin.groups(short)).await.expect_err("nobody is there");
    let offsets = vec![(TopicPartition::new("txova-test", 0), 0)];
    within("offsets", admin.set_offsets(topic(), offsets, short)).await.expect_err("nobody is there");
}
