//! `dlq replay`: sends letters back to their topic, or says what it would send. It must never change anything unasked.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use txova_kafka::{Plan, Replay, ReplayError, ReplayReport, shutdown_signal};

use crate::confirm::ConfirmArgs;
use crate::connection::ConnectionArgs;
use crate::failure::{Failure, Verdict};
use crate::output::{Output, OutputArgs};
use crate::paint::plural;

use super::filter::FilterArgs;
use super::patch::PatchArgs;

#[derive(Clone, Debug, Args)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Says what would be sent back, exactly and with a histogram of why it failed, and changes nothing.
    #[arg(long)]
    dry_run: bool,
    /// Keeps the plan of a dry run in this file.
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    out: Option<PathBuf>,
    /// Sends back exactly what this file of a dry run holds, and nothing that came later.
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    plan: Option<PathBuf>,
    /// No more than so many.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// So many a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Ends after so many failed.
    #[arg(long, value_name = "N")]
    stop_after: Option<usize>,
    /// Sets aside what was sent back so often already.
    #[arg(long, value_name = "N", default_value_t = 5)]
    max_redrives: u32,
    /// Where a letter fails, later ones of its key wait.
    #[arg(long)]
    key_order: bool,
    /// Also letters that name no consumer group (Go services write none), as failures of this one.
    #[arg(long, value_name = "GROUP")]
    unnamed_as: Option<String>,
    #[command(flatten)]
    patch: PatchArgs,
    #[command(flatten)]
    who: WhoArgs,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Who does it and why.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "For the record")]
pub(crate) struct WhoArgs {
    /// Who does it; the user of this machine where it is not given.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Why.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub why: String,
    /// Ends another's claim to the same dead-letter topic: only when that one is known to be dead.
    #[arg(long)]
    take_over: bool,
}

impl WhoArgs {
    pub(crate) fn apply(&self, replay: Replay) -> Replay {
        let user = || ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
        let by = self.by.clone().or_else(user).unwrap_or_else(|| "somebody".to_owned());
        replay.by(by).why(&self.why).take_over(self.take_over)
    }
}

pub(crate) async fn run(args: ReplayArgs) -> Result<Verdict, Failure> {
    let output = Output::new(args.output);
    let kept = args.plan.as_deref().map(read_plan).transpose()?;
    let filter = args.filter.clone().read()?;
    let _ = args.patch.apply(Replay::new())?; // refused before anybody is asked
    let kafka = args.connection.connect().await?;
    let build = |plan: Option<Plan>| -> Result<Replay, Failure> {
        let mut replay = args.who.apply(filter.clone().replay());
        if let Some(plan) = plan {
            replay = replay.plan(plan);
        }
        if let Some(letters) = args.limit {
            replay = replay.max_letters(letters);
        }
        if let Some(letters) = args.stop_after {
            replay = replay.max_failures(letters);
        }
        if let Some(letters) = args.rate {
            replay = replay.per_second(letters);
        }
        if let Some(group) = &args.unnamed_as {
            replay = replay.unnamed_as(group);
        }
        let replay = replay.max_redrives(args.max_redrives).key_order(args.key_order);
        Ok(args.patch.apply(replay)?.until(shutdown_signal()))
    };
    if args.dry_run {
        let plan = kafka.plan_replay(build(None)?).await.map_err(|error| failure(&error))?;
        if let Some(file) = &args.out {
            write_plan(file, &plan)?;
        }
        if output.json {
            output.object(&plan)?;
        } else {
            output.line(plan.to_string())?;
            if let Some(file) = &args.out {
                output
                    .line(format!("kept in {}: `dlq replay --plan {0}` does exactly this", file.display()))?;
            }
        }
        return Ok(Verdict::Yes);
    }
    if !args.confirm.yes {
        // Who is asked is asked about exactly what will be done.
        let plan = match kept.clone() {
            Some(plan) => plan,
            None => kafka.plan_replay(build(None)?).await.map_err(|error| failure(&error))?,
        };
        output.note(plan.to_string());
        let letters = plural(plan.entries.len() as u64, "dead letter", "dead letters");
        if plan.entries.is_empty() {
            return Ok(Verdict::Yes);
        }
        let changed = if args.patch.is_given() { ", changed," } else { "" };
        if !args.confirm.may(&format!("Send {letters}{changed} back?")) {
            return Ok(Verdict::No);
        }
        let replay = super::progress::shown(build(Some(plan))?, output.is_live);
        return ended(kafka.replay(replay).await, &output);
    }
    let replay = super::progress::shown(build(kept)?, output.is_live);
    ended(kafka.replay(replay).await, &output)
}

/// What came of it, as words and exit code.
pub(crate) fn ended(result: Result<ReplayReport, ReplayError>, output: &Output) -> Result<Verdict, Failure> {
    let report = match &result {
        Ok(report) => Some(report),
        Err(error) => error.report().filter(|report| report.done() > 0),
    };
    if let Some(report) = report {
        match output.json {
            true => output.object(&told(report))?,
            false => output.line(report.to_string())?,
        }
    }
    match result {
        Ok(report) if report.is_interrupted => Err(Failure::Interrupted),
        Ok(report) => Ok(Verdict::of(report.failed.is_empty() && report.stopped.is_none())),
        Err(error) => Err(failure(&error)),
    }
}

fn told(report: &ReplayReport) -> serde_json::Value {
    let entries =
        |entries: &[txova_kafka::EntryPlace]| entries.iter().map(ToString::to_string).collect::<Vec<_>>();
    let failed = report
        .failed
        .iter()
        .map(|it| json!({"entry": it.entry.to_string(), "event_id": it.event_id, "error": it.error}));
    let unreadable =
        report.unreadable.iter().map(|it| json!({"entry": it.place.to_string(), "reason": it.reason}));
    json!({
        "topics": report.topics,
        "read": report.read,
        "replayed": report.replayed,
        "decided": report.decided,
        "quarantined": report.quarantined,
        "resolved_before": report.resolved_before,
        "other_groups": report.other_groups,
        "unnamed": report.unnamed,
        "not_meant": report.passed_over,
        "failed": failed.collect::<Vec<_>>(),
        "unreadable": unreadable.collect::<Vec<_>>(),
        "not_reached": entries(&report.not_reached),
        "gone": entries(&report.gone),
        "overtaken": report.overtaken,
        "interrupted": report.is_interrupted,
    })
}

fn failure(error: &ReplayError) -> Failure {
    match error {
        ReplayError::UnknownTopic { .. } | ReplayError::ExactlyOnce { .. } => {
            Failure::Usage(error.to_string())
        }
        ReplayError::Claimed { .. } => Failure::Cluster(format!(
            "{error}\nWait until that is over. If it is known to be dead, --take-over ends its claim."
        )),
        _ => Failure::Cluster(error.to_string()),
    }
}

fn read_plan(file: &Path) -> Result<Plan, Failure> {
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::Usage(format!(
            "--plan {}: {error}; expected what `dlq replay --dry-run --out` wrote",
            file.display()
        ))
    };
    let text = std::fs::read(file).map_err(|error| wrong(&error))?;
    serde_json::from_slice(&text).map_err(|error| wrong(&error))
}

fn write_plan(file: &Path, plan: &Plan) -> Result<(), Failure> {
    let written =
        serde_json::to_vec(plan).map_err(std::io::Error::from).and_then(|text| std::fs::write(file, text));
    written.map_err(|error| Failure::Usage(format!("--out {}: {error}", file.display())))
}
