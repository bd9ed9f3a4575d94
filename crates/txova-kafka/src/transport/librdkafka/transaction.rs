//! One transaction after the other by one producer, and what is certain about each afterwards. Every call blocks. It must
//! never say "committed" or "not committed" of what only the brokers know.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::Producer as _;

use super::super::{Commit, CommitError, Delivery, NotTaken, Producer as _, Then, Transactions, Undelivered};
use super::committer::{native, place};
use super::config::Settings;
use super::errors;
use super::producer::LibrdkafkaProducer;
use super::raw::{self, CallFailed, Membership};
use crate::client_error::{ClientError, ClientErrorKind as Kind};
use crate::record::OutgoingRecord;

/// Before a call that failed at once is made again.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a connection is waited for before anything is asked.
const CONNECTED_WITHIN: Duration = Duration::from_secs(1);

/// A producer with a transactional id.
pub(super) struct TransactionalProducer {
    producer: LibrdkafkaProducer,
    /// How long a transaction may take, and afterwards its end.
    limit: Duration,
    place: String,
}

/// What is certain about a transaction.
pub(super) enum Ended {
    /// With where its records are.
    Committed(Vec<Delivery>),
    /// Nothing of it is committed or will be seen.
    Aborted(CommitError),
    /// As before, and the producer is of no use any more.
    Broken(CommitError),
    /// It may be committed or not, and the producer is of no use any more. Whoever takes the id over ends it either way.
    Unknown(ClientError),
}

impl TransactionalProducer {
    /// Connects to nothing yet.
    pub(super) fn open(
        settings: &Settings,
        transactions: &Transactions,
        batch_bytes: usize,
    ) -> Result<Self, ClientError> {
        let config = settings.transactional_producer(transactions, batch_bytes);
        let producer = LibrdkafkaProducer::open(&config, settings)?;
        let place = format!("transactional id {} at {}", transactions.id, settings.bootstrap);
        Ok(Self { producer, limit: transactions.timeout, place })
    }

    /// Takes the id over: what a producer that had it before left open is ended when this comes back.
    pub(super) fn take_over(&self, limit: Duration) -> Result<(), ClientError> {
        let until = Instant::now() + limit;
        // librdkafka asks for the coordinator at once where a broker is connected, else half a second later.
        let _ = self.producer.client().client().fetch_cluster_id(limit.min(CONNECTED_WITHIN));
        let taken = again(until, |left| self.producer.client().init_transactions(left).map_err(failed));
        taken.map_err(|failed| self.error("taking it over", &failed))
    }

    /// Writes the records and what `then` has to say of them, commits the entries in the name of the member where there is
    /// one, or does nothing of it.
    pub(super) fn transact(
        &self,
        commit: &Commit,
        then: Option<Then>,
        membership: Option<&Membership>,
    ) -> Ended {
        let client = self.producer.client();
        if let Err(error) = client.begin_transaction() {
            return Ended::Broken(self.error("beginning", &failed(error)).into());
        }
        let until = Instant::now() + self.limit;
        let written = match self.write_all(&commit.records, then, until) {
            Ok(written) => written,
            Err(error) => return self.abort(error),
        };
        if let Some(membership) = membership
            && let Err(error) = self.send_offsets(commit, membership, until)
        {
            return self.abort(error);
        }
        let until = Instant::now() + self.limit;
        match again(until, |left| client.commit_transaction(left).map_err(failed)) {
            Ok(()) => Ended::Committed(written),
            Err(failed) => {
                let error = self.error(&place(&commit.entries), &failed);
                // An abort that the brokers agree to is their word that it was not committed. With these two codes
                // librdkafka aborts without asking them.
                let is_own_word =
                    matches!(failed.code, Code::UnknownProducerId | Code::InvalidProducerIdMapping);
                match failed.must_abort && !is_own_word {
                    true => match self.abort(error.clone().into()) {
                        Ended::Broken(_) => Ended::Unknown(error),
                        ended => ended,
                    },
                    false => Ended::Unknown(error),
                }
            }
        }
    }

    fn send_offsets(
        &self,
        commit: &Commit,
        membership: &Membership,
        until: Instant,
    ) -> Result<(), CommitError> {
        let at = || place(&commit.entries);
        let list = native(&commit.entries).map_err(|error| errors::at(at(), &error))?;
        let client = self.producer.client();
        let sent = again(until, |left| raw::send_offsets(client, &list, membership, left));
        Ok(sent.map_err(|failed| self.error(&at(), &failed))?)
    }

