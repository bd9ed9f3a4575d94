//! Whole exactly-once services from a seed: apps of one group on an in-memory cluster that fails by script, on a paused
//! clock. What readers see in the end must be what each record causes, once, in order for its key; and at no moment may
//! they see what is not committed.
//!
//! `cargo xtask simulate --only exactly-once --seeds n --from s` runs more worlds.

mod account;
mod chaos;
mod handler;
mod mutations;
mod world;

use self::world::World;
use crate::engine::tests::simulation::worlds::{Events, all_hold, on_a_paused_clock};

const SEEDS: u64 = 100;

/// What must have happened somewhere: worlds where nothing happens prove nothing.
const EVENTS: [&str; 27] = [
    "batch",
    "broker away",
    "clock jumps",
    "close",
    "commit delayed",
    "commit of a part",
    "commit refused",
    "commit unanswered",
    "commit written and unanswered",
    "crash",
    "event too large",
    "expelled unnoticed",
    "expelled",
    "failed after it had published",
    "fetched again",
    "joined under the id of one that died",
    "joined",
    "letter of a handler's",
    "letter of what is no event",
    "letter of what was too large",
    "lost",
    "one of several attempts",
    "outputs of a record",
    "revoked",
    "short map",
    "skipped",
    "topic down",
];

#[test]
fn what_is_published_is_there_once_in_every_world() {
    all_hold("exactly-once", SEEDS, &EVENTS, |seed| run(seed).map(|told| told.events));
}

#[test]
fn a_seed_tells_the_same_story_of_exactly_once_twice() {
    for seed in 4711..4716 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

/// What a world without a violation tells.
#[derive(Debug, PartialEq)]
struct Told {
    events: Events,
    /// Every commit, and everything that was published, with its time.
    story: Vec<String>,
}

/// One world from a seed: chaos, then calm until all is committed.
fn run(seed: u64) -> Result<Told, String> {
    on_a_paused_clock(World::new(seed).run())
}
