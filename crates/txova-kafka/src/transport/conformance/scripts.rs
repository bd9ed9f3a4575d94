//! Sentences that take a script: what happens to a member whose time is over, to a log that loses records, to a producer
//! in an outage. Only the in-memory cluster can be told to.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Bench;
use super::probe::{Probe, entry, numbered, options, send, until_all, within, write};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::TopicPartition;
use crate::testing::{Cluster, CommitFault, MemberId, ProduceFault};
use crate::transport::{Command, CommitEntry, JoinOptions, OutOfRange, ReadRange};

fn script(bench: &dyn Bench) -> &Cluster {
    bench.cluster().expect("scripts run on the in-memory cluster")
}

fn kind<T>(answer: Result<T, ClientError>) -> Result<T, ClientErrorKind> {
    answer.map_err(|error| error.kind)
}

fn ids(bench: &dyn Bench, group: &str) -> Vec<MemberId> {
    script(bench).members(group).iter().map(|member| member.id).collect()
}

/// A member that has seen the ten records of its only partition.
async fn reader_of_ten(bench: &dyn Bench) -> (String, TopicPartition, Probe) {
    let (topic, group) = (bench.topic(1).await, bench.group());
    let partition = TopicPartition::new(&*topic, 0);
    write(bench, numbered(&partition, 0, 10)).await;
    let mut member = Probe::assigned(bench, options(&group, &topic), 1).await;
    member.until("ten records", |member| member.seen.len() >= 10).await;
    (group, partition, member)
}

pub(super) async fn a_lost_partition_cannot_be_committed(bench: &dyn Bench) {
    let (topic, group) = (bench.topic(2).await, bench.group());
    let mut members = vec![Probe::assigned(bench, options(&group, &topic), 2).await];
    members.push(Probe::join(bench.transport(), options(&group, &topic)));
    until_all("one each", &mut members, |members| members.iter().all(|member| member.owned.len() == 1)).await;
    let lost = members[0].owned.keys().next().expect("one each").clone();
    let second = ids(bench, &group)[1];
    script(bench).move_to(&group, &lost, second).expect("the second is there");
    script(bench).lose(&group, &lost).expect("somebody has it");
    members[0].until("Lost", |member| member.lost == [lost.clone()]).await;
    assert_eq!(kind(members[0].commit(vec![entry(&lost, 1, "")]).await), Err(ClientErrorKind::StaleMember));
    members[1].until("both", |member| member.owned.len() == 2).await;
    assert_eq!(script(bench).committed_by(&group, &lost), None);
}

pub(super) async fn a_commit_of_before_a_loss_is_refused_when_the_partition_came_back(bench: &dyn Bench) {
    let (group, partition, mut member) = reader_of_ten(bench).await;
    script(bench).lose(&group, &partition).expect("somebody has it");
    member.until("epoch 2", |member| member.owned.get(&partition) == Some(&2)).await;
    let old = CommitEntry { epoch: 1, ..entry(&partition, 10, "older than what epoch 2 began with") };
    assert_eq!(kind(member.commit(vec![old]).await), Err(ClientErrorKind::StaleMember));
    assert_eq!(script(bench).committed_by(&group, &partition), None);
}

/// A member that was asked for partition 0, lost it, and is asked for partition 1, without knowing more than the first.
async fn asked_twice(bench: &dyn Bench) -> (String, [TopicPartition; 2], Probe) {
    let (topic, group) = (bench.topic(2).await, bench.group());
    let [zero, one] = [0, 1].map(|p| TopicPartition::new(&*topic, p));
    let mut member = Probe::assigned(bench, options(&group, &topic), 2).await;
    script(bench).revoke(&group, &zero).expect("somebody has it");
    member.until("the first revocation", |member| member.revoked.is_some()).await;
    (group, [zero, one], member)
}

pub(super) async fn a_late_release_answers_its_own_revocation_and_not_the_next(bench: &dyn Bench) {
    let (group, [zero, one], mut member) = asked_twice(bench).await;
    script(bench).lose(&group, &zero).expect("somebody has it");
    script(bench).revoke(&group, &one).expect("somebody has it");
    assert_eq!(kind(member.release(vec![]).await), Err(ClientErrorKind::StaleMember));
    assert_eq!(script(bench).members(&group)[0].revoking, [one], "its handlers may still run");
    member.until("the second revocation", |member| member.revoked.is_some()).await;
    member.release(vec![]).await.expect("the answer to the second");
}

