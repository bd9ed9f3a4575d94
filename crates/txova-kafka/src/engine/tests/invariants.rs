//! The ten invariants, each by the shortest script that would break it.

use super::rig::Rig;
use super::rig::{MS, SECOND, error, failing, name, read, rig, settings};
use crate::client_error::ClientErrorKind::{Fenced, Unreachable};
use crate::engine::offset_map::OffsetMap;
use crate::engine::{Incoming, Offered, RecordState, Settings};
use crate::outcome::ErrorClass::{Permanent, Skip, Transient};

#[test]
fn commit_covers_settled_everything_below_is_settled_and_what_is_done_above_is_named() {
    let mut rig = rig();
    rig.assign(0, 10);
    rig.take(0, 10..20);
    for offset in [11, 12, 15, 19] {
        rig.ok((0, offset));
    }
    let entry = rig.commit_one();
    assert_eq!(read(&entry), (10, OffsetMap { done: vec![11..13, 15..16, 19..20], failing: vec![] }));
    rig.ok((0, 10));
    let entry = rig.commit_one();
    assert_eq!(read(&entry), (13, OffsetMap { done: vec![15..16, 19..20], failing: vec![] }));
}

#[test]
fn settled_is_what_a_handler_said_ok_or_skip_to_or_whose_dead_letter_is_acknowledged() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, 0..5);
    rig.ok((0, 1));
    rig.fail((0, 2), Skip);
    rig.fail((0, 3), Permanent);
    rig.fail((0, 4), Transient);
    assert_eq!(
        read(&rig.commit_one()).1.done,
        vec![1..3],
        "a dead letter that is only being written does not count"
    );
    rig.written((0, 3), Ok(()));
    assert_eq!(read(&rig.commit_one()).1.done, vec![1..4]);
    let counts = rig.counts();
    assert_eq!((counts.handled, counts.skipped, counts.dead_lettered), (1, 1, 1));
}

#[test]
fn key_order_holds_through_retries() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take_key(7, 0, 0..3);
    assert_eq!(rig.running(), vec![(0, 0)]);
    rig.fail((0, 0), Transient);
    rig.pass(MS * 999);
    assert_eq!(rig.running(), vec![], "the next of the key waits while the first backs off");
    rig.pass(MS);
    assert_eq!(rig.running(), vec![(0, 0)]);
    rig.ok((0, 0));
    assert_eq!(rig.running(), vec![(0, 1)]);
    rig.fail((0, 1), Permanent);
    assert_eq!(rig.running(), vec![], "and while its dead letter is written");
    rig.written((0, 1), Ok(()));
    assert_eq!(rig.running(), vec![(0, 2)]);
}

#[test]
fn key_order_holds_through_a_restart_that_passes_over_what_was_done() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take_key(7, 0, [0, 2, 4]);
    rig.take_key(8, 0, [5]);
    rig.ok((0, 0));
    rig.fail((0, 2), Transient);
    rig.ok((0, 5));
    let entry = rig.commit_one();
    rig.restart();
    rig.assign_entry(&entry);
    rig.take_key(7, 0, [2, 4]);
    rig.take_key(8, 0, [5, 6]);
    assert_eq!(rig.running(), vec![(0, 2), (0, 6)], "4 waits for 2, and 5 is done");
    rig.ok((0, 2));
    assert_eq!(rig.running(), vec![(0, 4), (0, 6)]);
}

#[test]
fn epoch_what_is_over_neither_starts_nor_settles_nor_dead_letters_nor_commits() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, 0..4);
    let late = rig.running[&(0, 1)].ticket;
    rig.fail((0, 2), Permanent);
    let late_letter = rig.writing[&(0, 2)].ticket;
    rig.fail((0, 3), Transient);
    rig.lose(0);
    assert_eq!(rig.cancelled, vec![(0, 0), (0, 1)]);
    let old = rig.epochs[&0];
    rig.assign(0, 0);

    assert_eq!(rig.offer_as(old, (0, 4), None), Offered::Stale);
    rig.engine.outcome(late, crate::outcome::Outcome::Handled(crate::outcome::HandlerId(0)), rig.now);
    rig.engine.dead_lettered(late_letter, Ok(()), rig.now);
    rig.pass(SECOND * 60);
    assert_eq!((rig.running(), rig.commits.len()), (vec![], 0));
    assert_eq!(rig.counts().handled + rig.counts().dead_lettered, 0);
}

