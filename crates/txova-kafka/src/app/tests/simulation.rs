//! Whole services from a seed: apps of one group on an in-memory cluster that fails by script, on a paused clock. Where
//! the engine's own simulation knows only the engine, here everything runs that runs in production, but the client: app,
//! driver, router, handlers, dead letters. A checker keeps its own account of the ten invariants.
//!
//! `cargo xtask simulate --seeds n --from s` runs more worlds. `TXOVA_SIM_SEEDS=n` and `TXOVA_SIM_SEED=s` do it by hand;
//! a seed alone runs that one world.

mod account;
mod ending;
mod faults;
mod handler;
mod letters;
mod members;
mod mutations;
mod outages;
mod pauses;
mod starts;
mod story;
mod world;

use self::world::World;
use crate::engine::tests::simulation::worlds::{Events, all_hold, on_a_paused_clock};

const SEEDS: u64 = 100;

/// What must have happened somewhere: worlds where nothing happens prove nothing.
const EVENTS: [&str; 40] = [
    "app paused",
    "batch",
    "broker away",
    "clock jumps",
    "close",
    "close with abandoned records",
    "commit delayed",
    "commit refused",
    "commit with done records",
    "commit with failing records",
    "commit written but timed out",
    "crash",
    "dead letter of what is no event",
    "dead letter refused",
    "dead letter twice",
    "dead letters down",
    "ended by abort",
    "ended by timeout",
    "expelled",
    "expelled unnoticed",
    "failed with its batch",
    "fetch delayed",
    "fetched again",
    "followed",
    "handled",
    "held back",
    "held back in its batch",
    "joined",
    "lost",
    "outage",
    "panicked",
    "partitions added",
    "probe",
    "revoked",
    "start under a rate limit",
    "started again by another member",
    "stopped by a handler",
    "told while running",
    "topic paused",
    "tried again",
];

#[test]
fn every_invariant_holds_through_app_driver_and_transport() {
    all_hold("app", SEEDS, &EVENTS, |seed| run(seed).map(|told| told.events));
}

#[test]
fn a_seed_tells_the_same_story_twice_through_app_driver_and_transport() {
    for seed in 4711..4716 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

/// What a world without a violation tells.
#[derive(Debug, PartialEq)]
struct Told {
    /// What happened, by count.
    events: Events,
    /// Of every start, end, commit and dead letter with its time.
    digest: u64,
}

/// One world from a seed: chaos, then calm until all is settled.
fn run(seed: u64) -> Result<Told, String> {
    on_a_paused_clock(World::new(seed).run())
}
