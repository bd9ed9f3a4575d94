//! The rate limit: how many start, who has his turn, and what counts.

use super::rig::{MS, Rig, SECOND, settings};
use crate::engine::{BatchLimits, BreakerSettings, Settings};
use crate::outcome::ErrorClass::Transient;

fn limited(per_second: u32) -> Rig {
    Rig::new(Settings { rate_limit_per_second: Some(per_second), ..settings() })
}

/// Passes time as the engine asks for it, in steps of its own choosing, and says what ran after each.
fn run_for(rig: &mut Rig, ms: u64) -> usize {
    let until = rig.now.at + MS * u32::try_from(ms).unwrap();
    while let Some(at) = rig.engine.wake_at().filter(|at| *at <= until) {
        rig.pass(at.since(rig.now.at));
    }
    rig.pass(until.since(rig.now.at));
    rig.running.len()
}

#[test]
fn as_many_start_in_a_second_as_may_and_a_tenth_of_them_at_once() {
    let mut rig = limited(100);
    rig.assign(0, 0);
    rig.take(0, 0..500);
    assert_eq!(rig.running.len(), 10);
    assert_eq!(run_for(&mut rig, 1_000), 110);
    assert_eq!(run_for(&mut rig, 1_000), 210);
    assert!(rig.engine.status(rig.now.at).is_throttled);
}

#[test]
fn what_was_not_used_is_kept_for_a_tenth_of_a_second_and_no_longer() {
    let mut rig = limited(100);
    rig.assign(0, 0);
    rig.pass(SECOND * 60);
    rig.take(0, 0..500);
    assert_eq!(rig.running.len(), 10);
}

#[test]
fn one_a_second_is_one_a_second() {
    let mut rig = limited(1);
    rig.assign(0, 0);
    rig.take(0, 0..5);
    assert_eq!(rig.running.len(), 1);
    assert_eq!(run_for(&mut rig, 999), 1);
    assert_eq!(run_for(&mut rig, 1), 2);
}

#[test]
fn retries_count_too() {
    let mut rig = limited(1);
    rig.assign(0, 0);
    rig.take(0, 0..2);
    rig.fail((0, 0), Transient); // its back-off is a second, as the next one's wait is
    run_for(&mut rig, 1_000);
    assert_eq!(rig.running(), vec![(0, 1)]);
    run_for(&mut rig, 1_000);
    assert_eq!(rig.running(), vec![(0, 0), (0, 1)]);
}

#[test]
fn partitions_take_turns_under_a_limit() {
    let mut rig = limited(1);
    rig.assign(0, 0);
    rig.assign(1, 0);
    rig.take(0, 0..50);
    rig.take(1, 0..3);
    assert_eq!(rig.running(), vec![(0, 0)], "before the other had any");
    run_for(&mut rig, 5_000);
    assert_eq!(rig.running(), vec![(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]);
}

#[test]
fn a_batch_starts_whole_and_is_paid_for_before_anything_else_starts() {
    let batches = vec![BatchLimits { max_records: 5, max_bytes: 10_000, max_wait: SECOND }];
    let mut rig = Rig::new(Settings { batches, rate_limit_per_second: Some(1), ..settings() });
    rig.assign(0, 0);
    rig.take_together(0, 0..10);
    assert_eq!(rig.batches(), vec![vec![0, 1, 2, 3, 4]]);
    run_for(&mut rig, 4_999);
    assert_eq!(rig.batches().len(), 1);
    run_for(&mut rig, 1);
    assert_eq!(rig.batches().len(), 2);
}

#[test]
fn a_record_that_comes_back_unrun_has_cost_nothing() {
    let breaker = Some(BreakerSettings { failures: 2, keys: 2, share: 1.0, probe_max: SECOND * 30 });
    let mut rig = Rig::new(Settings { breaker, rate_limit_per_second: Some(20), ..settings() });
    rig.route = |offset| crate::outcome::HandlerId(u32::from(offset >= 10));
    rig.assign(0, 0);
    rig.take(0, 0..2);
    rig.fail((0, 0), Transient);
    rig.fail((0, 1), Transient);
    rig.pass(MS * 100);
    rig.take(0, 2..12); // eight of the handler held back, two of the other
    assert_eq!(rig.running(), vec![(0, 10), (0, 11)]);
}
