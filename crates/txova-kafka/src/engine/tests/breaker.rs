//! A handler whose world is away is held back, and no other; see the head of `engine/breaker.rs` for the rule.

use std::time::Duration;

use super::rig::{At, MS, Rig, SECOND, error, failing, failure, failure_of, read, settings};
use crate::client_error::ClientErrorKind::Unreachable;
use crate::engine::offset_map::OffsetMap;
use crate::engine::{BreakerChange, BreakerSettings, HeldHandler, RecordState, Settings};
use crate::outcome::ErrorClass::{Permanent, Skip, Transient};
use crate::outcome::{Failure, HandlerId, Outcome};

/// Held back after 4 records in a row of 2 keys, or when half of the last 20 are to be dead-lettered, 4 at least.
fn breaker() -> Option<BreakerSettings> {
    Some(BreakerSettings { failures: 4, keys: 2, share: 0.5, probe_max: SECOND * 30 })
}

fn rig() -> Rig {
    let mut rig = Rig::new(Settings { breaker: breaker(), ..settings() });
    rig.assign(0, 0);
    rig
}

fn held(rig: &Rig) -> Vec<HeldHandler> {
    rig.engine.status(rig.now.at).held_handlers
}

/// Records 0, 1, … of a key each run, and the first four fail: the handler is held back.
fn outage(records: i64) -> Rig {
    let mut rig = rig();
    rig.take(0, 0..records);
    for offset in 0..4 {
        rig.fail((0, offset), Transient);
    }
    assert_eq!(held(&rig).len(), 1);
    rig
}

/// What runs now, and no more.
fn only(rig: &Rig) -> At {
    assert_eq!(rig.running().len(), 1, "{:?}", rig.running());
    rig.running()[0]
}

#[test]
fn an_outage_is_waited_for_with_one_probe_at_a_time_and_ends_in_no_dead_letter() {
    let mut rig = outage(6);
    rig.fail((0, 4), Transient);
    rig.fail((0, 5), Transient);
    rig.take(0, 6..9);
    assert_eq!(rig.running(), vec![], "nothing starts, also no new record");
    for seconds in [1, 1, 2, 4, 8, 16, 30, 30] {
        rig.pass(SECOND * seconds - MS);
        assert_eq!(rig.running(), vec![]);
        assert_eq!(rig.engine.wake_at(), Some(rig.now.at + MS));
        rig.pass(MS);
        let probe = only(&rig);
        rig.fail(probe, Transient);
    }
    rig.pass(SECOND * 30);
    let probe = only(&rig);
    rig.ok(probe);
    assert_eq!(held(&rig).len(), 0);
    assert_eq!(rig.running().len(), 8, "all that waited goes on");
    for at in rig.running() {
        rig.ok(at);
    }
    assert_eq!(rig.commits.iter().map(|entries| entries[0].offset).max(), Some(0));
    rig.committed(Ok(()));
    assert_eq!(rig.commit_one().offset, 9);
    assert_eq!((rig.writing.len(), rig.counts().dead_lettered, rig.counts().holds), (0, 0, 1));
    assert!(matches!(
        &rig.told[..],
        [BreakerChange::Opened { .. }, BreakerChange::Healed { records: 8, .. }]
    ));
}

#[test]
fn probes_are_no_further_apart_than_they_may_be_however_long_an_outage_is() {
    let breaker = breaker().map(|breaker| BreakerSettings { probe_max: MS * 1_500, ..breaker });
    let mut rig = Rig::new(Settings { breaker, ..settings() });
    rig.assign(0, 0);
    rig.take(0, 0..100);
    for offset in 0..100 {
        rig.fail((0, offset), Transient);
    }
    for ms in [1_000, 1_000].into_iter().chain([1_500; 600]) {
        rig.pass(MS * ms - MS);
        assert_eq!(rig.running(), vec![]);
        rig.pass(MS);
        let probe = only(&rig);
        rig.fail(probe, Transient);
    }
    rig.pass(MS * 1_500);
    let probe = only(&rig);
    rig.ok(probe);
    assert_eq!(rig.running().len(), 99, "with the first success all go on at once");
}

