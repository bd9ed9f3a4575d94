//! Several members of one group.

use std::collections::BTreeSet;

use super::Bench;
use super::probe::{Probe, entry, numbered, options, until_all, write};
use crate::client_error::ClientErrorKind;
use crate::record::TopicPartition;
use crate::transport::{Command, JoinOptions};

fn all_seen(probes: &[Probe]) -> BTreeSet<(TopicPartition, i64)> {
    let seen = probes.iter().flat_map(|probe| &probe.seen);
    seen.map(|(partition, record)| (partition.clone(), record.offset)).collect()
}

fn loads(probes: &[Probe]) -> Vec<usize> {
    probes.iter().map(|probe| probe.owned.len()).collect()
}

async fn write_everywhere(bench: &dyn Bench, topic: &str, partitions: i32, from: i64, to: i64) {
    let records = (0..partitions).flat_map(|p| numbered(&TopicPartition::new(topic, p), from, to));
    write(bench, records.collect()).await;
}

pub(super) async fn two_members_split_the_partitions_and_together_see_everything(bench: &dyn Bench) {
    let (topic, group) = (bench.topic(4).await, bench.group());
    write_everywhere(bench, &topic, 4, 0, 50).await;
    let mut members = vec![Probe::assigned(bench, options(&group, &topic), 4).await];
    members.push(Probe::join(bench.transport(), options(&group, &topic)));
    until_all("two each", &mut members, |members| loads(members) == [2, 2]).await;
    write_everywhere(bench, &topic, 4, 50, 100).await;
    until_all("400 records", &mut members, |members| all_seen(members).len() == 400).await;
    let both: Vec<_> = members[0].owned.keys().filter(|p| members[1].owned.contains_key(p)).collect();
    assert!(both.is_empty(), "{both:?} have two owners");
    assert!(members.iter().all(|member| member.lost.is_empty()), "nothing is lost in a calm rebalance");
}

pub(super) async fn a_revoked_partition_waits_for_release_and_goes_on_right_behind_it(bench: &dyn Bench) {
    let (topic, group) = (bench.topic(2).await, bench.group());
    write_everywhere(bench, &topic, 2, 0, 20).await;
    let mut first = Probe::assigned(bench, options(&group, &topic), 2).await;
    first.until("all records", |first| first.seen.len() >= 40).await;
    let mut second = Probe::join(bench.transport(), options(&group, &topic));
    first.until("a revocation", |first| first.revoked.is_some()).await;
    let revoked = first.revoked.clone().expect("just seen");
    // Asking the cluster takes a round trip or more: time enough for a hasty group to give the partition away.
    first.commit(vec![entry(&revoked[0], 5, "still ours")]).await.expect("it is ours until it is released");
    second.take_what_is_there().await;
    assert!(second.assignments.is_empty(), "{:?} before the release", second.assignments);
    let entries = revoked.iter().map(|partition| entry(partition, 13, "as far as I got")).collect();
    first.release(entries).await.expect("the commit of a release");
    let mut members = [first, second];
    until_all("one each", &mut members, |members| loads(members) == [1, 1]).await;
    let second = &mut members[1];
    let moved = second.owned.keys().next().expect("it has one").clone();
    let committed = second.assignment(&moved).committed.clone().expect("the release committed it");
    assert_eq!((committed.offset, &*committed.metadata), (13, "as far as I got"));
    second.until("the rest", |second| second.seen.len() >= 7).await;
    assert_eq!(second.offsets(&moved), (13..20).collect::<Vec<_>>());
}

pub(super) async fn a_revocation_nobody_answers_ends_by_itself(bench: &dyn Bench) {
    let (topic, group) = (bench.topic(2).await, bench.group());
    write_everywhere(bench, &topic, 2, 0, 5).await;
    let impatient =
        JoinOptions { revoke_timeout: std::time::Duration::from_millis(500), ..options(&group, &topic) };
    let mut first = Probe::assigned(bench, impatient, 2).await;
    let mut second = Probe::join(bench.transport(), options(&group, &topic));
    first.until("a revocation", |first| first.revoked.is_some()).await;
    let revoked = first.revoked.clone().expect("just seen");
    second.until("what was not released", |second| !second.owned.is_empty()).await;
    let late = first.release(vec![entry(&revoked[0], 5, "too late")]).await;
    assert_eq!(late.map_err(|error| error.kind), Err(ClientErrorKind::StaleMember));
    second.until("its records from the start", |second| second.seen.len() >= 5).await;
    assert_eq!(second.offsets(&revoked[0]), (0..5).collect::<Vec<_>>());
}

