//! Many dead letters on a real Kafka: how long the command that lists them takes and what memory, and how fast they are sent
//! back. The letters are those of an app that refuses everything; what is measured is the command, as operators run it.

mod limit;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use txova_kafka::config::KafkaConfig;
use txova_kafka::{HandlerError, Kafka};

use crate::broker::Place;
use crate::child;
use crate::data::{Keys, Shape, Work};
use crate::failure::{Context, Failure, Result};

const TOPIC: &str = "bench.letters";
const PARTITIONS: i32 = 6;
/// Looking whether all is written takes this long at least.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(600);

const MOST_SECONDS: f64 = 2.0;
const MOST_MIB: f64 = 200.0 * 1e6 / (1024.0 * 1024.0);
const LEAST_A_SECOND: f64 = 20_000.0;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Dead letters.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    letters: u32,
    /// The `txova-kafka` that is measured; it is built for production where this is not given.
    #[arg(long)]
    command: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let command = match &args.command {
        Some(command) => command.clone(),
        None => build()?,
    };
    let broker = args.place.broker()?;
    let dlq = format!("{TOPIC}.dlq");
    for topic in [TOPIC, &dlq] {
        broker.fresh(topic, PARTITIONS)?;
    }
    let shape = Shape {
        records: args.letters,
        partitions: PARTITIONS,
        keys: Keys::Trips,
        work: Work::None,
        poison_every: 0,
    };
    let root = std::env::current_dir().context(|| "no current folder".to_owned())?;
    broker.fill(TOPIC, &shape, &root.join("data/trips.csv"))?;
    let runtime = tokio::runtime::Runtime::new().context(|| "no runtime".to_owned())?;
    let took = runtime.block_on(refuse_all(&broker.brokers, u64::from(args.letters)))?;
    println!("{} dead letters written in {:.1} s", args.letters, took.as_secs_f64());

    let letters = f64::from(args.letters);
    let measure = |words: &[&str]| {
        let mut command = Command::new(&command);
        command.args(["dlq"]).args(words).args([TOPIC, "--brokers", &broker.brokers]);
        let began = Instant::now();
        let (line, peak_mib) = child::last_line(&mut command)?;
        Ok::<_, Failure>((began.elapsed().as_secs_f64(), peak_mib, line))
    };
    let ls = |what: &str| {
        let (seconds, peak_mib, line) = measure(&["ls"])?;
        let is_met = seconds < MOST_SECONDS && peak_mib < MOST_MIB;
        println!(
            "{what:<28} {seconds:>6.2} s {peak_mib:>6.0} MiB   target: under {MOST_SECONDS} s and {MOST_MIB:.0} MiB: {}",
            met(is_met)
        );
        Ok::<_, Failure>(line)
    };
    expect(&ls("dlq ls")?, &format!("of {} entries", thousands(args.letters)))?;
    // A cluster's first replay makes the topics of decisions, and the brokers their log of transactions.
    measure(&["replay", "--yes", "--limit", "1", "--why", "the first"])?;
    let (seconds, peak_mib, _) = measure(&["replay", "--yes", "--why", "measured"])?;
    let a_second = letters / seconds;
    println!(
        "{:<28} {seconds:>6.2} s {peak_mib:>6.0} MiB   {a_second:.0} letters/s, target: {LEAST_A_SECOND:.0}: {}",
        "dlq replay",
        met(a_second >= LEAST_A_SECOND)
    );
    expect(&ls("dlq ls, all sent back")?, "0 entries of 0 kinds")?;
    let written = [(TOPIC, PARTITIONS), ("txova.dlq.resolutions", 1), ("txova.dlq.audit", 1)];
    let took = limit::measure(&broker, args.letters, written)?.as_secs_f64();
    println!(
        "{:<28} {took:>6.2} s              {:.0} letters/s: the same records by the client alone, in transactions, with nothing read; \
        replay to raw: {:.2}",
        "raw",
        letters / took,
        took / seconds
    );
    Ok(())
}

fn met(is_met: bool) -> &'static str {
    if is_met { "met" } else { "missed" }
}

fn thousands(number: u32) -> String {
    match (number / 1_000, number % 1_000) {
        (0, rest) => rest.to_string(),
        (more, rest) => format!("{},{rest:03}", thousands(more)),
    }
}

/// Figures of a command that did something else are worth nothing.
fn expect(line: &str, text: &str) -> Result<()> {
    match line.contains(text) {
        true => Ok(()),
        false => Err(Failure::new(format!("expected {text:?} in the last line, found {line:?}"))),
    }
}

fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--package", "txova-kafka-cli"])
        .stdin(Stdio::null())
        .status()
        .context(|| "cannot run cargo".to_owned())?;
    if !built.success() {
        return Err(Failure::new(format!("building the command ended with {built}")));
    }
    let bench = std::env::current_exe().context(|| "cannot find this program".to_owned())?;
    Ok(bench.with_file_name("txova-kafka"))
}

/// Runs an app until every record is a dead letter.
async fn refuse_all(brokers: &str, letters: u64) -> Result<Duration> {
    let kafka = Kafka::new(KafkaConfig::for_brokers(brokers)).context(|| "no Kafka".to_owned())?;
    let refuse = async || Err::<(), _>(HandlerError::permanent("the gateway refuses the ride"));
    let app = kafka.app("bench").on("*", refuse).topics([TOPIC]);
    let group = format!("bench.letters-{}", uuid::Uuid::new_v4());
    let app = app.consumer(|consumer| {
        consumer.group = Some(group);
        consumer.breaker_enabled = false;
        consumer.concurrency = 1_000;
    });
    let app = app.build().context(|| "no app".to_owned())?;
    let (handle, began) = (app.handle(), Instant::now());
    let run = tokio::spawn(app.run());
    loop {
        let status = handle.status().await;
        if status.is_some_and(|status| status.engine.counts.dead_lettered >= letters) {
            break;
        }
        if began.elapsed() > LIMIT || run.is_finished() {
            return Err(Failure::new("the dead letters are not written".to_owned()));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let took = began.elapsed();
    handle.close(LIMIT).await;
    run.await.context(|| "the app panicked".to_owned())?.context(|| "the app stopped".to_owned())?;
    Ok(took)
}
