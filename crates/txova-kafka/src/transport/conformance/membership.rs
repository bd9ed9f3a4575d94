//! Topics that come late, partitions that are added, and members that have a name.

use super::probe::{Probe, entry, numbered, options, until_all, write};
use super::{Bench, PATIENCE};
use crate::client_error::ClientErrorKind;
use crate::record::TopicPartition;
use crate::transport::{JoinOptions, NewTopic};

fn named(group: &str, topic: &str, instance: &str) -> JoinOptions {
    JoinOptions { instance: Some(instance.to_owned()), ..options(group, topic) }
}

pub(super) async fn a_topic_that_comes_late_is_told_missing_and_read_once_it_is_there(bench: &dyn Bench) {
    let (there, group) = (bench.topic(1).await, bench.group());
    let late = format!("{group}-late");
    let both = JoinOptions { topics: vec![there.clone(), late.clone()], ..options(&group, &there) };
    let mut member = Probe::join(bench.transport(), both);
    member
        .until("what is missing", |member| member.missing == [late.clone()] && member.owned.len() == 1)
        .await;
    write(bench, numbered(&TopicPartition::new(&*there, 0), 0, 3)).await;
    member.until("the records of the topic that is there", |member| member.seen.len() == 3).await;
    assert_eq!(member.missing, [&*late], "records of another topic say nothing about it");

    let new = NewTopic { name: late.clone(), partitions: 2, replication: 1, settings: Vec::new() };
    bench.transport().create_topics(vec![new], PATIENCE).await.expect("the topic is made");
    member.until("all partitions", |member| member.owned.len() == 3 && member.missing.is_empty()).await;
    write(bench, numbered(&TopicPartition::new(&*late, 1), 0, 3)).await;
    member.until("the late topic's records", |member| member.seen.len() == 6).await;
    assert_eq!(member.owned[&TopicPartition::new(&*there, 0)], 1, "what it had stays in its epoch");
    assert!(member.lost.is_empty() && member.fatal.is_none());
}

pub(super) async fn partitions_that_are_added_are_given_out_and_what_is_there_stays(bench: &dyn Bench) {
    let (topic, group) = (bench.topic(2).await, bench.group());
    let mut members = vec![Probe::assigned(bench, options(&group, &topic), 2).await];
    members.push(Probe::join(bench.transport(), options(&group, &topic)));
    let loads =
        |count: usize| move |members: &[Probe]| members.iter().all(|member| member.owned.len() == count);
    until_all("one each", &mut members, loads(1)).await;
    let before: Vec<_> = members.iter().map(|member| member.owned.clone()).collect();
    bench.transport().admin().add_partitions(topic.clone(), 6, PATIENCE).await.expect("more than there are");
    until_all("three each", &mut members, loads(3)).await;
    for (member, before) in members.iter().zip(before) {
        let kept = before.iter().all(|(partition, epoch)| member.owned.get(partition) == Some(epoch));
        assert!(kept, "{before:?} became {:?}", member.owned);
    }
    write(bench, (0..6).flat_map(|p| numbered(&TopicPartition::new(&*topic, p), 0, 5)).collect()).await;
    let seen = |members: &[Probe]| members.iter().map(|member| member.seen.len()).sum::<usize>();
    until_all("the records of all", &mut members, |members| seen(members) == 30).await;
}

pub(super) async fn who_joins_under_a_name_that_is_taken_throws_its_holder_out(bench: &dyn Bench) {
    let (topic, group) = (bench.topic(2).await, bench.group());
    let partition = TopicPartition::new(&*topic, 0);
    write(bench, numbered(&partition, 0, 10)).await;
    let mut first = Probe::assigned(bench, named(&group, &topic, "driver-1"), 2).await;
    first.until("its records", |first| first.seen.len() == 10).await;
    first.commit(vec![entry(&partition, 4, "of the first")]).await.expect("nobody else is there");

    let mut second = Probe::assigned(bench, named(&group, &topic, "driver-1"), 2).await;
    let committed = second.assignment(&partition).committed.clone().expect("the first committed");
    assert_eq!((committed.offset, &*committed.metadata), (4, "of the first"));
    first.until("the end of the first", |first| first.fatal.is_some()).await;
    let fatal = first.fatal.clone().expect("just seen");
    assert_eq!(fatal.kind, ClientErrorKind::Fenced);
    assert!(fatal.message.contains(&group) && fatal.message.contains("`driver-1`"), "{fatal}");
    assert!(!fatal.is_retriable());
    first.commit(vec![entry(&partition, 9, "too late")]).await.expect_err("it is out");
    let _ = first.close(vec![entry(&partition, 10, "too late")]).await;
    assert!(first.closed);
    let asked = bench.transport().committed(group, vec![partition], PATIENCE).await.expect("an answer");
    assert_eq!(asked[0], Some(committed));
    second.take_what_is_there().await;
    assert_eq!((second.assignments.len(), second.owned.len()), (1, 2), "the first has left without a trace");
}

pub(super) async fn who_comes_back_under_its_name_has_its_partitions_and_nobody_elses_move(
    bench: &dyn Bench,
) {
    let (topic, group) = (bench.topic(4).await, bench.group());
    let mut members = vec![Probe::assigned(bench, named(&group, &topic, "driver-1"), 4).await];
    members.push(Probe::join(bench.transport(), named(&group, &topic, "driver-2")));
    until_all("two each", &mut members, |members| members.iter().all(|member| member.owned.len() == 2)).await;
    let (mut second, mut first) = (members.pop().expect("two"), members.pop().expect("two"));
    let (epochs, had) = (second.assignments.len(), first.owned.keys().cloned().collect::<Vec<_>>());
    let commit = had.iter().map(|partition| entry(partition, 0, "before")).collect();
    first.close(commit).await.expect("the commit");

    let mut again = Probe::assigned(bench, named(&group, &topic, "driver-1"), 2).await;
    assert_eq!(again.owned.keys().cloned().collect::<Vec<_>>(), had);
    assert_eq!(again.assignment(&had[0]).committed.as_ref().map(|it| &*it.metadata), Some("before"));
    write(bench, (0..4).flat_map(|p| numbered(&TopicPartition::new(&*topic, p), 0, 5)).collect()).await;
    again.until("its records", |again| again.seen.len() == 10).await;
    second.until("its records", |second| second.seen.len() == 10).await;
    assert_eq!(
        (second.assignments.len(), &second.revoked),
        (epochs, &None),
        "the second has heard of nothing"
    );
}

pub(super) async fn a_name_whose_session_is_over_keeps_nothing_from_others(bench: &dyn Bench) {
    let (topic, group) = (bench.topic(2).await, bench.group());
    let mut members = vec![Probe::assigned(bench, named(&group, &topic, "driver-1"), 2).await];
    members.push(Probe::join(bench.transport(), named(&group, &topic, "driver-2")));
    until_all("one each", &mut members, |members| members.iter().all(|member| member.owned.len() == 1)).await;
    let (mut second, mut first) = (members.pop().expect("two"), members.pop().expect("two"));
    first.close(Vec::new()).await.expect("nothing to commit");
    second.take_what_is_there().await;
    assert_eq!(second.owned.len(), 1, "the first may come back");
    second.until("what the first had", |second| second.owned.len() == 2).await;
}
