//! Where a member starts, and what is kept for the next one.

use super::Bench;
use super::probe::{AT_SECOND_0_MS, Probe, at_seconds, entry, numbered, options, within, write};
use crate::client_error::ClientErrorKind;
use crate::record::TopicPartition;
use crate::transport::{CommitEntry, Committed, JoinOptions, OutOfRange, StartAt};

/// Has a group commit `offset` and leave.
async fn commit_and_leave(
    bench: &dyn Bench,
    group: &str,
    partition: &TopicPartition,
    offset: i64,
    metadata: &str,
) {
    let mut member = Probe::assigned(bench, options(group, &partition.topic), 1).await;
    member.commit(vec![entry(partition, offset, metadata)]).await.expect("the commit");
    member.close(Vec::new()).await.expect("nothing to commit");
}

/// Writes records one by one, from `from` on, until the member sees one of them: it may find its start after `Assigned`.
async fn write_until_seen(bench: &dyn Bench, member: &mut Probe, partition: &TopicPartition, from: i64) {
    let waiting = async {
        let mut next = from;
        while member.seen.is_empty() {
            write(bench, numbered(partition, next, next + 1)).await;
            next += 1;
            let _ = tokio::time::timeout(std::time::Duration::from_millis(100), member.step()).await;
        }
    };
    within("a record behind the start", waiting).await;
}

pub(super) async fn a_member_starts_at_the_committed_offset_with_its_metadata(bench: &dyn Bench) {
    let (topic, group) = (bench.topic(1).await, bench.group());
    let partition = TopicPartition::new(&*topic, 0);
    write(bench, numbered(&partition, 0, 10)).await;
    let metadata: String = ('!'..='~').cycle().take(200).collect();
    commit_and_leave(bench, &group, &partition, 4, &metadata).await;
    let mut next = Probe::assigned(bench, options(&group, &topic), 1).await;
    assert_eq!(next.assignment(&partition).committed, Some(Committed { offset: 4, metadata }));
    next.until("the rest", |next| next.seen.len() >= 6).await;
    assert_eq!(next.offsets(&partition), (4..10).collect::<Vec<_>>());
}

pub(super) async fn a_commit_of_another_epoch_is_refused(bench: &dyn Bench) {
    let topic = bench.topic(1).await;
    let partition = TopicPartition::new(&*topic, 0);
    let member = Probe::assigned(bench, options(&bench.group(), &topic), 1).await;
    let epoch = member.owned[&partition] + 1;
    let refused = member.commit(vec![CommitEntry { epoch, ..entry(&partition, 1, "") }]).await;
    assert_eq!(refused.map_err(|error| error.kind), Err(ClientErrorKind::StaleMember));
    member.commit(vec![entry(&partition, 1, "")]).await.expect("this one is of its time");
}

pub(super) async fn metadata_of_4096_bytes_is_kept_and_5000_are_refused(bench: &dyn Bench) {
    let (topic, group) = (bench.topic(1).await, bench.group());
    let partition = TopicPartition::new(&*topic, 0);
    let member = Probe::assigned(bench, options(&group, &topic), 1).await;
    let longest = "m".repeat(4096);
    member.commit(vec![entry(&partition, 1, &*longest)]).await.expect("4,096 bytes are taken");
    if bench.limits_metadata() {
        let refused = member.commit(vec![entry(&partition, 2, "m".repeat(5000))]).await;
        assert_eq!(refused.map_err(|error| error.kind), Err(ClientErrorKind::OffsetMetadataTooLarge));
    }
    let committed = bench.transport().committed(group, vec![partition], super::PATIENCE).await;
    if bench.limits_metadata() {
        assert_eq!(committed.expect("an answer"), [Some(Committed { offset: 1, metadata: longest })]);
    }
}

pub(super) async fn with_nothing_committed_earliest_starts_at_the_first_record(bench: &dyn Bench) {
    let topic = bench.topic(1).await;
    let partition = TopicPartition::new(&*topic, 0);
    write(bench, numbered(&partition, 0, 3)).await;
    let mut member = Probe::assigned(bench, options(&bench.group(), &topic), 1).await;
    assert_eq!(member.assignment(&partition).committed, None);
    member.until("three records", |member| member.seen.len() >= 3).await;
    assert_eq!(member.offsets(&partition), [0, 1, 2]);
}

pub(super) async fn with_nothing_committed_latest_starts_behind_the_last_record(bench: &dyn Bench) {
    let topic = bench.topic(1).await;
    let partition = TopicPartition::new(&*topic, 0);
    write(bench, numbered(&partition, 0, 3)).await;
    let latest = JoinOptions { start: StartAt::Latest, ..options(&bench.group(), &topic) };
    let mut member = Probe::assigned(bench, latest, 1).await;
    write_until_seen(bench, &mut member, &partition, 3).await;
    assert!(member.offsets(&partition)[0] >= 3, "{:?} were there before", member.offsets(&partition));
}

