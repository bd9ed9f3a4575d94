//! `dev`: a cluster inside the process that stays up, to try things on. Nothing it holds outlives it.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};
use txova_events::topics;
use txova_kafka::config::KafkaConfig;
use txova_kafka::testing::MockKafka;
use txova_kafka::{Kafka, shutdown_signal};

use crate::demo::{Lives, Run, Trips};
use crate::failure::{Failure, Verdict};
use crate::output::{Output, OutputArgs};
use crate::paint::{plural, thousands};
use crate::topics::layout::Layout;

/// How long the events on their way may hold up the end.
const CLOSE: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, Args)]
pub(crate) struct DevArgs {
    /// Partitions of each of the platform's topics. The cluster keeps 5 MiB of each.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=100))]
    partitions: i32,
    /// One more topic, NAME or NAME:PARTITIONS. May be said several times.
    #[arg(long = "topic", value_name = "TOPIC", value_parser = topic)]
    topics: Vec<(String, i32)>,
    /// Publishes the lives of real trips, in the order of time, once.
    #[arg(long)]
    seed_trips: bool,
    /// Events published a second; 0 is as fast as it goes.
    #[arg(long, value_name = "N", default_value_t = 100, requires = "seed_trips")]
    rate: u32,
    #[command(flatten)]
    output: OutputArgs,
}

fn topic(text: &str) -> Result<(String, i32), String> {
    let (name, partitions) = match text.rsplit_once(':') {
        Some((name, partitions)) => {
            let count = partitions.parse().ok().filter(|count| (1..=100).contains(count));
            (name, count.ok_or_else(|| format!("{partitions} partitions: expected 1 to 100"))?)
        }
        None => (text, 1),
    };
    if name.is_empty() {
        Err("expected a topic's name".to_owned())
    } else {
        Ok((name.to_owned(), partitions))
    }
}

/// What there is, for machines.
#[derive(Serialize)]
struct Up<'a> {
    brokers: &'a str,
    topics: &'a BTreeMap<String, i32>,
}

pub(crate) async fn run(args: DevArgs) -> Result<Verdict, Failure> {
    let mut interrupted = std::pin::pin!(shutdown_signal());
    let output = Output::new(args.output);
    let mut topics: BTreeMap<String, i32> = Layout::Development
        .topics()
        .into_iter()
        .map(|topic| (topic.name, if topic.partitions > 1 { args.partitions } else { 1 }))
        .collect();
    topics.extend(args.topics.iter().cloned());
    let list: Vec<(&str, i32)> = topics.iter().map(|(name, partitions)| (&**name, *partitions)).collect();
    let mock = MockKafka::start(1, &list).map_err(|error| {
        Failure::Cluster(format!("the cluster inside the process does not start: {error}"))
    })?;
    if output.json {
        output.object(&Up { brokers: mock.bootstrap(), topics: &topics })?;
    } else {
        output.line(format!("TXOVA_KAFKA_BROKERS={}", mock.bootstrap()))?;
        let topics = plural(topics.len() as u64, "topic", "topics");
        output.note(format!("A Kafka of {topics} in this process, until Ctrl-C. Nothing it holds is kept."));
    }
    tokio::select! {
        seeded = seed(&args, mock.bootstrap(), &output) => {
            seeded?;
            interrupted.await;
        }
        () = &mut interrupted => {}
    }
    Ok(Verdict::Yes)
}

/// Comes back when everything is published; at once where nothing is to be.
async fn seed(args: &DevArgs, brokers: &str, output: &Output) -> Result<(), Failure> {
    if !args.seed_trips {
        return Ok(());
    }
    let trips = Trips::load(None, None).map_err(|error| Failure::Usage(error.to_string()))?.trips;
    let lives = Lives { run: Run::ALONE, trips };
    let publisher = Kafka::new(KafkaConfig::for_brokers(brokers))?
        .publisher("dev")
        .map_err(|error| Failure::Cluster(error.to_string()))?;
    publisher.warm_up(topics::ALL, CLOSE).await?;
    let schedule = lives.schedule();
    let events = plural(schedule.len() as u64, "event", "events");
    output.note(format!("{events} of {} trips go out", thousands(lives.trips.len() as u64)));
    let mut pace = (args.rate > 0).then(|| {
        let mut pace = interval(Duration::from_secs(1) / args.rate);
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        pace
    });
    for moment in schedule {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        // The data has trips that cannot be told; the demo says which.
        let Ok(event) = lives.event(moment) else { continue };
        publisher
            .publish_async(&*event, |_| ())
            .await
            .map_err(|error| Failure::Cluster(format!("publishing a trip: {error}")))?;
    }
    publisher.close(CLOSE).await;
    output.note(format!("{} are published", plural(publisher.stats().published, "event", "events")));
    Ok(())
}
