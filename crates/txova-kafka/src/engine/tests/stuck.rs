//! Which record holds a partition up, since when, and what it waits for.

use super::rig::{MS, Rig, SECOND, error, rig, settings};
use crate::client_error::ClientErrorKind::Unreachable;
use crate::engine::{BreakerSettings, RecordState, Settings, Stuck};
use crate::outcome::ErrorClass::{Permanent, Transient};

fn stuck_after_ten_seconds() -> Rig {
    Rig::new(Settings { stuck_after: SECOND * 10, ..settings() })
}

fn stuck(rig: &Rig) -> Vec<Stuck> {
    rig.engine.status(rig.now.at).stuck
}

#[test]
fn a_record_is_stuck_when_it_came_to_a_handler_too_long_ago_and_not_before() {
    let mut rig = stuck_after_ten_seconds();
    rig.assign(0, 0);
    rig.take(0, 0..2);
    rig.pass(SECOND * 9);
    assert!(stuck(&rig).is_empty());
    rig.ok((0, 1));
    rig.pass(SECOND);
    let found = stuck(&rig);
    assert_eq!((found.len(), found[0].offset, found[0].state), (1, 0, RecordState::Running));
    assert_eq!((found[0].begun, found[0].taken), (Some(SECOND * 10), SECOND * 10));
    rig.ok((0, 0));
    assert!(stuck(&rig).is_empty());
}

#[test]
fn attempts_and_back_offs_are_one_time_and_what_is_not_the_oldest_can_be_stuck_too() {
    let mut rig = stuck_after_ten_seconds();
    rig.assign(0, 0);
    rig.take(0, [0]);
    rig.fail((0, 0), Transient);
    rig.pass(SECOND);
    rig.fail((0, 0), Transient); // two seconds more
    rig.pass(SECOND * 2);
    rig.fail((0, 0), Transient);
    rig.pass(SECOND * 4);
    assert!(rig.running.contains_key(&(0, 0)));
    rig.pass(SECOND * 3);
    let found = &stuck(&rig)[0];
    assert_eq!((found.begun, found.since, found.attempts), (Some(SECOND * 10), SECOND * 3, 3));
}

#[test]
fn what_waits_for_another_is_not_stuck_however_long_it_waits() {
    let mut rig = stuck_after_ten_seconds();
    rig.assign(0, 0);
    rig.take_key(1, 0, 0..20);
    for offset in 0..20 {
        assert!(stuck(&rig).is_empty(), "a hot key is slow and not stuck");
        rig.pass(SECOND * 9);
        rig.ok((0, offset));
    }
}

#[test]
fn a_record_whose_dead_letter_is_not_taken_is_stuck_at_once_and_says_why_and_when_it_is_written_again() {
    let mut rig = stuck_after_ten_seconds();
    rig.assign(0, 0);
    rig.assign(1, 0);
    rig.take(0, 0..2);
    rig.take(1, [0]);
    rig.pass(SECOND);
    rig.fail((0, 1), Permanent);
    assert!(stuck(&rig).is_empty(), "it is being written");
    rig.written((0, 1), Err(error(Unreachable)));
    rig.pass(MS * 400);
    let found = stuck(&rig);
    assert_eq!((found.len(), found[0].offset, found[0].state), (1, 1, RecordState::DeadLetterDown));
    assert_eq!(found[0].next_in, Some(MS * 600));
    assert_eq!((found[0].attempts, found[0].first_failure_ms), (1, Some(1_790_000_001_000)));
    let words = found[0].to_string();
    assert!(
        words.starts_with("rides-0 offset 1, taken 1 s ago: its dead letter is not taken (")
            && words.ends_with("is written again in 0.600 s; bill had failed: no answer (attempt 1)"),
        "{words}"
    );
    rig.pass(MS * 600);
    rig.written((0, 1), Ok(()));
    assert!(stuck(&rig).is_empty());
}

#[test]
fn what_an_operator_has_paused_is_paused_and_not_stuck() {
    let mut rig = stuck_after_ten_seconds();
    rig.assign(0, 0);
    rig.take(0, [0]);
    rig.fail((0, 0), Transient);
    rig.engine.pause(None, rig.now.at);
    rig.pass(SECOND * 100);
    assert!(stuck(&rig).is_empty());
    let oldest = rig.engine.status(rig.now.at).partitions[0].oldest.clone().unwrap();
    assert_eq!(oldest.state, RecordState::Paused);
    assert!(oldest.to_string().contains("an operator has paused it"), "{oldest}");
}

#[test]
fn a_record_whose_handler_is_held_back_is_stuck_when_it_lasts_and_no_more_when_it_heals() {
    let breaker = Some(BreakerSettings { failures: 2, keys: 2, share: 1.0, probe_max: SECOND * 30 });
    let mut rig = Rig::new(Settings { breaker, stuck_after: SECOND * 10, ..settings() });
    rig.assign(0, 0);
    rig.take(0, 0..3);
    rig.fail((0, 0), Transient);
    rig.fail((0, 1), Transient);
    rig.fail((0, 2), Transient);
    rig.pass(SECOND * 10);
    let probe = rig.running()[0];
    let words = stuck(&rig)[0].to_string();
    assert!(words.contains("bill had failed: no answer (attempt 1)"), "{words}");
    rig.ok(probe);
    assert!(stuck(&rig).is_empty(), "it begins anew");
}

#[test]
fn a_record_that_comes_again_in_another_assignment_begins_anew() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, [0]);
    rig.pass(SECOND * 299);
    rig.lose(0);
    rig.assign(0, 0);
    rig.take(0, [0]);
    rig.pass(SECOND);
    assert!(stuck(&rig).is_empty());
    rig.pass(SECOND * 299);
    assert_eq!(stuck(&rig).len(), 1, "five minutes where nothing else is set");
}
