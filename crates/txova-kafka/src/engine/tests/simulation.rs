//! Whole worlds from a seed: members that come, go, crash and are thrown out, a broker that refuses, and a checker that
//! keeps its own account of the ten invariants.
//!
//! `TXOVA_SIM_SEEDS=n` runs more worlds, `TXOVA_SIM_SEED=s` begins at a seed: alone, it runs that one world.

mod actions;
mod batches;
mod checker;
mod commit_checks;
pub(crate) mod dice;
mod group;
mod lease;
mod leaving_checks;
mod log;
mod mutations;
mod outages;
mod pauses;
mod rates;
mod world;
pub(crate) mod worlds;

use std::time::Duration;

use self::dice::Dice;
use self::log::{HANDLERS, Log};
use self::world::World;
use self::worlds::{Events, all_hold};
use crate::config::Order;
use crate::engine::{BatchLimits, BreakerSettings, Retry, Settings};
use crate::transport::Committed;

const SEEDS: u64 = 300;
const STEPS: usize = 700;
/// What must have happened somewhere: worlds where nothing happens prove nothing.
const EVENTS: [&str; 44] = [
    "a topic paused",
    "all paused",
    "attempts restored",
    "batch",
    "batch cancelled",
    "batch came back unrun",
    "batch failed as a whole",
    "batch with failures",
    "batch with what cannot be read",
    "cancelled",
    "close",
    "commit of a member thrown out",
    "commit of a position",
    "commit refused",
    "commit with both",
    "commit with done records",
    "commit with failing records",
    "crash",
    "dead letter refused",
    "dead letter written",
    "failure",
    "came back unrun",
    "failure for good",
    "healed",
    "held back for a row",
    "held back for a share",
    "held back in its batch",
    "known to be done",
    "left with a transaction under way",
    "metadata too large",
    "no room",
    "partition lost",
    "pause",
    "probe",
    "probe failed",
    "probe failed for good",
    "release",
    "retention",
    "resume",
    "stale",
    "start",
    "stop",
    "taken",
    "throttled",
];

#[test]
fn every_invariant_holds_in_every_world() {
    all_hold("engine", SEEDS, &EVENTS, run);
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    assert_eq!(run(4711), run(4711));
}

/// One world from a seed: chaos, then calm until all is settled. Answers with what happened.
fn run(seed: u64) -> Result<Events, String> {
    let mut dice = Dice::new(seed);
    let settings = settings(&mut dice, seed);
    let broker_limit = if dice.chance(80) { 4096 } else { dice.below(150) };
    let mut world = World::new(dice, settings, broker_limit);
    for step in 0..STEPS {
        chaos(&mut world);
        violation(&world).map_err(|why| format!("step {step}: {why}"))?;
    }
    calm(&mut world)?;
    Ok(world.checker.events)
}

fn violation(world: &World) -> Result<(), String> {
    world.checker.violation.clone().map_or(Ok(()), Err)
}

fn settings(dice: &mut Dice, seed: u64) -> Settings {
    let order = match dice.below(10) {
        0 => Order::Partition,
        1 => Order::None,
        _ => Order::Key,
    };
    let ms = |ms: usize| Duration::from_millis(ms as u64);
    let breaker = dice.chance(70).then(|| {
        let failures = dice.between(2, 6) as u32;
        BreakerSettings {
            failures,
            keys: dice.between(1, failures as usize) as u32,
            share: dice.below(100) as f64 / 100.0,
            probe_max: ms(dice.between(1, 5_000)),
        }
    });
    let is_limited = breaker.is_none() && dice.chance(50); // the checker knows the limit of time only within the jitter
    Settings {
        order,
        concurrency: dice.between(1, 8),
        rate_limit_per_second: dice.chance(25).then(|| dice.between(1, 40) as u32),
        max_in_flight_records: dice.between(1, 60),
        max_in_flight_bytes: dice.between(200, 12_000),
        retry_of: std::collections::HashMap::new(),
        retry: Retry {
            max_retries: dice.below(5) as u32,
            backoff: ms(dice.between(1, 1000)),
            max_backoff: ms(dice.between(1000, 20_000)),
            jitter: dice.below(100) as f64 / 100.0,
            max_elapsed: is_limited.then(|| ms(dice.between(1, 20_000))),
            seed,
        },
        batches: (0..dice.below(3))
            .map(|_| BatchLimits {
                max_records: dice.between(1, 8),
                max_bytes: dice.between(1, 1500),
                max_wait: ms(dice.below(300)),
            })
            .collect(),
        breaker,
        stuck_after: Duration::from_secs(300),
        commit_every_records: dice.between(1, 20),
        commit_interval: ms(dice.between(1, 500)),
        max_metadata_bytes: if dice.chance(70) { 4096 } else { dice.between(0, 200) },
        max_window: dice.between(2, 400) as i64,
        transactions: dice.chance(25),
    }
}

