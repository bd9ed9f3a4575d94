//! Many worlds, one after the other: those that must hold, and those with a fault put in that must be seen. It serves every
//! simulation and must never know what is in a world.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::panic::{UnwindSafe, catch_unwind};
use std::time::Instant;

/// How often what happened.
pub(crate) type Events = BTreeMap<&'static str, usize>;

/// Runs `TXOVA_SIM_SEEDS` worlds from `TXOVA_SIM_SEED` on: `usual` from 0 where neither is said, one where only the seed is.
/// Panics where one does not hold, and where `usual` or more did not see each of `events`.
pub(crate) fn all_hold(
    simulation: &str,
    usual: u64,
    events: &[&'static str],
    run: impl Fn(u64) -> Result<Events, String>,
) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let (from, seeds) = match (number("TXOVA_SIM_SEED"), number("TXOVA_SIM_SEEDS")) {
        (from, Some(seeds)) => (from.unwrap_or(0), seeds),
        (Some(seed), None) => (seed, 1),
        (None, None) => (0, usual),
    };
    let began = Instant::now();
    let mut seen = Events::new();
    for seed in from..from + seeds {
        match run(seed) {
            Ok(told) => told.into_iter().for_each(|(event, count)| *seen.entry(event).or_default() += count),
            Err(violation) => panic!(
                "seed {seed}: {violation}\nagain with: cargo xtask simulate --seeds 1 --from {seed} --only {simulation}"
            ),
        }
    }
    let seconds = began.elapsed().as_secs_f32();
    eprintln!("{seeds} worlds from seed {from} in {seconds:.1} s: {seen:#?}");
    if seeds >= usual {
        let unseen: Vec<_> = events.iter().filter(|event| !seen.contains_key(**event)).collect();
        assert!(unseen.is_empty(), "no world of {seeds} saw this: {unseen:?}");
    }
}

/// Puts each fault in by `put` and runs worlds until one does not hold; panics where none of `seeds` shows it.
pub(crate) fn all_are_seen<M, T>(
    mutations: &[M],
    seeds: u64,
    put: fn(Option<M>),
    run: fn(u64) -> Result<T, String>,
) where
    M: Copy + Debug + UnwindSafe,
{
    let caught = |mutation: M| {
        (0..seeds).find_map(|seed| {
            let story = catch_unwind(move || {
                put(Some(mutation));
                run(seed)
            });
            put(None);
            match story {
                Ok(Ok(_)) => None,
                Ok(Err(violation)) => Some((seed, violation)),
                Err(_) => Some((seed, "something panicked".to_owned())),
            }
        })
    };
    let mut unseen = Vec::new();
    for mutation in mutations {
        match caught(*mutation) {
            Some((seed, violation)) => {
                let first = violation.lines().next().unwrap_or_default();
                eprintln!("{mutation:?}: seed {seed}: {first}");
            }
            None => {
                eprintln!("{mutation:?}: not seen");
                unseen.push(mutation);
            }
        }
    }
    assert_eq!(unseen.len(), 0, "not seen within {seeds} seeds: {unseen:?}");
}

/// A world of its own time, on this thread.
pub(crate) fn on_a_paused_clock<T>(world: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(world)
}
