//! When commits are sent, what their failure leads to, and what a restart makes of them.

use super::rig::{MS, Rig, SECOND, failing, read, rig, settings};
use crate::client_error::ClientErrorKind::{OffsetMetadataTooLarge, TimedOut};
use crate::engine::Settings;
use crate::engine::offset_map::OffsetMap;
use crate::outcome::ErrorClass::Transient;

#[test]
fn a_commit_is_due_by_count() {
    let mut rig = Rig::new(Settings { commit_every_records: 3, ..settings() });
    rig.assign(0, 0);
    rig.take(0, 0..4);
    rig.ok((0, 0));
    rig.ok((0, 1));
    assert_eq!(rig.commits.len(), 0);
    rig.ok((0, 2));
    assert_eq!(rig.commits[0][0].offset, 3);
}

#[test]
fn a_commit_is_due_by_time_after_the_first_settled_record_and_none_when_nothing_happens() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, 0..2);
    assert_eq!(rig.engine.wake_at(), None);
    rig.pass(SECOND * 10);
    rig.ok((0, 0));
    rig.pass(MS * 150);
    rig.ok((0, 1));
    assert_eq!(rig.engine.wake_at(), Some(rig.now.at + MS * 50));
    rig.pass(MS * 50);
    assert_eq!(rig.commits.len(), 1);
    rig.committed(Ok(()));
    rig.pass(SECOND * 60);
    assert_eq!((rig.commits.len(), rig.engine.wake_at()), (1, None));
}

#[test]
fn a_partition_with_no_news_is_not_committed_again() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.assign(1, 0);
    rig.take(0, [0]);
    rig.take(1, [0]);
    rig.ok((0, 0));
    assert_eq!(rig.commit_one().partition, super::rig::name(0));
}

#[test]
fn one_commit_is_under_way_at_a_time_and_the_next_takes_all_that_settled_meanwhile() {
    let mut rig = Rig::new(Settings { commit_every_records: 1, ..settings() });
    rig.assign(0, 0);
    rig.take(0, 0..5);
    for offset in 0..5 {
        rig.ok((0, offset));
    }
    rig.pass(SECOND);
    assert_eq!(rig.commits.len(), 1);
    rig.committed(Ok(()));
    assert_eq!((rig.commits.len(), rig.commits[1][0].offset), (2, 5));
}

#[test]
fn a_failed_commit_is_sent_again_with_back_off() {
    let mut rig = Rig::new(Settings { commit_interval: MS * 10, ..settings() });
    rig.assign(0, 0);
    rig.take(0, [0]);
    rig.ok((0, 0));
    rig.pass(MS * 10);
    for (n, wait_ms) in [100, 200, 400, 800, 1600, 3200, 3200].into_iter().enumerate() {
        rig.committed(Err(TimedOut));
        rig.pass(MS * (wait_ms - 1));
        assert_eq!(rig.commits.len(), n + 1);
        rig.pass(MS);
        assert_eq!(rig.commits.len(), n + 2);
    }
    rig.committed(Ok(()));
    assert_eq!(rig.commits.last().unwrap()[0].offset, 1);
    assert_eq!((rig.counts().commits, rig.counts().commit_failures), (1, 7));
}

#[test]
fn metadata_the_broker_finds_too_large_is_cut_until_it_fits() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, 0..2_000);
    for offset in (1..2_000).step_by(2) {
        rig.ok((0, offset));
    }
    rig.pass(SECOND);
    let mut lengths = vec![rig.commits[0][0].metadata.len()];
    while *lengths.last().unwrap() > 0 {
        rig.committed(Err(OffsetMetadataTooLarge));
        rig.pass(SECOND * 5);
        let entry = &rig.commits.last().unwrap()[0];
        assert_eq!(entry.offset, 0);
        read(entry);
        lengths.push(entry.metadata.len());
    }
    assert!(lengths.is_sorted_by(|longer, shorter| longer >= shorter), "{lengths:?}");
    rig.committed(Ok(()));
}

#[test]
#[allow(clippy::single_range_in_vec_init, reason = "a list of one run is what is meant")]
fn a_transaction_never_leaves_out_what_an_earlier_one_told_as_done() {
    // Room for two runs, or for a bit each of forty offsets.
    let mut rig = Rig::new(Settings { transactions: true, max_metadata_bytes: 16, ..settings() });
    rig.assign(0, 0);
    rig.take(0, 0..=100);
    rig.ok((0, 100));
    assert_eq!(read(&rig.commit_one()).1.done, [100..101]);
    rig.ok((0, 2));
    rig.ok((0, 4));
    rig.pass(SECOND);
    assert_eq!(rig.commits.len(), 1, "{:?}", rig.commits);
    for offset in [0, 1, 3] {
        rig.ok((0, offset));
    }
    let (position, map) = read(&rig.commit_one());
    assert_eq!((position, &map.done[..]), (5, &[100..101][..]));
}

#[test]
fn what_was_done_before_two_restarts_is_not_done_again() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, 0..10);
    for offset in [2, 3, 7, 8] {
        rig.ok((0, offset));
    }
    rig.fail((0, 9), Transient);
    let first = rig.commit_one();
    let map = OffsetMap { done: vec![2..4, 7..9], failing: vec![failing(9, 1)] };
    assert_eq!(read(&first), (0, map.clone()));

    rig.restart();
    rig.assign_entry(&first);
    rig.take(0, [0]);
    rig.ok((0, 0));
    let second = rig.commit_one();
    assert_eq!(read(&second), (1, map), "7, 8 and 9 have not been fetched again");

    rig.restart();
    rig.assign_entry(&second);
    rig.take(0, 1..10);
    assert_eq!(rig.running(), vec![(0, 1), (0, 4), (0, 5), (0, 6), (0, 9)]);
    assert_eq!(rig.running[&(0, 9)].attempt, 2);
    assert_eq!(rig.counts().known, 4);
    for at in rig.running() {
        rig.ok(at);
    }
    assert_eq!(read(&rig.commit_one()), (10, OffsetMap::default()));
}

#[test]
fn records_known_to_be_done_move_the_position_without_any_handler() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, 0..4);
    for offset in 1..4 {
        rig.ok((0, offset));
    }
    let entry = rig.commit_one();
    rig.restart();
    rig.assign_entry(&entry);
    rig.take(0, 1..4); // 0 has been compacted away meanwhile
    assert_eq!(rig.running(), vec![]);
    assert_eq!(rig.commit_one().offset, 4);
}

#[test]
fn the_place_where_a_fresh_group_began_is_committed_before_anything_is_settled() {
    let mut rig = rig();
    rig.assign_with(0, None);
    rig.take(0, [500]);
    assert_eq!(
        rig.commit_one().offset,
        500,
        "else a crash now and a start at the log's end would pass over 500"
    );
    rig.pass(SECOND);
    assert_eq!(rig.commits.len(), 1);
}

#[test]
fn unreadable_metadata_is_told_and_means_that_all_comes_again() {
    let mut rig = rig();
    let committed = crate::transport::Committed { offset: 3, metadata: "somebody's note".into() };
    let assignment =
        crate::transport::Assignment { partition: super::rig::name(0), committed: Some(committed) };
    let unreadable = rig.engine.assigned(1, vec![assignment], rig.now);
    assert_eq!(unreadable.len(), 1);
    rig.epochs.insert(0, 1);
    rig.take(0, 3..5);
    assert_eq!(rig.running(), vec![(0, 3), (0, 4)]);
}
