//! `soak`: a steady load on any cluster, through publisher and consumer as services use them, and an account of it: the
//! four targets, what was lost, what came out of order. It uses a topic and a group of its own.

mod beat;
mod chart;
mod html;
mod ledger;
mod load;
mod report;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use txova_events::Event as _;
use txova_kafka::publisher::Publisher;
use txova_kafka::{App, AppHandle, ClientErrorKind, Kafka, NewTopic, StartAt, shutdown_signal};

use crate::connection::{ConnectionArgs, warm_up};
use crate::failure::{Failure, Verdict};
use crate::output::{Live, Output, OutputArgs};
use crate::place::span_or_seconds;

use self::beat::{Beat, heard};
use self::ledger::Ledger;
use self::report::{Report, Settings};
use self::watch::Watch;

const TIMEOUT: Duration = Duration::from_secs(15);
/// How long the group may take to let the consumer in.
const JOIN: Duration = Duration::from_secs(60);
/// How long what is acknowledged may take to be handled, once the load has ended.
const DRAIN: Duration = Duration::from_secs(60);
const CLOSE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, Args)]
pub(crate) struct SoakArgs {
    /// Events published a second.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// For so long: 30s, 15m, 2h.
    #[arg(long, value_name = "SPAN", default_value = "30s", value_parser = span_or_seconds)]
    duration: Duration,
    /// Keys the events are spread over; those of a key must stay in order.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    keys: u32,
    /// Bytes in each event beside what it must say.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=900_000))]
    bytes: u32,
    /// Partitions of the topic, where it is not there yet.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(i32).range(1..=1_000))]
    partitions: i32,
    /// Writes soak.json and soak.html, a page with charts that needs nothing else, into this folder.
    #[arg(long, value_name = "FOLDER")]
    report: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: SoakArgs) -> Result<Verdict, Failure> {
    let output = Output::new(args.output);
    if args.duration < Duration::from_secs(1) {
        return Err(Failure::Usage("--duration: expected a second or more".to_owned()));
    }
    if let Some(folder) = &args.report {
        // Told before the load, and not after it.
        std::fs::create_dir_all(folder).map_err(|error| unwritten(folder, &error))?;
    }
    let interrupted = shutdown_signal();
    tokio::pin!(interrupted);
    let kafka = args.connection.connect().await?;
    let report = tokio::select! {
        report = soak(&kafka, &args, &output) => report?,
        () = &mut interrupted => return Err(Failure::Interrupted),
    };
    if let Some(folder) = &args.report {
        write(folder, &report)?;
    }
    if output.json {
        output.object(&report)?;
    } else {
        output.text(report.show(output.paint))?;
        if let Some(folder) = &args.report {
            output.line(format!("\nThe page: {}", folder.join("soak.html").display()))?;
        }
    }
    Ok(Verdict::of(report.ok))
}

