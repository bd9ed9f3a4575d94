//! Where decisions about the entries of one dead-letter topic are made: by one at a time, each with its audit record, all
//! of it or nothing. It must never know what is decided, or why.
//!
//! Whoever sits here holds a claim, and writes in transactions under a name that goes with the topic. A newcomer looks
//! for a claim that holds, takes the name over (whoever had it can write no more, and what was being written is there as a
//! whole or not at all), reads on to where that is certain, and looks again. Only then it claims. One who finds the name
//! taken takes it back while the claim still stands, and learns from the claim's sequence number whether the last
//! transaction was kept. So two claims never hold at once, whatever the clocks say; clocks only tell when somebody who has
//! died is waited for no longer.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{debug, warn};
use txova_events::{EventId, Time};

use super::audit::AuditRecord;
use super::entry::Resolution;
use super::list::{ANSWER_TIMEOUT, Topics};
use super::resolutions::{self, Claim, Decisions};
use super::{LIBRARY_VERSION, instance, topics};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::kafka::Kafka;
use crate::record::OutgoingRecord;
use crate::transport::{Delivery, Ledger, LedgerEntry, LedgerError};

/// How long others' transactions may hold up reading; the brokers end one whose process is gone within 30 s.
const READABLE_WITHIN: Duration = Duration::from_secs(60);
/// How long a transaction that was not kept is tried again.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);
/// Two who take the name from each other are parted by chance; this is never reached but by a broken broker.
const MOST_TRIES: u32 = 20;

/// Who decides and what for.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub by: String,
    pub why: String,
    pub doing: String,
}

/// One thing that is done, with what is written about it.
#[derive(Clone)]
pub(crate) struct Act {
    /// What the entry's state is from now on.
    pub resolution: Option<Resolution>,
    pub audit: AuditRecord,
    /// What is sent back to a topic.
    pub record: Option<Arc<OutgoingRecord>>,
}

#[derive(Debug)]
pub(crate) enum DeskError {
    /// Somebody else decides here.
    Claimed(Box<Claim>),
    /// Nothing was written, because no broker takes this act's record.
    Refused(usize, ClientError),
    /// It did not work, and this desk is of no use any more.
    Client(ClientError),
}

impl From<ClientError> for DeskError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

pub(crate) struct Desk {
    kafka: Kafka,
    topic: Arc<str>,
    who: Who,
    ledger: Arc<dyn Ledger>,
    claim: Claim,
    lease: Duration,
    /// What is decided, as of the claim; it does not follow what is written here.
    pub decisions: Decisions,
}

impl Desk {
    /// Sits down, for as long as `lease` after the last thing that was written.
    pub(crate) async fn open(
        kafka: &Kafka,
        there: &Topics,
        topic: Arc<str>,
        who: &Who,
        lease: Duration,
        takes_over: bool,
    ) -> Result<Self, DeskError> {
        let missing: Vec<_> =
            topics::decisions().into_iter().filter(|topic| there.partitions(&topic.name).is_none()).collect();
        if !missing.is_empty() {
            topics::make(kafka, missing).await.map_err(|error| {
                let hint = "the topics can also be made beforehand, txova.dlq.resolutions with cleanup.policy=compact";
                ClientError::new(error.kind, format!("{}; {hint}", error.message))
            })?;
        }
        let now = Time::now();
        let claim = Claim {
            id: EventId::new().to_string(),
            by: who.by.clone(),
            doing: who.doing.clone(),
            instance: instance::name().to_owned(),
            since: Some(now),
            ..Claim::default()
        };
        let ledger = kafka.transport.ledger(&format!("txova.dlq/{topic}"))?;
        let decisions = Decisions::default();
        let mut desk =
            Self { kafka: kafka.clone(), topic, who: who.clone(), ledger, claim, lease, decisions };
        desk.decisions.go_on(kafka).await?;
        for _ in 0..MOST_TRIES {
            desk.look_whether_free(takes_over)?;
            desk.take_name().await?;
            let before = desk.look_whether_free(takes_over)?;
            if before.as_ref().is_some_and(|before| before.id == desk.claim.id) {
                return Ok(desk); // written by the last try, which had no answer
            }
            let audit = match before {
                None => desk.audit("claim", ""),
                Some(before) => {
                    desk.audit("take over", &format!("from {} at {}", before.by, before.instance))
                }
            };
            let act = Act { resolution: None, audit, record: None };
            match desk.ledger.write(desk.entry(&Arc::new(vec![act]))?).await {
                Ok(_) => return Ok(desk),
                Err(LedgerError::Unknown(error)) => debug!(%error, "claiming {} once more", desk.topic),
                Err(LedgerError::NotWritten(error) | LedgerError::Refused(_, error)) => {
                    return Err(error.into());
                }
            }
        }
        let message =
            format!("{} was claimed {MOST_TRIES} times, and each time somebody else came", desk.topic);
        Err(ClientError::new(ClientErrorKind::Other, message).into())
    }

