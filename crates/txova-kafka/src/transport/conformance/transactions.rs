//! Commits in transactions: records and offsets that are seen together or not at all.

use std::time::Duration;

use uuid::Uuid;

use super::probe::{Probe, entry, numbered, options, until_all, within, write};
use super::{Bench, PATIENCE};
use crate::client_error::ClientErrorKind;
use crate::record::{OutgoingRecord, TopicPartition};
use crate::transport::{Commit, Committed, JoinOptions, ReadRange, Transactions};

/// Longer than any test waits: nothing here ends because a broker has had enough.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);

fn in_transactions(group: &str, topic: &str, id: &str) -> JoinOptions {
    let transactions = Transactions { id: id.to_owned(), timeout: TRANSACTION_TIMEOUT };
    JoinOptions { transactions: Some(transactions), ..options(group, topic) }
}

fn any_id() -> String {
    format!("txova-test-{}", Uuid::new_v4())
}

/// A member with one partition to read and another to write to.
async fn member_and_target(bench: &dyn Bench) -> (String, TopicPartition, TopicPartition, Probe) {
    let (source, target, group) = (bench.topic(1).await, bench.topic(1).await, bench.group());
    let (source, target) = (TopicPartition::new(&*source, 0), TopicPartition::new(&*target, 0));
    let member = Probe::assigned(bench, in_transactions(&group, &source.topic, &any_id()), 1).await;
    (group, source, target, member)
}

