//! Bugs that were found in other engines for Kafka. Each test says where; none may ever happen here.

use std::time::Duration;

use super::rig::{MS, Rig, SECOND, failing, name, read, rig, settings};
use crate::client_error::ClientErrorKind::TimedOut;
use crate::engine::Settings;
use crate::engine::offset_map::OffsetMap;
use crate::outcome::ErrorClass::{Stop, Transient};
use crate::transport::Committed;

/// spring-projects/spring-kafka #4504: two records of a partition fail at once, and the earlier is lost.
#[test]
fn two_concurrent_failures_on_one_partition_keep_both_records() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, 0..3);
    rig.fail((0, 2), Transient);
    rig.fail((0, 0), Transient);
    rig.ok((0, 1));
    assert_eq!(rig.commit_one().offset, 0);
    rig.pass(SECOND);
    assert_eq!(rig.running(), vec![(0, 0), (0, 2)]);
    rig.ok((0, 2));
    assert_eq!(read(&rig.commit_one()), (0, OffsetMap { done: vec![1..3], failing: vec![failing(0, 1)] }));
    rig.ok((0, 0));
    assert_eq!(rig.commit_one().offset, 3);
}

/// spring-projects/spring-kafka #4371: a healthy neighbour resets a failing record's attempt counter, and it is tried
/// for ever.
#[test]
fn a_healthy_neighbour_does_not_reset_an_attempt_counter() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, [0]);
    for (attempt, neighbour) in (1..=4).zip(1..) {
        assert_eq!(rig.running[&(0, 0)].attempt, attempt);
        rig.fail((0, 0), Transient);
        rig.take(0, [neighbour]);
        rig.ok((0, neighbour));
        rig.pass(SECOND * 4);
    }
    assert_eq!(rig.writing[&(0, 0)].attempts, 4);
}

/// spring-projects/spring-kafka #4708: after a cooperative rebalance the partitions a member keeps stay unconsumed.
#[test]
fn kept_partitions_go_on_after_a_cooperative_rebalance() {
    let mut rig = Rig::new(Settings { max_in_flight_records: 8, ..settings() });
    rig.assign(0, 0);
    rig.assign(1, 0);
    rig.take(0, 0..4);
    assert!(rig.paused.contains(&0));
    rig.revoke(&[1], SECOND);
    assert_eq!(rig.released.len(), 1);
    assert!(rig.paused.is_empty(), "all the room is its own now");
    rig.take(0, 4..6);
    assert_eq!(rig.running().len(), 6);
    rig.assign(1, 0);
    rig.take(1, [0]);
    assert_eq!(rig.running().len(), 7);
}

/// confluentinc/parallel-consumer #826: at a revocation the offset of a record is committed that was polled and never
/// run.
#[test]
fn a_revocation_never_commits_a_record_that_was_polled_and_never_run() {
    let mut rig = Rig::new(Settings { concurrency: 1, ..settings() });
    rig.assign(0, 0);
    rig.take(0, 0..3);
    rig.ok((0, 0));
    rig.revoke(&[0], SECOND);
    rig.ok((0, 1));
    assert_eq!(rig.released[0][0].offset, 2);
    assert_eq!(rig.released[0][0].metadata, "");
}

/// confluentinc/parallel-consumer #875: an entry of an earlier assignment is still there when the same offset comes
/// again, and the fresh record is dropped.
#[test]
fn a_stale_entry_never_drops_a_fresh_record_at_a_reused_offset() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, 0..6);
    for offset in 1..6 {
        rig.ok((0, offset));
    }
    let entry = rig.commit_one();

    rig.lose(0);
    rig.assign(0, 2); // somebody set the group's offset by hand: no metadata
    rig.take(0, 2..6);
    assert_eq!(rig.running(), vec![(0, 2), (0, 3), (0, 4), (0, 5)]);

    rig.restart();
    rig.assign_entry(&entry);
    rig.lose(0);
    rig.assign(0, 50);
    rig.take(0, 0..6); // the topic was made anew and the client begins at its front
    assert_eq!(rig.running().len(), 6);

    rig.restart();
    let copied = Committed { offset: 2, metadata: entry.metadata };
    let assignment = crate::transport::Assignment { partition: name(0), committed: Some(copied) };
    assert_eq!(rig.engine.assigned(90, vec![assignment], rig.now).len(), 1, "the map is another offset's");
    rig.epochs.insert(0, 90);
    rig.take(0, 2..6);
    assert_eq!(rig.running().len(), 4);
}

/// confluentinc/parallel-consumer #894: with little traffic and many rebalances an offset beyond the log's end is
/// committed, and the next owner's reset policy jumps.
#[test]
fn a_commit_is_never_outside_what_was_read_however_often_a_quiet_partition_moves() {
    let mut rig = rig();
    rig.assign_with(0, None);
    rig.pass(MS * 200);
    assert_eq!(rig.commits.len(), 0, "nothing is known, so nothing is committed, least of all 0 or -1");
    rig.take(0, 17..20);
    rig.fail((0, 18), Transient);
    rig.ok((0, 19));
    let mut entry = rig.commit_one();
    let map = OffsetMap { done: vec![19..20], failing: vec![failing(18, 1)] };
    for _ in 0..5 {
        assert_eq!(read(&entry), (17, map.clone()));
        rig.revoke(&[0], Duration::ZERO);
        entry = rig.released.pop().unwrap().remove(0);
        rig.assign_entry(&entry);
    }
    rig.take(0, 17..19);
    rig.ok((0, 17));
    rig.ok((0, 18));
    rig.revoke(&[0], SECOND);
    assert_eq!(rig.released[0][0].offset, 19, "and 20 when 19 has come again");
    assert_eq!(read(&rig.released[0][0]).1.done, vec![19..20]);
}

/// dotnetcore/CAP #1815: a stop commits the offset of a record whose handler never ran.
#[test]
fn a_stop_never_commits_a_record_whose_handler_never_ran() {
    let mut rig = Rig::new(Settings { concurrency: 1, ..settings() });
    rig.assign(0, 0);
    rig.take(0, 0..4);
    rig.ok((0, 0));
    rig.fail((0, 1), Stop);
    rig.close(SECOND);
    let entries = rig.closed.clone().unwrap();
    assert_eq!((entries[0].offset, entries[0].metadata.as_str()), (1, ""));
}

/// The same by way of a commit that fails first: what is sent again must be today's position, not one remembered.
#[test]
fn a_commit_sent_again_carries_what_is_true_by_then() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, 0..2);
    rig.ok((0, 0));
    rig.pass(MS * 200);
    rig.committed(Err(TimedOut));
    rig.ok((0, 1));
    rig.pass(MS * 200);
    assert_eq!(rig.commits.iter().map(|entries| entries[0].offset).collect::<Vec<_>>(), vec![1, 2]);
}
