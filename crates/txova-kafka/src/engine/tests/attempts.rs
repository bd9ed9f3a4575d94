//! Trying again: when, how often, how long.

use std::time::Duration;

use super::rig::{MS, Rig, SECOND, failure, rig, settings};
use crate::engine::{Retry, Settings};
use crate::outcome::ErrorClass::{Permanent, Stop, Transient};
use crate::outcome::{Failure, Outcome};

#[test]
fn back_off_doubles_and_the_last_failure_dead_letters() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, [0]);
    for seconds in [1, 2, 4] {
        rig.fail((0, 0), Transient);
        rig.pass(SECOND * seconds - MS);
        assert_eq!(rig.running(), vec![]);
        assert_eq!(rig.engine.wake_at(), Some(rig.now.at + MS));
        rig.pass(MS);
        assert_eq!(rig.running(), vec![(0, 0)]);
        rig.committed(Ok(()));
    }
    rig.fail((0, 0), Transient);
    let order = &rig.writing[&(0, 0)];
    assert_eq!((order.attempts, order.first_failure_ms), (4, 1_790_000_000_000));
    assert_eq!(order.last_failure_ms - order.first_failure_ms, 7_000);
}

#[test]
fn a_record_has_the_time_of_its_receipt_at_every_try() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, [0]);
    let taken_ms = rig.now.unix_ms;
    rig.fail((0, 0), Transient);
    rig.pass(SECOND);
    let start = &rig.running[&(0, 0)];
    assert_eq!((start.attempt, start.taken_ms, start.first_failure_ms), (2, taken_ms, Some(taken_ms)));
}

#[test]
fn jitter_spreads_the_attempts_of_records_that_failed_together() {
    let mut rig = Rig::new(Settings::default());
    rig.assign(0, 0);
    rig.take(0, 0..50);
    for offset in 0..50 {
        rig.fail((0, offset), Transient);
    }
    rig.pass(MS * 799);
    assert_eq!(rig.running().len(), 0);
    rig.pass(MS * 201);
    let half = rig.running().len();
    assert!((10..40).contains(&half), "{half} of 50 within the mean back-off");
    rig.pass(MS * 201);
    assert_eq!(rig.running().len(), 50);
}

#[test]
fn a_handlers_own_delay_is_kept_where_it_is_longer() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, [0]);
    let later = Failure { retry_after: Some(SECOND * 60), ..failure(Transient) };
    rig.end((0, 0), Outcome::Failed(Box::new(later)));
    rig.pass(MS * 59_999);
    assert_eq!(rig.running(), vec![]);
    rig.pass(MS);
    assert_eq!(rig.running(), vec![(0, 0)]);
}

fn tried_for_at_most(limit: Duration) -> Rig {
    let retry = Retry { max_retries: 100, max_elapsed: Some(limit), jitter: 0.0, ..Retry::default() };
    let mut rig = Rig::new(Settings { retry, ..settings() });
    rig.assign(0, 0);
    rig.take(0, [0]);
    rig
}

#[test]
fn no_attempt_begins_after_the_total_time() {
    let mut rig = tried_for_at_most(SECOND * 4);
    rig.fail((0, 0), Transient);
    rig.pass(SECOND);
    rig.fail((0, 0), Transient);
    rig.pass(SECOND * 2);
    rig.fail((0, 0), Transient); // the next would be at 7 s
    assert_eq!(rig.writing[&(0, 0)].attempts, 3);
}

#[test]
fn the_total_time_counts_on_through_a_restart() {
    let mut rig = tried_for_at_most(SECOND * 10);
    rig.fail((0, 0), Transient);
    let entry = rig.commit_one();
    rig.restart();
    rig.pass(SECOND * 10);
    rig.assign_entry(&entry);
    rig.take(0, [0]);
    rig.fail((0, 0), Transient);
    assert_eq!(rig.writing[&(0, 0)].attempts, 2);
}

#[test]
fn a_calendar_that_goes_back_neither_panics_nor_ends_the_attempts() {
    let mut rig = tried_for_at_most(SECOND * 4);
    rig.fail((0, 0), Transient);
    rig.now.unix_ms = -5_000;
    rig.pass(SECOND);
    rig.fail((0, 0), Transient);
    rig.pass(SECOND * 2);
    assert_eq!(rig.running(), vec![(0, 0)]);
}

#[test]
fn a_permanent_failure_is_dead_lettered_at_once_and_settled_by_the_acknowledgement() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, [0]);
    rig.fail((0, 0), Permanent);
    assert_eq!(rig.writing[&(0, 0)].attempts, 1);
    rig.written((0, 0), Ok(()));
    assert_eq!(rig.commit_one().offset, 1);
}

#[test]
fn a_stop_settles_nothing_counts_no_attempt_and_nothing_starts_after_it() {
    let mut rig = Rig::new(Settings { concurrency: 2, ..settings() });
    rig.assign(0, 0);
    rig.take(0, 0..4);
    rig.fail((0, 0), Stop);
    assert_eq!(rig.running(), vec![(0, 1)], "the app is to close, so nothing else begins");
    let reason = rig.engine.stop_reason().map(ToString::to_string);
    assert_eq!(reason.as_deref(), Some("handler bill asked to stop at rides-0 offset 0: no answer"));
    rig.close(SECOND);
    rig.ok((0, 1));
    let entries = rig.closed.clone().unwrap();
    assert_eq!(entries[0].offset, 0);
    rig.restart();
    rig.assign_entry(&entries[0]);
    rig.take(0, [0, 1]);
    assert_eq!(rig.running[&(0, 0)].attempt, 1);
    assert_eq!(rig.running(), vec![(0, 0)]);
}

#[test]
fn dead_letters_are_written_again_with_back_off() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, [0]);
    rig.fail((0, 0), Permanent);
    for seconds in [1, 2, 4, 8, 16, 30, 30] {
        rig.written((0, 0), Err(super::rig::error(crate::client_error::ClientErrorKind::Unreachable)));
        rig.pass(SECOND * seconds - MS);
        assert!(rig.writing.is_empty());
        rig.pass(MS);
        assert!(rig.writing.contains_key(&(0, 0)));
    }
    assert_eq!(rig.counts().dead_letter_failures, 7);
}
