//! One replay: picks, tries, records. It must never go on to the next letter before the last one's fate is recorded.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};
use txova_events::{DeadLetter, Time, topics};

use crate::app::App;
use crate::attempt::Dispatch;
use crate::client_error::ClientError;
use crate::dead_letter::list::{Topics, scan};
use crate::dead_letter::resolutions::{self, Resolutions};
use crate::dead_letter::{DeadLetterEntry, LIBRARY_VERSION, Resolution, ResolutionState, origin_of};
use crate::driver::guarded;
use crate::kafka::Kafka;
use crate::outcome::{ErrorClass, Failure, Outcome};
use crate::record::Record;
use crate::router::Routes;

use super::letter::Picked;
use super::origin;
use super::{FailedReplay, Replay, ReplayError, ReplayReport, UnreadableEntry};

pub(super) struct Run {
    kafka: Kafka,
    routes: Routes,
    dispatch: Arc<dyn Dispatch>,
    group: Arc<str>,
    by: String,
    limit: Duration,
    subscribed: Vec<String>,
    replay: Replay,
    report: ReplayReport,
}

/// How a letter was settled.
enum Settled {
    Handled,
    Skipped(String),
}

impl Run {
    pub(super) fn new(app: &App, replay: Replay) -> Self {
        Self {
            kafka: app.kafka.clone(),
            dispatch: Arc::new(app.routes.clone()),
            routes: app.routes.clone(),
            group: app.settings.group.clone(),
            by: replay.by.clone().unwrap_or_else(|| app.service.to_string()),
            limit: app.settings.processing_timeout,
            subscribed: app.topics().to_vec(),
            report: ReplayReport { dry_run: replay.dry_run, ..ReplayReport::default() },
            replay,
        }
    }

    pub(super) async fn run(mut self) -> Result<ReplayReport, ReplayError> {
        let there = Topics::look(&self.kafka).await.map_err(doing("looking for the dead-letter topics"))?;
        let mut picked = self.pick(&there).await?.into_iter();
        if self.replay.dry_run || picked.len() == 0 {
            self.report.not_reached.extend(picked.map(|picked| picked.place));
            return Ok(self.report);
        }
        let is_there = there.partitions(resolutions::TOPIC).is_some();
        let resolutions = Resolutions::open(&self.kafka, is_there)
            .await
            .map_err(doing("opening the topic txova.dlq.resolutions"))?;
        let most = self.replay.max_letters.unwrap_or(usize::MAX);
        info!(group = %self.group, letters = picked.len().min(most), by = self.by, why = self.replay.why, "replaying");
        let mut error = None;
        for letter in picked.by_ref().take(most) {
            if let Err(failed) = self.one(&letter, &resolutions).await {
                error = Some((letter.place, failed));
                break;
            }
            if self.report.stopped.is_some() {
                break;
            }
        }
        self.report.not_reached.extend(picked.map(|picked| picked.place));
        info!(group = %self.group, replayed = self.report.replayed, skipped = self.report.skipped,
            failed = self.report.failed.len(), "replay ended");
        match error {
            None => Ok(self.report),
            Some((entry, error)) => {
                Err(ReplayError::NotRecorded { entry, error, report: Box::new(self.report) })
            }
        }
    }

    /// Reads everything and counts what is not to be tried.
    async fn pick(&mut self, there: &Topics) -> Result<Vec<Picked>, ReplayError> {
        let asked = std::mem::take(&mut self.replay.topics);
        let exists = |topic: &str| there.partitions(topic).is_some();
        if let Some(topic) = asked.iter().find(|topic| !exists(topic) && !exists(&topics::dlq_topic(topic))) {
            return Err(ReplayError::UnknownTopic { topic: topic.clone() });
        }
        let origins = if asked.is_empty() { std::mem::take(&mut self.subscribed) } else { asked };
        self.report.topics = there.dead_letter_topics(&origins).into_iter().map(|(topic, _)| topic).collect();
        let mut picked = Vec::new();
        let kafka = self.kafka.clone();
        let read = scan(&kafka, there, &origins, |entry| picked.extend(self.look_at(entry))).await;
        read.map_err(doing("reading the dead letters"))?;
        Picked::sort(&mut picked);
        Ok(picked)
    }

