//! `groups reset`: where a group goes on. It plans first, and does exactly what the plan says.

use std::collections::BTreeSet;

use clap::Args;
use serde::Serialize;
use txova_kafka::admin::GroupState;
use txova_kafka::{ClientErrorKind, Kafka, TopicPartition};

use super::{TIMEOUT, state_name};
use crate::confirm::ConfirmArgs;
use crate::connection::ConnectionArgs;
use crate::failure::{Failure, Verdict};
use crate::output::{Column, Output, OutputArgs, Table};
use crate::paint::{plural, thousands};
use crate::place::{self, Place};

#[derive(Clone, Debug, Args)]
pub(super) struct ResetArgs {
    /// The group.
    #[arg(value_name = "GROUP")]
    group: String,
    /// Where it goes on: earliest, latest, an offset (1500), a time (2026-11-24T08:00:00Z) or an age (15m, 2h, 3d).
    #[arg(long, value_name = "PLACE")]
    to: Place,
    /// Only these topics; all for which the group has committed something where none is given. May be said several times.
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,
    /// Only these partitions of them. May be said several times.
    #[arg(long = "partition", value_name = "N")]
    partitions: Vec<i32>,
    /// Only show what would change.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What happens to one partition.
#[derive(Debug, Serialize)]
struct Move {
    topic: String,
    partition: i32,
    from: Option<i64>,
    to: i64,
    /// Offsets that come again.
    again: u64,
    /// Offsets that are passed over without being handled.
    passed_over: u64,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    group: &'a str,
    moves: &'a [Move],
    /// Whether it was done.
    done: bool,
}

pub(super) async fn run(args: ResetArgs) -> Result<Verdict, Failure> {
    let output = Output::new(args.output);
    let kafka = args.connection.connect().await?;
    refuse_active(&kafka, &args.group).await?;
    let moves = plan(&kafka, &args).await?;
    let sum = |of: fn(&Move) -> u64| moves.iter().map(of).sum::<u64>();
    let summary = format!(
        "{} of {}: {} again, {} passed over",
        plural(moves.len() as u64, "partition", "partitions"),
        args.group,
        plural(sum(|it| it.again), "record comes", "records come"),
        plural(sum(|it| it.passed_over), "record is", "records are"),
    );
    if !output.json {
        output.table(&table(&moves))?;
        output.line(format!("\n{summary}"))?;
    }
    let may = !args.dry_run && !moves.is_empty() && args.confirm.may(&format!("Reset {}?", args.group));
    if may {
        let offsets = moves.iter().map(|it| (TopicPartition::new(&*it.topic, it.partition), it.to)).collect();
        kafka.admin().set_offsets(&args.group, offsets, TIMEOUT).await.map_err(|error| match error.kind {
            ClientErrorKind::StaleMember => active(&args.group, "has members"),
            _ => error.into(),
        })?;
    }
    if output.json {
        output.object(&Report { group: &args.group, moves: &moves, done: may })?;
    } else if may {
        output.line(output.paint.good("done"))?;
    }
    Ok(Verdict::Yes)
}

/// Told before anything is planned; the brokers refuse it again when it is done.
async fn refuse_active(kafka: &Kafka, group: &str) -> Result<(), Failure> {
    let groups = match kafka.admin().groups(TIMEOUT).await {
        Err(error) if error.kind == ClientErrorKind::Unsupported => return Ok(()),
        answer => answer?,
    };
    match groups.iter().find(|found| found.name == group) {
        Some(found) if !found.members.is_empty() => {
            Err(active(group, &format!("has {}", plural(found.members.len() as u64, "member", "members"))))
        }
        Some(found) if matches!(found.state, GroupState::Stable | GroupState::Rebalancing) => {
            Err(active(group, &format!("is {}", state_name(found.state))))
        }
        _ => Ok(()),
    }
}

fn active(group: &str, why: &str) -> Failure {
    Failure::Cluster(format!(
        "{group} {why}: a group is reset while none of its members runs. Stop its service first"
    ))
}

async fn plan(kafka: &Kafka, args: &ResetArgs) -> Result<Vec<Move>, Failure> {
    let topics: Vec<&str> = args.topics.iter().map(|topic| &**topic).collect();
    let mut lags = kafka.lag(&args.group, &topics, TIMEOUT).await?;
    if topics.is_empty() {
        let known: BTreeSet<_> = lags
            .iter()
            .filter(|lag| lag.committed.is_some())
            .map(|lag| lag.partition.topic.clone())
            .collect();
        lags.retain(|lag| known.contains(&lag.partition.topic));
        if lags.is_empty() {
            let group = &args.group;
            let text = format!("{group} has committed nothing: name the topics to begin with, --topic TOPIC");
            return Err(Failure::Usage(text));
        }
    }
    if let Some(missing) =
        args.partitions.iter().find(|number| lags.iter().all(|lag| lag.partition.partition != **number))
    {
        return Err(Failure::Usage(format!("none of the topics has a partition {missing}")));
    }
    let is_meant = |number: i32| args.partitions.is_empty() || args.partitions.contains(&number);
    lags.retain(|lag| is_meant(lag.partition.partition));

    let partitions: Vec<TopicPartition> = lags.iter().map(|lag| lag.partition.clone()).collect();
    let places = place::offsets(&kafka.admin(), args.to, &partitions, TIMEOUT).await?;
    if let Place::Offset(offset) = args.to
        && let Some((partition, (_, ends))) =
            partitions.iter().zip(&places).find(|(_, (_, ends))| !(ends.first..=ends.end).contains(&offset))
    {
        let text = format!(
            "{partition} has offsets {} to {}, not {offset}; --topic and --partition say which partition is meant",
            ends.first, ends.end
        );
        return Err(Failure::Usage(text));
    }
    let moves = lags.into_iter().zip(places).map(|(lag, (to, ends))| {
        let from = lag.committed.unwrap_or(ends.first).clamp(ends.first, ends.end);
        Move {
            topic: lag.partition.topic.to_string(),
            partition: lag.partition.partition,
            from: lag.committed,
            to,
            // What was handled above the offset is forgotten with it, and comes again where it is not passed over.
            again: (from - to).max(0) as u64,
            passed_over: (to - from).max(0) as u64,
        }
    });
    // One with nothing committed begins where the service's own setting says, which may be another end.
    Ok(moves.filter(|it| it.from != Some(it.to)).collect())
}

fn table(moves: &[Move]) -> Table {
    let mut table = Table::new([
        Column::long("partition"),
        Column::number("from"),
        Column::number("to"),
        Column::number("come again"),
        Column::number("passed over"),
    ]);
    for it in moves {
        let offset = |offset: i64| thousands(offset.max(0) as u64);
        table.row([
            format!("{}-{}", it.topic, it.partition).into(),
            it.from.map_or("–".to_owned(), offset).into(),
            offset(it.to).into(),
            thousands(it.again).into(),
            thousands(it.passed_over).into(),
        ]);
    }
    table
}
