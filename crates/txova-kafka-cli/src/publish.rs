//! `publish`: events a person or a program wrote as JSON, held against the contract before any is sent.

mod input;
mod prepare;

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use txova_events::EventRecord;
use txova_kafka::publisher::{PublishError, Published, Publisher};
use txova_kafka::{OutgoingRecord, shutdown_signal};

use crate::connection::ConnectionArgs;
use crate::failure::{Failure, Verdict};
use crate::output::{Column, Output, OutputArgs, Table};
use crate::paint::plural;

use self::prepare::{Filling, Prepared, prepare};

/// Handed over and not acknowledged, at most.
const WINDOW: usize = 1_000;
/// So many mistakes are told one by one.
const TOLD: usize = 20;
/// So many events are listed one by one.
const LISTED: usize = 20;
const CLOSE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, Args)]
pub(crate) struct PublishArgs {
    /// Files of JSON objects, one after the other, on a line each or not; standard input where none is given, or for `-`.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The objects are payloads of this type, and not envelopes.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// The service that publishes, for envelopes that name none.
    #[arg(long, value_name = "SERVICE", default_value = "txova-kafka-cli")]
    source: String,
    /// Takes fields that the contract does not know; they are kept as they are.
    #[arg(long)]
    unknown_fields: bool,
    /// Only checks, and shows what would be published. Needs no Kafka.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// One event, for machines.
#[derive(Serialize)]
struct Reported<'a> {
    file: &'a str,
    line: usize,
    #[serde(rename = "type")]
    event_type: &'a str,
    id: &'a str,
    topic: &'a str,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<i64>,
}

impl<'a> Reported<'a> {
    fn new(event: &'a Prepared, published: Option<&Published>) -> Self {
        let EventRecord { event_type, event_id: id, topic, key, .. } = &event.record;
        let (partition, offset) = (published.map(|it| it.partition), published.map(|it| it.offset));
        Self { file: &event.file, line: event.line, event_type, id, topic, key, partition, offset }
    }
}

pub(crate) async fn run(args: PublishArgs) -> Result<Verdict, Failure> {
    let output = Output::new(args.output);
    let filling = Filling { event_type: args.event_type.clone(), source: args.source.clone() };
    filling.check()?;
    let mut events = Vec::new();
    let mut mistakes = Vec::new();
    for (file, text) in texts(&args.files)? {
        for value in input::values(&text) {
            match prepare(value, &filling, args.unknown_fields) {
                Ok(record) => events.push(Prepared { file: file.clone(), line: value.line, record }),
                Err(mistake) => mistakes.push(format!("{file}:{}: {mistake}", value.line)),
            }
        }
    }
    if !mistakes.is_empty() {
        return Ok(refused(&output, &mistakes, events.len()));
    }
    if args.dry_run {
        for event in events.iter().filter(|_| output.json) {
            output.object(&Reported::new(event, None))?;
        }
        if !output.json {
            list(&output, &events)?;
            let events = plural(events.len() as u64, "event keeps", "events keep");
            output.line(format!("{events} the contract. Nothing was published."))?;
        }
        return Ok(Verdict::Yes);
    }
    let kafka = args.connection.connect().await?;
    let publisher =
        kafka.publisher(&*args.source).map_err(|error| Failure::Usage(format!("--source: {error}")))?;
    let sent = tokio::select! {
        sent = send(&publisher, &events, &output) => sent,
        () = shutdown_signal() => Err(Failure::Interrupted),
    };
    publisher.close(CLOSE).await;
    if let Err(Failure::Interrupted) = sent {
        output.note(format!("{} of {} events are published", publisher.stats().published, events.len()));
    }
    let sent = sent?;
    if !output.json {
        let mut topics: Vec<(&str, u64)> = Vec::new();
        for event in &events {
            match topics.iter_mut().find(|(topic, _)| *topic == event.record.topic) {
                Some((_, count)) => *count += 1,
                None => topics.push((&event.record.topic, 1)),
            }
        }
        let topics: Vec<String> =
            topics.into_iter().map(|(topic, count)| format!("{count} to {topic}")).collect();
        let total = plural(sent as u64, "event is", "events are");
        output.line(format!("{} published: {}", output.paint.good(total), topics.join(", ")))?;
    }
    Ok(Verdict::Yes)
}

/// Each file with its name, for messages.
fn texts(files: &[PathBuf]) -> Result<Vec<(String, String)>, Failure> {
    let stdin = PathBuf::from("-");
    let files = if files.is_empty() { std::slice::from_ref(&stdin) } else { files };
    let read = |path: &PathBuf| {
        let name = if *path == stdin { "standard input".to_owned() } else { path.display().to_string() };
        let text = if *path == stdin {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        } else {
            std::fs::read_to_string(path)
        };
        let text =
            text.map_err(|error| Failure::Usage(format!("{name}: {error}: expected JSON in UTF-8")))?;
        Ok((name, text))
    };
    files.iter().map(read).collect()
}

fn refused(output: &Output, mistakes: &[String], good: usize) -> Verdict {
    for mistake in mistakes.iter().take(TOLD) {
        output.note(mistake);
    }
    if let Some(more) = mistakes.len().checked_sub(TOLD).filter(|more| *more > 0) {
        output.note(format!("… and {more} more"));
    }
    let total = mistakes.len() + good;
    output.note(format!("{} of {total} events break the contract. Nothing was published.", mistakes.len()));
    Verdict::No
}

fn list(output: &Output, events: &[Prepared]) -> std::io::Result<()> {
    if events.is_empty() || events.len() > LISTED {
        return Ok(());
    }
    let mut table = Table::new([
        Column::number("line"),
        Column::text("type"),
        Column::long("id"),
        Column::text("topic"),
        Column::long("key"),
    ]);
    for event in events {
        let EventRecord { event_type, event_id, topic, key, .. } = &event.record;
        table.row([
            event.line.to_string().into(),
            event_type.as_str().into(),
            event_id.as_str().into(),
            topic.as_str().into(),
            key.as_str().into(),
        ]);
    }
    output.table(&table)
}

/// Sends in the order of the input; at the first that fails nothing more is sent. Answers how many were.
async fn send(publisher: &Publisher, events: &[Prepared], output: &Output) -> Result<usize, Failure> {
    let mut under_way = std::collections::VecDeque::with_capacity(WINDOW);
    let mut sent = 0;
    let mut waiting = events.iter();
    loop {
        let next = if under_way.len() < WINDOW { waiting.next() } else { None };
        if let Some(event) = next {
            let handle = publisher.enqueue_record(outgoing(&event.record)).await;
            under_way.push_back((event, handle.map_err(|error| failed(event, sent, &error))?));
            continue;
        }
        let Some((event, handle)) = under_way.pop_front() else { return Ok(sent) };
        let published = handle.await.map_err(|error| failed(event, sent, &error))?;
        sent += 1;
        if output.json {
            output.object(&Reported::new(event, Some(&published)))?;
        }
    }
}

fn failed(event: &Prepared, sent: usize, error: &PublishError) -> Failure {
    let sent = plural(sent as u64, "event before it is", "events before it are");
    Failure::Cluster(format!("{}:{}: {error}; {sent} published", event.file, event.line))
}

fn outgoing(record: &EventRecord) -> OutgoingRecord {
    let header = |(name, value): (&'static str, &[u8])| (name.into(), Some(value.to_vec().into()));
    OutgoingRecord {
        topic: record.topic.as_str().into(),
        key: Some(record.key.clone().into()),
        value: Some(record.value.clone().into()),
        headers: record.headers().into_iter().map(header).collect(),
        ..OutgoingRecord::default()
    }
}
