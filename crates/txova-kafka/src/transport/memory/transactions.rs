//! Transactions of a member: records and offsets that are all kept or all gone. While one is open nobody sees its
//! records, nor what is behind them, and nobody new gets the partitions whose offsets it commits. It must never answer
//! before its end is certain.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::MemberId;
use super::faults::{CommitFault, ProduceFault};
use super::group::{check_metadata, refused, unanswered};
use super::state::{Shared, State, now_ms};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::TopicPartition;
use crate::transport::{Commit, CommitEntry, CommitError, Transactions};

/// Names a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::transport) struct TransactionId(pub(super) u64);

/// One that has not ended.
#[derive(Debug)]
pub(super) struct Open {
    /// The transactional id of whoever began it.
    producer: String,
    group: String,
    member: MemberId,
    places: BTreeSet<TopicPartition>,
}

/// Whose commit it is.
pub(super) struct Committing {
    pub shared: Arc<Shared>,
    pub group: String,
    pub member: MemberId,
}

impl Committing {
    /// Writes and commits, or does neither. Where `is_gone` says that the member is no more, what is open stays open until
    /// its timeout, as after a crash.
    pub(super) async fn transact(
        self,
        transactions: Transactions,
        commit: Commit,
        is_gone: impl Fn() -> bool,
    ) -> Result<(), CommitError> {
        if commit.is_empty() {
            return Ok(());
        }
        if commit.entries.is_empty() {
            let text = "records without an offset beside them belong to nobody, and nothing fences them";
            return Err(ClientError::new(ClientErrorKind::Config, text).into());
        }
        let (request_timeout, delay) = {
            let state = self.shared.lock();
            let delay = state.groups.get(&self.group).map(|group| group.commit_delay).unwrap_or_default();
            (state.settings.request_timeout, delay)
        };
        self.shared.broker(request_timeout, &format!("transaction of group {}", self.group)).await?;
        self.topics_are_up(&transactions, &commit).await?;
        let until = Instant::now() + transactions.timeout;
        let (begun, fault) = self.shared.update(|state| self.begin(state, &transactions, &commit));
        let id = begun?;
        self.abort_at(id, until);
        match delay.is_zero() {
            true => tokio::task::yield_now().await,
            false => sleep(delay).await,
        }
        if is_gone() {
            return Err(ClientError::new(ClientErrorKind::Closed, "the group member is gone").into());
        }
        let is_over = |state: &State| !state.transactions.contains_key(&id);
        self.shared.wait_until(|state| !state.broker_away || is_over(state)).await;
        let is_to_be_kept = fault != Some(CommitFault::Unanswered);
        let kept = self.shared.update(|state| state.end(id, is_to_be_kept)) && is_to_be_kept;
        if matches!(fault, Some(CommitFault::Unanswered | CommitFault::WrittenButTimedOut)) {
            sleep(request_timeout).await;
            // The member asks what is committed, which tells nothing of partitions that went meanwhile.
            let state = self.shared.lock();
            let still = |entry: &CommitEntry| {
                let group = state.groups.get(&self.group);
                group.is_some_and(|group| {
                    group.check(&self.group, self.member, std::slice::from_ref(entry)).is_ok()
                })
            };
            if !commit.entries.iter().any(still) {
                let text =
                    format!("{}; its partitions went before it was known", unanswered(&self.group).message);
                return Err(ClientError::new(ClientErrorKind::StaleMember, text).into());
            }
        }
        if kept { Ok(()) } else { Err(unanswered(&self.group).into()) }
    }

    /// Records wait where no broker takes them, for as long as the transaction may.
    async fn topics_are_up(&self, transactions: &Transactions, commit: &Commit) -> Result<(), ClientError> {
        let is_down = |state: &State| {
            let mut topics = commit.records.iter().map(|record| &record.topic);
            topics.find(|topic| state.trouble.get(&***topic).is_some_and(|trouble| trouble.down)).cloned()
        };
        let up = self.shared.wait_until(|state| is_down(state).is_none());
        match timeout(transactions.timeout, up).await {
            Ok(()) => Ok(()),
            Err(_) => {
                let topic = is_down(&self.shared.lock());
                let text = format!("a record for {topic:?}: no broker took it in time");
                Err(ClientError::new(ClientErrorKind::TimedOutNotWritten, text))
            }
        }
    }