/// One thing happens to one member, and the engine is asked what to do, mostly at once.
fn chaos(world: &mut World) {
    let m = world.dice.below(world.members.len());
    match world.dice.below(1000) {
        0..60 => world.produce(),
        60..240 => world.fetch(m),
        240..430 => world.offer(m),
        430..650 => world.end(m),
        650..730 => world.answer_dead_letter(m),
        730..830 => world.answer_commit(m),
        830..890 => world.assign(m),
        890..905 => world.revoke(m),
        905..912 => world.take_away(m),
        912..945 => world.tell_lost(m),
        945..950 => world.crash(m),
        950..955 => world.close(m),
        955..957 => world.retain(),
        957..960 => world.dlq_is_up = world.dice.chance(60),
        960..964 => world.away = world.dice.below(1 << HANDLERS) as u32,
        964..966 => world.pause(m),
        966..970 => world.resume(m),
        970..990 => pass(world, 1_000),
        990..997 => pass(world, 30_000),
        _ => world.now.unix_ms += world.dice.below(7_200_000) as i64 - 3_600_000,
    }
    pass(world, 10);
    if world.wants_to_stop(m) && world.dice.chance(50) {
        world.close(m);
    }
    if world.dice.chance(85) {
        world.act(m);
    }
}

fn pass(world: &mut World, up_to_ms: usize) {
    let us = world.dice.below(up_to_ms * 1000) as u64;
    world.now.at = world.now.at + Duration::from_micros(us);
    world.now.unix_ms += (us / 1000) as i64;
}

/// Nothing goes wrong any more: everything must be settled and committed, and nothing may be left in any map.
fn calm(world: &mut World) -> Result<(), String> {
    world.calm = true;
    world.dlq_is_up = true;
    world.away = 0;
    world.broker_limit = 4096;
    for _ in 0..20_000 {
        for m in 0..world.members.len() {
            world.resume(m);
            world.tell_lost(m);
            world.act(m);
            world.assign(m);
            world.fetch(m);
            world.offer(m);
            world.act(m);
            for _ in 0..8 {
                world.end(m);
                world.answer_dead_letter(m);
                world.act(m);
            }
            world.answer_commit(m);
            world.act(m);
            if world.wants_to_stop(m) {
                world.close(m);
            }
            violation(world).map_err(|why| format!("in the calm: {why}"))?;
        }
        if is_finished(world) {
            return Ok(());
        }
        let wake_at = world.members.iter().filter_map(|member| member.wake_at()).min();
        let wait = wake_at.map_or(Duration::from_millis(5), |at| at.since(world.now.at));
        world.now.at = world.now.at + wait.clamp(Duration::from_micros(1), Duration::from_millis(500));
        world.now.unix_ms += 1;
    }
    Err(format!("nothing dropped: the group never comes to its end: {:?}", world.group))
}

fn is_finished(world: &World) -> bool {
    let finished = |(log, committed): (&Log, &Option<Committed>)| {
        let position = committed.as_ref().map_or(0, |committed| committed.offset);
        let bare = committed.as_ref().is_none_or(|committed| committed.metadata.is_empty());
        log.read(position, 1).is_empty() && (bare || position < log.end())
    };
    world.checker.all_is_settled() && world.logs.iter().zip(&world.group).all(finished)
}