    fn look_at(&mut self, entry: DeadLetterEntry) -> Option<Picked> {
        let report = &mut self.report;
        report.read += 1;
        let state = entry.resolution.map(|resolution| resolution.state).unwrap_or_default();
        let unreadable = match (entry.letter, state) {
            (Ok(letter), ResolutionState::Open) => return self.sift(Picked { place: entry.place, letter }),
            (_, ResolutionState::Other(state)) => {
                format!("its resolution has a state that is not known here, and it is left alone: {state}")
            }
            (Err(error), ResolutionState::Open) => error.to_string(),
            (_, _) => {
                report.resolved_before += 1;
                return None;
            }
        };
        report.unreadable.push(UnreadableEntry { place: entry.place, reason: unreadable });
        None
    }

    fn sift(&mut self, picked: Picked) -> Option<Picked> {
        let letter = &picked.letter;
        let count = match letter.consumer_group.as_deref() {
            None if !self.replay.include_unnamed => &mut self.report.unnamed,
            Some(group) if group != &*self.group => &mut self.report.other_groups,
            _ if self.replay.filter.as_ref().is_some_and(|filter| !filter(letter)) => {
                &mut self.report.passed_over
            }
            _ if self.is_nobodys(letter) => &mut self.report.unhandled,
            _ => return Some(picked),
        };
        *count += 1;
        None
    }

    /// Whether the letter is about an event that no handler here takes. Its policy may be to ignore such events, which
    /// would settle a letter that nobody has handled.
    fn is_nobodys(&self, letter: &DeadLetter) -> bool {
        letter
            .envelope
            .as_ref()
            .is_some_and(|envelope| self.routes.handler_of(&envelope.event_type).is_none())
    }

    /// Tries one letter. An error is a letter that was settled while that could not be recorded.
    async fn one(&mut self, picked: &Picked, resolutions: &Resolutions) -> Result<(), ClientError> {
        let record = match picked.missing() {
            None => picked.record(),
            Some(cut) => origin::fetch(&self.kafka, &picked.letter, cut).await,
        };
        let record = match record {
            Ok(record) => record,
            Err(reason) => {
                self.failed(picked, reason);
                return Ok(());
            }
        };
        let deadline = tokio::time::Instant::now() + self.limit;
        let attempt = picked.attempt(record.clone(), self.group.clone(), deadline);
        let settled = match guarded(self.dispatch.clone(), attempt, self.limit).await {
            Outcome::Handled(_) => Settled::Handled,
            Outcome::Failed(failure) if failure.class == ErrorClass::Skip => {
                Settled::Skipped(failure.message)
            }
            Outcome::Failed(failure) => {
                if failure.class == ErrorClass::Stop {
                    self.report.stopped = Some(format!("{}: {}", picked.place, failure.message));
                }
                self.failed(picked, words(&failure));
                return Ok(());
            }
        };
        let resolution = self.resolution(picked, &record, &settled);
        match resolutions.write(&resolution).await {
            Ok(()) => {
                match settled {
                    Settled::Handled => self.report.replayed += 1,
                    Settled::Skipped(_) => self.report.skipped += 1,
                }
                Ok(())
            }
            Err(error) => {
                warn!(entry = %picked.place, %error, "a dead letter was handled, and that is not recorded");
                self.failed(picked, format!("handled, but that is not recorded: {error}"));
                Err(error)
            }
        }
    }

    fn failed(&mut self, picked: &Picked, error: String) {
        self.report.failed.push(FailedReplay {
            entry: picked.place.clone(),
            event_type: picked.letter.event_type().to_owned(),
            event_id: picked.letter.event_id().to_owned(),
            error,
        });
    }

    fn resolution(&self, picked: &Picked, record: &Record, settled: &Settled) -> Resolution {
        Resolution {
            entry: picked.place.to_string(),
            state: ResolutionState::Replayed,
            group: self.group.to_string(),
            handler: self.dispatch.handler_for(record).1.to_string(),
            origin: origin_of(&picked.letter),
            event_id: picked.letter.event_id().to_owned(),
            event_type: picked.letter.event_type().to_owned(),
            by: self.by.clone(),
            why: self.replay.why.clone(),
            at: Some(Time::now()),
            attempts: picked.number(),
            skipped: match settled {
                Settled::Handled => None,
                Settled::Skipped(reason) => Some(reason.clone()),
            },
            library_version: LIBRARY_VERSION.to_owned(),
        }
    }
}

fn doing(doing: &'static str) -> impl FnOnce(ClientError) -> ReplayError {
    move |error| ReplayError::Client { doing, error }
}

fn words(failure: &Failure) -> String {
    let Failure { class, message, chain, .. } = failure;
    chain.iter().fold(format!("{class}: {message}"), |words, cause| words + ": " + cause)
}