    /// The claim that is in the way; one that may be taken over is answered. One's own is never in the way.
    fn look_whether_free(&self, takes_over: bool) -> Result<Option<Claim>, DeskError> {
        let Some(claim) = self.decisions.claims.get(&*self.topic) else { return Ok(None) };
        let is_over = claim.until.is_some_and(|until| until < Time::now());
        match is_over || takes_over || claim.id == self.claim.id {
            true => Ok(Some(claim.clone())),
            false => Err(DeskError::Claimed(Box::new(claim.clone()))),
        }
    }

    /// Takes the ledger over and reads everything that was written before.
    async fn take_name(&mut self) -> Result<(), DeskError> {
        for _ in 0..MOST_TRIES {
            self.ledger.take_over().await?;
            // What others have under way on the same topic hides what is behind it: the mark is behind everything.
            match self.ledger.write(vec![Arc::new(resolutions::mark(&self.topic))].into()).await {
                Ok(places) => {
                    let mark = places.first().map_or(0, |place| place.offset);
                    self.wait_until_readable(mark).await?;
                    self.decisions.go_on(&self.kafka).await?;
                    return Ok(());
                }
                Err(LedgerError::Unknown(error)) => debug!(%error, "taking over {} once more", self.topic),
                Err(LedgerError::NotWritten(error) | LedgerError::Refused(_, error)) => {
                    return Err(error.into());
                }
            }
            sleep(PAUSE).await;
        }
        let message = format!("the ledger of {} was taken away {MOST_TRIES} times", self.topic);
        Err(ClientError::new(ClientErrorKind::Other, message).into())
    }

    async fn wait_until_readable(&self, offset: i64) -> Result<(), ClientError> {
        let until = Instant::now() + READABLE_WITHIN;
        loop {
            let ends =
                self.kafka.transport.watermarks(vec![resolutions::partition()], ANSWER_TIMEOUT).await?;
            if ends.iter().any(|ends| ends.high > offset) {
                return Ok(());
            }
            if Instant::now() > until {
                let topic = resolutions::TOPIC;
                let message =
                    format!("{topic} cannot be read up to offset {offset}: a transaction there does not end");
                return Err(ClientError::new(ClientErrorKind::TimedOut, message));
            }
            sleep(PAUSE).await;
        }
    }

    /// An audit record about nothing in particular yet.
    pub(crate) fn audit(&self, act: &str, result: &str) -> AuditRecord {
        AuditRecord {
            at: Some(Time::now()),
            act: act.to_owned(),
            entry: self.topic.to_string(),
            result: result.to_owned(),
            by: self.who.by.clone(),
            why: self.who.why.clone(),
            run: self.claim.id.clone(),
            instance: self.claim.instance.clone(),
            library_version: LIBRARY_VERSION.to_owned(),
            ..AuditRecord::default()
        }
    }

