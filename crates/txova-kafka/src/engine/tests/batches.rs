//! Which records share a batch, when it starts, and what becomes of each when it ends.

use std::time::Duration;

use super::rig::{MS, Rig, SECOND, failure, settings};
use crate::config::Order;
use crate::engine::{BatchLimits, Retry, Settings};
use crate::outcome::ErrorClass::{self, Permanent, Skip, Stop, Transient};
use crate::outcome::{BatchOutcome, HandlerId, Outcome};

const BY: HandlerId = HandlerId(0);
const OK: BatchOutcome = BatchOutcome::Whole(Outcome::Handled(BY));

/// Two handlers of batches: 4 records, 1,000 bytes (10 records of the rig), 50 ms each.
fn with(settings: Settings) -> Rig {
    let limits = BatchLimits { max_records: 4, max_bytes: 1_000, max_wait: 50 * MS };
    let mut rig = Rig::new(Settings { batches: vec![limits; 2], ..settings });
    rig.assign(0, 0);
    rig
}

fn failed(class: ErrorClass) -> BatchOutcome {
    BatchOutcome::Whole(Outcome::Failed(Box::new(failure(class))))
}

/// The records at these places failed.
fn parts(places: &[usize], class: ErrorClass) -> BatchOutcome {
    let failed = places.iter().map(|place| (*place, Box::new(failure(class)))).collect();
    BatchOutcome::Parts { by: BY, failed }
}

#[test]
fn a_batch_starts_when_it_is_full_or_when_its_first_record_has_waited() {
    let mut rig = with(settings());
    for offset in 0..5 {
        rig.take_for(0, offset as u64, [offset]);
    }
    assert_eq!(rig.batches(), [vec![0, 1, 2, 3]]);
    rig.pass(49 * MS);
    assert_eq!(rig.batches().len(), 1);
    rig.pass(MS);
    assert_eq!(rig.batches(), [vec![0, 1, 2, 3], vec![4]]);
}

#[test]
fn a_batch_is_bounded_in_bytes_and_a_larger_record_is_a_batch_of_its_own() {
    let limits = |max_bytes| BatchLimits { max_records: 100, max_bytes, max_wait: 50 * MS };
    let mut rig = Rig::new(Settings { batches: vec![limits(250), limits(10)], ..settings() });
    rig.assign(0, 0);
    for offset in 0..3 {
        rig.take_for(0, offset as u64, [offset]); // of 100 bytes each
    }
    rig.take_for(1, 9, [3, 4]);
    rig.pass(50 * MS);
    assert_eq!(rig.batches(), [vec![0, 1], vec![2], vec![3]]);
}

#[test]
fn a_batch_holds_several_records_of_a_key_in_order_and_the_key_waits_for_its_end() {
    let mut rig = with(settings());
    rig.take_for(0, 1, 0..2);
    rig.take_for(0, 2, [2]);
    rig.take_for(0, 1, 3..6);
    assert_eq!(rig.batches(), [vec![0, 1, 2, 3]]);
    rig.pass(SECOND);
    assert_eq!(rig.batches().len(), 1, "4 and 5 are behind 3");
    rig.end_batch(0, OK);
    rig.pass(50 * MS);
    assert_eq!(rig.batches(), [vec![4, 5]]);
}

#[test]
fn a_run_of_a_key_ends_at_a_record_for_another_handler() {
    let mut rig = with(settings());
    rig.take_for(0, 1, [0]);
    rig.take_key(1, 0, [1]);
    rig.take_for(0, 1, [2]);
    rig.take_for(1, 1, [3]);
    rig.pass(50 * MS);
    assert_eq!((rig.batches(), rig.running()), (vec![vec![0]], vec![]));
    rig.end_batch(0, OK);
    assert_eq!((rig.batches(), rig.running()), (vec![], vec![(0, 1)]));
    rig.ok((0, 1));
    rig.pass(50 * MS);
    assert_eq!(rig.batches(), [vec![2]]);
    rig.end_batch(2, OK);
    rig.pass(50 * MS);
    assert_eq!(rig.batches(), [vec![3]]);
}

