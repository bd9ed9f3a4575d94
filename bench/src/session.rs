//! A run of the bench: for each workload the data is written once, then the systems take turns, in another order each
//! time, so that none always has the warm machine.

use std::path::PathBuf;
use std::process::Command;

use crate::broker::{Broker, Place};
use crate::child::{self, Cost, Watched};
use crate::data::PUBLISH_TOPIC;
use crate::failure::{Context, Failure, Result};
use crate::measured::Measured;
use crate::peers::Peers;
use crate::plan::{self, Job, System, Workload};
use crate::rows::{self, Row, Runs};
use crate::{chart, table};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Workloads; all where none is named.
    workloads: Vec<String>,
    /// Only these systems, by name.
    #[arg(long, value_delimiter = ',')]
    systems: Vec<String>,
    /// How often each system is measured.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Records of a workload, for a quick look; figures are comparable only with the workload's own.
    #[arg(long)]
    records: Option<u32>,
    /// Also write the rows to a file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Also write a page with charts.
    #[arg(long)]
    html: Option<PathBuf>,
    /// Print the workloads and systems there are.
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    place: Place,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.list {
        for workload in plan::all() {
            let systems: Vec<_> = workload.systems.iter().map(|system| system.name()).collect();
            println!("{:<18} {}\n{:<18} {}", workload.name, workload.about, "", systems.join(", "));
        }
        return Ok(());
    }
    let workloads = match &args.workloads[..] {
        [] => plan::all(),
        names => names.iter().map(|name| plan::named(name)).collect::<Result<_>>()?,
    };
    let only = args.systems.iter().map(|name| System::named(name)).collect::<Result<Vec<_>>>()?;
    let root = std::env::current_dir().context(|| "no current folder".to_owned())?;
    std::fs::create_dir_all(&args.place.folder)
        .context(|| format!("cannot make {}", args.place.folder.display()))?;
    let wanted = |system: &System| only.is_empty() || only.contains(system);
    let systems: Vec<System> = workloads
        .iter()
        .flat_map(|workload| workload.systems)
        .copied()
        .filter(|system| wanted(system))
        .collect();
    let peers = Peers::build(&root, &args.place.folder, &systems)?;
    let broker = args.place.broker()?;
    let mut session = Session { args, root, peers, broker, settings: Vec::new() };
    let mut all = Vec::new();
    for mut workload in workloads {
        workload.shape.records = args.records.unwrap_or(workload.shape.records);
        let systems: Vec<System> = workload.systems.iter().copied().filter(|system| wanted(system)).collect();
        let rows = session.measure(&workload, &systems)?;
        table::print(&workload, &rows);
        all.extend(rows);
    }
    println!();
    for (workload, system, words) in &session.settings {
        println!("{workload:<18} {system:<24} {words}");
    }
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(&all).context(|| "no JSON".to_owned())?;
        std::fs::write(path, json).context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &args.html {
        let page = chart::page(&all, &session.settings);
        std::fs::write(path, page).context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

struct Session<'a> {
    args: &'a Args,
    root: PathBuf,
    peers: Peers,
    broker: Broker,
    /// Workload, system, and how it was set up in its own words.
    settings: Vec<(String, String, String)>,
}

