//! The thin part around the engine: one task that tells it what happened and does what it says. It decides nothing; what
//! it must never do is wait for a handler, a broker or a lock.

mod actions;
mod clock;
mod follow;
mod handlers;
mod in_place;
mod intake;
mod membership;
pub(crate) mod mutation;
mod named;
mod outputs;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::FixedState;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::attempt::Dispatch;
use crate::client_error::{ClientError, ClientErrorKind};
use crate::engine::{
    BreakerChange, CloseReport, DeadLetterOrder, Engine, Now, Settings, Settled, Status, StopReason, Stuck,
    Ticket,
};
use crate::extract::Publishing;
use crate::metrics::HandlerMetrics;
use crate::outcome::{BatchOutcome, Outcome};
use crate::record::{OutgoingRecord, ReadableKey, Record, TopicPartition};
use crate::transport::{Batch, CommitError, GroupEvent, GroupMember};

use self::clock::Clock;
use self::follow::Following;
use self::handlers::Handlers;
pub(crate) use self::handlers::guarded;
use self::intake::Intake;
use self::mutation::{Mutation, broken};
use self::outputs::Outputs;

/// Actions done before other inputs are looked at again.
const ACTIONS_IN_A_ROW: usize = 256;
/// How long leaving the group may take after the last commit is answered.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Writes dead letters; answers when the broker has acknowledged them.
pub(crate) trait DeadLetters: Send + Sync + 'static {
    fn write(&self, order: DeadLetterOrder<Record>) -> BoxFuture<'static, Result<(), ClientError>>;
}

/// Makes dead letters that somebody else writes.
pub(crate) trait Letters: Send + Sync + 'static {
    fn letter(&self, order: DeadLetterOrder<Record>) -> Box<dyn Letter>;
}

/// A dead letter as a record.
pub(crate) trait Letter: Send {
    fn record(&self) -> Arc<OutgoingRecord>;

    /// Makes the record smaller, as far as it goes.
    fn shrink(&mut self);
}

/// How dead letters get to their topic.
pub(crate) enum LetterPath {
    /// Each by itself.
    Acknowledged(Arc<dyn DeadLetters>),
    /// In the transaction that commits its record.
    InTransaction(Arc<dyn Letters>),
}

/// What the driver is set to.
#[derive(Clone, Debug)]
pub(crate) struct DriverSettings {
    pub engine: Settings,
    pub group: Arc<str>,
    /// How long a handler may take.
    pub processing_timeout: Duration,
    /// How long revoked partitions may be held for work that runs.
    pub revoke_timeout: Duration,
    /// How long closing may wait for work that runs, where the app stops by itself.
    pub shutdown_timeout: Duration,
    /// What handlers publish goes with the commits, where this is given.
    pub publishing: Option<Arc<Publishing>>,
}

/// What others ask of a running driver.
pub(crate) enum Control {
    /// Close within this time. A second one can only make it sooner.
    Close(Duration),
    /// Start nothing of a topic, or nothing at all where it is `None`.
    Pause(Option<Arc<str>>),
    /// End the same pause.
    Resume(Option<Arc<str>>),
    /// Tell what is where.
    Status(oneshot::Sender<Picture>),
}

/// What a running driver tells about itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture {
    pub engine: Status,
    /// The last thing the client had to say, while it is not over.
    pub trouble: Option<ClientError>,
    /// Assignments, revocations and losses so far.
    pub assignments: u64,
    pub revocations: u64,
    pub losses: u64,
    pub closing: bool,
    /// Keys that have open dead letters, and those letters, in follow mode.
    pub followed: (usize, usize),
    /// The timestamps of the records that hold the partitions' positions, in milliseconds since 1970.
    pub oldest_ms: BTreeMap<TopicPartition, i64>,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub report: CloseReport,
    /// Why it was not simply asked to close.
    pub reason: Option<StopReason>,
    /// How it was when it ended.
    pub last: Picture,
}

/// What comes back from work the driver has begun.
enum Done {
    Handler(Ticket, Outcome),
    Batch(Vec<Ticket>, BatchOutcome),
    DeadLetter(Ticket, Result<(), ClientError>),
}

