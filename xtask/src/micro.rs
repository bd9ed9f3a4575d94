//! `cargo xtask bench micro`: the micro-benchmarks, and with `--against` what another commit's say in the same minutes. It
//! knows only where they are and what criterion writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::Parser;
use serde::Deserialize;

use crate::failure::{Context, Failure, Result};

/// What moves by less is the machine.
const MOVED: f64 = 0.10;
/// Each side runs so often, in turn; the fastest of each counts, for nothing but the code makes a run faster.
const ROUNDS: usize = 3;

#[derive(Debug, Parser)]
#[command(
    bin_name = "cargo xtask bench micro",
    no_binary_name = true,
    about = "What the library itself costs for each record"
)]
struct Args {
    /// Only those whose name holds this.
    filter: Option<String>,
    /// Compare with this commit, and print what moved by more than 10 %.
    #[arg(long, value_name = "COMMIT")]
    against: Option<String>,
}

/// What cargo is to be told of them.
const MICRO: [&str; 6] = ["--package", "txova-kafka-bench", "--features", "micro", "--bench", "micro"];

/// A side's results: nanoseconds by benchmark.
type Times = BTreeMap<String, f64>;

pub(crate) fn run(options: &[String]) -> Result<ExitCode> {
    let args = Args::parse_from(options);
    let Some(base) = args.against else {
        let mut bench = cargo();
        bench.args(["bench", "--quiet"]).args(MICRO).arg("--").args(args.filter);
        let ended = bench.status().context(|| "cannot run cargo".to_owned())?;
        return Ok(if ended.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    };
    let root = std::env::current_dir().context(|| "no current folder".to_owned())?;
    let target = root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
    let Some(commit) = commit(&base) else {
        println!("there is no commit {base} here: nothing to compare with");
        return Ok(ExitCode::SUCCESS);
    };
    let tree = Tree::of(&commit, target.join("micro/base"))?;
    let manifest = std::fs::read_to_string(tree.0.join("bench/Cargo.toml")).unwrap_or_default();
    if !manifest.contains("micro = [") {
        println!("{base} has no micro-benchmarks: nothing to compare with");
        return Ok(ExitCode::SUCCESS);
    }
    let here = built(&root, &target)?;
    let before = match built(&tree.0, &target) {
        Ok(before) => before,
        Err(failure) => {
            println!("{failure}: nothing to compare with");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let sides = [before, here];
    let mut times = [Times::new(), Times::new()];
    for _ in 0..ROUNDS {
        for ((program, times), name) in sides.iter().zip(&mut times).zip(["base", "here"]) {
            for (benchmark, ns) in
                measured(program, &target.join("micro").join(name), args.filter.as_deref())?
            {
                let fastest = times.entry(benchmark).or_insert(ns);
                *fastest = fastest.min(ns);
            }
        }
    }
    let [before, after] = times;
    print!("{}", told(&base, &before, &after));
    Ok(ExitCode::SUCCESS)
}

/// A commit's files in a folder of their own, until it is dropped.
struct Tree(PathBuf);

impl Tree {
    fn of(commit: &str, folder: PathBuf) -> Result<Self> {
        let tree = Self(folder);
        tree.remove(); // of a run that was killed
        let mut add = Command::new("git");
        add.args(["worktree", "add", "--quiet", "--force", "--detach"]).arg(&tree.0).arg(commit);
        let added = add.status().context(|| "cannot run git".to_owned())?;
        if added.success() { Ok(tree) } else { Err(Failure::new(format!("git worktree add: {added}"))) }
    }

    fn remove(&self) {
        let mut remove = Command::new("git");
        remove.args(["worktree", "remove", "--force"]).arg(&self.0);
        let _ = remove.stderr(Stdio::null()).status();
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.remove();
    }
}

fn commit(name: &str) -> Option<String> {
    let mut parse = Command::new("git");
    parse.args(["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")]);
    let found = parse.output().ok()?;
    found.status.success().then(|| String::from_utf8_lossy(&found.stdout).trim().to_owned())
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The built benchmarks of a tree. Both sides share what they depend on.
fn built(tree: &Path, target: &Path) -> Result<PathBuf> {
    let mut cargo = cargo();
    cargo.args(["bench", "--quiet", "--no-run", "--message-format", "json-render-diagnostics"]);
    cargo.args(MICRO).current_dir(tree).env("CARGO_TARGET_DIR", target);
    let output = cargo.stderr(Stdio::inherit()).output().context(|| "cannot run cargo".to_owned())?;
    if !output.status.success() {
        return Err(Failure::new(format!("the micro-benchmarks in {} do not build", tree.display())));
    }
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut programs = text.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok()?.executable);
    programs.next_back().ok_or_else(|| Failure::new("cargo names no program of the micro-benchmarks"))
}

fn measured(program: &Path, results: &Path, filter: Option<&str>) -> Result<Times> {
    let _ = std::fs::remove_dir_all(results);
    let mut bench = Command::new(program);
    bench.args(["--bench", "--noplot", "--sample-size", "10", "--nresamples", "1000"]);
    bench.args(["--warm-up-time", "0.1", "--measurement-time", "0.4"]).args(filter);
    bench.env("CRITERION_HOME", results).stdout(Stdio::null()).stderr(Stdio::null());
    let ended = bench.status().context(|| format!("cannot run {}", program.display()))?;
    if !ended.success() {
        return Err(Failure::new(format!("{} ended with {ended}", program.display())));
    }
    let mut times = Times::new();
    read(results, &mut times)?;
    Ok(times)
}

/// Every `new/estimates.json` beneath a folder, with the name in the `benchmark.json` beside it.
fn read(folder: &Path, times: &mut Times) -> Result<()> {
    #[derive(Deserialize)]
    struct Named {
        full_id: String,
    }
    #[derive(Deserialize)]
    struct Estimates {
        median: Estimate,
    }
    #[derive(Deserialize)]
    struct Estimate {
        point_estimate: f64,
    }
    let shown = || format!("cannot read {}", folder.display());
    for entry in std::fs::read_dir(folder).context(shown)? {
        let path = entry.context(shown)?.path();
        if path.ends_with("new") {
            let text = |name: &str| std::fs::read_to_string(path.join(name)).context(shown);
            let named: Named = serde_json::from_str(&text("benchmark.json")?).context(shown)?;
            let estimates: Estimates = serde_json::from_str(&text("estimates.json")?).context(shown)?;
            times.insert(named.full_id, estimates.median.point_estimate);
        } else if path.is_dir() {
            read(&path, times)?;
        }
    }
    Ok(())
}

/// What moved, in words for a person.
fn told(base: &str, before: &Times, after: &Times) -> String {
    let both: Vec<_> =
        after.iter().filter_map(|(name, ns)| Some((name, before.get(name).copied()?, *ns))).collect();
    let moved: Vec<_> =
        both.iter().filter(|(_, before, after)| (after / before - 1.0).abs() > MOVED).collect();
    let mut text = format!(
        "{} of {} micro-benchmarks moved by more than 10 % against {base}\n",
        moved.len(),
        both.len()
    );
    for (name, before, after) in moved {
        text += &format!("{name:<48} {before:>10.0} ns → {after:>10.0} ns, {:.2}\n", after / before);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moved_by_more_than_a_tenth_is_told_and_what_is_on_one_side_only_is_not() {
        let times =
            |all: &[(&str, f64)]| all.iter().map(|(name, ns)| ((*name).to_owned(), *ns)).collect::<Times>();
        let before = times(&[("core", 100.0), ("map", 100.0), ("route", 100.0), ("gone", 1.0)]);
        let after = times(&[("core", 109.0), ("map", 150.0), ("route", 50.0), ("new", 1.0)]);
        let told = told("main", &before, &after);
        assert!(told.starts_with("2 of 3 micro-benchmarks moved by more than 10 % against main\n"), "{told}");
        assert!(told.contains("map") && told.contains("1.50"), "{told}");
        assert!(told.contains("route") && told.contains("0.50"), "{told}");
    }
}
