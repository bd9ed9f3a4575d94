//! Ledgers: all records at once under the cluster's lock, so there is nothing half-written to see.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::timeout;

use super::faults::ProduceFault;
use super::state::{Shared, State};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::{OutgoingRecord, TopicPartition};
use crate::transport::{Delivery, Ledger, LedgerEntry, LedgerError};

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

    fn write(&self, entry: LedgerEntry) -> BoxFuture<'static, Result<Vec<Delivery>, LedgerError>> {
        let (shared, name, ours) = (self.shared.clone(), self.name.clone(), self.epoch.clone());
        Box::pin(async move {
            let is_down = |state: &State| {
                let down = |record: &Arc<OutgoingRecord>| {
                    state.trouble.get(&*record.topic).is_some_and(|trouble| trouble.down)
                };
                state.broker_away || entry.records.iter().any(down)
            };
            tokio::task::yield_now().await;
            if timeout(LIMIT, shared.wait_until(|state| !is_down(state))).await.is_err() {
                let message = "no broker took the records in time";
                let error = ClientError::new(ClientErrorKind::TimedOutNotWritten, message);
                return Err(LedgerError::NotWritten(error));
            }
            let epoch = ours.load(SeqCst);
            let result = shared.update(|state| match state.ledgers.get(&name) {
                Some(newest) if *newest == epoch => write(state, entry),
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

fn write(state: &mut State, entry: LedgerEntry) -> Result<Vec<Delivery>, LedgerError> {
    let LedgerEntry { mut records, then } = entry;
    let (mut places, mut is_answered) = check(state, &records, 0)?;
    if let Some(then) = then {
        // Nobody sees what an open transaction has written: where it goes can be told before it is there.
        let (mut ends, mut deliveries) = (BTreeMap::new(), Vec::with_capacity(places.len()));
        for place in &places {
            let end = state.log(place).map_err(LedgerError::NotWritten)?.end();
            let offset = *ends.entry(place).and_modify(|end| *end += 1).or_insert(end);
            deliveries.push(Delivery { partition: place.partition, offset, maybe_twice: false });
        }
        let more = then(&deliveries).map_err(LedgerError::NotWritten)?;
        let (places_of_more, is_more_answered) = check(state, &more, records.len())?;
        is_answered &= is_more_answered;
        places.extend(places_of_more);
        records.extend(more);
    }
    let mut deliveries = Vec::with_capacity(records.len());
    for (place, record) in places.iter().zip(&records) {
        deliveries.push(state.append(place, record).map_err(LedgerError::Unknown)?);
    }
    match is_answered {
        true => Ok(deliveries),
        false => {
            let message = "no answer in time (by a script)";
            Err(LedgerError::Unknown(ClientError::new(ClientErrorKind::TimedOutMaybeWritten, message)))
        }
    }
}

/// Where these go, and whether the brokers answer, by their scripts; `first` is the place of the first among all.
fn check(
    state: &mut State,
    records: &[Arc<OutgoingRecord>],
    first: usize,
) -> Result<(Vec<TopicPartition>, bool), LedgerError> {
    let (mut places, mut is_answered) = (Vec::with_capacity(records.len()), true);
    for (index, record) in records.iter().enumerate() {
        let failed = |error: ClientError| match error.kind {
            ClientErrorKind::TooLarge | ClientErrorKind::InvalidRecord => {
                LedgerError::Refused(first + index, error)
            }
            _ => LedgerError::NotWritten(error),
        };
        places.push(state.place(record).map_err(failed)?);
        let trouble = state.trouble.get_mut(&*record.topic);
        if trouble.as_ref().is_some_and(|trouble| trouble.down) {
            let message = format!("no broker took a record for {} in time", record.topic);
            return Err(failed(ClientError::new(ClientErrorKind::TimedOutNotWritten, message)));
        }
        match trouble.and_then(|trouble| trouble.produce_faults.pop_front()) {
            Some(ProduceFault::Refused(kind)) => {
                return Err(failed(ClientError::new(kind, "refused by a script")));
            }
            Some(ProduceFault::WrittenButTimedOut) => is_answered = false,
            None => {}
        }
    }
    Ok((places, is_answered))
}