#[test]
fn under_order_partition_a_batch_is_a_run_of_the_partition_and_one_runs_at_a_time() {
    let mut rig = with(Settings { order: Order::Partition, ..settings() });
    for offset in 0..6 {
        rig.take_for(0, offset as u64, [offset]);
    }
    rig.pass(SECOND);
    assert_eq!(rig.batches(), [vec![0, 1, 2, 3]]);
    rig.end_batch(0, OK);
    rig.pass(50 * MS);
    assert_eq!(rig.batches(), [vec![4, 5]]);
}

#[test]
fn under_order_none_a_batch_takes_what_comes() {
    let mut rig = with(Settings { order: Order::None, ..settings() });
    rig.take_for(0, 1, 0..6);
    rig.pass(50 * MS);
    assert_eq!(rig.batches(), [vec![0, 1, 2, 3], vec![4, 5]]);
    rig.end_batch(0, parts(&[1], Transient));
    assert_eq!(rig.commit_one().offset, 1);
}

#[test]
fn a_batch_is_one_handler_run_whatever_is_in_it() {
    let mut rig = with(Settings { concurrency: 1, ..settings() });
    rig.take_key(9, 0, [0]);
    for offset in 1..5 {
        rig.take_for(0, offset as u64, [offset]);
    }
    assert!(rig.batches().is_empty());
    rig.ok((0, 0));
    rig.take_key(9, 0, [5]);
    assert_eq!((rig.batches(), rig.running()), (vec![vec![1, 2, 3, 4]], vec![]));
    rig.end_batch(1, OK);
    assert_eq!(rig.running(), [(0, 5)]);
    let counts = rig.counts();
    assert_eq!((counts.started, counts.handled), (3, 5));
}

#[test]
fn a_batch_that_cannot_grow_starts_at_once() {
    let mut rig = with(Settings { max_in_flight_records: 3, ..settings() });
    for offset in 0..3 {
        rig.take_for(0, offset as u64, [offset]);
    }
    assert_eq!(rig.batches(), [vec![0, 1, 2]], "there is no room for a fourth");
    let mut rig = with(Settings { max_in_flight_bytes: 350, ..settings() });
    rig.assign(1, 0);
    for offset in 0..2 {
        rig.take_for(0, offset as u64, [offset]);
    }
    assert_eq!(rig.batches(), [vec![0, 1]], "its partition has its share of the bytes and is paused");
}

#[test]
fn a_record_named_as_failed_fails_alone_and_the_key_waits_for_it() {
    let mut rig = with(settings());
    rig.take_for(0, 1, 0..2);
    rig.take_for(0, 2, [2]);
    rig.take_for(0, 1, [3]);
    rig.end_batch(0, parts(&[1], Transient));
    let counts = rig.counts();
    assert_eq!(
        (counts.handled, counts.retried),
        (2, 1),
        "3 is behind 1 and is not settled, whatever was said"
    );
    rig.pass(SECOND);
    assert_eq!((rig.running(), rig.batches().len()), (vec![(0, 1)], 0));
    assert_eq!(rig.running[&(0, 1)].attempt, 2);
    rig.ok((0, 1));
    rig.pass(50 * MS);
    assert_eq!(rig.batches(), [vec![3]]);
    assert_eq!(rig.batches[&(0, 3)][0].attempt, 1);
}

#[test]
fn what_a_handler_says_of_each_record_has_its_own_class() {
    let mut rig = with(settings());
    for offset in 0..4 {
        rig.take_for(0, offset as u64, [offset]);
    }
    let each = [Permanent, Skip, Transient].into_iter().enumerate();
    let failed = each.map(|(place, class)| (place, Box::new(failure(class)))).collect();
    rig.end_batch(0, BatchOutcome::Parts { by: BY, failed });
    let counts = rig.counts();
    assert_eq!((counts.handled, counts.skipped, counts.retried), (1, 1, 1));
    rig.written((0, 0), Ok(()));
    assert_eq!(rig.commit_one().offset, 2);
}