/// A partition this member has.
struct Assigned {
    epoch: u64,
    /// Cancelled when it is to be given back.
    token: CancellationToken,
}

type Answer = oneshot::Receiver<Result<(), CommitError>>;

pub(crate) struct Driver {
    settings: DriverSettings,
    engine: Engine<Record>,
    clock: Clock,
    member: GroupMember,
    handlers: Handlers,
    dead_letters: LetterPath,
    /// In an app that commits in transactions.
    outputs: Option<Outputs>,
    /// In follow mode.
    following: Option<Box<Following>>,
    control: mpsc::UnboundedReceiver<Control>,
    done: mpsc::UnboundedReceiver<Done>,
    done_sender: mpsc::UnboundedSender<Done>,
    intake: Intake,
    commit: Option<Answer>,
    close: Option<Answer>,
    assigned: HashMap<TopicPartition, Assigned, FixedState>,
    trouble: Option<ClientError>,
    /// Topics subscribed to that are not there.
    missing: Vec<String>,
    /// Why the last transaction was not committed.
    commit_trouble: Option<ClientError>,
    assignments: u64,
    revocations: u64,
    losses: u64,
    closing: bool,
    /// The engine wants to stop, and closing has begun for that.
    stopping: bool,
    report: Option<CloseReport>,
    left: bool,
}

impl Driver {
    pub(crate) fn new(
        settings: DriverSettings,
        member: GroupMember,
        dispatch: Arc<dyn Dispatch>,
        dead_letters: LetterPath,
        control: mpsc::UnboundedReceiver<Control>,
    ) -> Self {
        let (done_sender, done) = mpsc::unbounded_channel();
        Self {
            engine: Engine::new(settings.engine.clone()),
            clock: Clock::start(),
            member,
            handlers: Handlers::new(dispatch, settings.processing_timeout, done_sender.clone()),
            dead_letters,
            outputs: settings.publishing.clone().map(Outputs::new),
            following: None,
            control,
            done,
            done_sender,
            intake: Intake::default(),
            commit: None,
            close: None,
            assigned: HashMap::default(),
            trouble: None,
            missing: Vec::new(),
            commit_trouble: None,
            assignments: 0,
            revocations: 0,
            losses: 0,
            closing: false,
            stopping: false,
            report: None,
            left: false,
            settings,
        }
    }

    /// With what its handlers do measured.
    pub(crate) fn measured(mut self, metrics: Arc<HandlerMetrics>) -> Self {
        self.handlers.measure(metrics);
        self
    }

    /// Runs until it is closed or cannot go on.
    pub(crate) async fn run(mut self) -> Ended {
        loop {
            self.feed();
            // Acting can make room for what waits, and nothing else would say so.
            let more = self.act() || self.intake.fits(&self.engine);
            if self.engine.stop_reason().is_some() && !std::mem::replace(&mut self.stopping, true) {
                self.begin_close(self.settings.shutdown_timeout);
                continue; // where nothing runs, closing is an action already, and no input would come
            }
            if let Some(report) = self.report.take() {
                self.leave().await;
                return Ended { report, reason: self.engine.stop_reason().cloned(), last: self.picture() };
            }
            self.next_input(more).await;
        }
    }

    async fn next_input(&mut self, more: bool) {
        let wake_at = self.engine.wake_at().map(|at| self.clock.instant(at));
        let most_bytes = self.settings.engine.max_in_flight_bytes;
        let wants_batch = self.intake.is_open(&self.engine, most_bytes) && !self.closing && !more;
        tokio::select! {
            biased;
            event = self.member.events.recv(), if !self.left => self.event(event),
            Some(control) = self.control.recv() => self.control(control),
            answer = answered(&mut self.commit) => self.committed(answer),
            answer = answered(&mut self.close) => self.closed(answer),
            Some(done) = self.done.recv() => self.done(done),
            heard = follow::heard(&mut self.following) => self.follow_heard(heard),
            () = tokio::task::yield_now(), if more => {}
            Some(batch) = self.member.batches.recv(), if wants_batch => {
                self.take(batch);
            }
            () = sleep_until(wake_at.unwrap_or_else(tokio::time::Instant::now)),
                if wake_at.is_some() && !broken(Mutation::NeverWakes) => {}
        }
    }