async fn soak(kafka: &Kafka, args: &SoakArgs, output: &Output) -> Result<Report, Failure> {
    let publisher =
        kafka.publisher("soak").map_err(|error| Failure::Usage(format!("the publisher: {error}")))?;
    let partitions = make_topic(kafka, &publisher, args.partitions).await?;
    let total = (args.duration.as_secs_f64() * f64::from(args.rate)) as u64;
    let ledger = Arc::new(Ledger::new(total, args.keys, partitions));
    let group = format!("txova-kafka-soak-{}-group", ledger.run);
    let app = consumer(kafka, &group, &ledger)?;
    let handle = app.handle();
    let running = tokio::spawn(app.run());
    let watched = async {
        joined(&handle, partitions).await?;
        let settings = Settings {
            brokers: kafka.config().connection.brokers.join(","),
            rate: args.rate,
            duration_s: args.duration.as_secs_f64(),
            keys: args.keys,
            bytes: args.bytes,
            partitions,
        };
        let watch = Watch::new(&handle, &ledger, &publisher);
        Ok::<_, Failure>(drive(args, output, &ledger, &publisher, watch, settings).await)
    };
    let report = tokio::select! {
        report = watched => report,
        ended = running => {
            let why = match ended {
                Ok(Ok(report)) => format!("it closed: {report}"),
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            Err(Failure::Cluster(format!("the consumer ended by itself: {why}")))
        }
    };
    publisher.close(CLOSE).await;
    handle.close(CLOSE).await;
    report
}

/// Load, then what is left of it, with a picture every second.
async fn drive(
    args: &SoakArgs,
    output: &Output,
    ledger: &Arc<Ledger>,
    publisher: &Publisher,
    mut watch: Watch,
    settings: Settings,
) -> Report {
    let mut live = output.is_live.then(|| Live::new(*output));
    let drained = async {
        load::send(ledger, publisher, args.rate, args.bytes).await;
        ledger.over.store(true, std::sync::atomic::Ordering::Relaxed);
        let _ = tokio::time::timeout(DRAIN, ledger.all_handled()).await; // what is missing then is lost
    };
    tokio::pin!(drained);
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    seconds.tick().await;
    loop {
        tokio::select! {
            () = &mut drained => break,
            _ = seconds.tick() => {
                watch.look().await;
                match &mut live {
                    // A reader that has gone does not end the load: the exit code is what it is for.
                    Some(live) => drop(live.draw(&watch.picture(output.paint, args.duration))),
                    None => output.note(watch.line()),
                }
            }
        }
    }
    watch.look().await;
    drop(live);
    Report::new(settings, ledger, watch).await
}

fn consumer(kafka: &Kafka, group: &str, ledger: &Arc<Ledger>) -> Result<App, Failure> {
    let began_ms = txova_events::Time::now().unix_ms();
    kafka
        .app("soak")
        .state(Arc::clone(ledger))
        .consumer(|consumer| {
            consumer.group = Some(group.to_owned());
            // A minute back: the brokers' clock may be another.
            consumer.auto_offset_reset = StartAt::Timestamp { unix_ms: began_ms - 60_000 };
        })
        .handle(heard)
        .build()
        .map_err(|error| Failure::Usage(format!("the consumer: {error}")))
}

/// Makes the topic where it is missing; its partitions.
async fn make_topic(kafka: &Kafka, publisher: &Publisher, partitions: i32) -> Result<i32, Failure> {
    let admin = kafka.admin();
    let brokers = admin.cluster(TIMEOUT).await?.brokers;
    let topic = NewTopic {
        name: Beat::TOPIC.to_owned(),
        partitions,
        replication: i32::try_from(brokers.len().min(3)).unwrap_or(1),
        settings: vec![("retention.ms".to_owned(), "3600000".to_owned())],
    };
    // The cluster of `dev` takes no such request, and says so to this one at once; it makes a topic that is written to.
    let is_asked = match brokers.first() {
        Some(broker) => match admin.broker(broker.id, TIMEOUT).await {
            Err(error) => error.kind != ClientErrorKind::Unsupported,
            Ok(_) => true,
        },
        None => true,
    };
    if is_asked {
        kafka.create_topics(vec![topic], TIMEOUT).await?;
    }
    warm_up(publisher, Beat::TOPIC, TIMEOUT).await?;
    let found = kafka.topics(&[Beat::TOPIC], TIMEOUT).await?;
    found
        .first()
        .map(|(_, count)| *count)
        .ok_or_else(|| Failure::Cluster(format!("the topic {} does not come into being", Beat::TOPIC)))
}

async fn joined(handle: &AppHandle, partitions: i32) -> Result<(), Failure> {
    let joining = async {
        loop {
            let status = handle.status().await;
            if status.is_some_and(|status| status.engine.partitions.len() as i32 >= partitions) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(JOIN, joining)
        .await
        .map_err(|_| Failure::Cluster(format!("the group gave the consumer no partitions within {JOIN:?}")))
}

fn write(folder: &Path, report: &Report) -> Result<(), Failure> {
    let json = serde_json::to_vec_pretty(report)
        .map_err(|error| Failure::Usage(format!("the report cannot be written: {error}")))?;
    let write = |name: &str, text: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|error| unwritten(&path, &error))
    };
    write("soak.json", &json)?;
    write("soak.html", html::page(report).as_bytes())
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Usage(format!("--report {}: {error}", path.display()))
}