#[test]
fn a_batch_that_failed_as_a_whole_is_handled_one_by_one_after_the_back_off() {
    let mut rig = with(settings());
    for offset in 0..3 {
        rig.take_for(0, offset as u64, [offset]);
    }
    rig.take_for(0, 0, [3]);
    rig.end_batch(0, failed(Transient));
    assert!(rig.running().is_empty());
    rig.pass(SECOND);
    assert_eq!((rig.running(), rig.batches().len()), (vec![(0, 0), (0, 1), (0, 2)], 0));
    assert!(rig.running.values().all(|start| start.attempt == 2), "each has been with a handler once");
    for at in [(0, 0), (0, 1), (0, 3)] {
        rig.ok(at);
    }
    for wait in [2, 4] {
        rig.fail((0, 2), Transient);
        rig.pass(wait * SECOND);
    }
    rig.fail((0, 2), Transient);
    assert_eq!(rig.writing[&(0, 2)].attempts, 4, "the bad one alone, after as many attempts as ever");
    assert_eq!(rig.writing.len(), 1);
}

#[test]
fn a_permanent_failure_of_the_whole_is_split_at_once() {
    let mut rig = with(settings());
    for offset in 0..4 {
        rig.take_for(0, offset as u64, [offset]);
    }
    rig.end_batch(0, failed(Permanent));
    assert_eq!(rig.running().len(), 4);
    assert!(rig.writing.is_empty(), "nobody knows which one it is");
    rig.fail((0, 2), Permanent);
    assert_eq!(rig.writing.len(), 1);
}

#[test]
fn a_neighbours_failure_is_never_a_records_last_attempt() {
    let mut rig = with(Settings { retry: Retry { max_retries: 0, ..settings().retry }, ..settings() });
    for offset in 0..4 {
        rig.take_for(0, offset as u64, [offset]);
    }
    rig.end_batch(0, failed(Transient));
    rig.pass(SECOND);
    for offset in 0..3 {
        rig.ok((0, offset));
    }
    rig.fail((0, 3), Transient);
    assert_eq!(rig.writing.keys().collect::<Vec<_>>(), [&(0, 3)]);
}

#[test]
fn a_batch_of_one_fails_as_that_record() {
    let mut rig = with(settings());
    rig.take_for(0, 1, [0]);
    rig.pass(50 * MS);
    rig.end_batch(0, failed(Permanent));
    assert_eq!(rig.writing[&(0, 0)].attempts, 1);
}

#[test]
fn a_record_that_failed_is_handled_alone_after_a_restart_too() {
    let mut rig = with(settings());
    for offset in 0..4 {
        rig.take_for(0, offset as u64, [offset]);
    }
    rig.end_batch(0, parts(&[1], Transient));
    let entry = rig.commit_one();
    rig.restart();
    rig.assign_entry(&entry);
    for offset in 1..5 {
        rig.take_for(0, offset as u64, [offset]);
    }
    rig.pass(50 * MS);
    assert_eq!((rig.running(), rig.batches()), (vec![(0, 1)], vec![vec![4]]));
    assert_eq!(rig.running[&(0, 1)].attempt, 2);
}

#[test]
fn what_cannot_be_read_is_taken_out_and_the_rest_comes_again_at_once_as_if_it_had_not_been() {
    let mut rig = with(settings());
    rig.take_for(0, 1, 0..2);
    rig.take_for(0, 2, [2]);
    rig.take_for(0, 1, [3]);
    rig.end_batch(0, BatchOutcome::NotRun(vec![1]));
    assert_eq!((rig.batches(), rig.running()), (vec![vec![0, 2]], vec![]), "1 is behind 0, and 3 behind 1");
    assert_eq!(rig.batches[&(0, 0)][0].attempt, 1);
    rig.end_batch(0, OK);
    assert_eq!(rig.running(), [(0, 1)]);
    assert_eq!(rig.running[&(0, 1)].attempt, 1);
    rig.fail((0, 1), Permanent);
    rig.written((0, 1), Ok(()));
    rig.pass(50 * MS);
    assert_eq!(rig.batches(), [vec![3]]);
    assert_eq!((rig.counts().handled, rig.counts().retried), (2, 0));
}

