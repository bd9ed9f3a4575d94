//! `faults publisher`: what a publisher says of each record must be what happened to it, whatever is done to the cluster.

mod account;
mod away;
mod doors;
mod load;
mod refusals;
mod strikes;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use serde::Serialize;
use txova_kafka::shutdown_signal;

use crate::brokers::Place;
use crate::check::Rule;
use crate::dice::Dice;
use crate::failure::{Failure, Result};
use crate::report::write_json;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// Two minutes of faults on three nodes, and a broker that is gone for one.
    #[arg(long)]
    long: bool,
    /// Only one part.
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// What is planned by chance; printed where none is given.
    #[arg(long)]
    seed: Option<u64>,
    /// Also write the report to a file.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    /// Brokers of three are killed and stopped under 2,000 records a second.
    Brokers,
    /// Records that are refused, a full buffer, a closed publisher, a broker that is gone.
    Refusals,
    /// TLS and passwords, right and wrong.
    Doors,
}

/// What one part found.
#[derive(Debug, Serialize)]
struct Found {
    part: Part,
    seconds: f64,
    facts: Vec<(String, String)>,
    rules: Vec<Rule>,
}

impl Found {
    fn new(part: Part) -> Self {
        Self { part, seconds: 0.0, facts: Vec::new(), rules: Vec::new() }
    }

    fn fact(&mut self, name: &str, value: impl ToString) {
        self.facts.push((name.to_owned(), value.to_string()));
    }

    fn holds(&self) -> bool {
        self.rules.iter().all(|rule| rule.broken == 0)
    }

    fn print(&self) {
        println!("\n{:?}, {:.0} s", self.part, self.seconds);
        for (name, value) in &self.facts {
            println!("  {name:<34} {value}");
        }
        for rule in &self.rules {
            let how = if rule.broken == 0 { "holds" } else { "BROKEN" };
            println!("  {how:<6} {} ({} of {})", rule.rule, rule.looked_at - rule.broken, rule.looked_at);
            for example in &rule.examples {
                println!("         {example}");
            }
        }
    }
}

pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let seed = args.seed.unwrap_or_else(|| Dice::new(crate::clock::At::now().0).below(1_000_000));
    println!("seed {seed}");
    let found = tokio::select! {
        found = parts(&args, seed) => found,
        () = shutdown_signal() => Err(Failure::new("interrupted")),
    };
    let cleaned = args.place.clean().await;
    let found = found?;
    cleaned?;
    let _ = std::fs::remove_dir_all(args.place.journals());
    if let Some(path) = &args.json {
        write_json(path, &found)?;
    }
    let holds = found.iter().all(Found::holds);
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn parts(args: &Args, seed: u64) -> Result<Vec<Found>> {
    args.place.prepare().await?;
    let mut all = Vec::new();
    for part in [Part::Refusals, Part::Doors, Part::Brokers] {
        if args.only.is_some_and(|only| only != part) {
            continue;
        }
        let (mut found, began) = (Found::new(part), Instant::now());
        match part {
            Part::Brokers => strikes::run(&args.place, args.long, seed, &mut found).await?,
            Part::Refusals => refusals::run(&args.place, args.long, &mut found).await?,
            Part::Doors => doors::run(&args.place, &mut found).await?,
        }
        found.seconds = began.elapsed().as_secs_f64();
        found.print();
        all.push(found);
        args.place.clean().await?;
    }
    Ok(all)
}
