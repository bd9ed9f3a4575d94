//! `cargo xtask fuzz`: gives the readers of `txova-events` bytes nobody thought of, for as long as it is told. It needs
//! the stable compiler and a C++ compiler (for libFuzzer), and neither nightly nor cargo-fuzz.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

use crate::failure::{Context, Failure, Result};

/// What cargo-fuzz gives the compiler, without the sanitizers that need nightly: the crate has no `unsafe`.
const COVERAGE: &str = "--cfg fuzzing -Cdebug-assertions -Ccodegen-units=1 -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";
/// Longer inputs find nothing that these do not, and take longer.
const INPUT_BYTES: usize = 4096;
/// An input that takes longer is a finding.
const INPUT_TIMEOUT_S: u64 = 5;
/// How much of libFuzzer's story is shown when it has found something.
const SHOWN_LINES: usize = 30;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long to look, in seconds.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Run this one input again, as an earlier run has left it.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/txova-events");
    let target = match env::var_os("CARGO_TARGET_DIR") {
        Some(target) => PathBuf::from(target),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
    };
    let home = target.join("fuzz");
    let fuzzer = build(&events, &home)?;
    let mut command = Command::new(&fuzzer);
    let log = home.join("log.txt");
    if let Some(input) = &args.input {
        command.arg(input);
    } else {
        let corpus = home.join("corpus");
        let seeds = plant(&events.join("tests/golden"), &corpus)?;
        println!("{seeds} inputs from the golden vectors, then {} s of others", args.seconds);
        command.stderr(fs::File::create(&log).context(|| format!("cannot write {}", log.display()))?);
        command.arg(&corpus).args([
            format!("-max_total_time={}", args.seconds),
            format!("-max_len={INPUT_BYTES}"),
            format!("-timeout={INPUT_TIMEOUT_S}"),
            format!("-artifact_prefix={}/", home.display()),
            "-print_final_stats=1".to_owned(),
            "-verbosity=0".to_owned(),
        ]);
    }
    let status = command.status().context(|| format!("cannot run {}", fuzzer.display()))?;
    let told =
        if args.input.is_none() { fs::read_to_string(&log).unwrap_or_default() } else { String::new() };
    if status.success() {
        if let Some(inputs) =
            told.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        {
            println!("{} inputs run", inputs.trim());
        }
        println!("no reader panicked, hung, or read its own writing otherwise");
        return Ok(ExitCode::SUCCESS);
    }
    let end: Vec<_> = told.lines().rev().take(SHOWN_LINES).collect();
    end.iter().rev().for_each(|line| eprintln!("{line}"));
    Err(Failure::new(format!(
        "{status}: the input's file is named above; `cargo xtask fuzz --input FILE` runs it again"
    )))
}

fn build(events: &Path, home: &Path) -> Result<PathBuf> {
    // With a target of its own the flags are not for build scripts.
    let host = host()?;
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--release", "--target", &host, "--target-dir"])
        .arg(home)
        .current_dir(events.join("fuzz"))
        .env("RUSTFLAGS", COVERAGE)
        .status()
        .context(|| "cannot run cargo".to_owned())?;
    if !status.success() {
        return Err(Failure::new(
            "the fuzz target does not build: see above (libFuzzer needs a C++ compiler)",
        ));
    }
    Ok(home.join(host).join("release/read"))
}

/// The triple this machine builds for.
fn host() -> Result<String> {
    let told = Command::new("rustc").arg("-vV").output().context(|| "cannot run rustc".to_owned())?;
    String::from_utf8_lossy(&told.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
        .ok_or_else(|| Failure::new("`rustc -vV` names no host"))
}

/// Writes every golden vector, and every text inside one, as an input to begin with.
fn plant(golden: &Path, corpus: &Path) -> Result<usize> {
    fs::create_dir_all(corpus).context(|| format!("cannot make {}", corpus.display()))?;
    let mut inputs = BTreeSet::new();
    for entry in fs::read_dir(golden).context(|| format!("cannot read {}", golden.display()))? {
        let path = entry.context(|| format!("cannot read {}", golden.display()))?.path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let text = fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
        for (at, line) in text.lines().enumerate() {
            let members: Map<String, Value> =
                serde_json::from_str(line).context(|| format!("{}:{}", path.display(), at + 1))?;
            inputs.extend(members.iter().filter_map(|(name, value)| bytes(name, value.as_str()?)));
        }
    }
    for (number, input) in inputs.iter().enumerate() {
        let file = corpus.join(format!("golden-{number}"));
        fs::write(&file, input).context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(inputs.len())
}

fn bytes(name: &str, text: &str) -> Option<Vec<u8>> {
    let bytes = if name.ends_with("_base64") { BASE64.decode(text).ok()? } else { text.as_bytes().to_vec() };
    (bytes.len() <= INPUT_BYTES).then_some(bytes)
}
