//! Which record waits for which.

use super::rig::{Rig, SECOND, rig};
use crate::config::Order;
use crate::outcome::ErrorClass::Transient;

#[test]
fn keys_run_side_by_side_and_a_failing_one_holds_only_itself() {
    let mut rig = rig();
    rig.assign(0, 0);
    for (offset, key) in [(0, 1), (1, 2), (2, 1), (3, 2)] {
        rig.take_key(key, 0, [offset]);
    }
    rig.fail((0, 0), Transient);
    assert_eq!(rig.running(), vec![(0, 1)]);
    rig.ok((0, 1));
    assert_eq!(rig.running(), vec![(0, 3)]);
    rig.pass(SECOND);
    assert_eq!(rig.running(), vec![(0, 0), (0, 3)]);
}

#[test]
fn records_without_a_key_are_one_key_for_each_partition() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.assign(1, 0);
    for at in [(0, 0), (0, 1), (1, 0)] {
        rig.offer(at, None);
    }
    assert_eq!(rig.running(), vec![(0, 0), (1, 0)]);
}

#[test]
fn the_same_key_in_two_partitions_is_two_keys() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.assign(1, 0);
    rig.take_key(1, 0, [0]);
    rig.take_key(1, 1, [0]);
    assert_eq!(rig.running(), vec![(0, 0), (1, 0)]);
}

#[test]
fn under_order_partition_offsets_keep_their_order_across_keys_and_one_runs_at_a_time() {
    let mut rig = Rig::ordered(Order::Partition);
    rig.assign(0, 0);
    rig.assign(1, 0);
    rig.take(0, 0..3);
    rig.take(1, 0..3);
    assert_eq!(rig.running(), vec![(0, 0), (1, 0)]);
    rig.fail((0, 0), Transient);
    rig.ok((1, 0));
    assert_eq!(rig.running(), vec![(1, 1)]);
    rig.pass(SECOND);
    rig.ok((0, 0));
    assert_eq!(rig.running(), vec![(0, 1), (1, 1)]);
}

#[test]
fn under_order_none_records_of_one_key_run_side_by_side() {
    let mut rig = Rig::ordered(Order::None);
    rig.assign(0, 0);
    rig.take_key(1, 0, 0..3);
    assert_eq!(rig.running(), vec![(0, 0), (0, 1), (0, 2)]);
    rig.fail((0, 0), Transient);
    rig.ok((0, 2));
    assert_eq!(rig.commit_one().offset, 0);
    rig.pass(SECOND);
    assert_eq!(rig.running(), vec![(0, 0), (0, 1)]);
}
