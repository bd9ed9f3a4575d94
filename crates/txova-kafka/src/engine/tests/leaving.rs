//! Giving partitions back, losing them, and closing, one amid the other.

use super::rig::{MS, Rig, SECOND, name, read, rig, settings};
use crate::client_error::ClientErrorKind::{TimedOut, Unreachable};
use crate::engine::Settings;
use crate::engine::offset_map::OffsetMap;
use crate::outcome::ErrorClass::{Permanent, Transient};
use crate::outcome::Outcome;
use crate::transport::CommitEntry;

#[test]
fn a_revocation_waits_for_what_runs_and_starts_nothing_more() {
    let mut rig = Rig::new(Settings { concurrency: 2, ..settings() });
    rig.assign(0, 0);
    rig.assign(1, 0);
    rig.take(0, 0..3);
    rig.revoke(&[0], SECOND);
    rig.ok((0, 0));
    assert_eq!((rig.running(), rig.released.len()), (vec![(0, 1)], 0));
    rig.take(1, [0]);
    rig.ok((0, 1));
    assert_eq!(rig.released, vec![vec![rig.released[0][0].clone()]]);
    assert_eq!(read(&rig.released[0][0]), (2, OffsetMap::default()));
    assert_eq!(rig.running(), vec![(1, 0)], "the partition that stays goes on");
}

#[test]
fn a_revocation_waits_for_a_dead_letter_being_written() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, [0]);
    rig.revoke(&[0], SECOND);
    rig.fail((0, 0), Permanent);
    assert_eq!(rig.released.len(), 0);
    rig.written((0, 0), Ok(()));
    assert_eq!(rig.released[0][0].offset, 1);
}

#[test]
fn a_revocation_does_not_wait_for_a_dead_letter_topic_that_is_down() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, [0]);
    rig.fail((0, 0), Permanent);
    rig.written((0, 0), Err(super::rig::error(Unreachable)));
    rig.revoke(&[0], SECOND);
    assert_eq!(rig.released[0][0].offset, 0);
    rig.pass(SECOND * 60);
    assert!(rig.writing.is_empty());
}

#[test]
fn at_its_deadline_a_revocation_cancels_what_still_runs_and_commits_what_is_done() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, 0..3);
    rig.revoke(&[0], SECOND);
    rig.ok((0, 1));
    rig.pass(SECOND - MS);
    assert_eq!((rig.released.len(), rig.commits.len()), (0, 0), "the release carries the last commit");
    assert_eq!(rig.engine.wake_at(), Some(rig.now.at + MS));
    rig.pass(MS);
    assert_eq!(rig.cancelled, vec![(0, 0), (0, 2)]);
    assert_eq!(read(&rig.released[0][0]), (0, OffsetMap { done: vec![1..2], failing: vec![] }));
    assert_eq!(rig.engine.status(rig.now.at).running, 0);
}

#[test]
fn what_had_not_begun_when_its_partition_was_to_go_goes_back_and_nobody_waits_for_it() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, 0..2);
    rig.ok((0, 1));
    rig.revoke(&[0], SECOND);
    rig.end((0, 0), Outcome::NotRun);
    assert_eq!(read(&rig.released[0][0]), (0, OffsetMap { done: vec![1..2], failing: vec![] }));
    assert_eq!((rig.running(), rig.counts().started), (vec![], 1));
}

#[test]
fn what_had_not_begun_when_the_app_closed_is_no_work_that_was_cut_short() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, 0..2);
    rig.close(SECOND);
    rig.end((0, 0), Outcome::NotRun);
    rig.ok((0, 1));
    let report = rig.report();
    assert_eq!((report.drained, report.returned, report.abandoned), (1, 1, vec![]));
}

#[test]
fn a_lost_partition_is_dropped_at_once_and_not_committed() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, 0..2);
    rig.ok((0, 0));
    rig.lose(0);
    assert_eq!(rig.cancelled, vec![(0, 1)]);
    rig.pass(SECOND);
    assert_eq!((rig.commits.len(), rig.released.len()), (0, 0));
    assert_eq!(rig.engine.status(rig.now.at).in_flight_bytes, 0);
}

#[test]
fn a_partition_lost_while_it_is_being_given_back_leaves_an_empty_release() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, [0]);
    rig.revoke(&[0], SECOND);
    rig.lose(0);
    assert_eq!(rig.released, vec![vec![]]);
}

#[test]
fn partitions_nobody_has_are_released_at_once() {
    let mut rig = rig();
    rig.revoke(&[7], SECOND);
    assert_eq!(rig.released, vec![vec![]]);
}