pub(super) async fn a_revocation_that_ends_during_its_commit_gives_nothing_of_the_next_back(
    bench: &dyn Bench,
) {
    let (group, [zero, one], member) = asked_twice(bench).await;
    script(bench).delay_commits(&group, Duration::from_secs(1));
    let (reply, answer) = oneshot::channel();
    let entries = member.in_epoch(vec![entry(&zero, 0, "")]);
    member.send(Command::Release { commit: entries.into(), reply });
    script(bench).wait_until(|cluster| cluster.committed_by(&group, &zero).is_some()).await;
    script(bench).lose(&group, &zero).expect("somebody has it");
    script(bench).revoke(&group, &one).expect("somebody has it");
    within("the release's answer", answer).await.expect("an answer").expect("it was kept");
    assert_eq!(script(bench).members(&group)[0].revoking, [one], "its handlers may still run");
}

pub(super) async fn an_expelled_member_loses_everything_and_joins_anew(bench: &dyn Bench) {
    let (group, partition, mut member) = reader_of_ten(bench).await;
    member.commit(vec![entry(&partition, 4, "")]).await.expect("the commit");
    script(bench).expel(&group, ids(bench, &group)[0]).expect("it is there");
    member.until("Lost", |member| member.lost == [partition.clone()]).await;
    member.until("the partition again", |member| member.owned.get(&partition) == Some(&2)).await;
    member.until("what was not committed", |member| member.seen.len() >= 16).await;
    assert_eq!(member.offsets(&partition)[10..], (4..10).collect::<Vec<_>>());
}

pub(super) async fn a_member_that_was_expelled_unnoticed_finds_out_by_its_commit(bench: &dyn Bench) {
    let (group, partition, mut first) = reader_of_ten(bench).await;
    let mut second = Probe::join(bench.transport(), options(&group, &partition.topic));
    script(bench).expel_unnoticed(&group, ids(bench, &group)[0]).expect("it is there");
    second.until("the partition", |second| second.owned.contains_key(&partition)).await;
    first.take_what_is_there().await;
    assert!(first.owned.contains_key(&partition), "it knows nothing yet");
    let refused = first.commit(vec![entry(&partition, 10, "of a time that is over")]).await;
    assert_eq!(kind(refused), Err(ClientErrorKind::StaleMember));
    first.until("Lost", |first| first.lost == [partition.clone()]).await;
    assert_eq!(script(bench).committed_by(&group, &partition), None);
}

pub(super) async fn batches_of_an_ended_epoch_never_carry_the_new_number(bench: &dyn Bench) {
    let (group, partition, mut member) = reader_of_ten(bench).await;
    script(bench).hold_next_batch(&group, &partition).expect("somebody has it");
    write(bench, numbered(&partition, 10, 15)).await;
    member.take_what_is_there().await;
    assert_eq!(member.seen.len(), 10, "the batch is held");
    script(bench).revoke(&group, &partition).expect("somebody has it");
    member.until("a revocation", |member| member.revoked.is_some()).await;
    member.release(vec![entry(&partition, 10, "")]).await.expect("the commit of a release");
    member.until("epoch 2", |member| member.owned.get(&partition) == Some(&2)).await;
    member.until("what is not committed", |member| member.seen.len() >= 15).await;
    assert_eq!(script(bench).release_held(&group), 1);
    member.take_what_is_there().await;
    let [(epoch, of, offsets)] = &member.ended[..] else { panic!("one batch is late: {:?}", member.ended) };
    assert_eq!((epoch, of, offsets[0]), (&1, &partition, 10), "told by its epoch");
    assert_eq!(member.offsets(&partition), (0..15).collect::<Vec<_>>());
}

pub(super) async fn a_batch_that_travels_through_a_revocation_is_told_by_its_epoch(bench: &dyn Bench) {
    let (group, partition, mut member) = reader_of_ten(bench).await;
    script(bench).delay_fetches(&partition.topic, Duration::from_secs(1));
    write(bench, numbered(&partition, 10, 11)).await;
    member.take_what_is_there().await;
    script(bench).expel(&group, ids(bench, &group)[0]).expect("it is there");
    member.until("the late batch", |member| !member.ended.is_empty()).await;
    assert_eq!(member.ended, [(1, partition, vec![10])]);
}

pub(super) async fn a_range_can_be_delivered_again(bench: &dyn Bench) {
    let (group, partition, mut member) = reader_of_ten(bench).await;
    script(bench).redeliver_from(&group, &partition, 7).expect("somebody has it");
    member.until("three again", |member| member.seen.len() >= 13).await;
    assert_eq!(member.offsets(&partition)[10..], [7, 8, 9]);
}