#[test]
fn epoch_a_dead_letter_not_yet_handed_out_is_not_written_after_the_partition_is_lost() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, [0]);
    let ticket = rig.running[&(0, 0)].ticket;
    let failure = Box::new(super::rig::failure(Permanent));
    rig.engine.outcome(ticket, crate::outcome::Outcome::Failed(failure), rig.now);
    rig.engine.lost(&[name(0)], rig.now);
    rig.act();
    assert_eq!(rig.writing.len(), 0);
}

#[test]
fn bounded_records_and_bytes_in_flight_stay_within_their_limits_and_one_giant_passes_alone() {
    let limits =
        Settings { max_in_flight_records: 3, max_in_flight_bytes: 1000, concurrency: 2, ..settings() };
    let mut rig = Rig::new(limits);
    rig.assign(0, 0);
    rig.take(0, 0..3);
    assert_eq!(rig.running().len(), 2);
    assert!(matches!(rig.offer((0, 3), Some(9)), Offered::NoRoom(Incoming { offset: 3, .. })));
    rig.ok((0, 0));
    assert_eq!(rig.offer((0, 3), Some(9)), Offered::Taken);
    for offset in 1..4 {
        rig.ok((0, offset));
    }

    let giant = |offset| Incoming { offset, key_hash: None, bytes: 5000, batch: None, record: offset };
    assert_eq!(rig.engine.offer(&name(0), rig.epochs[&0], giant(4), rig.now), Offered::Taken);
    rig.act();
    assert!(matches!(rig.offer((0, 5), None), Offered::NoRoom(_)));
    assert!(rig.paused.contains(&0));
    rig.ok((0, 4));
    rig.take(0, [5]);
    let status = rig.engine.status(rig.now.at);
    assert_eq!((status.in_flight_records, status.in_flight_bytes, status.running), (1, 100, 1));
    assert!(matches!(rig.engine.offer(&name(0), rig.epochs[&0], giant(6), rig.now), Offered::NoRoom(_)));
}

#[test]
fn nothing_dropped_every_outcome_leaves_the_record_settled_waiting_or_dead_lettered() {
    for class in [Transient, Permanent, Skip, crate::outcome::ErrorClass::Stop] {
        let mut rig = rig();
        rig.assign(0, 0);
        rig.take(0, [0]);
        rig.fail((0, 0), class);
        let counts = rig.counts();
        let settled = counts.skipped == 1;
        let status = rig.engine.status(rig.now.at);
        let held = status.partitions[0].oldest.as_ref().map(|stuck| stuck.offset) == Some(0);
        assert!(settled != held, "{class}: settled {settled}, held {held}");
    }
}

#[test]
fn a_down_dlq_pins_the_partition_alone_and_it_goes_on_by_itself() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.assign(1, 0);
    rig.take(0, 0..2);
    rig.fail((0, 0), Permanent);
    rig.written((0, 0), Err(error(Unreachable)));
    assert!(rig.paused.contains(&0));
    rig.take(0, 2..4);
    rig.fail((0, 1), Transient);
    rig.take(1, [0]);
    assert_eq!(rig.running(), vec![(1, 0)], "the other partition runs");

    let status = rig.engine.status(rig.now.at);
    assert_eq!(status.partitions[0].pinned.as_ref().map(|(_, why)| why.as_str()), Some("the broker says no"));
    assert_eq!(
        status.partitions[0].oldest.as_ref().map(|stuck| stuck.state),
        Some(RecordState::DeadLetterDown)
    );

    rig.pass(SECOND);
    assert_eq!(rig.running(), vec![(1, 0)], "neither the handler nor a retry runs while pinned");
    rig.written((0, 0), Err(error(Unreachable)));
    rig.pass(SECOND * 2);
    assert_eq!(rig.writing[&(0, 0)].attempts, 1, "writing again is no attempt of the handler");
    rig.written((0, 0), Ok(()));
    assert_eq!(rig.running(), vec![(0, 1), (0, 2), (0, 3), (1, 0)]);
    assert!(rig.paused.is_empty());
}

