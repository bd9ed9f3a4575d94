//! One run over picked letters: claims, goes on topic by topic, keeps to what was asked, reports. It must never act on a
//! letter while that cannot be written down.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tracing::info;
use txova_events::{DeadLetter, Time};

use crate::app::App;
use crate::client_error::ClientError;
use crate::dead_letter::desk::{Act, Desk, DeskError, Who};
use crate::dead_letter::list::{Topics, is_about};
use crate::dead_letter::{AuditRecord, LIBRARY_VERSION, Resolution, ResolutionState, origin_of};
use crate::kafka::Kafka;

use super::handlers::Handlers;
use super::letter::Picked;
use super::pace::Pace;
use super::pick::{Pick, Picker, Picks};
use super::plan::Histogram;
use super::redrive::MOST_LETTERS;
use super::{FailedReplay, Plan, Replay, ReplayError, ReplayReport, bodies, overtaken};

/// How long a claim outlives what was written last, beside the time one letter may take.
const LEASE: Duration = Duration::from_secs(30);

pub(super) struct Run {
    pub kafka: Kafka,
    pub replay: Replay,
    pub report: ReplayReport,
    pub by: String,
    pub pace: Pace,
    pub there: Topics,
    work: Work,
    subscribed: Vec<String>,
    /// Letters that were picked.
    picked: usize,
    /// Letters that were tried.
    tried: usize,
    /// Topic and key of what failed, where order is to be kept.
    held: HashSet<(String, Vec<u8>)>,
}

/// What is done to each letter.
#[derive(Clone)]
pub(super) enum Work {
    /// An app's handlers are tried on it.
    Handlers(Box<Handlers>),
    /// It is sent back to its topic.
    Redrive,
    /// It is given another state.
    Decide(ResolutionState),
}

/// Why a topic was left.
pub(super) enum Stop {
    /// A limit, a signal, a handler's `stop`: it is in the report.
    Told,
    Failed(Box<dyn FnOnce(ReplayReport) -> ReplayError + Send>),
}

impl Run {
    pub(super) fn in_process(app: &App, mut replay: Replay) -> Self {
        replay.key_order |= app.kafka.config.consumer.follow_dead_letters;
        let work = Work::Handlers(Box::new(Handlers::of(app)));
        Self::new(&app.kafka, replay, work, app.topics().to_vec(), &app.service)
    }

    pub(super) fn redrive(kafka: &Kafka, replay: Replay) -> Self {
        Self::new(kafka, replay, Work::Redrive, Vec::new(), "somebody")
    }

    pub(super) fn decide(kafka: &Kafka, replay: Replay, state: ResolutionState) -> Self {
        Self::new(kafka, replay, Work::Decide(state), Vec::new(), "somebody")
    }

    fn new(kafka: &Kafka, replay: Replay, work: Work, subscribed: Vec<String>, somebody: &str) -> Self {
        Self {
            kafka: kafka.clone(),
            by: replay.by.clone().unwrap_or_else(|| somebody.to_owned()),
            pace: Pace::new(replay.per_second),
            report: ReplayReport::default(),
            there: Topics::default(),
            replay,
            work,
            subscribed,
            picked: 0,
            tried: 0,
            held: HashSet::new(),
        }
    }

    pub(super) async fn plan(mut self) -> Result<Plan, ReplayError> {
        let Picks { mut picks, report, unhandled } = self.pick().await?;
        let beyond = picks.split_off(self.replay.max_letters.min(picks.len())).len();
        let overtaken = overtaken::find(&self.kafka, &self.there, &picks, &unhandled).await;
        let overtaken = overtaken.map_err(doing("looking for newer events"))?;
        let mut plan = Plan::new(&report, beyond, overtaken);
        let mut histogram = Histogram::default();
        while !picks.is_empty() {
            let count = bodies::fill(&self.kafka, &mut picks).await;
            let later = picks.split_off(count.map_err(doing("reading the dead letters"))?);
            picks.into_iter().for_each(|pick| plan.add(pick, &mut histogram));
            picks = later;
        }
        plan.reasons = histogram.reasons();
        Ok(plan)
    }