    /// What the client said before this batch is heard before it: that its partition is assigned, for one. Both channels were
    /// looked at, one after the other, and it may have said so in between.
    fn take(&mut self, batch: Batch) {
        while let Ok(event) = self.member.events.try_recv() {
            self.event(Some(event));
        }
        self.trouble = None;
        let newest = self.assigned.get(&batch.partition).map(|assigned| assigned.epoch);
        let newest = newest.filter(|_| broken(Mutation::MixesEpochs));
        self.intake.put(Batch { epoch: newest.unwrap_or(batch.epoch), ..batch });
    }

    /// Offers what was fetched until there is no room.
    fn feed(&mut self) {
        if let Some(reason) = self.intake.feed(&mut self.engine, &self.handlers, self.clock.now()) {
            self.engine.stop(reason);
        }
    }

    fn control(&mut self, control: Control) {
        match control {
            Control::Close(timeout) => self.begin_close(timeout),
            Control::Pause(topic) => {
                info!(topic = topic.as_deref(), "paused by an operator: nothing starts until it is resumed");
                if !broken(Mutation::IgnoresPauses) {
                    self.engine.pause(topic, self.clock.now().at);
                }
            }
            Control::Resume(topic) => {
                info!(topic = topic.as_deref(), "resumed by an operator");
                self.engine.resume(topic.as_deref());
            }
            Control::Status(reply) => {
                let _ = reply.send(self.picture());
            }
        }
    }

    /// What the engine does not know of a record: its key, and the handler that would get it.
    fn describe(&self, stuck: &mut Stuck) {
        let Some(record) = self.engine.record(stuck.ticket) else { return };
        stuck.key = record.key.as_deref().map(ReadableKey::new);
        stuck.handler.get_or_insert_with(|| self.handlers.handler_for(record).1);
    }

    fn picture(&self) -> Picture {
        let mut engine = self.engine.status(self.clock.now().at);
        let oldest = engine.partitions.iter_mut().filter_map(|partition| partition.oldest.as_mut());
        engine.stuck.iter_mut().chain(oldest).for_each(|stuck| self.describe(stuck));
        let oldest = self.engine.oldest();
        let oldest = oldest.filter_map(|(partition, record)| Some((partition.clone(), record.timestamp_ms?)));
        Picture {
            engine,
            trouble: self.trouble.clone().or_else(|| self.commit_trouble.clone()).or_else(|| self.missing()),
            assignments: self.assignments,
            revocations: self.revocations,
            losses: self.losses,
            closing: self.closing,
            followed: self.following.as_ref().map(|following| following.counts()).unwrap_or_default(),
            oldest_ms: oldest.collect(),
        }
    }

    fn missing(&self) -> Option<ClientError> {
        let topics = (!self.missing.is_empty()).then(|| self.missing.join(", "))?;
        let message = format!("not there: {topics}; looked for again and again, and read once it is there");
        Some(ClientError::new(ClientErrorKind::UnknownTopic, message))
    }

    fn begin_close(&mut self, timeout: Duration) {
        let deadline = self.clock.now().at + timeout;
        if !self.closing {
            info!(timeout_ms = timeout.as_millis() as u64, "closing");
        }
        self.closing = true;
        self.intake = Intake::default();
        self.cancel_all();
        self.engine.close(deadline);
    }

    fn committed(&mut self, answer: Result<(), CommitError>) {
        if let Err(error) = &answer {
            warn!(%error, "a commit failed and is tried again");
        }
        self.transaction_answered(&answer);
        let told = answer.as_ref().map_err(|failed| &failed.error).copied();
        let told = if broken(Mutation::BelievesRefusedCommits) { Ok(()) } else { told };
        if !broken(Mutation::ForgetsCommitAnswers) {
            self.engine.committed(told, self.clock.now());
        }
    }

    /// What was published is committed, or goes with the next transaction.
    fn transaction_answered(&mut self, answer: &Result<(), CommitError>) {
        let Some(outputs) = &mut self.outputs else { return };
        self.commit_trouble = answer.as_ref().err().map(|failed| failed.error.clone());
        if let Err(CommitError { error, refused: Some(refused) }) = answer {
            match &self.dead_letters {
                LetterPath::InTransaction(letters) => {
                    let handler = |record: &Record| self.handlers.handler_for(record);
                    outputs.refuse(*refused, error, letters.as_ref(), handler, self.clock.now());
                }
                LetterPath::Acknowledged(_) => self.engine.stop(StopReason::Client(error.clone())),
            }
        }
        outputs.answered(answer.as_ref().copied());
    }

