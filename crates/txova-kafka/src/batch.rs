//! What a handler of batches is set to and can answer. It must never know partitions or attempts.

use std::fmt;

use crate::outcome::HandlerError;

/// How large the batches of one handler may get, and how long they may fill: whichever comes first. Given with
/// [`Router::batch`](crate::Router::batch).
///
/// ```
/// use txova_kafka::Batching;
///
/// let bulk = Batching { max_size: 1_000, max_wait_ms: 250, ..Batching::default() };
/// assert_eq!(bulk.max_bytes, 1 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// Records in a batch, at least 1.
    pub max_size: usize,
    /// How long a record waits for others, from when it could have been handled alone. 0 takes what was fetched together.
    pub max_wait_ms: u64,
    /// Bytes of a batch's keys, values and headers; a larger record is a batch of its own.
    pub max_bytes: usize,
}

impl Default for Batching {
    /// 100 records, 100 ms, 1 MiB.
    fn default() -> Self {
        Self { max_size: 100, max_wait_ms: 100, max_bytes: 1 << 20 }
    }
}

impl Batching {
    /// What is wrong with it.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        match (self.max_size, self.max_bytes) {
            (0, _) => Some("`max_size` is 0, expected at least 1 record"),
            (_, 0) => Some("`max_bytes` is 0, expected at least 1"),
            _ => None,
        }
    }
}

/// Which events of a batch failed: all others are handled.
///
/// ```
/// use txova_events::events::RideCompleted;
/// use txova_kafka::{BatchError, Event, HandlerError};
/// # async fn insert(_ride: &RideCompleted) -> std::io::Result<()> { Ok(()) }
///
/// async fn index(rides: Vec<Event<RideCompleted>>) -> Result<(), BatchError> {
///     let mut failed = BatchError::new();
///     for (at, ride) in rides.iter().enumerate() {
///         if ride.fare.centavos() < 0 {
///             failed.add(at, HandlerError::permanent("a negative fare")); // dead-lettered
///         } else if let Err(error) = insert(ride).await {
///             failed.add(at, error); // tried again, alone
///         }
///     }
///     failed.into_result()
/// }
/// # txova_kafka::Router::new().handle(index);
/// ```
#[derive(Debug, Default)]
pub struct BatchError {
    failed: Vec<(usize, HandlerError)>,
}

impl BatchError {
    /// No failure yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The event at `index` failed; its error's class says what becomes of it. The first error of an event counts.
    pub fn add(&mut self, index: usize, error: impl Into<HandlerError>) {
        self.failed.push((index, error.into()));
    }

    /// Whether no event failed.
    pub fn is_empty(&self) -> bool {
        self.failed.is_empty()
    }

    /// `Ok` where no event failed.
    ///
    /// # Errors
    /// Itself, where one did.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }

    /// The failures by index, the lowest first; or why they cannot be those of a batch of `given` events.
    pub(crate) fn into_failed(mut self, given: usize) -> Result<Vec<(usize, HandlerError)>, HandlerError> {
        self.failed.sort_by_key(|(index, _)| *index);
        self.failed.dedup_by_key(|(index, _)| *index);
        match self.failed.last() {
            Some((index, _)) if *index >= given => Err(HandlerError::transient(format!(
                "the handler says that event {index} of its batch failed, and the batch has {given}, counted from 0"
            ))),
            _ => Ok(self.failed),
        }
    }
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failed.first() {
            None => f.write_str("no event of the batch failed"),
            Some((index, error)) => {
                write!(f, "{} events of the batch failed; event {index}: {error}", self.failed.len())
            }
        }
    }
}

impl std::error::Error for BatchError {}

/// These events of a batch cannot be read; the handler has not run. On its way through layers.
#[derive(Debug)]
pub(crate) struct Unreadable(pub Vec<usize>);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} events of the batch cannot be read and are handled apart", self.0.len())
    }
}

impl std::error::Error for Unreadable {}