    pub(super) async fn run(mut self) -> Result<ReplayReport, ReplayError> {
        let Picks { picks, report, unhandled } = self.pick().await?;
        self.report = report;
        if picks.is_empty() {
            return Ok(self.report);
        }
        self.picked = picks.len().min(self.replay.max_letters);
        if !matches!(self.work, Work::Decide(_)) {
            let overtaken = overtaken::find(&self.kafka, &self.there, &picks, &unhandled).await;
            self.report.overtaken = overtaken.map_err(doing("looking for newer events"))?;
        }
        let (by, why) = (&self.by, &self.replay.why);
        info!(letters = self.picked, by, why, "{}", self.work.name());
        let mut rest: Vec<Pick> = picks;
        rest.sort_by(|a, b| a.place.topic.cmp(&b.place.topic)); // stable: inside a topic the order of origin stays
        let mut failed = None;
        while let Some(topic) = rest.first().map(|pick| Arc::clone(&pick.place.topic)) {
            let of_others = rest.iter().position(|pick| pick.place.topic != topic).unwrap_or(rest.len());
            let others = rest.split_off(of_others);
            let left;
            match self.topic(topic, rest).await {
                Ok(()) => (rest, left) = (others, None),
                Err((stop, unreached)) => {
                    (rest, left) = (unreached.into_iter().chain(others).collect(), Some(stop))
                }
            }
            if let Some(stop) = left {
                if let Stop::Failed(error) = stop {
                    failed = Some(error);
                }
                break;
            }
        }
        self.report.not_reached.extend(rest.into_iter().map(|pick| pick.place));
        info!(
            replayed = self.report.replayed,
            failed = self.report.failed.len(),
            "{} ended",
            self.work.name()
        );
        match failed {
            None => Ok(self.report),
            Some(error) => Err(error(self.report)),
        }
    }

    async fn pick(&mut self) -> Result<Picks, ReplayError> {
        self.there = Topics::look(&self.kafka).await.map_err(doing("looking for the dead-letter topics"))?;
        let open = [ResolutionState::Open];
        let closed = [ResolutionState::Discarded, ResolutionState::Quarantined];
        let picker = Picker {
            replay: &self.replay,
            app: match &self.work {
                Work::Handlers(handlers) => Some((&*handlers.group, &handlers.routes)),
                _ => None,
            },
            states: if matches!(self.work, Work::Decide(ResolutionState::Open)) { &closed } else { &open },
            takes_anything: matches!(self.work, Work::Decide(_)),
        };
        picker.pick(&self.kafka, &self.there, &self.subscribed).await
    }

    /// All letters of one dead-letter topic. What was not reached comes back with the reason.
    async fn topic(&mut self, topic: Arc<str>, picks: Vec<Pick>) -> Result<(), (Stop, Vec<Pick>)> {
        if self.tried >= self.replay.max_letters {
            return Err((Stop::Told, picks));
        }
        if let Some(stop) = self.is_over() {
            return Err((stop, picks));
        }
        let who = Who {
            by: self.by.clone(),
            why: self.replay.why.clone(),
            doing: format!("{} {} dead letters", self.work.name(), picks.len()),
        };
        let lease = LEASE + self.work.longest();
        let opened =
            Desk::open(&self.kafka, &self.there, topic.clone(), &who, lease, self.replay.takes_over).await;
        let mut desk = match opened {
            Ok(desk) => desk,
            Err(error) => return Err((self.stopped("claiming the dead letters", &topic, error), picks)),
        };
        let picks = self.still_there(&desk, picks);
        desk.decisions.forget_entries();
        let result = self.stretches(&mut desk, &topic, picks).await;
        desk.close(&format!("{} done, {} failed", self.report.done(), self.report.failed.len())).await;
        result
    }