pub(super) async fn with_nothing_committed_a_timestamp_starts_at_its_first_record_or_behind_the_last(
    bench: &dyn Bench,
) {
    if !bench.finds_by_time() {
        return;
    }
    for (second, committed, seen) in [(20, None, 1), (31, None, 4), (20, Some(3), 3)] {
        let (topic, group) = (bench.topic(1).await, bench.group());
        let partition = TopicPartition::new(&*topic, 0);
        write(bench, at_seconds(&partition, &[10, 20, 20, 30])).await;
        if let Some(offset) = committed {
            commit_and_leave(bench, &group, &partition, offset, "").await;
        }
        let start = StartAt::Timestamp { unix_ms: AT_SECOND_0_MS + second * 1_000 };
        let mut member = Probe::assigned(bench, JoinOptions { start, ..options(&group, &topic) }, 1).await;
        write(bench, at_seconds(&partition, &[50])).await;
        let until = 5 - seen;
        member.until("the rest", |member| member.seen.len() >= until as usize).await;
        assert_eq!(member.offsets(&partition), (seen..5).collect::<Vec<_>>(), "from second {second}");
    }
}

/// A group that committed 1,000 where the log ends at 3.
async fn out_of_range(bench: &dyn Bench, policy: OutOfRange) -> (TopicPartition, Probe) {
    let (topic, group) = (bench.topic(1).await, bench.group());
    let partition = TopicPartition::new(&*topic, 0);
    write(bench, numbered(&partition, 0, 3)).await;
    commit_and_leave(bench, &group, &partition, 1000, "of another log").await;
    let options = JoinOptions { out_of_range: policy, ..options(&group, &topic) };
    (partition, Probe::join(bench.transport(), options))
}

fn assert_went_on_with_a_warning(member: &Probe, partition: &TopicPartition) {
    let committed = Committed { offset: 1000, metadata: "of another log".to_owned() };
    assert_eq!(member.assignment(partition).committed, Some(committed), "what the group had committed");
    let warned = member.troubles.iter().find(|error| error.kind == ClientErrorKind::OffsetOutOfRange);
    let warned = warned.unwrap_or_else(|| panic!("no warning among {:?}", member.troubles));
    assert!(warned.message.contains(&*partition.topic), "names the topic: {warned}");
    assert_eq!(member.fatal, None);
}

pub(super) async fn an_offset_out_of_range_is_fatal_under_fail_and_named(bench: &dyn Bench) {
    let (partition, mut member) = out_of_range(bench, OutOfRange::Fail).await;
    member.until("Fatal", |member| member.fatal.is_some()).await;
    let error = member.fatal.clone().expect("just seen");
    assert_eq!(error.kind, ClientErrorKind::OffsetOutOfRange);
    assert!(error.message.contains("1000"), "names the offset: {error}");
    assert!(error.message.contains(&*partition.topic), "names the topic: {error}");
    assert_eq!(member.seen, [], "nothing is read");
    member.close(Vec::new()).await.expect("nothing to commit");
}

pub(super) async fn an_offset_out_of_range_goes_on_at_the_first_record_under_earliest(bench: &dyn Bench) {
    let (partition, mut member) = out_of_range(bench, OutOfRange::Earliest).await;
    member.until("three records", |member| member.seen.len() >= 3).await;
    assert_eq!(member.offsets(&partition), [0, 1, 2]);
    assert_went_on_with_a_warning(&member, &partition);
}

pub(super) async fn an_offset_out_of_range_goes_on_behind_the_last_record_under_latest(bench: &dyn Bench) {
    let (partition, mut member) = out_of_range(bench, OutOfRange::Latest).await;
    member.until("the partition", |member| member.owned.len() == 1).await;
    write_until_seen(bench, &mut member, &partition, 3).await;
    assert!(member.offsets(&partition)[0] >= 3, "{:?} were there before", member.offsets(&partition));
    assert_went_on_with_a_warning(&member, &partition);
}

pub(super) async fn committed_answers_in_the_order_asked(bench: &dyn Bench) {
    let (topic, group) = (bench.topic(3).await, bench.group());
    let [zero, one, two] = [0, 1, 2].map(|p| TopicPartition::new(&*topic, p));
    let member = Probe::assigned(bench, options(&group, &topic), 3).await;
    member.commit(vec![entry(&zero, 5, "a"), entry(&two, 7, "c")]).await.expect("the commit");
    let committed = bench.transport().committed(group, vec![two, one, zero], super::PATIENCE).await;
    let given = |offset, metadata: &str| Some(Committed { offset, metadata: metadata.to_owned() });
    assert_eq!(committed.expect("an answer"), [given(7, "c"), None, given(5, "a")]);
}
