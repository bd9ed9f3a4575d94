//! `cargo xtask simulate`: runs the simulations of `txova-kafka` over many seeds, one process for each core. It knows
//! only the names of their tests.

use std::process::{Command, ExitCode, Output, Stdio};
use std::thread;
use std::time::Instant;

use crate::failure::{Context, Failure, Result};

/// Each is one test, which runs `TXOVA_SIM_SEEDS` worlds from `TXOVA_SIM_SEED` on.
const SIMULATIONS: [(&str, &str); 3] = [
    ("engine", "engine::tests::simulation::every_invariant_holds_in_every_world"),
    ("app", "app::tests::simulation::every_invariant_holds_through_app_driver_and_transport"),
    ("exactly-once", "app::tests::exactly_once::simulation::what_is_published_is_there_once_in_every_world"),
];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Worlds of each simulation.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only this simulation: the engine alone, whole apps on an in-memory cluster, or such apps that are exactly once.
    #[arg(long, value_parser = ["engine", "app", "exactly-once"])]
    only: Option<String>,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let last = args
        .from
        .checked_add(args.seeds)
        .ok_or_else(|| Failure::new("--from and --seeds end beyond 2^64"))?;
    let built = test().arg("--no-run").status().context(|| "building the tests".into())?;
    if !built.success() {
        return Err(Failure::new("the tests of txova-kafka do not build: see above"));
    }
    let mut all_hold = true;
    for (name, test) in
        SIMULATIONS.iter().filter(|(name, _)| args.only.as_ref().is_none_or(|only| only == name))
    {
        let began = Instant::now();
        let stories: Vec<_> = thread::scope(|scope| {
            let running: Vec<_> = parts(args.from, last)
                .map(|(from, seeds)| scope.spawn(move || worlds(test, from, seeds)))
                .collect();
            running.into_iter().map(|part| part.join()).collect()
        });
        let seconds = began.elapsed().as_secs_f64();
        let mut holds = true;
        for story in stories {
            let story = story.map_err(|_| Failure::new("a thread of this command panicked"))??;
            if !story.status.success() {
                holds = false;
                tell(name, &story);
            }
        }
        if holds {
            let rate = args.seeds as f64 / seconds;
            println!(
                "{name}: {} worlds from seed {} in {seconds:.1} s ({rate:.0}/s): all invariants hold",
                args.seeds, args.from
            );
        }
        all_hold &= holds;
    }
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The seeds in as many parts as there are cores: first seed and number.
fn parts(from: u64, last: u64) -> impl Iterator<Item = (u64, u64)> {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let each = (last - from).div_ceil(cores);
    (0..cores)
        .map(move |part| (from + part * each).min(last))
        .map(move |first| (first, each.min(last - first)))
        .filter(|(_, seeds)| *seeds > 0)
}

fn test() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["test", "--quiet", "--package", "txova-kafka", "--lib"]);
    command
}

fn worlds(name: &str, from: u64, seeds: u64) -> Result<Output> {
    test()
        .args(["--", "--exact", name, "--nocapture"])
        .env("TXOVA_SIM_SEED", from.to_string())
        .env("TXOVA_SIM_SEEDS", seeds.to_string())
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()
        .context(|| format!("running {name}"))
}

/// Says which seed fails and how to see it again.
fn tell(name: &str, story: &Output) {
    let text = String::from_utf8_lossy(&story.stderr).into_owned() + &String::from_utf8_lossy(&story.stdout);
    match text.lines().find_map(|line| Some((line, failing_seed(line)?))) {
        Some((line, seed)) => {
            println!(
                "{name}: {line}\nagain with: cargo xtask simulate --seeds 1 --from {seed} --only {name}"
            );
        }
        None => println!("{name}: failed, and named no seed:\n{text}"),
    }
}

/// The seed of a line such as `seed 17: what did not hold`.
fn failing_seed(line: &str) -> Option<u64> {
    line.strip_prefix("seed ")?.split_once(':')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_is_in_one_part() {
        for (from, last) in [(0, 1), (7, 8), (0, 2000), (3, 14)] {
            let seeds: Vec<u64> = parts(from, last).flat_map(|(first, seeds)| first..first + seeds).collect();
            assert_eq!(seeds, (from..last).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_failing_seed_is_found_in_what_a_simulation_prints() {
        assert_eq!(failing_seed("seed 17: key-order: two run at once"), Some(17));
        assert_eq!(failing_seed("2000 worlds from seed 0 in 3.0 s"), None);
    }
}