pub(super) async fn retention_that_overtakes_a_reader_is_an_offset_out_of_range(bench: &dyn Bench) {
    for (policy, seen) in [(OutOfRange::Fail, vec![]), (OutOfRange::Earliest, vec![6, 7, 8, 9])] {
        let (topic, group) = (bench.topic(1).await, bench.group());
        let partition = TopicPartition::new(&*topic, 0);
        let options = JoinOptions { out_of_range: policy, ..options(&group, &topic) };
        let mut member = Probe::assigned(bench, options, 1).await;
        // Both are in one moment: the reader has no time in between.
        for record in numbered(&partition, 0, 10) {
            script(bench).produce(record).expect("the topic is there");
        }
        script(bench).delete_records_before(&partition, 6).expect("the topic is there");
        match policy {
            OutOfRange::Fail => member.until("Fatal", |member| member.fatal.is_some()).await,
            _ => member.until("Trouble", |member| member.troubles.len() == 1).await,
        }
        member.take_what_is_there().await;
        member.until("what is left", |member| member.seen.len() >= seen.len()).await;
        assert_eq!(member.offsets(&partition), seen, "{policy:?}");
    }
}

pub(super) async fn holes_in_the_log_are_passed_over(bench: &dyn Bench) {
    let (topic, group) = (bench.topic(1).await, bench.group());
    let partition = TopicPartition::new(&*topic, 0);
    write(bench, numbered(&partition, 0, 5)).await;
    script(bench).compact_away(&partition, 0).expect("the topic is there");
    script(bench).compact_away(&partition, 3).expect("the topic is there");
    script(bench).skip_offsets(&partition, 4).expect("the topic is there");
    write(bench, numbered(&partition, 9, 10)).await;
    let mut member = Probe::assigned(bench, options(&group, &topic), 1).await;
    member.until("what is there", |member| member.seen.len() >= 4).await;
    assert_eq!(member.offsets(&partition), [1, 2, 4, 9]);
}

pub(super) async fn reading_what_retention_took_is_an_error_that_names_it(bench: &dyn Bench) {
    let topic = bench.topic(1).await;
    let partition = TopicPartition::new(&*topic, 0);
    write(bench, numbered(&partition, 0, 5)).await;
    script(bench).delete_records_before(&partition, 3).expect("the topic is there");
    let range = ReadRange { partition: partition.clone(), start: 1, end: 5 };
    let mut records = bench.transport().read(vec![range]).expect("a reader");
    let error = within("an answer", records.recv()).await.expect("an answer").expect_err("1 is gone");
    assert_eq!(error.kind, ClientErrorKind::OffsetOutOfRange);
    assert!(error.message.contains(&format!("offset 1 of {partition}")), "{error}");
}

pub(super) async fn a_member_asked_for_all_it_has_gets_it_again_in_a_new_epoch(bench: &dyn Bench) {
    let (group, partition, mut member) = reader_of_ten(bench).await;
    script(bench).revoke_all(&group, ids(bench, &group)[0]).expect("it is there");
    member.until("a revocation", |member| member.revoked == Some(vec![partition.clone()])).await;
    member.release(Vec::new()).await.expect("nothing to commit");
    member.until("epoch 2", |member| member.owned.get(&partition) == Some(&2)).await;
}

pub(super) async fn a_release_hands_over_at_once_and_the_old_owner_reads_no_more(bench: &dyn Bench) {
    let (group, partition, mut first) = reader_of_ten(bench).await;
    let mut second = Probe::join(bench.transport(), options(&group, &partition.topic));
    let before = Instant::now();
    script(bench).move_to(&group, &partition, ids(bench, &group)[1]).expect("it is there");
    first.until("a revocation", |first| first.revoked.is_some()).await;
    first.release(vec![entry(&partition, 10, "")]).await.expect("the commit of a release");
    second.until("the partition", |second| second.owned.len() == 1).await;
    assert_eq!(before.elapsed(), Duration::ZERO, "nobody waited for a timeout");
    write(bench, numbered(&partition, 10, 20)).await;
    second.until("what came after", |second| second.seen.len() >= 10).await;
    first.take_what_is_there().await;
    assert_eq!((first.seen.len(), first.ended), (10, Vec::new()));
}

pub(super) async fn commits_fail_as_scripted_and_then_work_again(bench: &dyn Bench) {
    let (group, partition, member) = reader_of_ten(bench).await;
    let committed = || script(bench).committed_by(&group, &partition).map(|(offset, _)| offset);
    script(bench).fail_commits(&group, 1, CommitFault::Refused(ClientErrorKind::Unreachable));
    script(bench).fail_commits(&group, 1, CommitFault::WrittenButTimedOut);
    let refused = member.commit(vec![entry(&partition, 1, "")]).await;
    assert_eq!((kind(refused), committed()), (Err(ClientErrorKind::Unreachable), None));
    let unsure = member.commit(vec![entry(&partition, 2, "")]).await;
    assert_eq!((kind(unsure), committed()), (Err(ClientErrorKind::TimedOut), Some(2)));
    let delay = Duration::from_secs(9);
    script(bench).delay_commits(&group, delay);
    let before = Instant::now();
    member.commit(vec![entry(&partition, 3, "")]).await.expect("late, and good");
    assert!(before.elapsed() >= delay, "answered after {:?}", before.elapsed());
    let offsets: Vec<i64> = script(bench).commits().iter().map(|commit| commit.offset).collect();
    assert_eq!(offsets, [2, 3], "the history has what was kept");
}