#[test]
fn status_says_which_handler_is_held_back_since_when_why_and_when_it_is_tried_again() {
    let mut rig = outage(5);
    rig.pass(MS * 400);
    let [HeldHandler { handler, since, records, failed_probes, next_probe_in, class, last_error }] =
        &held(&rig)[..]
    else {
        panic!("one handler is held back")
    };
    let (waits, back_off) = (1, 3);
    assert_eq!((&**handler, *since, *records, *failed_probes), ("bill", MS * 400, waits, 0));
    assert_eq!((*next_probe_in, *class, last_error.as_str()), (Some(MS * 600), Transient, "no answer"));
    let oldest = rig.engine.status(rig.now.at).partitions[0].oldest.clone().unwrap();
    assert_eq!((oldest.offset, oldest.state), (0, RecordState::BackingOff));
    rig.pass(MS * 600);
    assert_eq!((held(&rig)[0].next_probe_in, held(&rig)[0].records), (None, waits + back_off));
}

#[test]
fn an_attempt_that_fails_in_an_outage_is_not_the_records_nor_are_those_by_which_it_is_noticed() {
    let mut rig = outage(4);
    for round in 0..20 {
        rig.pass(SECOND * 60);
        let probe = only(&rig);
        assert_eq!(rig.running[&probe].attempt, 2 + round / 4, "{probe:?} has its number");
        rig.fail(probe, Transient);
    }
    assert_eq!(read(&rig.commits.last().unwrap()[0]), (0, OffsetMap::default()));
}

#[test]
fn restarts_amid_an_outage_spend_no_attempts() {
    let mut rig = outage(4);
    for _ in 0..10 {
        let entry = rig.commit_one();
        rig.restart();
        rig.assign_entry(&entry);
        rig.take(0, 0..4);
        for offset in 0..4 {
            rig.fail((0, offset), Transient);
        }
    }
    assert_eq!((held(&rig).len(), rig.writing.len()), (1, 0));
}

#[test]
fn attempts_from_before_an_outage_stay_spent() {
    let mut rig = rig();
    rig.take(0, 0..5);
    rig.fail((0, 0), Transient);
    rig.ok((0, 4));
    rig.pass(SECOND);
    rig.committed(Ok(()));
    for offset in 0..4 {
        rig.fail((0, offset), Transient);
    }
    assert_eq!(held(&rig).len(), 1);
    assert_eq!(read(&rig.commit_one()).1.failing, vec![failing(0, 1)]);
}

#[test]
fn a_last_attempt_that_fails_in_an_outage_is_no_dead_letter() {
    let mut rig = rig();
    rig.take(0, [0]);
    for seconds in [1, 2, 4] {
        rig.fail((0, 0), Transient);
        rig.pass(SECOND * seconds);
        rig.committed(Ok(()));
    }
    rig.take(0, 1..6);
    rig.ok((0, 5));
    for offset in 1..5 {
        rig.fail((0, offset), Transient);
    }
    assert_eq!(held(&rig).len(), 1);
    rig.fail((0, 0), Transient);
    assert_eq!(rig.writing.len(), 0);
    rig.pass(SECOND);
    rig.ok(only(&rig));
    assert_eq!(rig.running[&(0, 0)].attempt, 5, "it is tried once more, and then it is on its own again");
    rig.fail((0, 0), Transient);
    assert_eq!(rig.writing[&(0, 0)].attempts, 5);
}

#[test]
fn a_permanent_failure_that_tells_of_an_outage_is_the_only_attempt_its_record_has_spent() {
    let mut rig = rig();
    rig.take(0, 0..4);
    for seconds in [1, 2] {
        rig.fail((0, 0), Transient);
        rig.pass(SECOND * seconds);
        rig.committed(Ok(()));
    }
    for offset in [1, 2, 3, 0] {
        assert_eq!(held(&rig).len(), 0);
        rig.fail((0, offset), Permanent);
    }
    assert_eq!((held(&rig).len(), rig.writing[&(0, 0)].attempts), (1, 3));
    assert_eq!(read(&rig.commit_one()).1.failing[0].attempts, 1);
}

