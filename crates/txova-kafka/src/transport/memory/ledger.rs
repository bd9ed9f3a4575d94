//! Ledgers: all records at once under the cluster's lock, so there is nothing half-written to see.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::timeout;

use super::faults::ProduceFault;
use super::state::{Shared, State};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::OutgoingRecord;
use crate::transport::{Delivery, Ledger, LedgerError};

/// As long as a real client tries.
const LIMIT: Duration = Duration::from_secs(30);

pub(super) struct MemoryLedger {
    shared: Arc<Shared>,
    name: String,
    /// Ours, once the name is taken over; 0 before, and after an unknown end.
    epoch: Arc<AtomicU64>,
}

impl MemoryLedger {
    pub(super) fn new(shared: Arc<Shared>, name: &str) -> Self {
        Self { shared, name: name.to_owned(), epoch: Arc::default() }
    }
}

impl Ledger for MemoryLedger {
    fn take_over(&self) -> BoxFuture<'static, Result<(), ClientError>> {
        let (shared, name, ours) = (self.shared.clone(), self.name.clone(), self.epoch.clone());
        Box::pin(async move {
            shared.broker(LIMIT, "taking a ledger over").await?;
            shared.update(|state| {
                let epoch = state.ledgers.entry(name).or_default();
                *epoch += 1;
                ours.store(*epoch, SeqCst);
            });
            Ok(())
        })
    }

    fn write(
        &self,
        records: Vec<Arc<OutgoingRecord>>,
    ) -> BoxFuture<'static, Result<Vec<Delivery>, LedgerError>> {
        let (shared, name, ours) = (self.shared.clone(), self.name.clone(), self.epoch.clone());
        Box::pin(async move {
            let is_down = |state: &State| {
                let down = |record: &Arc<OutgoingRecord>| {
                    state.trouble.get(&*record.topic).is_some_and(|trouble| trouble.down)
                };
                state.broker_away || records.iter().any(down)
            };
            tokio::task::yield_now().await;
            if timeout(LIMIT, shared.wait_until(|state| !is_down(state))).await.is_err() {
                let message = "no broker took the records in time";
                let error = ClientError::new(ClientErrorKind::TimedOutNotWritten, message);
                return Err(LedgerError::NotWritten(error));
            }
            let epoch = ours.load(SeqCst);
            let result = shared.update(|state| match state.ledgers.get(&name) {
                Some(newest) if *newest == epoch => write(state, &records),
                _ => {
                    let message = format!("somebody else has the ledger {name}");
                    Err(LedgerError::Unknown(ClientError::new(ClientErrorKind::StaleMember, message)))
                }
            });
            if matches!(result, Err(LedgerError::Unknown(_))) {
                ours.store(0, SeqCst);
            }
            result
        })
    }
}

fn write(state: &mut State, records: &[Arc<OutgoingRecord>]) -> Result<Vec<Delivery>, LedgerError> {
    let mut is_answered = true;
    for (index, record) in records.iter().enumerate() {
        let failed = |error: ClientError| match error.kind {
            ClientErrorKind::TooLarge | ClientErrorKind::InvalidRecord => LedgerError::Refused(index, error),
            _ => LedgerError::NotWritten(error),
        };
        state.place(record).map_err(failed)?;
        let fault =
            state.trouble.get_mut(&*record.topic).and_then(|trouble| trouble.produce_faults.pop_front());
        match fault {
            Some(ProduceFault::Refused(kind)) => {
                return Err(failed(ClientError::new(kind, "refused by a script")));
            }
            Some(ProduceFault::WrittenButTimedOut) => is_answered = false,
            None => {}
        }
    }
    let mut deliveries = Vec::with_capacity(records.len());
    for record in records {
        let place = state.place(record).map_err(LedgerError::Unknown)?;
        deliveries.push(state.append(&place, record).map_err(LedgerError::Unknown)?);
    }
    match is_answered {
        true => Ok(deliveries),
        false => {
            let message = "no answer in time (by a script)";
            Err(LedgerError::Unknown(ClientError::new(ClientErrorKind::TimedOutMaybeWritten, message)))
        }
    }
}
