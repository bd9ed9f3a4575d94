//! One measurement of this library, or of what it is compared with in Rust, in a process of its own.

mod drill;
mod end_to_end;
mod ours;
mod plain_loop;
mod raw;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::failure::{Context, Failure, Result};
use crate::measured::Measured;
use crate::plan::{self, Job, RATE, System, Workload};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    system: String,
    workload: String,
    #[arg(long)]
    pub(crate) brokers: String,
    #[arg(long)]
    pub(crate) topic: String,
    #[arg(long, default_value = "")]
    pub(crate) group: String,
    /// The part of a drill: `stuck`, then `recount`.
    #[arg(long)]
    part: Option<String>,
    #[arg(long, default_value = "data/trips.csv")]
    pub(crate) trips: PathBuf,
    #[arg(long)]
    pub(crate) records: Option<u32>,
}

/// What a system is given.
pub(crate) struct Task {
    pub brokers: String,
    pub topic: String,
    pub group: String,
    pub workload: Workload,
}

impl Task {
    pub(crate) fn records(&self) -> u32 {
        self.workload.shape.records
    }

    pub(crate) fn concurrency(&self) -> usize {
        match self.workload.job {
            Job::Consume { concurrency } => concurrency,
            _ => 100,
        }
    }

    pub(crate) fn linger_ms(&self) -> u32 {
        match self.workload.job {
            Job::Latency { linger_ms } => linger_ms,
            Job::EndToEnd => 0,
            _ => 5,
        }
    }

    pub(crate) fn compression(&self) -> &'static str {
        match self.workload.job {
            Job::Publish { compression } => compression,
            _ => "none",
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut workload = plan::named(&args.workload)?;
    workload.shape.records = args.records.unwrap_or(workload.shape.records);
    let system = System::named(&args.system)?;
    let job = workload.job;
    let Args { brokers, topic, group, .. } = args.clone();
    let task = Task { brokers, topic, group, workload };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context(|| "no runtime".to_owned())?;
    let measured = runtime.block_on(async {
        match (system, job) {
            (System::PlainLoop, _) => plain_loop::consume(&task).await,
            (System::Raw, Job::Publish { .. }) => raw::publish(&task),
            (System::RawFuture, Job::Publish { .. }) => raw::publish_with_futures(&task).await,
            (System::Raw, Job::Latency { .. }) => raw::latency(&task).await,
            (System::Raw, Job::Consume { .. }) => raw::consume(&task),
            (System::Raw, Job::EndToEnd) => end_to_end::raw(&task).await,
            (System::Key, Job::Publish { .. }) => ours::publish(&task).await,
            (System::Batch, Job::Publish { .. }) => ours::publish_batch(&task).await,
            (System::Key, Job::Latency { .. }) => ours::latency(&task).await,
            (System::Raw, Job::Lone) => raw::lone(&task).await,
            (System::Key, Job::Lone) => ours::lone(&task).await,
            (System::Key, Job::EndToEnd) => end_to_end::ours(&task).await,
            (System::Key, Job::Stuck) if args.part.as_deref() == Some("stuck") => drill::stuck(&task).await,
            (System::Key, Job::Stuck) => drill::recount(&task).await,
            (System::Key | System::Partition | System::Unordered, Job::Consume { .. }) => {
                ours::consume(&task, system).await
            }
            _ => Err(Failure::new(format!("{} does not do {job:?} in this program", system.name()))),
        }
    });
    runtime.shutdown_background();
    println!("{}", serde_json::to_string(&measured?).context(|| "no JSON".to_owned())?);
    Ok(())
}

/// Calls `send` at the fixed rate, with the moment each call was due.
pub(crate) async fn pace(
    records: u32,
    mut send: impl AsyncFnMut(usize, Instant) -> Result<()>,
) -> Result<()> {
    let began = Instant::now();
    let gap = Duration::from_secs(1) / RATE;
    for n in 0..records {
        let due = began + gap * n;
        // Tokio's timer has a grain of a millisecond; the rest is too short to sleep.
        tokio::time::sleep_until((due - Duration::from_millis(1).min(due - began)).into()).await;
        while Instant::now() < due {
            tokio::task::yield_now().await;
        }
        send(n as usize, due).await?;
    }
    Ok(())
}

pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// What a whole job took.
pub(crate) fn measured(settings: impl Into<String>, records: u32, took: Duration) -> Measured {
    let settings = settings.into();
    Measured { settings, records: records.into(), seconds: took.as_secs_f64(), ..Measured::default() }
}
