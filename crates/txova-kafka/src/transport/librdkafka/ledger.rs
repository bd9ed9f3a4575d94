//! Transactions under a name of their own, beside any consumer group. Every call blocks, on a thread of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::super::{Commit, CommitError, Delivery, Ledger, LedgerEntry, LedgerError, Transactions};
use super::config::{LARGE_BATCH_BYTES, Settings, TRANSACTION_BATCH_BYTES};
use super::own_thread;
use super::transaction::{Ended, TransactionalProducer};
use crate::client_error::{ClientError, ClientErrorKind};

/// After this the brokers end a transaction whose process is gone; the longest a call takes, too.
const LIMIT: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct LibrdkafkaLedger {
    settings: Arc<Settings>,
    transactions: Transactions,
    /// `None` before the name is taken over, and once the producer is of no use any more.
    producer: Arc<Mutex<Option<TransactionalProducer>>>,
    /// Large, until a topic takes none so large: a partition has one batch under way at a time, each a way to the broker
    /// and back.
    batch_bytes: Arc<AtomicUsize>,
}

impl LibrdkafkaLedger {
    pub(super) fn new(settings: &Arc<Settings>, name: &str) -> Self {
        let transactions = Transactions { id: name.to_owned(), timeout: LIMIT };
        let batch_bytes = Arc::new(LARGE_BATCH_BYTES.into());
        Self { settings: Arc::clone(settings), transactions, producer: Arc::default(), batch_bytes }
    }
}

impl Ledger for LibrdkafkaLedger {
    fn take_over(&self) -> BoxFuture<'static, Result<(), ClientError>> {
        let (settings, slot) = (Arc::clone(&self.settings), Arc::clone(&self.producer));
        let (transactions, batch_bytes) =
            (self.transactions.clone(), self.batch_bytes.load(Ordering::SeqCst));
        own_thread::call("txova-kafka-ledger", move || {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            *slot = None; // an epoch that is over cannot be gone on with
            let producer = TransactionalProducer::open(&settings, &transactions, batch_bytes)?;
            producer.take_over(LIMIT)?;
            *slot = Some(producer);
            Ok(())
        })
        .boxed()
    }

    fn write(&self, entry: LedgerEntry) -> BoxFuture<'static, Result<Vec<Delivery>, LedgerError>> {
        let (id, slot) = (self.transactions.id.clone(), Arc::clone(&self.producer));
        let batch_bytes = Arc::clone(&self.batch_bytes);
        let written = own_thread::call("txova-kafka-ledger", move || {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(producer) = slot.as_ref() else {
                let message = format!("the ledger {id} is not taken over");
                return Ok(Err(LedgerError::Unknown(ClientError::new(
                    ClientErrorKind::StaleMember,
                    message,
                ))));
            };
            let LedgerEntry { records, then } = entry;
            let commit = Commit { entries: Vec::new(), records };
            let (result, is_broken) = match producer.transact(&commit, then, None) {
                Ended::Committed(places) => (Ok(places), false),
                // Perhaps only the batch was too large. Smaller ones are another producer's, and whether the name may
                // still be taken for it is not known here.
                Ended::Aborted(CommitError { error, refused: Some(_) })
                    if error.kind == ClientErrorKind::TooLarge
                        && batch_bytes.swap(TRANSACTION_BATCH_BYTES, Ordering::SeqCst)
                            > TRANSACTION_BATCH_BYTES =>
                {
                    (Err(LedgerError::Unknown(error)), true)
                }
                Ended::Aborted(CommitError { error, refused: Some(at) }) => {
                    (Err(LedgerError::Refused(at, error)), false)
                }
                Ended::Aborted(CommitError { error, refused: None }) => {
                    (Err(LedgerError::NotWritten(error)), false)
                }
                // Whether it was only broken or thrown out, the name must be taken over before anything else.
                Ended::Broken(CommitError { error, .. }) | Ended::Unknown(error) => {
                    (Err(LedgerError::Unknown(error)), true)
                }
            };
            if is_broken {
                *slot = None;
            }
            Ok(result)
        });
        async move { written.await.unwrap_or_else(|error| Err(LedgerError::Unknown(error))) }.boxed()
    }
}
