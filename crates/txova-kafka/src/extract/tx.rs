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
    /// for its topic's own limit makes a dead letter of the record that is handled);
    /// [`Closed`](crate::publisher::PublishErrorKind::Closed) after the attempt has ended, from a task it has left behind.
    pub fn publish<E: ToRecord + ?Sized>(&self, event: &E) -> Result<(), PublishError> {
        let Outgoing { source, max_message_bytes, .. } = &self.outgoing;
        self.outgoing.add(prepare(source, event, *max_message_bytes)?)
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

/// What one attempt publishes, until it has ended. A clone is the same one.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    source: Arc<str>,
    max_message_bytes: usize,
    /// `None` once it is taken.
    records: Arc<Mutex<Option<Vec<OutgoingRecord>>>>,
}

impl Outgoing {
    pub(crate) fn new(source: Arc<str>, max_message_bytes: usize) -> Self {
        Self { source, max_message_bytes, records: Arc::new(Mutex::new(Some(Vec::new()))) }
    }

    fn add(&self, record: OutgoingRecord) -> Result<(), PublishError> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        match records.as_mut() {
            Some(records) => records.push(record),
            None => return Err(PublishError::ended(&record)),
        }
        Ok(())
    }

    /// What was published. From now on nothing can be added.
    pub(crate) fn take(&self) -> Vec<OutgoingRecord> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }
}
