//! Transactions under a name of their own, beside any consumer group. Every call blocks, on a thread of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::super::{Commit, CommitError, Delivery, Ledger, LedgerEntry, LedgerError, Transactions};
use super::config::Settings;
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
}

impl LibrdkafkaLedger {
    pub(super) fn new(settings: &Arc<Settings>, name: &str) -> Self {
        let transactions = Transactions { id: name.to_owned(), timeout: LIMIT };
        Self { settings: Arc::clone(settings), transactions, producer: Arc::default() }
    }
}

impl Ledger for LibrdkafkaLedger {
    fn take_over(&self) -> BoxFuture<'static, Result<(), ClientError>> {
        let (settings, slot) = (Arc::clone(&self.settings), Arc::clone(&self.producer));
        let transactions = self.transactions.clone();
        own_thread::call("txova-kafka-ledger", move || {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            *slot = None; // an epoch that is over cannot be gone on with
            let producer = TransactionalProducer::open(&settings, &transactions)?;
            producer.take_over(LIMIT)?;
            *slot = Some(producer);
            Ok(())
        })
        .boxed()
    }

    fn write(&self, entry: LedgerEntry) -> BoxFuture<'static, Result<Vec<Delivery>, LedgerError>> {
        let (id, slot) = (self.transactions.id.clone(), Arc::clone(&self.producer));
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