    /// Somebody may have decided between the picking and the claim.
    fn still_there(&mut self, desk: &Desk, picks: Vec<Pick>) -> Vec<Pick> {
        let wanted = |state: &ResolutionState| match &self.work {
            Work::Decide(ResolutionState::Open) => {
                matches!(state, ResolutionState::Discarded | ResolutionState::Quarantined)
            }
            _ => *state == ResolutionState::Open,
        };
        let (still, decided): (Vec<Pick>, Vec<Pick>) = picks.into_iter().partition(|pick| {
            let decision = desk.decisions.of(&pick.place).filter(|decision| {
                let origin = &pick.origin;
                let origin = format!("{}/{}/{}", origin.topic, origin.partition, origin.offset);
                pick.is_unreadable || is_about(decision, &pick.place, &pick.event_id, &origin)
            });
            decision.map_or_else(|| wanted(&ResolutionState::Open), |decision| wanted(&decision.state))
        });
        self.report.resolved_before += decided.len() as u64;
        still
    }

    /// As many at a time as there is memory for.
    async fn stretches(
        &mut self,
        desk: &mut Desk,
        topic: &str,
        mut picks: Vec<Pick>,
    ) -> Result<(), (Stop, Vec<Pick>)> {
        while !picks.is_empty() {
            let later = match bodies::fill(&self.kafka, &mut picks).await {
                Ok(count) => picks.split_off(count),
                Err(error) => {
                    return Err((self.stopped("reading the dead letters", topic, error.into()), picks));
                }
            };
            if let Err((stop, unreached)) = self.pieces(desk, picks).await {
                return Err((stop, unreached.into_iter().chain(later).collect()));
            }
            picks = later;
        }
        Ok(())
    }

    async fn pieces(&mut self, desk: &mut Desk, picks: Vec<Pick>) -> Result<(), (Stop, Vec<Pick>)> {
        let most = self.pace.piece(self.work.piece());
        let mut rest = picks.into_iter().peekable();
        while rest.peek().is_some() {
            if let Some(stop) = self.is_over() {
                return Err((stop, rest.collect()));
            }
            let room = self.replay.max_letters.saturating_sub(self.tried).min(most);
            if room == 0 {
                return Err((Stop::Told, rest.collect()));
            }
            let piece: Vec<Pick> = rest.by_ref().take(room).collect();
            if self.wait(piece.len()).await {
                self.report.is_interrupted = true;
                return Err((Stop::Told, piece.into_iter().chain(rest).collect()));
            }
            self.tried += piece.len();
            let result = match self.work.clone() {
                Work::Handlers(handlers) => self.try_handlers(&handlers, desk, piece).await,
                Work::Redrive => self.send_back(desk, piece).await,
                Work::Decide(state) => self.decide_all(&state, desk, piece).await,
            };
            self.tell();
            if let Err((stop, unreached)) = result {
                return Err((stop, unreached.into_iter().chain(rest).collect()));
            }
        }
        Ok(())
    }

    /// Tells how it goes.
    pub(super) fn tell(&self) {
        if let Some(progress) = &self.replay.progress {
            progress(&self.report, self.picked);
        }
    }

    /// Waits for the pace; true where somebody wants an end meanwhile.
    async fn wait(&mut self, letters: usize) -> bool {
        match &mut self.replay.until {
            None => {
                self.pace.wait(letters).await;
                false
            }
            Some(until) => tokio::select! {
                biased;
                () = until => true,
                () = self.pace.wait(letters) => false,
            },
        }
    }

    /// Whether enough has failed or somebody wants an end.
    pub(super) fn is_over(&mut self) -> Option<Stop> {
        if self.report.is_interrupted || self.until_is_over() {
            self.report.is_interrupted = true;
            return Some(Stop::Told);
        }
        let has_failed =
            self.report.failed.len() >= self.replay.max_failures || self.report.stopped.is_some();
        has_failed.then_some(Stop::Told)
    }

    fn until_is_over(&mut self) -> bool {
        let is_over = self.replay.until.as_mut().is_some_and(|until| until.now_or_never().is_some());
        if is_over {
            self.replay.until = None; // it must not be asked again
        }
        is_over
    }

