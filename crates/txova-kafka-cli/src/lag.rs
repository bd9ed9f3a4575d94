//! `lag`: how far consumer groups are behind. It only asks.

mod picture;

use std::time::Duration;

use clap::Args;
use txova_events::Time;
use txova_kafka::admin::{GroupInfo, GroupState};
use txova_kafka::{ClientErrorKind, Kafka, shutdown_signal};

use crate::connection::ConnectionArgs;
use crate::failure::{Failure, Verdict};
use crate::nearest::did_you_mean;
use crate::output::{Live, Output, OutputArgs};
use crate::place::span_or_seconds;

use self::picture::Picture;

const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, Args)]
pub(crate) struct LagArgs {
    /// Consumer groups; every one that has committed something where none is given.
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
    /// Only these topics. May be said several times.
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,
    /// A row for each partition that is behind or fails.
    #[arg(long)]
    partitions: bool,
    /// Asks again and again, every two seconds or so often, until Ctrl-C.
    #[arg(long, value_name = "SPAN", num_args = 0..=1, default_missing_value = "2s", value_parser = span_or_seconds)]
    watch: Option<Duration>,
    /// Exit code 1 where a group has more than N records of a topic still to handle. With --watch it judges the last
    /// picture.
    #[arg(long, value_name = "N")]
    alert: Option<u64>,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: LagArgs) -> Result<Verdict, Failure> {
    let output = Output::new(args.output);
    let kafka = args.connection.connect().await?;
    let Some(every) = args.watch else {
        let picture = look(&kafka, &args).await?;
        if output.json {
            output.object(&picture)?;
        } else {
            output.text(picture.show(&output, args.partitions))?;
        }
        return Ok(Verdict::of(!picture.is_above()));
    };
    let mut live = Live::new(output);
    let mut verdict = Verdict::Yes;
    let interrupted = shutdown_signal();
    tokio::pin!(interrupted);
    loop {
        let picture = tokio::select! {
            picture = look(&kafka, &args) => picture,
            () = &mut interrupted => return Ok(verdict),
        };
        match picture {
            Ok(picture) => {
                verdict = Verdict::of(!picture.is_above());
                if output.json {
                    output.object(&picture)?;
                } else {
                    live.draw(&picture.show(&output, args.partitions))?;
                }
            }
            // A broker that goes away comes back; whoever watches wants to see both.
            Err(failure @ Failure::Cluster(_)) => output.note(format!("{}: {failure}", Time::now())),
            Err(failure) => return Err(failure),
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = &mut interrupted => return Ok(verdict),
        }
    }
}

async fn look(kafka: &Kafka, args: &LagArgs) -> Result<Picture, Failure> {
    let groups = groups(kafka, &args.groups).await?;
    let topics = match &args.topics[..] {
        [] => {
            let all = kafka.topics(&[], TIMEOUT).await?;
            all.into_iter().map(|(name, _)| name).filter(|name| !name.starts_with("__")).collect()
        }
        some => some.to_vec(),
    };
    let names: Vec<&str> = groups.iter().map(|group| &*group.name).collect();
    let lags = match topics.is_empty() {
        true => vec![Vec::new(); names.len()],
        false => {
            kafka.lags(&names, &topics.iter().map(|topic| &**topic).collect::<Vec<_>>(), TIMEOUT).await?
        }
    };
    Ok(Picture::new(groups.into_iter().zip(lags), args.alert))
}

/// What the cluster says of the groups that are meant. A cluster that lists none (the mock one) is believed to have those
/// that are named.
async fn groups(kafka: &Kafka, named: &[String]) -> Result<Vec<GroupInfo>, Failure> {
    let unsaid =
        |name: &String| GroupInfo { name: name.clone(), state: GroupState::Unknown, members: Vec::new() };
    let all = match kafka.admin().groups(TIMEOUT).await {
        Ok(all) => all,
        Err(error) if error.kind == ClientErrorKind::Unsupported && !named.is_empty() => {
            return Ok(named.iter().map(unsaid).collect());
        }
        Err(error) if error.kind == ClientErrorKind::Unsupported => {
            return Err(Failure::Usage(
                "this cluster does not list its groups: name those that are meant".to_owned(),
            ));
        }
        Err(error) => return Err(error.into()),
    };
    if named.is_empty() {
        return Ok(all);
    }
    let find = |name: &String| {
        all.iter().find(|group| group.name == *name).cloned().ok_or_else(|| {
            let hint = did_you_mean(name, all.iter().map(|group| &*group.name));
            Failure::Usage(format!("the cluster has no group {name}{hint}; `groups ls` lists them"))
        })
    };
    named.iter().map(find).collect()
}
