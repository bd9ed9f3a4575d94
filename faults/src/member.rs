//! One member of the group under test: an app like any other, whose handler writes down what it does.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval, sleep};
use txova_kafka::config::{ConsumerConfig, KafkaConfig, Order};
use txova_kafka::{Event, HandlerError, Kafka, Meta, State, Tx, shutdown_signal};

use crate::clock::At;
use crate::event::{Forwarded, GROUP, Kind, Numbered, TOPIC};
use crate::failure::{Context, Result};
use crate::journal::{End, Journal, Line, Place};
use crate::subscriber::Words;

const STATUS_EVERY: Duration = Duration::from_millis(250);
/// The exit code of a member that left in time and could not commit what it had done last.
pub(crate) const LAST_COMMIT_FAILED: u8 = 5;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    brokers: String,
    #[arg(long)]
    journal: PathBuf,
    #[arg(long)]
    session_timeout_ms: u64,
    /// Publish for each record, in one transaction with its offset.
    #[arg(long)]
    exactly_once: bool,
    /// Never end the records that are made to be stuck.
    #[arg(long)]
    stuck: bool,
    /// Say at once when so many records are done.
    #[arg(long)]
    tell_at: Option<u64>,
}

/// What a member says of itself, a line of JSON each.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) partitions: usize,
    pub(crate) received: u64,
    pub(crate) started: u64,
    pub(crate) commits: u64,
    pub(crate) commit_failures: u64,
    pub(crate) in_flight: usize,
    pub(crate) done: u64,
}

#[derive(Clone)]
struct Book {
    journal: Arc<Journal>,
    stuck: bool,
    done: Arc<AtomicU64>,
}

/// A handling under way. Dropped without an end, it was ended from outside.
struct Handling {
    book: Book,
    place: Place,
    ended: bool,
}

impl Handling {
    fn start(book: Book, event: &Numbered, meta: &Meta) -> Self {
        let place = Place { partition: meta.partition, offset: meta.offset };
        let (key, number, attempt) = (event.key, event.number, meta.attempt);
        book.journal.write(Line::Start { at: At::now(), place, key, number, attempt });
        Self { book, place, ended: false }
    }

    fn end(mut self, end: End) {
        self.write(end);
        if end == End::Done {
            self.book.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn write(&mut self, end: End) {
        self.ended = true;
        self.book.journal.write(Line::End { at: At::now(), place: self.place, end });
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        if !self.ended {
            self.write(End::Dropped);
        }
    }
}

async fn handle(
    Event(event): Event<Numbered>,
    meta: Meta,
    State(book): State<Book>,
) -> std::result::Result<(), HandlerError> {
    let is_stuck = book.stuck && event.kind == Kind::Stuck;
    let handling = Handling::start(book, &event, &meta);
    if is_stuck {
        std::future::pending::<()>().await;
    }
    if event.work_ms > 0 {
        sleep(Duration::from_millis(event.work_ms.into())).await;
    }
    match event.kind {
        Kind::Poison => {
            handling.end(End::Refused);
            Err(HandlerError::permanent("poison"))
        }
        Kind::Flaky if meta.attempt == 1 => {
            handling.end(End::Failed);
            Err(HandlerError::transient("not at the first attempt"))
        }
        _ => {
            handling.end(End::Done);
            Ok(())
        }
    }
}

/// Publishes first, so that attempts that fail have published too.
async fn forward(
    event: Event<Numbered>,
    meta: Meta,
    book: State<Book>,
    tx: Tx,
) -> std::result::Result<(), HandlerError> {
    let Numbered { key, number, .. } = event.0;
    tx.publish(&Forwarded { key, number, partition: meta.partition, offset: meta.offset })?;
    handle(event, meta, book).await
}

pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let journal = Arc::new(Journal::create(&args.journal)?);
    tracing::subscriber::set_global_default(Words(journal.clone())).context(|| "no subscriber".to_owned())?;
    let kafka = Kafka::new(KafkaConfig::for_brokers(&args.brokers)).context(|| "no client".to_owned())?;
    let book = Book { journal, stuck: args.stuck, done: Arc::default() };
    let settings = |consumer: &mut ConsumerConfig| {
        consumer.group = Some(GROUP.to_owned());
        consumer.order = Order::Key;
        consumer.session_timeout_ms = args.session_timeout_ms;
        consumer.heartbeat_interval_ms = args.session_timeout_ms / 6;
        consumer.retry_backoff_ms = 100;
        if args.exactly_once {
            consumer.commit_every_records = 750;
            consumer.commit_interval_ms = 100;
        }
    };
    let app = kafka.app("faults").state(book.clone()).consumer(settings);
    let app = match args.exactly_once {
        true => app.exactly_once("faults").handle(forward).topics([TOPIC]),
        false => app.handle(handle).topics([TOPIC]),
    };
    let app = app.build().context(|| "no app".to_owned())?;
    let handle = app.handle();
    std::thread::spawn(|| {
        // Whoever started this holds the other end: when it is gone, so is this.
        let _ = std::io::stdin().read(&mut [0; 1]);
        std::process::exit(3);
    });
    tokio::spawn(async move {
        let mut tick = interval(if args.tell_at.is_some() { Duration::from_millis(5) } else { STATUS_EVERY });
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let done = book.done.load(Ordering::Relaxed);
            if args.tell_at.is_some_and(|at| done < at) {
                continue;
            }
            let Some(status) = handle.status().await else { continue };
            let engine = status.engine;
            let counts = engine.counts;
            let said = Said {
                partitions: engine.partitions.len(),
                received: counts.received,
                started: counts.started,
                commits: counts.commits,
                commit_failures: counts.commit_failures,
                in_flight: engine.in_flight_records,
                done,
            };
            println!("{}", serde_json::to_string(&said).unwrap_or_default());
        }
    });
    let report = app.run_until(shutdown_signal()).await.context(|| "the run ended".to_owned())?;
    eprintln!("{report}");
    Ok(if report.commit_error.is_none() { ExitCode::SUCCESS } else { ExitCode::from(LAST_COMMIT_FAILED) })
}