    /// Whether the letter is to wait for an older one of its key that failed.
    pub(super) fn is_held(&self, letter: &DeadLetter) -> bool {
        self.ordered_by(letter).is_some_and(|key| self.held.contains(&key))
    }

    /// The key among whose letters the order is kept, where it is kept at all.
    pub(super) fn ordered_by(&self, letter: &DeadLetter) -> Option<(String, Vec<u8>)> {
        if self.replay.key_order { key_of(letter) } else { None }
    }

    pub(super) fn failed(&mut self, picked: &Picked, error: String) {
        self.held.extend(self.ordered_by(&picked.letter));
        self.report.failed.push(FailedReplay {
            entry: picked.place.clone(),
            event_type: picked.letter.event_type().to_owned(),
            event_id: picked.letter.event_id().to_owned(),
            error,
        });
    }

    pub(super) fn stopped(&self, doing: &'static str, topic: &str, error: DeskError) -> Stop {
        let topic = topic.to_owned();
        Stop::Failed(Box::new(move |report| {
            let report = Box::new(report);
            match error {
                DeskError::Claimed(claim) => ReplayError::Claimed { topic, claim, report },
                DeskError::Client(error) | DeskError::Refused(_, error) => {
                    ReplayError::Client { doing, error, report }
                }
            }
        }))
    }

    /// What is written about a letter: its new state, where it has one, and the audit record, of which what concerns the
    /// letter is filled in here.
    pub(super) fn act(
        &self,
        (pick, picked): (&Pick, &Picked),
        audit: AuditRecord,
        state: Option<ResolutionState>,
    ) -> Act {
        let letter = &picked.letter;
        let audit = AuditRecord {
            entry: pick.place.to_string(),
            group: pick.group.to_string(),
            origin: origin_of(letter),
            event_id: letter.event_id().to_owned(),
            event_type: letter.event_type().to_owned(),
            fingerprint: letter.fingerprint().into_owned(),
            ..audit
        };
        let resolution = state.map(|state| Resolution {
            entry: pick.place.to_string(),
            state,
            group: pick.group.to_string(),
            handler: letter.handler.clone().unwrap_or_default(),
            origin: origin_of(letter),
            event_id: letter.event_id().to_owned(),
            event_type: letter.event_type().to_owned(),
            by: self.by.clone(),
            why: self.replay.why.clone(),
            at: Some(Time::now()),
            attempts: u32::try_from(letter.attempt_count.max(0)).unwrap_or(u32::MAX),
            library_version: LIBRARY_VERSION.to_owned(),
            ..Resolution::default()
        });
        Act { resolution, audit, record: None }
    }
}

impl Work {
    fn name(&self) -> &'static str {
        match self {
            Self::Handlers(_) => "replaying",
            Self::Redrive => "sending back",
            Self::Decide(ResolutionState::Open) => "opening again",
            Self::Decide(ResolutionState::Quarantined) => "setting aside",
            Self::Decide(_) => "discarding",
        }
    }

    /// Letters that are announced, or written about, at once.
    fn piece(&self) -> usize {
        match self {
            Self::Handlers(_) => 50,
            Self::Redrive => usize::MAX, // it parts them itself
            Self::Decide(_) => MOST_LETTERS,
        }
    }

    /// How long one letter may take.
    fn longest(&self) -> Duration {
        match self {
            Self::Handlers(handlers) => handlers.limit,
            _ => Duration::ZERO,
        }
    }
}

fn key_of(letter: &DeadLetter) -> Option<(String, Vec<u8>)> {
    let key = letter.original_key.clone().or_else(|| Some(letter.envelope.as_ref()?.key()?.into_bytes()))?;
    Some((letter.original_topic.clone(), key))
}

pub(super) fn doing(doing: &'static str) -> impl FnOnce(ClientError) -> ReplayError {
    move |error| ReplayError::Client { doing, error, report: Box::default() }
}
