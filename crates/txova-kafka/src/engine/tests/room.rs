//! Room: back-pressure by pause and resume, and fair shares of it.

use super::rig::{MS, Rig, SECOND, name, rig, settings};
use crate::client_error::ClientErrorKind::Unreachable;
use crate::engine::{Incoming, Offered, Settings};
use crate::outcome::ErrorClass::{Permanent, Transient};

fn room_for(records: usize) -> Rig {
    Rig::new(Settings { max_in_flight_records: records, ..settings() })
}

#[test]
fn a_partition_pauses_at_its_share_and_resumes_at_half_of_it() {
    let mut rig = room_for(8);
    rig.assign(0, 0);
    rig.assign(1, 0);
    rig.take(0, 0..3);
    assert!(rig.paused.is_empty());
    rig.take(0, [3]);
    assert!(rig.paused.contains(&0) && !rig.paused.contains(&1));
    rig.ok((0, 0));
    assert!(rig.paused.contains(&0), "three of four: still paused");
    rig.ok((0, 2));
    assert!(rig.paused.is_empty(), "two of four: goes on");
    rig.take(0, [4]);
    assert!(rig.paused.is_empty(), "three of four: not paused again");
}

#[test]
fn a_share_counts_bytes_too() {
    let mut rig = Rig::new(Settings { max_in_flight_bytes: 800, ..settings() });
    rig.assign(0, 0);
    rig.assign(1, 0);
    rig.take(0, 0..4);
    assert!(rig.paused.contains(&0));
    rig.ok((0, 0));
    rig.ok((0, 1));
    assert!(rig.paused.is_empty());
}

#[test]
fn shares_grow_when_a_partition_leaves_and_shrink_when_one_comes() {
    let mut rig = room_for(8);
    rig.assign(0, 0);
    rig.take(0, 0..4);
    rig.assign(1, 0);
    assert!(rig.paused.contains(&0));
    rig.lose(1);
    assert!(rig.paused.is_empty());
}

#[test]
fn a_stuck_partition_leaves_the_others_their_room() {
    let mut rig = room_for(8);
    rig.assign(0, 0);
    rig.assign(1, 0);
    rig.take_key(1, 0, 0..4);
    rig.fail((0, 0), Transient);
    for offset in 0..100 {
        rig.take(1, [offset]);
        rig.ok((1, offset));
    }
    assert_eq!(rig.paused.iter().copied().collect::<Vec<_>>(), vec![0]);
}

#[test]
fn a_hot_key_does_not_starve_others() {
    let mut rig = Rig::new(Settings { concurrency: 2, ..settings() });
    rig.assign(0, 0);
    rig.take_key(1, 0, 0..50);
    rig.take_key(2, 0, [50]);
    assert_eq!(rig.running(), vec![(0, 0), (0, 50)]);
}

#[test]
fn a_hot_partition_does_not_starve_others() {
    let mut rig = Rig::new(Settings { concurrency: 2, ..settings() });
    rig.assign(0, 0);
    rig.assign(1, 0);
    rig.take(0, 0..50);
    rig.take(1, 0..2);
    assert_eq!(rig.running(), vec![(0, 0), (0, 1)]);
    rig.ok((0, 0));
    rig.ok((0, 1));
    assert_eq!(rig.running(), vec![(0, 2), (1, 0)], "in turn");
    rig.ok((0, 2));
    assert_eq!(rig.running(), vec![(0, 3), (1, 0)]);
    rig.ok((0, 3));
    assert_eq!(rig.running(), vec![(1, 0), (1, 1)]);
}

#[test]
fn duplicates_after_a_pause_and_a_resume_crossed_are_dropped() {
    let mut rig = rig();
    rig.assign(0, 0);
    rig.take(0, 0..4);
    rig.ok((0, 1));
    rig.take(0, 0..6);
    assert_eq!(rig.running(), vec![(0, 0), (0, 2), (0, 3), (0, 4), (0, 5)]);
    assert_eq!(rig.counts().received, 6);
}

