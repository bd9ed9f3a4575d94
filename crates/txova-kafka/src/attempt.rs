//! One attempt at a record: what goes to the handlers and what comes back. It stands between the driver, which knows
//! partitions and time, and the router, which knows events and handlers; it must never know either.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::HeldHandlers;
use crate::extract::Outgoing;
use crate::outcome::{BatchOutcome, HandlerId, Outcome};
use crate::record::{Record, TopicPartition};

/// A record on its way to a handler, with all that an extractor can show of it.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub partition: TopicPartition,
    pub record: Record,
    /// The consumer group that handles it.
    pub group: Arc<str>,
    /// 1 for the first attempt; counts on through restarts and rebalances.
    pub number: u32,
    /// When the first attempt failed; `None` at the first attempt.
    pub first_failure: Option<OffsetDateTime>,
    /// When this member received the record, in milliseconds since 1970, UTC; `None` where it came from no log.
    pub received_ms: Option<i64>,
    /// When the time limit ends it.
    pub deadline: Instant,
    /// Cancelled when the app begins to close or the partition is to be given back.
    pub cancelled: CancellationToken,
    /// Where the handler publishes, in an app that commits in transactions.
    pub outgoing: Option<Outgoing>,
    /// Handlers that must not run now: a record for one of them is answered with [`Outcome::Held`].
    pub held: HeldHandlers,
}

/// Finds the handler of a record and runs it. Never panics for what is in the record; a panic of the handler itself
/// is the driver's to catch, and so is the time limit.
pub(crate) trait Dispatch: Send + Sync + 'static {
    /// What may panic, the handler above all, belongs in the future: there it is caught.
    fn dispatch(&self, attempt: Attempt) -> BoxFuture<'static, Outcome>;

    /// Runs a handler once over records that go with the same batches, in this order.
    fn dispatch_batch(&self, attempts: Vec<Attempt>) -> BoxFuture<'static, BatchOutcome>;

    /// The number of the batches this record goes with; `None` is handled alone.
    fn batch_of(&self, record: &Record) -> Option<u32>;

    /// The handler that would get this record, and its name for health and dead letters.
    fn handler_for(&self, record: &Record) -> (Option<HandlerId>, Arc<str>);
}