#[test]
fn attempts_persist_through_a_neighbours_success_a_rebalance_and_a_restart() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, 0..3);
    rig.fail((0, 1), Transient);
    rig.ok((0, 0));
    rig.ok((0, 2));
    rig.pass(SECOND);
    rig.committed(Ok(()));
    assert_eq!(rig.running[&(0, 1)].attempt, 2);
    rig.fail((0, 1), Transient);

    rig.revoke(&[0], SECOND);
    let released = rig.released[0][0].clone();
    assert_eq!(read(&released), (1, OffsetMap { done: vec![2..3], failing: vec![failing(1, 2)] }));
    rig.assign_entry(&released);
    rig.take(0, [1, 2]);
    assert_eq!(rig.running[&(0, 1)].attempt, 3);
    assert_eq!(rig.running[&(0, 1)].first_failure_ms, Some(1_790_000_000_000));
    rig.fail((0, 1), Transient);
    let entry = rig.commit_one();

    rig.restart();
    rig.assign_entry(&entry);
    rig.take(0, [1, 2]);
    rig.fail((0, 1), Transient);
    assert_eq!(
        rig.writing[&(0, 1)].attempts,
        4,
        "three retries after the first attempt, over three assignments"
    );
}

#[test]
fn sparse_logs_are_passed_by_the_watermark() {
    let mut rig = rig();
    rig.assign(0, 5);
    rig.take(0, [9, 10, 300, 1_000_000]);
    for offset in [10, 300, 1_000_000] {
        rig.ok((0, offset));
    }
    assert_eq!(read(&rig.commit_one()), (9, OffsetMap { done: vec![10..1_000_001], failing: vec![] }));
    rig.ok((0, 9));
    assert_eq!(read(&rig.commit_one()), (1_000_001, OffsetMap::default()));
}

#[test]
fn close_is_bounded_what_runs_may_end_until_the_deadline_and_what_never_ran_is_not_committed() {
    let mut rig = Rig::new(Settings { concurrency: 3, ..settings() });
    rig.assign(0, 0);
    rig.take(0, 0..6);
    rig.fail((0, 0), Transient);
    rig.close(SECOND * 5);
    assert_eq!(rig.running(), vec![(0, 1), (0, 2), (0, 3)]);
    rig.ok((0, 1));
    rig.ok((0, 2));
    rig.pass(MS * 4999);
    assert_eq!(
        (rig.running(), rig.closed.is_none()),
        (vec![(0, 3)], true),
        "neither new work nor a retry begins"
    );
    assert_eq!(rig.engine.wake_at(), Some(rig.now.at + MS));
    rig.pass(MS);
    assert_eq!(rig.cancelled, vec![(0, 3)]);
    let entries = rig.closed.clone().unwrap();
    assert_eq!(read(&entries[0]), (0, OffsetMap { done: vec![1..3], failing: vec![failing(0, 1)] }));
    let report = rig.report();
    assert_eq!((report.drained, report.returned), (2, 3));
    assert_eq!(report.abandoned, vec![(name(0), 3)]);
    assert_eq!(report.committed, vec![(name(0), 0)]);
    assert_eq!(rig.engine.status(rig.now.at).in_flight_records, 0);
}

#[test]
fn close_is_bounded_and_a_failed_last_commit_is_told() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, [0]);
    rig.ok((0, 0));
    rig.close(SECOND);
    assert_eq!(rig.closed.as_ref().map(Vec::len), Some(1), "at once: nothing runs");
    let report = rig.engine.closed(Err(error(Fenced)));
    assert_eq!((report.committed, report.commit_error.map(|error| error.kind)), (vec![], Some(Fenced)));
}
