//! A log that is not the one the commit was made for: gone back, made anew, cut at its front.

use super::rig::{SECOND, name, read, rig};
use crate::engine::offset_map::OffsetMap;
use crate::engine::{Offered, StopReason};

#[test]
fn a_log_that_has_gone_back_behind_taken_records_is_told_and_nothing_is_committed_over_it() {
    let mut rig = rig();
    rig.assign(0, 100);
    rig.take(0, 100..103);
    rig.ok((0, 100));
    assert_eq!(rig.offer((0, 0), None), Offered::WentBack { expected: 100 });
    let reason = StopReason::WentBack { partition: name(0), expected: 100, found: 0 };
    assert!(reason.to_string().starts_with("rides-0 has gone back from offset 100 to 0"));
    rig.engine.stop(reason);
    rig.pass(SECOND);
    rig.close(SECOND);
    rig.ok((0, 101));
    rig.ok((0, 102));
    assert_eq!((rig.commits.len(), rig.closed.clone()), (0, Some(vec![])));
}

#[test]
fn a_client_that_began_anew_below_the_committed_offset_is_followed_while_nothing_was_taken() {
    let mut rig = rig();
    rig.assign(0, 100);
    rig.take(0, 3..5);
    assert_eq!(rig.running(), vec![(0, 3), (0, 4)]);
    rig.ok((0, 3));
    assert_eq!(read(&rig.commit_one()), (4, OffsetMap::default()));
}

#[test]
fn a_log_whose_front_was_removed_by_retention_is_followed() {
    let mut rig = rig();
    rig.assign(0, 100);
    rig.take(0, [5_000]);
    rig.ok((0, 5_000));
    assert_eq!(rig.commit_one().offset, 5_001);
}