impl Session<'_> {
    fn measure(&mut self, workload: &Workload, systems: &[System]) -> Result<Vec<Row>> {
        let topic = format!("bench.{}", workload.name);
        let needs_data = matches!(workload.job, Job::Consume { .. } | Job::Stuck);
        if needs_data && systems.iter().any(|system| *system != System::PlainLoop) {
            eprintln!("{}: writing {} records …", workload.name, workload.shape.records);
            self.broker.fresh(&topic, workload.shape.partitions)?;
            self.broker.fill(&topic, &workload.shape, &self.root.join("data/trips.csv"))?;
        }
        let mut runs: Vec<Runs> =
            systems.iter().map(|system| Runs { system: *system, costs: Vec::new() }).collect();
        if let Some(warm_up) = workload.warm_up() {
            for system in systems.iter().filter(|system| **system != System::PlainLoop) {
                self.once(&warm_up, *system, &topic, "warm-up")?;
                eprintln!("{}, {}: warm", workload.name, system.name());
            }
        }
        for run in 0..self.args.runs as usize {
            for turn in 0..runs.len() {
                let turn = (turn + run) % runs.len();
                let Some(of_system) = runs.get_mut(turn) else { continue };
                let system = of_system.system;
                if let Some(cost) = self.once(workload, system, &topic, &run.to_string())? {
                    eprintln!(
                        "{}, {}: {} records in {:.2} s",
                        workload.name,
                        system.name(),
                        cost.measured.records,
                        cost.measured.seconds
                    );
                    if run == 0 {
                        let words = cost.measured.settings.clone();
                        self.settings.push((workload.name.to_owned(), system.name().to_owned(), words));
                    }
                    of_system.costs.push(cost);
                }
            }
        }
        if needs_data {
            self.broker.delete(&topic)?;
        }
        Ok(rows::of(workload, &runs))
    }

    fn once(&self, workload: &Workload, system: System, topic: &str, run: &str) -> Result<Option<Cost>> {
        let group = format!("bench-{}-{}-{run}", workload.name, system.name().replace('/', "-"));
        let publishes = !matches!(workload.job, Job::Consume { .. } | Job::Stuck);
        let topic = if publishes { PUBLISH_TOPIC } else { topic };
        if publishes {
            self.broker.fresh(topic, workload.shape.partitions)?;
        }
        if workload.shape.poison_every > 0 {
            self.broker.fresh(&format!("{topic}.dlq"), workload.shape.partitions)?;
        }
        if workload.job == Job::Stuck {
            return self.drill(workload, system, topic, &group);
        }
        let Some(mut command) = self.command(workload, system, topic, &group, None)? else { return Ok(None) };
        child::measure(&mut command).map(Some)
    }

    fn command(
        &self,
        workload: &Workload,
        system: System,
        topic: &str,
        group: &str,
        part: Option<&str>,
    ) -> Result<Option<Command>> {
        let brokers = &self.broker.brokers;
        if matches!(system, System::Sarama | System::FranzGo | System::ParallelConsumer | System::Spring) {
            return self.peers.command(system, workload, brokers, topic, group);
        }
        let this = std::env::current_exe().context(|| "cannot find this program".to_owned())?;
        let mut command = Command::new(this);
        command.args(["one", system.name(), workload.name, "--brokers", brokers, "--topic", topic]);
        command.args(["--group", group, "--records", &workload.shape.records.to_string()]);
        if let Some(part) = part {
            command.args(["--part", part]);
        }
        Ok(Some(command))
    }

    /// Kills the first member when half is done, and lets a second count the rest.
    fn drill(&self, workload: &Workload, system: System, topic: &str, group: &str) -> Result<Option<Cost>> {
        let Some(mut command) = self.command(workload, system, topic, group, Some("stuck"))? else {
            return Ok(None);
        };
        let mut first = Watched::start(&mut command)?;
        let done = first.line()?.as_deref().and_then(after("reached"));
        let done = done.ok_or_else(|| Failure::new("the first member ended before it was killed"))?;
        let peak_mib = first.peak_mib();
        drop(first); // SIGKILL
        let Some(mut command) = self.command(workload, system, topic, group, Some("recount"))? else {
            return Ok(None);
        };
        if system == System::ParallelConsumer {
            command = recount(command);
        }
        let mut second = Watched::start(&mut command)?;
        let mut handled = None;
        while let Some(line) = second.line()? {
            handled = handled.or_else(|| after("handled")(&line));
        }
        let handled = handled.ok_or_else(|| Failure::new("the second member told nothing"))?;
        let records = u64::from(workload.shape.records);
        // Those that ended between the word and the kill are told as repeated: at most the concurrency.
        let redelivered = handled.saturating_sub(records - done);
        let measured = Measured { records, redelivered: Some(redelivered), ..Measured::default() };
        Ok(Some(Cost { measured, cpu_seconds: 0.0, peak_mib }))
    }
}

fn after(word: &'static str) -> impl Fn(&str) -> Option<u64> {
    move |line| line.strip_prefix(word)?.trim().parse().ok()
}

/// The peer's own word for its second part.
fn recount(command: Command) -> Command {
    let mut other = Command::new(command.get_program());
    other.args(command.get_args().map(|arg| if arg == "stuck" { "recount".as_ref() } else { arg }));
    other
}
