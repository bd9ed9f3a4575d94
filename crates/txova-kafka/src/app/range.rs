//! A bounded run: a stretch of the log through the app's handlers, outside of its group. It must never join the group
//! nor commit for it.

mod member;
mod places;
mod report;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::client_error::ClientError;
use crate::dead_letter::DeadLetterWriter;
use crate::driver::{DeadLetters, Driver, Ended, LetterPath};
use crate::engine::{CloseReport, DeadLetterOrder, StopReason};
use crate::record::{Record, TopicPartition};
use crate::redriven::Redriven;

use super::{App, RunError};

use self::member::Progress;
pub use self::report::{FailedRecord, RangePart, RangeReport};

/// Nothing is committed, so that the engine's word on how far it is costs nothing.
const PROGRESS_EVERY: Duration = Duration::from_millis(20);
/// The report lists so many failed records where none becomes a dead letter.
const LISTED_FAILURES: usize = 1_000;

/// Which stretch of the log [`App::run_range`] reads.
///
/// ```no_run
/// use txova_kafka::{App, RangeEnd, RangeStart, RunRange};
///
/// # async fn repair(app: App) -> Result<(), txova_kafka::RunError> {
/// // What came in the hour of the outage, once more.
/// let (from, to) = (1_795_507_200_000, 1_795_510_800_000);
/// let hour = RunRange::new(RangeStart::Timestamp { unix_ms: from }, RangeEnd::Timestamp { unix_ms: to });
/// let report = app.run_range(hour.topics(["txova.rides.v1"])).await?;
/// println!("{report}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRange {
    from: RangeStart,
    to: RangeEnd,
    topics: Option<Vec<String>>,
    partitions: Vec<TopicPartition>,
    dead_letters: bool,
}

/// Where a bounded run begins, in each partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeStart {
    /// At the first record the log still has.
    Earliest,
    /// At this offset, which must be in the log.
    Offset(i64),
    /// At the first record whose timestamp is at or behind this time.
    Timestamp {
        /// Milliseconds since the Unix epoch.
        unix_ms: i64,
    },
}

/// Where a bounded run ends, in each partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeEnd {
    /// Behind the last record there is when the run begins.
    End,
    /// Before this offset, up to which the log must go.
    Offset(i64),
    /// Before the first record whose timestamp is at or behind this time; at the log's end where there is none yet.
    Timestamp {
        /// Milliseconds since the Unix epoch.
        unix_ms: i64,
    },
}

impl RunRange {
    /// From `from` to before `to`, on all partitions of the app's topics.
    pub fn new(from: RangeStart, to: RangeEnd) -> Self {
        Self { from, to, topics: None, partitions: Vec::new(), dead_letters: true }
    }

    /// Reads these topics in place of the app's.
    pub fn topics<T: Into<String>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        self.topics = Some(topics.into_iter().map(Into::into).collect());
        self
    }

    /// Reads this partition, and of the topics only what is so named.
    pub fn partition(mut self, partition: TopicPartition) -> Self {
        if !self.partitions.contains(&partition) {
            self.partitions.push(partition);
        }
        self
    }

    /// Writes no dead letters: what cannot be handled is listed in the report alone.
    pub fn without_dead_letters(mut self) -> Self {
        self.dead_letters = false;
        self
    }
}

impl App {
    /// Runs a stretch of the log through the handlers and ends. The app does not join its group, and nothing is
    /// committed: what the group has done and will do stays as it is, and it may be running meanwhile.
    ///
    /// Order, concurrency, retries, time limits and dead letters are as in [`run`](Self::run). What handlers publish through
    /// [`Tx`](crate::Tx) is written when their record is done, at least once: there is no offset it could be committed with.
    /// The ends are looked up once, at the start. Partitions are read one after the other. [`AppHandle::close`](super::AppHandle::close) ends it
    /// sooner; the report then says from where to go on.
    ///
    /// # Errors
    /// A topic, partition or offset that is not there; a handler's `stop`; a client that cannot go on.
    ///
    /// # Cancellation
    /// Dropping the future ends the handlers at their next await.
    pub async fn run_range(self, range: RunRange) -> Result<RangeReport, RunError> {
        let service = self.service.to_string();
        let failed = |error: ClientError| RunError {
            service: service.clone(),
            reason: error.to_string(),
            report: CloseReport::default(),
            client: Some(error),
        };
        let transport = &self.kafka.transport;
        let ranges = places::find(transport.as_ref(), self.topics(), &range).await.map_err(failed)?;
        let failures = Failures::default();
        let dead_letters: Arc<dyn DeadLetters> = match range.dead_letters {
            false => Arc::new(failures.clone()),
            true => {
                let (service, group) = (self.service.clone(), self.settings.group.clone());
                Arc::new(DeadLetterWriter::connect(&self.kafka, service, group).map_err(failed)?)
            }
        };
        let records = transport.read(ranges.clone()).map_err(failed)?;
        let producer = match self.settings.publishing {
            None => None,
            Some(_) => Some(transport.producer().map_err(failed)?),
        };
        let (member, progress, settled) = member::open(records, &ranges, producer);
        let (handle, mut settings) = (self.handle.clone(), self.settings);
        let limit = settings.shutdown_timeout;
        settings.engine.commit_interval = PROGRESS_EVERY;
        let handlers = Arc::new(Redriven::new(self.routes, settings.group.clone()));
        let letters = LetterPath::Acknowledged(dead_letters);
        let run = Driver::new(settings, member, handlers, letters, self.control).run();
        tokio::pin!(run);
        let ended = tokio::select! {
            ended = &mut run => ended,
            Ok(()) = settled => {
                handle.begin_close(limit);
                run.await
            }
        };
        self.ended.send_replace(true);
        let Ended { mut report, reason, last } = ended;
        report.committed.clear(); // the engine believes so
        let Progress { read_to, positions } = progress.take();
        match reason {
            None => Ok(RangeReport::new(
                &ranges,
                &read_to,
                &positions,
                last.engine.counts,
                failures.take(),
                range.dead_letters,
            )),
            Some(reason) => {
                let text = format!("{reason}{}", so_far(&positions));
                let client = if let StopReason::Client(error) = reason { Some(error) } else { None };
                Err(RunError { service, reason: text, report, client })
            }
        }
    }
}

/// From where a run that failed can go on.
fn so_far(positions: &Offsets) -> String {
    let mut places: Vec<_> = positions.iter().map(|(partition, offset)| (partition, *offset)).collect();
    places.sort();
    let places: Vec<String> =
        places.into_iter().map(|(partition, offset)| format!("{partition} offset {offset}")).collect();
    match places.is_empty() {
        true => "; nothing is settled yet".to_owned(),
        false => format!("; records before this are settled: {}", places.join(", ")),
    }
}

/// Stands in for the dead-letter topic where none is wanted.
#[derive(Clone, Default)]
struct Failures(Arc<Mutex<Vec<FailedRecord>>>);

impl Failures {
    fn take(&self) -> Vec<FailedRecord> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl DeadLetters for Failures {
    fn write(&self, order: DeadLetterOrder<Record>) -> BoxFuture<'static, Result<(), ClientError>> {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() < LISTED_FAILURES {
            failures.push(FailedRecord {
                partition: order.partition,
                offset: order.record.offset,
                attempts: order.attempts,
                handler: order.failure.handler.to_string(),
                class: order.failure.class,
                error: order.failure.message,
            });
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

/// One offset of each partition.
type Offsets = HashMap<TopicPartition, i64>;