    fn write_all(
        &self,
        records: &[Arc<OutgoingRecord>],
        then: Option<Then>,
        until: Instant,
    ) -> Result<Vec<Delivery>, CommitError> {
        let mut written = self.write(records, until)?;
        if let Some(then) = then {
            let behind = |mut failed: CommitError| {
                failed.refused = failed.refused.map(|refused| records.len() + refused);
                failed
            };
            written.extend(self.write(&then(&written)?, until).map_err(behind)?);
        }
        Ok(written)
    }

    fn write(&self, records: &[Arc<OutgoingRecord>], until: Instant) -> Result<Vec<Delivery>, CommitError> {
        let (answer, answers) = mpsc::channel::<(usize, Result<Delivery, ClientError>)>();
        for (index, record) in records.iter().enumerate() {
            let answer = answer.clone();
            let done = move |answered: Result<Delivery, Undelivered>| {
                let _ = answer.send((index, answered.map_err(|undelivered| undelivered.error))); // nobody waits any more
            };
            if let Err(NotTaken { error, .. }) = self.producer.send(record, Box::new(done)) {
                let refused = is_for_good(error.kind).then_some(index);
                return Err(CommitError { error, refused });
            }
        }
        let in_time = raw::flush(self.producer.client(), left(until));
        let (mut written, mut failed) = (Vec::with_capacity(records.len()), Vec::new());
        for (index, answer) in answers.try_iter() {
            match answer {
                Ok(delivery) => written.push((index, delivery)),
                Err(error) => failed.push((index, error)),
            }
        }
        // A batch that is too large is refused as a whole: its largest record is the one to go. What is told of the
        // others of a batch tells nothing.
        let size = |index: &usize| records.get(*index).map_or(0, |record| record.size_bytes());
        let refused = failed.iter().filter(|(_, error)| is_for_good(error.kind));
        if let Some((index, error)) = refused.max_by_key(|(index, _)| size(index)) {
            return Err(CommitError { error: error.clone(), refused: Some(*index) });
        }
        match failed.into_iter().next() {
            Some((_, error)) => Err(error.into()),
            None if in_time && written.len() == records.len() => {
                written.sort_by_key(|(index, _)| *index);
                Ok(written.into_iter().map(|(_, delivery)| delivery).collect())
            }
            None => {
                let message = format!("{}: records had no answer within {:?}", self.place, self.limit);
                Err(ClientError::new(Kind::TimedOut, message).into())
            }
        }
    }

    /// Ends the transaction without a trace.
    fn abort(&self, why: CommitError) -> Ended {
        let until = Instant::now() + self.limit;
        match again(until, |left| self.producer.client().abort_transaction(left).map_err(failed)) {
            Ok(()) => Ended::Aborted(why),
            Err(failed) => {
                let error = self.error("aborting", &failed);
                tracing::warn!(%error, "a transaction was not aborted by its producer; the next one does it");
                Ended::Broken(why)
            }
        }
    }

    fn error(&self, doing: &str, failed: &CallFailed) -> ClientError {
        ClientError::new(errors::kind_of(failed.code), format!("{}: {doing}: {}", self.place, failed.words))
    }
}

/// Makes a call until it ends otherwise than by "make it again".
fn again(until: Instant, mut call: impl FnMut(Duration) -> Result<(), CallFailed>) -> Result<(), CallFailed> {
    loop {
        match call(left(until)) {
            Err(failed) if failed.is_retriable && !failed.is_fatal && !left(until).is_zero() => {
                tracing::debug!(error = %failed.words, "a call of a transaction is made again");
                sleep(PAUSE.min(left(until)));
            }
            result => return result,
        }
    }
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

fn failed(error: KafkaError) -> CallFailed {
    match error {
        KafkaError::Transaction(error) => CallFailed {
            code: error.code(),
            words: error.string(),
            is_fatal: error.is_fatal(),
            is_retriable: error.is_retriable(),
            must_abort: error.txn_requires_abort(),
        },
        other => CallFailed {
            code: errors::code_of(&other).unwrap_or(Code::Fail),
            words: other.to_string(),
            is_fatal: false,
            is_retriable: false,
            must_abort: false,
        },
    }
}

/// Whether a record is refused whoever sends it again.
fn is_for_good(kind: Kind) -> bool {
    matches!(kind, Kind::TooLarge | Kind::InvalidRecord)
}