/// The values a reader sees, once there are so many: a broker tells the partitions of an end after it has said so.
async fn values(bench: &dyn Bench, partition: &TopicPartition, count: usize) -> Vec<String> {
    let reading = async {
        loop {
            let ends = bench.transport().watermarks(vec![partition.clone()], PATIENCE).await.expect("ends");
            let range = ReadRange { partition: partition.clone(), start: ends[0].low, end: ends[0].high };
            let mut records = bench.transport().read(vec![range]).expect("a reader");
            let mut values = Vec::new();
            while let Some(record) = records.recv().await {
                let value = record.expect("no error").1.value.unwrap_or_default();
                values.push(String::from_utf8_lossy(&value).into_owned());
            }
            if values.len() >= count {
                return values;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(&format!("{count} records in {partition}"), reading).await
}

async fn committed(bench: &dyn Bench, group: &str, partition: &TopicPartition) -> Option<Committed> {
    let asked = vec![partition.clone()];
    let mut answer = bench.transport().committed(group.to_owned(), asked, PATIENCE).await.expect("an answer");
    answer.remove(0)
}

fn texts(numbers: impl IntoIterator<Item = i64>) -> Vec<String> {
    numbers.into_iter().map(|number| number.to_string()).collect()
}

pub(super) async fn the_records_of_a_commit_are_seen_with_its_offsets_and_in_its_order(bench: &dyn Bench) {
    let (group, source, target, member) = member_and_target(bench).await;
    for begin in [0, 100] {
        let records = numbered(&target, begin, begin + 100);
        let entries = vec![entry(&source, begin + 100, format!("from {begin}"))];
        member.commit_with(entries, records).await.expect("the commit");
        let found = committed(bench, &group, &source).await.expect("it is committed");
        assert_eq!((found.offset, found.metadata), (begin + 100, format!("from {begin}")));
    }
    assert_eq!(values(bench, &target, 200).await, texts(0..200));
    member.commit(vec![entry(&source, 300, "")]).await.expect("offsets alone");
    assert_eq!(committed(bench, &group, &source).await.map(|found| found.offset), Some(300));
}

pub(super) async fn a_commit_that_is_refused_leaves_no_record_and_can_be_made_again(bench: &dyn Bench) {
    let (group, source, target, member) = member_and_target(bench).await;
    let records = numbered(&target, 0, 5);
    let refused = member.commit_with(vec![entry(&source, 9, "x".repeat(5000))], records.clone()).await;
    let refused = refused.expect_err("no broker takes so much metadata");
    assert_eq!((refused.error.kind, refused.refused), (ClientErrorKind::OffsetMetadataTooLarge, None));
    assert_eq!(committed(bench, &group, &source).await, None);
    member.commit_with(vec![entry(&source, 9, "")], records).await.expect("the same again");
    assert_eq!(values(bench, &target, 5).await, texts(0..5), "once");
}

pub(super) async fn a_commit_of_another_epoch_is_refused_with_its_records(bench: &dyn Bench) {
    let (group, source, target, member) = member_and_target(bench).await;
    let mut old = entry(&source, 9, "");
    old.epoch = 77;
    let refused = member.commit_with(vec![old], numbered(&target, 0, 5)).await.expect_err("it never was");
    assert_eq!(refused.error.kind, ClientErrorKind::StaleMember);
    member.commit_with(vec![entry(&source, 1, "")], numbered(&target, 10, 11)).await.expect("its own");
    assert_eq!(values(bench, &target, 1).await, texts([10]));
    assert_eq!(committed(bench, &group, &source).await.map(|found| found.offset), Some(1));
}

pub(super) async fn a_record_too_large_is_named_and_the_rest_can_be_committed_without_it(bench: &dyn Bench) {
    let (group, source, target, member) = member_and_target(bench).await;
    let mut records = numbered(&target, 0, 3);
    records[1].value = Some(vec![b'x'; 2 << 20].into());
    let refused = member.commit_with(vec![entry(&source, 3, "")], records.clone()).await;
    let refused = refused.expect_err("no broker takes such a record");
    assert_eq!((refused.error.kind, refused.refused), (ClientErrorKind::TooLarge, Some(1)));
    records.remove(1);
    member.commit_with(vec![entry(&source, 3, "")], records).await.expect("the others");
    assert_eq!(values(bench, &target, 2).await, texts([0, 2]));
    assert_eq!(committed(bench, &group, &source).await.map(|found| found.offset), Some(3));
}

pub(super) async fn records_without_offsets_or_without_transactions_are_refused(bench: &dyn Bench) {
    let (_, source, target, member) = member_and_target(bench).await;
    let refused = member.commit_with(vec![], numbered(&target, 0, 1)).await.expect_err("nothing fences it");
    assert_eq!(refused.error.kind, ClientErrorKind::Config);
    let plain = Probe::assigned(bench, options(&bench.group(), &source.topic), 1).await;
    let refused = plain.commit_with(vec![entry(&source, 1, "")], numbered(&target, 0, 1)).await;
    assert_eq!(refused.expect_err("it has no transactions").error.kind, ClientErrorKind::Config);
}

pub(super) async fn a_close_commits_its_records(bench: &dyn Bench) {
    let (group, source, target, mut member) = member_and_target(bench).await;
    member.close_with(vec![entry(&source, 2, "last")], numbered(&target, 0, 2)).await.expect("the commit");
    assert_eq!(values(bench, &target, 2).await, texts(0..2));
    let found = committed(bench, &group, &source).await.expect("it is committed");
    assert_eq!((found.offset, &*found.metadata), (2, "last"));
}

pub(super) async fn a_partition_comes_only_when_no_open_transaction_commits_for_it(bench: &dyn Bench) {
    let (topic, group) = (bench.topic(1).await, bench.group());
    let partition = TopicPartition::new(&*topic, 0);
    write(bench, numbered(&partition, 0, 8)).await;
    let open = bench.leave_open(&any_id(), &group, vec![entry(&partition, 5, "")].into()).await;
    let mut member = Probe::join(bench.transport(), options(&group, &topic));
    let early = tokio::time::timeout(Duration::from_secs(5), async {
        while member.owned.is_empty() {
            member.step().await;
        }
    });
    assert!(early.await.is_err(), "where it begins is not known yet: {:?}", member.assignments);
    open.commit().await;
    member.until("the partition", |member| !member.owned.is_empty()).await;
    assert_eq!(member.assignment(&partition).committed.as_ref().map(|committed| committed.offset), Some(5));
    member.until("the rest", |member| member.seen.len() >= 3).await;
    assert_eq!(member.offsets(&partition), [5, 6, 7]);
}

pub(super) async fn nothing_behind_an_open_transaction_is_seen(bench: &dyn Bench) {
    let (topic, group) = (bench.topic(1).await, bench.group());
    let partition = TopicPartition::new(&*topic, 0);
    write(bench, numbered(&partition, 0, 1)).await;
    let records: Vec<_> = numbered(&partition, 1, 2).into_iter().map(std::sync::Arc::new).collect();
    let open = bench.leave_open(&any_id(), "nobody", Commit { entries: Vec::new(), records }).await;
    write(bench, numbered(&partition, 2, 3)).await;
    let mut member = Probe::assigned(bench, options(&group, &topic), 1).await;
    member.until("the first", |member| !member.seen.is_empty()).await;
    let ends = bench.transport().watermarks(vec![partition.clone()], PATIENCE).await.expect("ends");
    assert_eq!((ends[0].low, ends[0].high), (0, 1), "a reader may see no further");
    assert_eq!(values(bench, &partition, 1).await, texts([0]));
    open.commit().await;
    member.until("all three", |member| member.seen.len() >= 3).await;
    assert_eq!(member.offsets(&partition), [0, 1, 2]);
}

pub(super) async fn who_joins_under_an_id_ends_what_its_last_owner_left_open(bench: &dyn Bench) {
    let (topic, target, group, id) = (bench.topic(1).await, bench.topic(1).await, bench.group(), any_id());
    let (partition, target) = (TopicPartition::new(&*topic, 0), TopicPartition::new(&*target, 0));
    write(bench, numbered(&partition, 0, 8)).await;
    let records: Vec<_> = numbered(&target, 0, 5).into_iter().map(std::sync::Arc::new).collect();
    let commit = Commit { entries: vec![entry(&partition, 5, "")], records };
    let _left = bench.leave_open(&id, &group, commit).await;
    let mut member = Probe::assigned(bench, in_transactions(&group, &topic, &id), 1).await;
    assert_eq!(member.assignment(&partition).committed, None, "it was aborted");
    member.until("all of it", |member| member.seen.len() >= 8).await;
    member.commit_with(vec![entry(&partition, 8, "")], numbered(&target, 7, 8)).await.expect("the commit");
    assert_eq!(values(bench, &target, 1).await, texts([7]));
}

pub(super) async fn a_release_commits_its_records_before_the_partition_moves(bench: &dyn Bench) {
    let (topic, target, group) = (bench.topic(2).await, bench.topic(1).await, bench.group());
    let target = TopicPartition::new(&*target, 0);
    let join = || in_transactions(&group, &topic, &any_id());
    let mut members = vec![Probe::assigned(bench, join(), 2).await, Probe::join(bench.transport(), join())];
    members[0].until("a revocation", |member| member.revoked.is_some()).await;
    let moved = members[0].revoked.clone().expect("it was told").remove(0);
    let release = members[0].release_with(vec![entry(&moved, 3, "")], numbered(&target, 0, 3));
    release.await.expect("the commit");
    until_all("one each", &mut members, |members| members.iter().all(|member| member.owned.len() == 1)).await;
    let begun = members[1].assignment(&moved).committed.as_ref().map(|committed| committed.offset);
    assert_eq!(begun, Some(3));
    for (member, from) in members.iter().zip([3, 4]) {
        let own = member.owned.keys().next().expect("one each").clone();
        member
            .commit_with(vec![entry(&own, 4, "")], numbered(&target, from, from + 1))
            .await
            .expect("each its own");
    }
    assert_eq!(values(bench, &target, 5).await, texts(0..5));
}

/// Two members with one id is a mistake of whoever runs them. It costs aborted transactions, and writes nothing twice.
pub(super) async fn a_member_that_was_thrown_out_by_its_id_goes_on(bench: &dyn Bench) {
    let (topic, target, id) = (bench.topic(1).await, bench.topic(1).await, any_id());
    let (partition, target) = (TopicPartition::new(&*topic, 0), TopicPartition::new(&*target, 0));
    let mut expected = 0;
    let first = Probe::assigned(bench, in_transactions(&bench.group(), &topic, &id), 1).await;
    let second = Probe::assigned(bench, in_transactions(&bench.group(), &topic, &id), 1).await;
    for member in [&second, &first, &second, &first] {
        let records: Vec<OutgoingRecord> = numbered(&target, expected, expected + 1);
        let entries = vec![entry(&partition, expected + 1, "")];
        if member.commit_with(entries.clone(), records.clone()).await.is_err() {
            member.commit_with(entries, records).await.expect("it has taken its id back");
        }
        expected += 1;
    }
    assert_eq!(values(bench, &target, 4).await, texts(0..4));
}