#[test]
fn two_revocations_are_answered_in_turn_and_nobody_spins_on_the_later_ones_deadline() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.assign(1, 0);
    rig.take(0, [0]);
    rig.take(1, [0]);
    rig.revoke(&[0], SECOND * 2);
    rig.revoke(&[1], SECOND);
    rig.pass(SECOND);
    assert!(rig.engine.wake_at() > Some(rig.now.at));
    rig.ok((0, 0));
    assert_eq!(rig.released.len(), 2);
    assert_eq!((read(&rig.released[0][0]).0, rig.cancelled.clone()), (1, vec![(1, 0)]));
    assert_eq!(rig.released[1], vec![], "committed at 0 already, and nothing has changed");
}

#[test]
fn the_last_commit_repeats_one_whose_answer_is_out() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, 0..2);
    rig.ok((0, 0));
    rig.pass(MS * 200);
    assert_eq!(rig.commits.len(), 1);
    rig.revoke(&[0], SECOND);
    rig.ok((0, 1));
    assert_eq!(rig.released[0][0].offset, 2);
    rig.committed(Err(TimedOut));
    rig.pass(SECOND);
    assert_eq!(rig.commits.len(), 1, "the answer concerns an assignment that is over");
}

#[test]
fn a_revocation_while_closing_is_answered_first_and_within_the_closes_deadline() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.assign(1, 0);
    rig.take(0, 0..2);
    rig.take(1, [0]);
    rig.close(SECOND);
    rig.revoke(&[0], SECOND * 60);
    rig.ok((0, 1));
    assert_eq!((rig.released.len(), rig.closed.is_none()), (0, true));
    rig.pass(SECOND);
    assert_eq!(rig.cancelled, vec![(0, 0), (1, 0)]);
    assert_eq!(read(&rig.released[0][0]), (0, OffsetMap { done: vec![1..2], failing: vec![] }));
    assert_eq!(rig.closed, Some(vec![]));
    let report = rig.report();
    assert_eq!((report.drained, report.abandoned), (1, vec![(name(0), 0), (name(1), 0)]));
}

#[test]
fn a_handler_whose_partition_is_lost_while_closing_counts_as_abandoned() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.assign(1, 0);
    rig.take(0, [0]);
    rig.take(1, [0]);
    rig.close(SECOND);
    rig.lose(0);
    rig.ok((1, 0));
    assert_eq!(rig.closed.as_ref().map(Vec::len), Some(1));
    let report = rig.report();
    assert_eq!((report.drained, report.abandoned), (1, vec![(name(0), 0)]));
}

#[test]
fn partitions_that_come_while_closing_start_nothing_and_keep_their_map() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, 0..3);
    rig.ok((0, 1));
    rig.fail((0, 2), Transient);
    let entry = rig.commit_one();
    rig.restart();
    rig.assign(1, 0);
    rig.take(1, [0]);
    rig.close(SECOND);
    rig.assign_entry(&entry);
    assert_eq!(rig.offer((0, 0), None), crate::engine::Offered::Stale);
    rig.ok((1, 0));
    let entries = rig.closed.clone().unwrap();
    let same = |other: &CommitEntry| other.offset == entry.offset && other.metadata == entry.metadata;
    assert!(entries.iter().any(same), "{entries:?}");
}

#[test]
fn a_close_goes_on_committing_while_it_waits_so_that_a_kill_meanwhile_costs_little() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.assign(1, 0);
    rig.take(0, 0..2);
    rig.take(1, 0..2);
    rig.close(SECOND * 30);
    rig.revoke(&[1], SECOND * 30);
    rig.ok((0, 0));
    rig.ok((1, 0));
    assert_eq!(rig.commit_one().offset, 1, "and what is given back is committed when it is released");
    rig.ok((0, 1));
    rig.ok((1, 1));
    assert_eq!(
        (rig.released[0][0].offset, rig.closed.as_ref().map(|entries| entries[0].offset)),
        (2, Some(2))
    );
}

#[test]
fn a_second_close_can_bring_the_deadline_nearer_and_not_farther() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, [0]);
    rig.close(SECOND * 30);
    rig.close(SECOND * 60);
    assert_eq!(rig.engine.wake_at(), Some(rig.now.at + SECOND * 30));
    rig.close(SECOND);
    rig.pass(SECOND);
    assert!(rig.closed.is_some());
}

#[test]
fn an_idle_engine_closes_at_once_with_nothing_to_commit() {
    let mut rig = rig();
    rig.assign(0, 7);
    rig.assign_with(1, None);
    rig.close(SECOND);
    assert_eq!(rig.closed, Some(vec![]));
    assert_eq!(rig.engine.wake_at(), None);
}