#[test]
fn the_key_of_a_record_that_is_held_back_waits_and_goes_on_in_order() {
    let mut rig = rig();
    for key in 0..4 {
        rig.take_key(key, 0, [key as i64]);
    }
    rig.take_key(0, 0, 4..6);
    for offset in 0..4 {
        rig.fail((0, offset), Transient);
    }
    rig.pass(SECOND);
    rig.fail((0, 3), Transient); // it alone was due: the others backed off until this very moment
    rig.pass(SECOND * 4);
    let probe = only(&rig);
    rig.ok(probe);
    let rest: Vec<At> = (0..4).map(|offset| (0, offset)).filter(|at| *at != probe).collect();
    let expected = if probe.1 == 0 { [rest, vec![(0, 4)]].concat() } else { rest };
    assert_eq!(rig.running(), expected, "4 and 5 wait for 0");
}

#[test]
fn other_handlers_go_on() {
    let mut rig = rig();
    rig.route = |offset| HandlerId(u32::from(offset % 2 == 1));
    rig.take(0, 0..8);
    for offset in [0, 2, 4, 6] {
        rig.fail((0, offset), Transient);
    }
    rig.take(0, 8..12);
    assert_eq!(rig.running(), vec![(0, 1), (0, 3), (0, 5), (0, 7), (0, 9), (0, 11)]);
    for offset in [1, 3, 5, 7, 9, 11] {
        rig.ok((0, offset));
    }
    assert_eq!(held(&rig).len(), 1, "what others do well says nothing of this one");
    rig.pass(SECOND);
    assert_eq!(rig.running().len(), 1);
}

#[test]
fn two_handlers_are_held_back_and_heal_each_for_itself() {
    let mut rig = rig();
    rig.route = |offset| HandlerId(u32::from(offset % 2 == 1));
    rig.take(0, 0..10);
    for offset in 0..8 {
        rig.fail((0, offset), Transient);
    }
    rig.fail((0, 8), Transient);
    rig.fail((0, 9), Transient);
    assert_eq!(held(&rig).len(), 2);
    rig.pass(SECOND);
    assert_eq!(rig.running().len(), 2, "a probe each");
    let odd = rig.running().into_iter().find(|at| at.1 % 2 == 1).unwrap();
    rig.ok(odd);
    assert_eq!(held(&rig).len(), 1);
    assert!(rig.running().iter().filter(|at| at.1 % 2 == 0).count() == 1, "{:?}", rig.running());
    assert_eq!(rig.running().iter().filter(|at| at.1 % 2 == 1).count(), 4);
}

#[test]
fn a_key_that_fails_for_ever_holds_nothing_back_but_itself() {
    let mut rig = rig();
    rig.take_key(7, 0, 0..10);
    for offset in 0..10 {
        for _ in 0..4 {
            rig.fail((0, offset), Transient);
            rig.pass(SECOND * 4);
        }
        rig.written((0, offset), Ok(()));
    }
    assert_eq!((rig.counts().dead_lettered, rig.counts().holds), (10, 0));
}

#[test]
fn a_record_that_is_tried_again_counts_once() {
    let mut rig = rig();
    rig.take(0, 0..2);
    for _ in 0..3 {
        rig.fail((0, 0), Transient);
        rig.fail((0, 1), Transient);
        rig.pass(SECOND * 4);
    }
    assert_eq!(rig.counts().holds, 0, "two records failed, six times");
}

#[test]
fn a_success_between_ends_the_row() {
    let mut rig = rig();
    rig.take(0, 0..40);
    for offset in 0..40 {
        match offset % 4 {
            3 => rig.ok((0, offset)),
            _ => rig.fail((0, offset), Transient),
        }
    }
    assert_eq!(rig.counts().holds, 0);
}

#[test]
fn what_is_no_event_never_holds_a_handler_back_at_whatever_rate() {
    let mut rig = rig();
    rig.take(0, 0..100);
    for offset in 0..100 {
        let no_event = Failure { by: None, ..failure(Permanent) };
        rig.end((0, offset), Outcome::Failed(Box::new(no_event)));
        rig.written((0, offset), Ok(()));
    }
    assert_eq!((rig.counts().dead_lettered, rig.counts().holds), (100, 0));
}

