//! Publishing together with the record that is handled. It must never know the transaction it ends in.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use txova_events::ToRecord;

use super::{FromEvent, Incoming, Needs};
use crate::outcome::HandlerError;
use crate::publisher::{PublishError, prepare};
use crate::record::OutgoingRecord;

/// Publishes events that readers see if and only if the record that is handled is settled with this attempt: each once,
/// whatever fails, crashes or moves in between. For apps built with
/// [`exactly_once`](crate::AppBuilder::exactly_once).
///
/// Nothing is sent while the handler runs, so that there is nothing to await: what an attempt has published is written
/// when it has succeeded, in one transaction with the offset, and dropped when it has failed or skipped. Events of one
/// handled key are written in the order of the log, those of one attempt in the order of the calls. They inherit
/// correlation id, cause and trace as with a [`Publisher`](crate::publisher::Publisher).
///
/// ```
/// use txova_events::{PaymentId, PaymentInitiated, PaymentMethod, RideCompleted};
/// use txova_kafka::{Event, HandlerError, Tx, testing::Cluster};
///
/// async fn charge(Event(ride): Event<RideCompleted>, tx: Tx) -> Result<(), HandlerError> {
///     let (payment_id, ride_id, amount) = (PaymentId::new(), ride.ride_id, ride.fare);
///     tx.publish(&PaymentInitiated { payment_id, ride_id, amount, method: PaymentMethod::Mpesa })?;
///     Ok(())
/// }
///
/// let kafka = Cluster::new().kafka();
/// let app = kafka.app("payment-service").exactly_once("payments").handle(charge).build()?;
/// # Ok::<(), txova_kafka::BuildError>(())
/// ```
///
/// A handler of batches takes it with each event, `Vec<(Event<T>, Tx)>`: what is published through it belongs to that
/// one.
#[derive(Clone)]
pub struct Tx {
    outgoing: Outgoing,
}

impl Tx {
    /// Publishes an event. Does not wait and does not fail, but for an event that can never be written.
    ///
    /// # Errors
    /// [`InvalidEvent`](crate::publisher::PublishErrorKind::InvalidEvent);
    /// [`TooLarge`](crate::publisher::PublishErrorKind::TooLarge) for `publisher.max_message_bytes` (one that is too large
    /// for its topic's own limit makes a dead letter of the record that is handled), and for `publisher.buffer_bytes` with
    /// what the attempt has published before it: it is kept in memory until the attempt has ended;
    /// [`Closed`](crate::publisher::PublishErrorKind::Closed) after the attempt has ended, from a task it has left behind.
    pub fn publish<E: ToRecord + ?Sized>(&self, event: &E) -> Result<(), PublishError> {
        let Outgoing { publishing, .. } = &self.outgoing;
        self.outgoing.add(prepare(&publishing.source, event, publishing.max_message_bytes)?)
    }
}

impl FromEvent for Tx {
    fn from_event(incoming: &Incoming<'_>) -> Result<Self, HandlerError> {
        let outgoing = incoming.attempt.outgoing.clone();
        let outgoing = outgoing.ok_or_else(|| HandlerError::stop("`Tx` outside of an exactly-once app"))?;
        Ok(Self { outgoing })
    }

    fn needs(needs: &mut Needs) {
        needs.transaction();
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").finish_non_exhaustive()
    }
}

/// What an app's handlers publish under.
#[derive(Debug)]
pub(crate) struct Publishing {
    /// The service, as the source of its events.
    pub source: Arc<str>,
    pub max_message_bytes: usize,
    /// What one attempt may publish together.
    pub max_attempt_bytes: usize,
}

/// What one attempt publishes, until it has ended. A clone is the same one.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    publishing: Arc<Publishing>,
    /// `None` once it is taken.
    records: Arc<Mutex<Option<Published>>>,
}

#[derive(Debug, Default)]
struct Published {
    records: Vec<OutgoingRecord>,
    bytes: usize,
}

impl Outgoing {
    pub(crate) fn new(publishing: Arc<Publishing>) -> Self {
        Self { publishing, records: Arc::new(Mutex::new(Some(Published::default()))) }
    }

    fn add(&self, record: OutgoingRecord) -> Result<(), PublishError> {
        let limit = self.publishing.max_attempt_bytes;
        let mut published = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(published) = published.as_mut() else { return Err(PublishError::ended(&record)) };
        let bytes = published.bytes + record.size_bytes();
        if bytes > limit {
            return Err(PublishError::too_much(&record, published.bytes, limit));
        }
        published.bytes = bytes;
        published.records.push(record);
        Ok(())
    }

    /// What was published. From now on nothing can be added.
    pub(crate) fn take(&self) -> Vec<OutgoingRecord> {
        let published = self.records.lock().unwrap_or_else(PoisonError::into_inner).take();
        published.unwrap_or_default().records
    }
}
