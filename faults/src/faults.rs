//! `faults`: a group under load while its members and its brokers are killed and stopped, then the account of it.

mod broker_faults;
mod group;
mod phase;

use std::path::PathBuf;
use std::process::ExitCode;

use tokio::signal::ctrl_c;
use txova_kafka::shutdown_signal;

use crate::brokers::Place;
use crate::dice::Dice;
use crate::event::Promise;
use crate::failure::{Context, Failure, Result};
use crate::report::{self, Report};

pub(crate) use self::broker_faults::BrokerFaults;
pub(crate) use self::group::Counts;
use self::phase::Phase;
pub(crate) use self::phase::{client, create_topics};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// The whole: 200,000 records each on one node and on three; of exactly-once 100,000 on three.
    #[arg(long)]
    long: bool,
    /// Only the phase with so many nodes.
    #[arg(long)]
    nodes: Option<u8>,
    /// What is planned by chance; printed where none is given.
    #[arg(long)]
    seed: Option<u64>,
    /// Records of a phase.
    #[arg(long)]
    records: Option<u32>,
    /// How long faults strike in a phase.
    #[arg(long)]
    seconds: Option<u64>,
    /// Also write the report to a file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Keep journals and logs also where everything holds.
    #[arg(long)]
    keep: bool,
}

pub(crate) async fn run(args: Args, promise: Promise) -> Result<ExitCode> {
    let seed = args.seed.unwrap_or_else(|| Dice::new(crate::clock::At::now().0).below(1_000_000));
    println!("seed {seed}");
    let all = tokio::select! {
        done = phases(&args, promise, seed) => done,
        () = shutdown_signal() => Err(Failure::new("interrupted")),
    };
    let cleaned = tokio::select! {
        cleaned = args.place.clean() => cleaned,
        _ = ctrl_c() => Err(Failure::new("interrupted while cleaning up")),
    };
    let reports = all.inspect_err(|_| {
        eprintln!("journals and logs are in {}", args.place.folder.display());
    })?;
    cleaned?;
    let holds = reports.iter().all(Report::holds);
    if let Some(path) = &args.json {
        report::write_json(path, &reports)?;
    }
    if holds && !args.keep {
        let folder = args.place.journals();
        std::fs::remove_dir_all(&folder).context(|| format!("cannot delete {}", folder.display()))?;
    } else {
        println!("journals and logs are in {}", args.place.journals().display());
    }
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn phases(args: &Args, promise: Promise, seed: u64) -> Result<Vec<Report>> {
    let journals = args.place.prepare().await?;
    let mut reports = Vec::new();
    let (all, records, seconds): (&[u8], _, _) = match (promise, args.long) {
        (Promise::AtLeastOnce, false) => (&[1, 3], 40_000, 30),
        (Promise::AtLeastOnce, true) => (&[1, 3], 200_000, 240),
        (Promise::ExactlyOnce, false) => (&[3], 15_000, 40),
        (Promise::ExactlyOnce, true) => (&[3], 100_000, 240),
    };
    for nodes in all.iter().copied().filter(|nodes| args.nodes.is_none_or(|only| only == *nodes)) {
        let phase = Phase {
            nodes,
            records: args.records.unwrap_or(records),
            seconds: args.seconds.unwrap_or(seconds),
            brokers_too: nodes > 1 || args.long,
            is_long: args.long && args.seconds.is_none(),
            promise,
            seed: seed.wrapping_add(u64::from(nodes)),
            folder: journals.join(format!("{nodes}-nodes")),
        };
        let report = phase.run(&args.place).await?;
        report.print();
        let holds = report.holds();
        reports.push(report);
        args.place.clean().await?;
        if !holds {
            break; // the journals tell more than another phase
        }
    }
    Ok(reports)
}