    fn begin(
        &self,
        state: &mut State,
        transactions: &Transactions,
        commit: &Commit,
    ) -> (Result<TransactionId, CommitError>, Option<CommitFault>) {
        let group = state.groups.entry(self.group.clone()).or_default();
        let fault = group.commit_faults.pop_front();
        let checked = group.check(&self.group, self.member, &commit.entries);
        if checked.is_err() && group.members.get(&self.member).is_some_and(|member| member.expelled) {
            group.find_out(self.member);
            state.rebalance(&self.group);
        }
        if let Err(error) = checked {
            return (Err(error.into()), fault);
        }
        state.last_transaction += 1;
        let id = TransactionId(state.last_transaction);
        let open = Open {
            producer: transactions.id.clone(),
            group: self.group.clone(),
            member: self.member,
            places: BTreeSet::new(),
        };
        state.transactions.insert(id, open);
        let written = state.write(id, commit).and_then(|()| match fault {
            Some(CommitFault::Refused(kind)) => Err(refused(&self.group, kind).into()),
            _ => Ok(commit.entries.iter().try_for_each(check_metadata)?),
        });
        if let Err(error) = written {
            state.end(id, false);
            return (Err(error), fault);
        }
        if let Some(group) = state.groups.get_mut(&self.group) {
            group.pending.insert(id, commit.entries.clone());
        }
        (Ok(id), fault)
    }

    /// The broker ends what its producer does not.
    fn abort_at(&self, id: TransactionId, until: Instant) {
        let shared = self.shared.clone();
        tokio::spawn(async move {
            let ended = shared.wait_until(|state| !state.transactions.contains_key(&id));
            tokio::select! {
                biased;
                () = ended => {}
                () = sleep_until(until) => {
                    shared.update(|state| state.end(id, false));
                }
            }
        });
    }
}

impl State {
    /// Ends what a producer of that transactional id left open.
    pub(super) fn take_over(&mut self, producer: &str) {
        let left: Vec<TransactionId> = self
            .transactions
            .iter()
            .filter(|(_, open)| open.producer == producer)
            .map(|(id, _)| *id)
            .collect();
        for id in left {
            self.end(id, false);
        }
    }

    fn write(&mut self, id: TransactionId, commit: &Commit) -> Result<(), CommitError> {
        for (index, record) in commit.records.iter().enumerate() {
            let is_for_good =
                |kind| matches!(kind, ClientErrorKind::TooLarge | ClientErrorKind::InvalidRecord);
            let failed =
                |error: ClientError| CommitError { refused: is_for_good(error.kind).then_some(index), error };
            let place = self.place(record).map_err(failed)?;
            let trouble = self.trouble.get_mut(&*place.topic);
            let fault = trouble.and_then(|trouble| trouble.produce_faults.pop_front());
            if let Some(fault) = fault {
                let kind = match fault {
                    ProduceFault::Refused(kind) => kind,
                    ProduceFault::WrittenButTimedOut => ClientErrorKind::TimedOutMaybeWritten,
                };
                return Err(failed(ClientError::new(
                    kind,
                    format!("record for {place}: refused by a script"),
                )));
            }
            let offset = self.log_mut(&place)?.append_open(record, now_ms(), id);
            self.written.push((place.clone(), offset));
            if let Some(open) = self.transactions.get_mut(&id) {
                open.places.insert(place);
            }
        }
        Ok(())
    }

    /// Ends a transaction, if it has not ended. Answers whether it was this call.
    fn end(&mut self, id: TransactionId, is_committed: bool) -> bool {
        let Some(Open { group: name, member, places, .. }) = self.transactions.remove(&id) else {
            return false;
        };
        for place in places {
            if let Ok(log) = self.log_mut(&place) {
                log.end_transaction(id, is_committed);
            }
        }
        let Some(group) = self.groups.get_mut(&name) else { return true };
        let entries = group.pending.remove(&id).unwrap_or_default();
        for entry in entries.iter().filter(|_| is_committed) {
            group.keep(&name, member, entry, &mut self.commits);
        }
        if entries.iter().any(|entry| !group.owners.contains_key(&entry.partition)) {
            self.rebalance(&name); // it was held back
        }
        true
    }
}

#[cfg(test)]
impl super::Cluster {
    /// Begins a transaction as a producer would that is no member of the group it commits for, and leaves it open.
    pub(in crate::transport) fn leave_open(
        &self,
        producer: &str,
        group: &str,
        commit: &Commit,
    ) -> Result<TransactionId, CommitError> {
        self.shared.update(|state| {
            state.last_transaction += 1;
            let id = TransactionId(state.last_transaction);
            let (producer, name) = (producer.to_owned(), group.to_owned());
            let open = Open { producer, group: name, member: MemberId(0), places: BTreeSet::new() };
            state.transactions.insert(id, open);
            state.write(id, commit)?;
            let group = state.groups.entry(group.to_owned()).or_default();
            group.pending.insert(id, commit.entries.clone());
            Ok(id)
        })
    }

    /// Ends such a transaction.
    pub(in crate::transport) fn end(&self, id: TransactionId, is_committed: bool) {
        self.shared.update(|state| state.end(id, is_committed));
    }
}