pub(super) async fn a_third_member_joins_and_leaves_and_nothing_is_lost(bench: &dyn Bench) {
    let (topic, group) = (bench.topic(6).await, bench.group());
    let mut members = vec![Probe::assigned(bench, options(&group, &topic), 6).await];
    members.push(Probe::join(bench.transport(), options(&group, &topic)));
    until_all("three each", &mut members, |members| loads(members) == [3, 3]).await;
    write_everywhere(bench, &topic, 6, 0, 30).await;
    members.push(Probe::join(bench.transport(), options(&group, &topic)));
    until_all("two each", &mut members, |members| loads(members) == [2, 2, 2]).await;
    write_everywhere(bench, &topic, 6, 30, 60).await;
    until_all("360 records", &mut members, |members| all_seen(members).len() == 360).await;
    let mut third = members.pop().expect("there are three");
    let owned: Vec<_> = third.owned.keys().cloned().collect();
    let progress = third.progress(&owned);
    third.close(progress).await.expect("the commit");
    until_all("three each again", &mut members, |members| loads(members) == [3, 3]).await;
    write_everywhere(bench, &topic, 6, 60, 90).await;
    members.push(third);
    until_all("540 records", &mut members, |members| all_seen(members).len() == 540).await;
    // What the third settled and committed is not read again by who got its partitions.
    for partition in &owned {
        let taker =
            members[..2].iter().find(|member| member.owned.contains_key(partition)).expect("somebody has it");
        let committed = taker.assignment(partition).committed.clone().expect("the third committed it");
        assert_eq!(committed.offset, 60, "{partition}");
    }
}

pub(super) async fn what_a_closed_member_committed_is_where_the_next_one_starts(bench: &dyn Bench) {
    let (topic, group) = (bench.topic(1).await, bench.group());
    let partition = TopicPartition::new(&*topic, 0);
    write(bench, numbered(&partition, 0, 10)).await;
    let mut first = Probe::assigned(bench, options(&group, &topic), 1).await;
    let mut second = Probe::join(bench.transport(), options(&group, &topic));
    first.until("ten records", |first| first.seen.len() >= 10).await;
    first.close(vec![entry(&partition, 6, "six are done")]).await.expect("the commit");
    second.until("the rest", |second| second.seen.len() >= 4).await;
    assert_eq!(second.offsets(&partition), (6..10).collect::<Vec<_>>());
    assert_eq!(first.revoked, None, "what leaving takes is not announced");
}

/// librdkafka keeps a pause beyond the assignment it was for: a partition that came back was never read again.
pub(super) async fn a_partition_that_was_paused_when_it_went_is_read_when_it_comes_back(bench: &dyn Bench) {
    let (topic, group) = (bench.topic(2).await, bench.group());
    write_everywhere(bench, &topic, 2, 0, 5).await;
    let mut members = vec![Probe::assigned(bench, options(&group, &topic), 2).await];
    until_all("what is there", &mut members, |members| members[0].seen.len() == 10).await;
    for (partition, epoch) in members[0].owned.clone() {
        members[0].send(Command::Pause { partition, epoch });
    }
    members.push(Probe::join(bench.transport(), options(&group, &topic)));
    until_all("one each", &mut members, |members| loads(members) == [1, 1]).await;
    let mut second = members.pop().expect("there are two");
    let moved = second.owned.keys().next().expect("it has one").clone();
    second.close(Vec::new()).await.expect("nothing to commit");
    until_all("both again", &mut members, |members| loads(members) == [2]).await;
    write(bench, numbered(&moved, 5, 10)).await;
    let last = |members: &[Probe]| members[0].offsets(&moved).last().copied();
    until_all("what came behind", &mut members, |members| last(members) == Some(9)).await;
}