pub(super) async fn produces_fail_as_scripted_and_say_whether_the_record_was_written(bench: &dyn Bench) {
    let topic = bench.topic(1).await;
    let partition = TopicPartition::new(&*topic, 0);
    script(bench).fail_produces(&topic, 1, ProduceFault::Refused(ClientErrorKind::NotEnoughReplicas));
    script(bench).fail_produces(&topic, 1, ProduceFault::WrittenButTimedOut);
    let producer = bench.transport().producer().expect("a producer");
    let answers: Vec<_> =
        numbered(&partition, 0, 3).into_iter().map(|record| send(&*producer, record)).collect();
    let mut kinds = Vec::new();
    for answer in answers {
        kinds.push(kind(
            within("an answer", answer).await.expect("an answer").map(|delivery| delivery.offset),
        ));
    }
    assert_eq!(
        kinds,
        [Err(ClientErrorKind::NotEnoughReplicas), Err(ClientErrorKind::TimedOutMaybeWritten), Ok(1)]
    );
    assert_eq!(script(bench).records(&topic).len(), 2);
}

pub(super) async fn a_topic_that_is_down_holds_records_in_order_or_times_them_out(bench: &dyn Bench) {
    let topic = bench.topic(1).await;
    let partition = TopicPartition::new(&*topic, 0);
    script(bench).produce_down(&topic);
    let producer = bench.transport().producer().expect("a producer");
    let given_up = send(&*producer, numbered(&partition, 0, 1).remove(0));
    // Longer than any one wait of these tests: a delivery has two minutes.
    let given_up = tokio::time::timeout(Duration::from_secs(121), given_up).await.expect("bounded");
    assert_eq!(kind(given_up.expect("an answer")), Err(ClientErrorKind::TimedOutNotWritten));
    let held: Vec<_> =
        numbered(&partition, 1, 4).into_iter().map(|record| send(&*producer, record)).collect();
    assert_eq!(kind(producer.flush(Duration::from_secs(1)).await), Err(ClientErrorKind::TimedOut));
    script(bench).produce_up(&topic);
    for (offset, answer) in held.into_iter().enumerate() {
        let answer = within("an answer", answer).await.expect("an answer").expect("it is written");
        assert_eq!(answer.offset, offset as i64);
    }
}

pub(super) async fn an_outage_is_trouble_and_passes(bench: &dyn Bench) {
    let (group, partition, mut member) = reader_of_ten(bench).await;
    script(bench).broker_away();
    member.until("Trouble", |member| !member.troubles.is_empty()).await;
    assert_eq!(member.troubles[0].kind, ClientErrorKind::Unreachable);
    assert_eq!(kind(member.commit(vec![entry(&partition, 5, "")]).await), Err(ClientErrorKind::TimedOut));
    let mut late = Probe::join(bench.transport(), options(&group, &partition.topic));
    late.until("Trouble", |late| !late.troubles.is_empty()).await;
    assert_eq!(script(bench).committed_by(&group, &partition), None);
    script(bench).broker_back();
    write(bench, numbered(&partition, 10, 12)).await;
    member.until("what came after", |member| member.seen.len() >= 12).await;
    member.commit(vec![entry(&partition, 12, "")]).await.expect("the commit");
    assert_eq!((member.lost, member.fatal), (Vec::new(), None));
}

pub(super) async fn a_dropped_producer_answers_what_it_did_not_write(bench: &dyn Bench) {
    let topic = bench.topic(1).await;
    script(bench).produce_down(&topic);
    let producer = bench.transport().producer().expect("a producer");
    let answer = send(&*producer, numbered(&TopicPartition::new(&*topic, 0), 0, 1).remove(0));
    drop(producer);
    assert_eq!(kind(within("an answer", answer).await.expect("an answer")), Err(ClientErrorKind::Closed));
    assert_eq!(script(bench).records(&topic), []);
}

pub(super) async fn a_script_that_misses_its_target_says_so(bench: &dyn Bench) {
    let (group, partition, _member) = reader_of_ten(bench).await;
    let stranger = TopicPartition::new("nowhere", 3);
    let missed = script(bench).lose(&group, &stranger).expect_err("nobody has it");
    assert_eq!(missed.to_string(), format!("nobody in group {group} has nowhere-3"));
    assert_eq!(kind(script(bench).revoke("no-group", &partition)), Err(ClientErrorKind::Config));
    assert_eq!(kind(script(bench).skip_offsets(&stranger, 1)), Err(ClientErrorKind::UnknownTopic));
}