    fn closed(&mut self, answer: Result<(), CommitError>) {
        if let Err(error) = &answer {
            warn!(%error, "the last commit failed: records may come again");
        }
        self.report = Some(self.engine.closed(answer.map_err(|failed| failed.error)));
    }

    fn done(&mut self, done: Done) {
        self.one_done(done);
        for _ in 0..ACTIONS_IN_A_ROW {
            let Ok(done) = self.done.try_recv() else { return };
            self.one_done(done);
        }
    }

    fn one_done(&mut self, done: Done) {
        match done {
            Done::Handler(ticket, outcome) => {
                self.handlers.ended(ticket);
                self.outcome(ticket, outcome, self.clock.now());
            }
            Done::Batch(tickets, outcome) => {
                tickets.first().into_iter().for_each(|first| self.handlers.ended(*first));
                self.batch_outcome(&tickets, outcome);
            }
            Done::DeadLetter(ticket, answer) => {
                if broken(Mutation::ForgetsRefusedDeadLetters) && answer.is_err() {
                    return;
                }
                if let Err(error) = &answer {
                    warn!(%error, "a dead letter was not taken: its partition waits and the letter is written again");
                }
                self.follow_written(ticket, answer.is_ok());
                self.engine.dead_lettered(ticket, answer, self.clock.now());
            }
        }
    }

    fn outcome(&mut self, ticket: Ticket, outcome: Outcome, now: Now) {
        if !broken(Mutation::DropsFailures) || matches!(outcome, Outcome::Handled(_)) {
            let settled = self.engine.outcome(ticket, outcome, now);
            if let Some(outputs) = &mut self.outputs {
                outputs.ended(ticket, settled);
            }
        }
    }

    fn batch_outcome(&mut self, tickets: &[Ticket], outcome: BatchOutcome) {
        let outcome = match outcome {
            BatchOutcome::Parts { by, .. } if broken(Mutation::ForgetsPartialFailures) => {
                BatchOutcome::Parts { by, failed: Vec::new() }
            }
            outcome => outcome,
        };
        let settled = self.engine.batch_outcome(tickets, outcome, self.clock.now());
        let Some(outputs) = &mut self.outputs else { return };
        let mut settled: HashMap<Ticket, Settled> = settled.into_iter().map(|it| (it.ticket, it)).collect();
        for ticket in tickets {
            outputs.ended(*ticket, settled.remove(ticket));
        }
    }

    /// Waits until the group is left, within bounds.
    async fn leave(&mut self) {
        self.handlers.cancel_all();
        let deadline = tokio::time::Instant::now() + LEAVE_TIMEOUT;
        while !self.left {
            match timeout_at(deadline, self.member.events.recv()).await {
                Ok(Some(GroupEvent::Closed) | None) => self.left = true,
                Ok(Some(_)) => {}
                Err(_) => {
                    warn!(
                        "leaving the group took too long; the broker removes this member at its session timeout"
                    );
                    return;
                }
            }
        }
    }
}

fn tell(change: &BreakerChange) {
    match change {
        BreakerChange::Opened { handler, failure } => warn!(
            %handler, class = %failure.class, error = failure.told(),
            "a handler is held back: it fails record after record, so what it needs seems to be away; its records wait and \
             one at a time is tried"
        ),
        BreakerChange::Healed { handler, records } => {
            info!(%handler, records, "a handler is held back no more: what waited for it goes on");
        }
    }
}

/// The answer, once it is there; never where none is awaited. Cancel-safe.
async fn answered(slot: &mut Option<Answer>) -> Result<(), CommitError> {
    let Some(answer) = slot else { return std::future::pending().await };
    let answer = answer.await.unwrap_or_else(|_| {
        Err(ClientError::new(ClientErrorKind::Closed, "the client ended before it answered").into())
    });
    *slot = None;
    answer
}