    /// Does all of it, or nothing. Answers once the brokers have it.
    pub(crate) async fn write(&mut self, acts: Arc<Vec<Act>>) -> Result<(), DeskError> {
        self.claim.sequence += 1;
        let until = Instant::now() + PATIENCE;
        loop {
            let error = match self.ledger.write(self.entry(&acts)?).await {
                Ok(_) => return Ok(()),
                Err(LedgerError::Refused(record, error)) => {
                    self.claim.sequence -= 1;
                    return Err(match act_of(&acts, record) {
                        Some(act) => DeskError::Refused(act, error),
                        None => DeskError::Client(error),
                    });
                }
                Err(LedgerError::NotWritten(error)) => error,
                Err(LedgerError::Unknown(error)) => {
                    warn!(%error, "what became of a decision about {} is found out", self.topic);
                    self.take_name().await?;
                    match self.decisions.claims.get(&*self.topic) {
                        Some(claim) if claim.id != self.claim.id => {
                            return Err(DeskError::Claimed(Box::new(claim.clone())));
                        }
                        Some(claim) if claim.sequence == self.claim.sequence => return Ok(()),
                        Some(_) => error,
                        None => return Err(error.into()), // it was taken over, and given up since
                    }
                }
            };
            if Instant::now() > until {
                return Err(error.into());
            }
            sleep(PAUSE).await;
        }
    }

    /// Gets up. What fails here is only that the next one waits for the claim to end by itself.
    pub(crate) async fn close(self, result: &str) {
        let audit = self.audit("release", result);
        let records = resolutions::claim(&self.topic, None)
            .and_then(|claim| Ok(vec![Arc::new(claim), Arc::new(audit.outgoing()?)]));
        let written = match records {
            Ok(records) => self.ledger.write(records.into()).await.map(drop),
            Err(_) => Ok(()), // these are texts
        };
        if let Err(error) = written {
            debug!(?error, "the claim to {} ends by itself", self.topic);
        }
    }

    /// First the claim and what is sent back, then what is said about it, which tells where it went.
    fn entry(&self, acts: &Arc<Vec<Act>>) -> Result<LedgerEntry, DeskError> {
        let until = Time::from_unix_ms(Time::now().unix_ms() + self.lease.as_millis() as i64);
        let claim = Claim { until, ..self.claim.clone() };
        let mut records = vec![Arc::new(resolutions::claim(&self.topic, Some(&claim)).map_err(unwritable)?)];
        records.extend(acts.iter().filter_map(|act| act.record.clone()));
        if records.len() == 1 {
            records.extend(said(acts, &[])?);
            return Ok(records.into());
        }
        let acts = Arc::clone(acts);
        let then = move |places: &[Delivery]| said(&acts, places.get(1..).unwrap_or_default());
        Ok(LedgerEntry { records, then: Some(Box::new(then)) })
    }
}

/// What is written about acts, whose records went to these places.
fn said(acts: &[Act], places: &[Delivery]) -> Result<Vec<Arc<OutgoingRecord>>, ClientError> {
    let mut places = places.iter();
    let mut records = Vec::with_capacity(acts.len() * 2);
    for act in acts {
        let place = act.record.as_ref().and_then(|record| Some((record, places.next()?)));
        let sent_to = place.map(|(record, at)| format!("{}/{}/{}", record.topic, at.partition, at.offset));
        if let Some(resolution) = &act.resolution {
            let resolution = Resolution { sent_to: sent_to.clone(), ..resolution.clone() };
            records.push(Arc::new(resolutions::resolution(&resolution).map_err(unwritable)?));
        }
        let mut audit = act.audit.clone();
        if let Some(sent_to) = sent_to.filter(|_| audit.result.is_empty()) {
            audit.result = format!("sent to {sent_to}");
        }
        records.push(Arc::new(audit.outgoing().map_err(unwritable)?));
    }
    Ok(records)
}

fn unwritable(error: serde_json::Error) -> ClientError {
    ClientError::new(ClientErrorKind::Other, error.to_string())
}

/// The act that a record belongs to; the first record is the claim, and what is sent back comes before what is said.
fn act_of(acts: &[Act], record: usize) -> Option<usize> {
    let of_each = |count: fn(&Act) -> usize| {
        acts.iter().enumerate().flat_map(move |(at, act)| std::iter::repeat_n(at, count(act)))
    };
    let sent = of_each(|act| usize::from(act.record.is_some()));
    let said = of_each(|act| usize::from(act.resolution.is_some()) + 1);
    sent.chain(said).nth(record.checked_sub(1)?)
}