#[test]
fn the_window_pauses_intake_behind_a_stuck_record_and_does_not_flutter() {
    let mut rig = Rig::new(Settings { max_window: 10, ..settings() });
    rig.assign(0, 0);
    rig.take(0, 0..10);
    assert!(rig.paused.contains(&0));
    rig.ok((0, 0));
    assert!(rig.paused.contains(&0), "nine of ten offsets: still paused");
    for offset in 1..5 {
        rig.ok((0, offset));
    }
    assert!(rig.paused.is_empty(), "half is free");
}

#[test]
fn the_window_pauses_intake_of_records_known_to_be_done_too() {
    let mut rig = Rig::new(Settings { max_window: 10, ..settings() });
    rig.assign(0, 0);
    rig.take(0, 0..8);
    for offset in 1..8 {
        rig.ok((0, offset));
    }
    let entry = rig.commit_one();
    rig.restart();
    rig.engine = crate::engine::Engine::new(Settings { max_window: 5, ..settings() });
    rig.assign_entry(&entry);
    rig.take(0, 0..5);
    assert!(rig.paused.contains(&0));
}

#[test]
fn intake_pauses_before_the_map_overflows_and_goes_on_when_it_has_shrunk() {
    let mut rig = Rig::new(Settings { max_metadata_bytes: 64, ..settings() });
    rig.assign(0, 0);
    rig.take(0, 0..400);
    for offset in (1..400).step_by(2) {
        rig.ok((0, offset));
    }
    let entry = rig.commit_one();
    assert!(entry.metadata.len() <= 64 && entry.offset == 0);
    assert!(rig.paused.contains(&0));
    for offset in (0..400).step_by(2) {
        rig.ok((0, offset));
    }
    assert_eq!(rig.commit_one().offset, 400);
    assert!(rig.paused.is_empty());
}

#[test]
fn a_nearly_full_map_from_before_a_restart_does_not_stop_intake_for_good() {
    let mut rig = Rig::new(Settings { max_metadata_bytes: 64, ..settings() });
    rig.assign(0, 0);
    rig.take(0, 0..320);
    for offset in (1..320).step_by(2) {
        rig.ok((0, offset));
    }
    let entry = rig.commit_one();
    assert!(entry.metadata.len() > 48, "{entry:?}");
    rig.restart();
    rig.assign_entry(&entry);
    rig.take(0, [0, 1, 2]);
    rig.ok((0, 0));
    rig.commit();
    rig.ok((0, 2));
    assert!(rig.paused.is_empty(), "nothing is under way, so nothing else could ever resume it");
}

#[test]
fn a_partition_that_comes_back_while_it_is_paused_is_resumed() {
    let mut rig = room_for(4);
    rig.assign(0, 0);
    rig.take(0, 0..4);
    assert!(rig.paused.contains(&0));
    rig.assign(0, 0);
    assert!(rig.paused.is_empty());
}

#[test]
fn a_pause_not_yet_carried_out_is_forgotten_with_its_assignment() {
    let mut rig = room_for(1);
    rig.assign(0, 0);
    let incoming = Incoming { offset: 0, key_hash: None, bytes: 1, batch: None, record: 0 };
    assert_eq!(rig.engine.offer(&name(0), rig.epochs[&0], incoming, rig.now), Offered::Taken);
    rig.engine.lost(&[name(0)], rig.now);
    rig.assign(0, 0);
    assert!(rig.paused.is_empty(), "the new assignment fetches");
}

#[test]
fn a_pinned_partition_stays_paused_whatever_room_it_has() {
    let mut rig = room_for(2);
    rig.assign(0, 0);
    rig.take(0, 0..2);
    rig.fail((0, 0), Permanent);
    rig.written((0, 0), Err(super::rig::error(Unreachable)));
    rig.ok((0, 1));
    assert!(rig.paused.contains(&0));
    rig.pass(SECOND);
    rig.pass(MS);
    rig.written((0, 0), Ok(()));
    assert!(rig.paused.is_empty());
}
