//! `stuck-record`: the first record of a partition never ends; its member is killed with half of the others done; what
//! does the next member handle again?

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};
use txova_kafka::shutdown_signal;

use crate::brokers::Place;
use crate::event::{Kind, Numbered, Promise, TOPIC};
use crate::failure::{Context, Failure, Result};
use crate::faults::{client, create_topics};
use crate::journal::{self, End, Line};
use crate::oracle::Oracle;
use crate::process::Setup;
use crate::produce::publish;
use crate::report::write_json;

/// What may come again with the default settings.
const MOST: usize = 2_000;
const LIMIT: Duration = Duration::from_secs(120);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// Records; the member is killed when half are done.
    #[arg(long, default_value_t = 200_000)]
    records: u32,
    /// How long the handler takes, in milliseconds.
    #[arg(long, default_value_t = 2)]
    work_ms: u32,
    /// Also write the report to a file.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Found {
    records: u32,
    /// Handled to their end before the kill.
    done_before: usize,
    /// Of those, handled again.
    redelivered: usize,
    seconds_to_kill: f64,
    commits: u64,
    commits_per_second: f64,
    lost: usize,
    lag: i64,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let found = tokio::select! {
        found = look(&args) => found,
        () = shutdown_signal() => Err(Failure::new("interrupted")),
    };
    let cleaned = args.place.clean().await;
    let found = found?;
    cleaned?;
    let _ = std::fs::remove_dir_all(args.place.journals());
    println!("redelivered: {} of {}", found.redelivered, found.done_before);
    println!(
        "commits per second: {:.1} ({} in {:.1} s, {:.0} records/s)",
        found.commits_per_second,
        found.commits,
        found.seconds_to_kill,
        found.done_before as f64 / found.seconds_to_kill
    );
    println!("lost: {}, lag at the end: {}", found.lost, found.lag);
    if let Some(path) = &args.json {
        write_json(path, &found)?;
    }
    let holds = found.redelivered <= MOST && found.lost == 0 && found.lag == 0;
    if !holds {
        println!("BROKEN: at most {MOST} may come again, none may be lost, nothing may be left");
    }
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn look(args: &Args) -> Result<Found> {
    let folder = args.place.prepare().await?;
    let brokers = args.place.start(1).await?;
    let kafka = client(&brokers.bootstrap)?;
    create_topics(&kafka, 1, 1).await?;
    let work_ms = args.work_ms;
    let events = (0..args.records).map(move |key| {
        let kind = if key == 0 { Kind::Stuck } else { Kind::Plain };
        Numbered { key, number: 0, kind, work_ms, filler: "x".repeat(100) }
    });
    let produced = publish(&kafka, events, |_| Duration::ZERO).await?;
    if produced.iter().any(|produced| produced.place.is_none()) {
        return Err(Failure::new("not all records were acknowledged"));
    }

    let session_timeout = Duration::from_secs(6);
    let setup = Setup {
        brokers: brokers.bootstrap.clone(),
        folder,
        session_timeout,
        promise: Promise::AtLeastOnce,
        brokers_are_struck: false,
    };
    let half = u64::from(args.records / 2);
    let mut first = setup.start("first", &["--stuck", "--tell-at", &half.to_string()])?;
    timeout(LIMIT, first.said.wait_for(|said| said.done >= half))
        .await
        .context(|| format!("{half} records within {LIMIT:?}"))?
        .context(|| "the first member ended".to_owned())?;
    first.kill().await?;
    let commits = first.says().commits;
    println!("killed with {} done; the next member takes over", first.says().done);

    let mut second = setup.start("second", &[])?;
    let oracle = Oracle::new(&brokers.bootstrap, 1)?;
    let until = Instant::now() + LIMIT;
    let mut lag = i64::MAX;
    while lag != 0 && Instant::now() < until {
        sleep(Duration::from_millis(200)).await;
        lag = block_in_place(|| oracle.lag(TOPIC))?;
    }
    second.ask_to_leave()?;
    second.ended(Duration::from_secs(60)).await?;

    let (before, began, ended) = done(&journal::read(&setup.journal("first"))?);
    let (after, ..) = done(&journal::read(&setup.journal("second"))?);
    let seconds_to_kill = ended - began;
    Ok(Found {
        records: args.records,
        done_before: before.len(),
        redelivered: before.intersection(&after).count(),
        seconds_to_kill,
        commits,
        commits_per_second: commits as f64 / seconds_to_kill,
        lost: (0..i64::from(args.records))
            .filter(|offset| !before.contains(offset) && !after.contains(offset))
            .count(),
        lag,
    })
}

/// The offsets a member handled to their end, and from when to when it was at work, in seconds.
fn done(lines: &[Line]) -> (HashSet<i64>, f64, f64) {
    let mut offsets = HashSet::new();
    let (mut began, mut ended) = (f64::MAX, 0.0_f64);
    for line in lines {
        match line {
            Line::Start { at, .. } => began = began.min(at.0 as f64 / 1e9),
            Line::End { at, place, end: End::Done } => {
                ended = ended.max(at.0 as f64 / 1e9);
                offsets.insert(place.offset);
            }
            _ => {}
        }
    }
    (offsets, began, ended)
}
