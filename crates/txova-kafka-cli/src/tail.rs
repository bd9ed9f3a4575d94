//! `tail`: records as they come, of several topics in the order of time. It reads without a group and commits nothing.

mod filter;
mod merge;
mod show;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::time::{Instant, sleep_until};
use txova_events::topics;
use txova_kafka::{Kafka, TopicPartition, shutdown_signal};

use crate::connection::ConnectionArgs;
use crate::failure::{Failure, Verdict};
use crate::nearest::did_you_mean;
use crate::output::{Output, OutputArgs};
use crate::place::{self, Place};

use self::filter::{Filter, FilterArgs};
use self::merge::Merge;
use self::show::Form;

const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, Args)]
pub(crate) struct TailArgs {
    /// Topics; the platform's six where none is given.
    #[arg(value_name = "TOPIC")]
    topics: Vec<String>,
    /// Where to begin: earliest, latest, an offset (1500), a time (2026-11-24T08:00:00Z) or an age (15m, 2h, 3d).
    #[arg(long, value_name = "PLACE", default_value = "latest")]
    from: Place,
    /// Ends where the topics ended when it began, and does not wait for more.
    #[arg(long)]
    no_follow: bool,
    /// Ends after so many records are shown.
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    #[command(flatten)]
    filter: FilterArgs,
    /// The whole of each record over several lines.
    #[arg(long, conflicts_with = "json")]
    pretty: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: TailArgs) -> Result<Verdict, Failure> {
    let output = Output::new(args.output);
    let filter = Filter::new(&args.filter)?;
    let form = match (args.output.json, args.pretty) {
        (true, _) => Form::Json,
        (_, true) => Form::Pretty,
        _ => Form::Line,
    };
    let kafka = args.connection.connect().await?;
    let admin = kafka.admin();
    let partitions = partitions(&kafka, &args.topics).await?;
    let places = place::offsets(&admin, args.from, &partitions, TIMEOUT).await?;
    let starts: Vec<(TopicPartition, i64)> =
        partitions.iter().cloned().zip(places.iter().map(|(offset, _)| *offset)).collect();
    let logs = starts
        .iter()
        .zip(&places)
        .map(|((partition, start), (_, ends))| (partition.clone(), *start..ends.end));
    let mut merge = Merge::new(logs, !args.no_follow);
    let mut shown = 0;
    let mut following = admin.follow(starts)?;
    let mut interrupted = std::pin::pin!(shutdown_signal());
    let mut troubles = BTreeSet::new();
    loop {
        while let Some((partition, record)) = merge.next(Instant::now()) {
            if filter.takes(&record) {
                output.text(show::record(&partition, &record, form, &output))?;
                shown += 1;
                if args.limit == Some(shown) {
                    return Ok(Verdict::Yes);
                }
            }
        }
        if merge.is_over() {
            return Ok(Verdict::Yes);
        }
        tokio::select! {
            item = following.next() => match item {
                Some(Ok((partition, record))) => merge.push(partition, record, Instant::now()),
                // A broker that goes away comes back; each trouble is said once.
                Some(Err(error)) if error.is_retriable() => {
                    if troubles.insert(error.message.clone()) {
                        output.note(format!("{error}; reading goes on"));
                    }
                }
                Some(Err(error)) => return Err(error.into()),
                None => return Err(Failure::Cluster("the client has stopped reading".to_owned())),
            },
            () = sleep_until(merge.due(Instant::now())) => {}
            () = &mut interrupted => return Ok(Verdict::Yes),
        }
    }
}

/// Every partition of the topics.
async fn partitions(kafka: &Kafka, named: &[String]) -> Result<Vec<TopicPartition>, Failure> {
    let there = kafka.topics(&[], TIMEOUT).await?;
    let wanted: Vec<&str> = match named {
        // A cluster may have some of the platform's topics only.
        [] => topics::ALL.into_iter().filter(|name| there.iter().any(|(found, _)| found == name)).collect(),
        some => some.iter().map(|name| &**name).collect(),
    };
    if wanted.is_empty() {
        return Err(Failure::Usage(
            "the cluster has none of the platform's topics: name those that are meant".to_owned(),
        ));
    }
    let mut partitions = Vec::new();
    for name in wanted {
        let Some((_, count)) = there.iter().find(|(found, _)| found == name) else {
            let hint = did_you_mean(name, there.iter().map(|(found, _)| &**found));
            return Err(Failure::Usage(format!("the cluster has no topic {name}{hint}")));
        };
        let topic: Arc<str> = name.into();
        partitions.extend((0..*count).map(|number| TopicPartition::new(topic.clone(), number)));
    }
    Ok(partitions)
}