#[test]
fn poison_among_sound_records_never_holds_its_handler_back() {
    let mut rig = rig();
    rig.take(0, 0..2_000);
    for offset in 0..2_000 {
        match offset % 100 {
            0 => {
                rig.fail((0, offset), Permanent);
                rig.written((0, offset), Ok(()));
            }
            _ => rig.ok((0, offset)),
        }
    }
    assert_eq!((rig.counts().dead_lettered, rig.counts().holds), (20, 0));
}

#[test]
fn a_handler_that_refuses_everything_is_held_back_and_loses_one_record_a_probe_until_it_accepts_one() {
    let mut rig = rig();
    rig.take(0, 0..12);
    for offset in 0..5 {
        rig.fail((0, offset), Permanent); // the fifth ran already
    }
    for offset in 5..12 {
        rig.end((0, offset), Outcome::Failed(Box::new(failure(Transient)))); // they ran too, and wait
    }
    assert_eq!((rig.writing.len(), held(&rig).len(), held(&rig)[0].records), (5, 1, 7));
    for probes in 1..4 {
        rig.pass(SECOND - MS);
        assert_eq!(rig.running(), vec![]);
        rig.pass(MS);
        rig.fail(only(&rig), Permanent); // no longer wait each time: it may be the record's own fault
        assert_eq!(rig.writing.len(), 5 + probes);
    }
    rig.pass(SECOND);
    rig.ok(only(&rig));
    assert_eq!((held(&rig).len(), rig.running().len()), (0, 3));
}

#[test]
fn half_of_the_recent_records_to_be_dead_lettered_hold_their_handler_back_and_a_third_does_not() {
    for (one_in, holds) in [(2, 1), (3, 0)] {
        let mut rig = rig();
        rig.take(0, 0..60);
        for offset in 0..60 {
            if !rig.running.contains_key(&(0, offset)) {
                break;
            }
            match offset % one_in {
                0 => rig.fail((0, offset), Permanent),
                _ => rig.ok((0, offset)),
            }
        }
        assert_eq!(rig.counts().holds, holds, "one in {one_in}");
    }
}

#[test]
fn a_skip_is_a_success_and_heals() {
    let mut rig = outage(5);
    rig.fail((0, 4), Transient);
    rig.pass(SECOND);
    rig.fail(only(&rig), Skip);
    assert_eq!((held(&rig).len(), rig.running().len()), (0, 4));
}

#[test]
fn a_success_that_began_before_the_outage_was_noticed_heals_nothing() {
    let mut rig = outage(6);
    rig.ok((0, 4));
    assert_eq!((held(&rig).len(), rig.running()), (1, vec![(0, 5)]));
}

#[test]
fn a_probe_that_always_fails_is_followed_by_one_of_another_key() {
    let mut rig = outage(4);
    rig.pass(SECOND);
    let mut probed = vec![];
    for _ in 0..4 {
        let probe = only(&rig);
        probed.push(probe);
        rig.fail(probe, Transient);
        rig.pass(SECOND * 60);
    }
    probed.sort();
    assert_eq!(probed, vec![(0, 0), (0, 1), (0, 2), (0, 3)]);
    rig.take(0, [4]);
    while only(&rig) != (0, 4) {
        rig.fail(only(&rig), Transient);
        rig.pass(SECOND * 60);
    }
    rig.ok((0, 4));
    assert_eq!(rig.running().len(), 4, "a record that came later heals too");
}

#[test]
fn where_nothing_waits_the_next_record_that_comes_is_the_probe() {
    let mut rig = outage(4);
    rig.lose(0);
    rig.pass(SECOND * 60);
    assert_eq!((held(&rig)[0].records, rig.engine.wake_at()), (0, None));
    rig.assign(0, 0);
    rig.take(0, 0..3);
    assert_eq!(only(&rig), (0, 0));
    rig.ok((0, 0));
    assert_eq!(rig.running(), vec![(0, 1), (0, 2)]);
}

#[test]
fn a_probe_that_is_lost_with_its_partition_is_followed_at_once() {
    let mut rig = rig();
    rig.assign(1, 0);
    rig.take(0, 0..2);
    rig.take(1, 0..3);
    for at in [(1, 0), (1, 1), (0, 0), (0, 1), (1, 2)] {
        rig.fail(at, Transient);
    }
    rig.pass(SECOND);
    let probe = only(&rig);
    rig.lose(probe.0);
    assert_eq!(only(&rig).0, 1 - probe.0, "the other partition's turn");
}

