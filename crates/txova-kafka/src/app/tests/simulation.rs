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

use std::collections::BTreeMap;
use std::time::Instant;

use self::world::World;

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
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let (from, seeds) = match (number("TXOVA_SIM_SEED"), number("TXOVA_SIM_SEEDS")) {
        (from, Some(seeds)) => (from.unwrap_or(0), seeds),
        (Some(seed), None) => (seed, 1),
        (None, None) => (0, SEEDS),
    };
    let began = Instant::now();
    let mut events: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in from..from + seeds {
        match run(seed) {
            Ok(told) => {
                told.events.into_iter().for_each(|(event, count)| *events.entry(event).or_default() += count)
            }
            Err(violation) => {
                panic!("seed {seed}: {violation}\nagain with: cargo xtask simulate --seeds 1 --from {seed}")
            }
        }
    }
    let seconds = began.elapsed().as_secs_f32();
    eprintln!("{seeds} worlds from seed {from} in {seconds:.1} s: {events:#?}");
    if seeds >= SEEDS {
        let unseen: Vec<_> = EVENTS.iter().filter(|event| !events.contains_key(**event)).collect();
        assert!(unseen.is_empty(), "no world of {seeds} saw this: {unseen:?}");
    }
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
    events: BTreeMap<&'static str, usize>,
    /// Of every start, end, commit and dead letter with its time.
    digest: u64,
}

/// One world from a seed: chaos, then calm until all is settled. A world of its own time, on this thread.
fn run(seed: u64) -> Result<Told, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(World::new(seed).run())
}