#[test]
fn skip_settles_the_whole_batch_and_stop_settles_none_of_it() {
    let mut rig = with(settings());
    rig.take_for(0, 1, 0..4);
    rig.end_batch(0, failed(Skip));
    assert_eq!((rig.counts().skipped, rig.commit_one().offset), (4, 4));
    rig.take_for(0, 1, 4..8);
    rig.end_batch(4, failed(Stop));
    assert!(rig.engine.stop_reason().is_some_and(|reason| reason.to_string().contains("offset 4")));
    rig.pass(60 * SECOND);
    assert_eq!((rig.running().len(), rig.batches().len(), rig.commits.len()), (0, 0, 1));
}

#[test]
fn a_batch_that_fills_holds_no_revocation_up_and_goes_back_uncommitted() {
    let mut rig = with(settings());
    rig.take_for(0, 1, 0..2);
    rig.revoke(&[0], SECOND);
    assert_eq!(rig.released.len(), 1);
    rig.pass(SECOND);
    assert!(rig.batches().is_empty() && rig.commits.is_empty());
}

#[test]
fn a_batch_under_way_may_end_within_the_time_a_close_gives_and_is_abandoned_after() {
    let mut rig = with(settings());
    rig.take_for(0, 1, 0..6);
    rig.close(SECOND);
    assert!(rig.closed.is_none());
    rig.end_batch(0, parts(&[3], Transient));
    let entries = rig.closed.clone().unwrap();
    assert_eq!(entries[0].offset, 3);
    let report = rig.report();
    assert_eq!((report.drained, report.abandoned.len(), report.returned), (1, 0, 3));

    let mut rig = with(settings());
    rig.take_for(0, 1, 0..6);
    rig.close(SECOND);
    rig.pass(SECOND);
    assert_eq!(rig.cancelled, [(0, 0)], "one run, under its first record");
    let report = rig.report();
    assert_eq!((report.drained, report.abandoned.len(), report.returned), (0, 4, 2));
}

#[test]
fn the_outcome_of_a_batch_whose_assignment_is_over_is_not_heard() {
    let mut rig = with(settings());
    rig.take_for(0, 1, 0..4);
    let starts = rig.batches[&(0, 0)].clone();
    rig.lose(0);
    rig.assign(0, 0);
    rig.take_for(0, 1, 0..4);
    let tickets: Vec<_> = starts.iter().map(|start| start.ticket).collect();
    rig.engine.batch_outcome(&tickets, OK, rig.now);
    rig.act();
    assert_eq!(rig.counts().handled, 0);
    rig.end_batch(0, OK);
    assert_eq!(rig.counts().handled, 4);
}

#[test]
fn without_a_wait_a_batch_is_what_was_offered_together() {
    let limits = BatchLimits { max_records: 100, max_bytes: 10_000, max_wait: Duration::ZERO };
    let mut rig = Rig::new(Settings { batches: vec![limits], ..settings() });
    rig.assign(0, 0);
    rig.take_together(0, 0..5);
    assert_eq!(rig.batches(), [vec![0, 1, 2, 3, 4]]);
}

#[test]
fn a_dead_letter_topic_that_is_down_holds_batches_back_too() {
    let mut rig = with(settings());
    rig.take_for(0, 1, [0]);
    rig.take_for(0, 2, 1..4);
    rig.end_batch(0, parts(&[0], Permanent));
    rig.written((0, 0), Err(super::rig::error(crate::client_error::ClientErrorKind::Unreachable)));
    rig.take_together(0, 4..8);
    assert!(rig.batches().is_empty());
    rig.pass(SECOND);
    rig.written((0, 0), Ok(()));
    assert_eq!(rig.batches(), [vec![4, 5, 6, 7]]);
}