#[test]
fn a_probe_is_taken_from_a_partition_that_may_start_anything() {
    let mut rig = rig();
    rig.assign(1, 0);
    rig.take(0, 0..3);
    rig.take(1, 0..3);
    rig.fail((0, 2), Permanent);
    rig.written((0, 2), Err(error(Unreachable))); // partition 0 is pinned
    for at in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        rig.fail(at, Transient);
    }
    rig.fail((1, 2), Transient);
    rig.pass(SECOND);
    assert_eq!(only(&rig).0, 1);
    rig.lose(1);
    assert_eq!(rig.running(), vec![], "a pinned partition starts no probe either");
    assert!(rig.engine.wake_at().is_none_or(|at| at > rig.now.at), "nor is one looked for again and again");
    rig.written((0, 2), Ok(()));
    assert_eq!(only(&rig).0, 0, "at once when it is pinned no more");
}

#[test]
fn a_delay_a_handler_asks_for_is_kept_in_an_outage() {
    let mut rig = rig();
    rig.take(0, 0..4);
    for offset in 0..4 {
        let later = Failure { retry_after: Some(SECOND * 90), ..failure(Transient) };
        rig.end((0, offset), Outcome::Failed(Box::new(later)));
    }
    rig.pass(SECOND * 90 - MS);
    assert_eq!(rig.running(), vec![]);
    rig.pass(MS);
    only(&rig);
}

#[test]
fn closing_waits_for_no_outage_and_commits_nothing_of_it() {
    let mut rig = outage(6);
    rig.ok((0, 4));
    rig.close(SECOND * 30);
    rig.ok((0, 5));
    let entries = rig.closed.clone().unwrap();
    assert_eq!((entries[0].offset, read(&entries[0]).1.done.clone()), (0, vec![4..6]));
    let report = rig.report();
    assert_eq!((report.drained, report.returned), (1, 4));
}

#[test]
fn with_one_handler_at_a_time_the_probe_has_its_turn() {
    let mut rig = Rig::new(Settings { breaker: breaker(), concurrency: 1, ..settings() });
    rig.assign(0, 0);
    rig.take(0, 0..8);
    for _ in 0..4 {
        rig.fail(only(&rig), Transient);
    }
    assert_eq!((held(&rig)[0].records, rig.running()), (5, vec![]), "those not tried yet come back unrun");
    rig.pass(SECOND);
    rig.ok(only(&rig));
    assert_eq!(rig.running().len(), 1);
}

#[test]
fn turned_off_it_holds_nothing_back() {
    let mut rig = Rig::new(settings());
    rig.assign(0, 0);
    rig.take(0, 0..200);
    for offset in 0..200 {
        rig.fail((0, offset), Permanent);
    }
    assert_eq!((rig.writing.len(), rig.counts().holds), (200, 0));
}

#[test]
fn an_outage_that_outlasts_the_total_time_still_ends_in_no_dead_letter() {
    let mut rig = {
        let retry = crate::engine::Retry {
            max_elapsed: Some(SECOND * 10),
            jitter: 0.0,
            ..crate::engine::Retry::default()
        };
        Rig::new(Settings { breaker: breaker(), retry, ..settings() })
    };
    rig.assign(0, 0);
    rig.take(0, 0..4);
    for offset in 0..4 {
        rig.fail((0, offset), Transient);
    }
    for _ in 0..10 {
        rig.pass(Duration::from_secs(600));
        rig.fail(only(&rig), Transient);
    }
    assert_eq!(rig.writing.len(), 0);
}

#[test]
fn a_failure_of_another_class_has_a_row_of_its_own() {
    let mut rig = rig();
    rig.take(0, 0..6);
    for offset in 0..6 {
        let class = if offset % 2 == 0 { Transient } else { Permanent };
        rig.end((0, offset), Outcome::Failed(Box::new(failure_of(HandlerId(0), class))));
    }
    assert_eq!(rig.counts().holds, 0, "three each");
}
