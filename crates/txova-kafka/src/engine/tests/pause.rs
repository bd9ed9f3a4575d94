//! An operator's pause: what starts, what does not, and what goes on all the same.

use super::rig::{Rig, SECOND, name, rig, settings};
use crate::client_error::ClientErrorKind::Unreachable;
use crate::engine::{BreakerSettings, Settings};
use crate::outcome::ErrorClass::{Permanent, Transient};

fn pause(rig: &mut Rig, topic: Option<&str>) {
    rig.engine.pause(topic.map(Into::into), rig.now.at);
    rig.act();
}

fn resume(rig: &mut Rig, topic: Option<&str>) {
    rig.engine.resume(topic);
    rig.act();
}

#[test]
fn paused_nothing_starts_what_runs_ends_and_is_committed_and_all_goes_on_when_resumed() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, [0]);
    pause(&mut rig, None);
    assert!(rig.paused.contains(&0), "the client fetches no more, and is polled on");
    rig.take(0, 1..3);
    rig.ok((0, 0));
    assert_eq!(rig.running(), vec![], "what was fetched before waits");
    assert_eq!(rig.commit_one().offset, 1);
    resume(&mut rig, None);
    assert_eq!(rig.running(), vec![(0, 1), (0, 2)]);
    assert!(rig.paused.is_empty());
}

#[test]
fn paused_a_retry_that_is_due_waits_and_dead_letters_are_written_on() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, 0..2);
    rig.fail((0, 0), Transient);
    rig.fail((0, 1), Permanent);
    pause(&mut rig, None);
    rig.written((0, 1), Err(super::rig::error(Unreachable)));
    rig.pass(SECOND * 10);
    assert_eq!(rig.running(), vec![]);
    rig.written((0, 1), Ok(()));
    assert_eq!(rig.counts().dead_lettered, 1, "it is written again while all is paused");
    resume(&mut rig, None);
    assert_eq!(rig.running[&(0, 0)].attempt, 2);
}

#[test]
fn a_pause_outlives_the_assignment_and_holds_for_partitions_that_come() {
    let mut rig = rig();
    rig.assign(0, 0);
    pause(&mut rig, None);
    rig.lose(0);
    rig.paused.clear(); // the client forgets it with the assignment
    rig.assign(0, 0);
    rig.assign(1, 0);
    rig.take(0, [0]);
    rig.take(1, [0]);
    assert_eq!((rig.running(), rig.paused.len()), (vec![], 2));
    resume(&mut rig, None);
    assert_eq!(rig.running(), vec![(0, 0), (1, 0)]);
}

#[test]
fn a_pause_outlives_a_client_that_begins_anew_below_the_committed_offset() {
    let mut rig = rig();
    pause(&mut rig, None);
    rig.assign(0, 50);
    rig.take(0, [7]);
    assert_eq!((rig.running(), rig.paused.contains(&0)), (vec![], true));
    resume(&mut rig, None);
    assert_eq!((rig.running(), rig.paused.contains(&0)), (vec![(0, 7)], false));
}

#[test]
fn a_topic_is_paused_alone_and_neither_pause_ends_the_other() {
    let mut rig = rig();
    rig.assign(0, 0);
    pause(&mut rig, Some("fares"));
    rig.take(0, [0]);
    assert_eq!(rig.running(), vec![(0, 0)], "of another topic");
    pause(&mut rig, Some("rides"));
    pause(&mut rig, None);
    rig.take(0, [1]);
    resume(&mut rig, None);
    assert_eq!(rig.running(), vec![(0, 0)], "its topic is paused by itself");
    pause(&mut rig, None);
    resume(&mut rig, Some("rides"));
    assert_eq!(rig.running(), vec![(0, 0)], "all is paused");
    resume(&mut rig, None);
    assert_eq!(rig.running(), vec![(0, 0), (0, 1)]);
    let paused = rig.engine.status(rig.now.at).paused;
    assert_eq!(paused.len(), 1, "{paused:?}");
    assert_eq!(paused[0].topic.as_deref(), Some("fares"));
}

#[test]
fn status_says_what_is_paused_since_when_and_tells_it_from_back_pressure() {
    let mut rig = rig();
    rig.assign(0, 0);
    pause(&mut rig, None);
    rig.pass(SECOND * 7);
    pause(&mut rig, None);
    let status = rig.engine.status(rig.now.at);
    assert_eq!((status.paused.len(), status.paused[0].topic.clone()), (1, None));
    assert_eq!(status.paused[0].since, SECOND * 7, "since the first time");
    assert!(status.partitions[0].paused && status.partitions[0].paused_by_operator);
    assert!(status.partitions[0].pinned.is_none());
}

#[test]
fn a_paused_engine_gives_partitions_back_and_closes_without_waiting_to_be_resumed() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.assign(1, 0);
    rig.take(0, [0]);
    pause(&mut rig, None);
    rig.take(0, [1]);
    rig.revoke(&[1], SECOND);
    assert_eq!(rig.released.len(), 1);
    rig.close(SECOND);
    rig.ok((0, 0));
    assert_eq!(rig.closed.as_ref().map(|entries| entries[0].offset), Some(1));
    let report = rig.report();
    assert_eq!((report.drained, report.returned), (1, 1), "{report:?}");
}

#[test]
fn a_handler_held_back_is_not_probed_while_paused_and_at_once_when_resumed() {
    let breaker = Some(BreakerSettings { failures: 2, keys: 2, share: 1.0, probe_max: SECOND * 30 });
    let mut rig = Rig::new(Settings { breaker, ..settings() });
    rig.assign(0, 0);
    rig.take(0, 0..2);
    rig.fail((0, 0), Transient);
    rig.fail((0, 1), Transient);
    pause(&mut rig, None);
    rig.pass(SECOND * 100);
    assert_eq!((rig.running(), rig.engine.wake_at()), (vec![], None));
    resume(&mut rig, None);
    assert_eq!(rig.running().len(), 1);
    assert_eq!(rig.engine.status(rig.now.at).partitions[0].partition, name(0));
}
