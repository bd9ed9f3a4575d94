//! Tries an app's own handlers on letters, one after the other. It must never go on to the next letter before the last
//! one's fate is recorded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::app::App;
use crate::attempt::Dispatch;
use crate::dead_letter::ResolutionState;
use crate::dead_letter::desk::{Desk, DeskError};
use crate::driver::guarded;
use crate::outcome::{ErrorClass, Failure, Outcome};
use crate::router::Routes;

use super::ReplayError;
use super::letter::Picked;
use super::origin;
use super::pick::Pick;
use super::run::{Run, Stop};

/// The handlers of an app, and for whom they act.
#[derive(Clone)]
pub(super) struct Handlers {
    pub routes: Routes,
    pub group: Arc<str>,
    /// How long one may take.
    pub limit: Duration,
}

impl Handlers {
    pub(super) fn of(app: &App) -> Self {
        let (group, limit) = (app.settings.group.clone(), app.settings.processing_timeout);
        Self { routes: app.routes.clone(), group, limit }
    }
}

impl Run {
    pub(super) async fn try_handlers(
        &mut self,
        handlers: &Handlers,
        desk: &mut Desk,
        piece: Vec<Pick>,
    ) -> Result<(), (Stop, Vec<Pick>)> {
        let mut letters = VecDeque::with_capacity(piece.len());
        for pick in piece {
            match pick.letter() {
                Ok(picked) if self.is_held(&picked.letter) => self.report.not_reached.push(pick.place),
                Ok(picked) => letters.push_back((pick, picked)),
                Err(_) => self.report.not_reached.push(pick.place), // it was readable a moment ago
            }
        }
        let announced: Vec<_> = letters
            .iter()
            .map(|(pick, picked)| self.act((pick, picked), desk.audit("try", ""), None))
            .collect();
        if let Err(error) = desk.write(Arc::new(announced)).await {
            let topic = letters.front().map(|(pick, _)| pick.place.topic.to_string()).unwrap_or_default();
            let stop = self.stopped("announcing what will be tried", &topic, error);
            return Err((stop, unreached(letters)));
        }
        while let Some((pick, picked)) = letters.pop_front() {
            if self.is_held(&picked.letter) {
                self.report.not_reached.push(pick.place);
                continue;
            }
            if let Err(stop) = self.one(handlers, desk, &pick, &picked).await {
                return Err((stop, unreached(letters)));
            }
            if let Some(stop) = self.is_over() {
                return Err((stop, unreached(letters)));
            }
        }
        Ok(())
    }

    async fn one(
        &mut self,
        handlers: &Handlers,
        desk: &mut Desk,
        pick: &Pick,
        picked: &Picked,
    ) -> Result<(), Stop> {
        let record = match picked.missing() {
            None => picked.record(),
            Some(cut) => origin::fetch(&self.kafka, &picked.letter, cut).await,
        };
        let record = record.and_then(|record| picked.changed(record, self.replay.transform.as_ref()));
        let record = match record {
            Ok(record) => record,
            Err(reason) => return self.note_failure(desk, pick, picked, reason).await,
        };
        let dispatch: Arc<dyn Dispatch> = Arc::new(handlers.routes.clone());
        let deadline = tokio::time::Instant::now() + handlers.limit;
        let (_, handler) = dispatch.handler_for(&record);
        let attempt = picked.attempt(record, handlers.group.clone(), deadline);
        let skipped = match guarded(dispatch, attempt, handlers.limit).await {
            Outcome::Handled(_) => None,
            Outcome::Failed(failure) if failure.class == ErrorClass::Skip => Some(failure.message),
            Outcome::Held(_) | Outcome::NotRun => {
                let reason = "its handler was not run".to_owned(); // only where an engine is
                return self.note_failure(desk, pick, picked, reason).await;
            }
            Outcome::Failed(failure) => {
                if failure.class == ErrorClass::Stop {
                    self.report.stopped = Some(format!("{}: {}", picked.place, failure.message));
                }
                return self.note_failure(desk, pick, picked, words(&failure)).await;
            }
        };
        let result = match &skipped {
            None => "handled".to_owned(),
            Some(reason) => format!("skipped: {reason}"),
        };
        let mut act =
            self.act((pick, picked), desk.audit("replay", &result), Some(ResolutionState::Replayed));
        if let Some(resolution) = &mut act.resolution {
            resolution.handler = handler.to_string();
            resolution.attempts = picked.number();
            resolution.skipped = skipped.clone();
        }
        match desk.write(Arc::new(vec![act])).await {
            Ok(()) => {
                match skipped {
                    None => self.report.replayed += 1,
                    Some(_) => self.report.skipped += 1,
                }
                Ok(())
            }
            Err(error) => {
                let why = match error {
                    DeskError::Claimed(claim) => {
                        format!("{} has taken over from {}", claim.by, claim.instance)
                    }
                    DeskError::Client(error) | DeskError::Refused(_, error) => error.to_string(),
                };
                warn!(entry = %picked.place, why, "a dead letter was handled, and that is not recorded");
                self.failed(picked, format!("handled, but that is not recorded: {why}"));
                let entry = picked.place.clone();
                Err(Stop::Failed(Box::new(move |report| ReplayError::NotRecorded {
                    entry,
                    why,
                    report: Box::new(report),
                })))
            }
        }
    }

    /// The letter stays open, and the audit says why.
    async fn note_failure(
        &mut self,
        desk: &mut Desk,
        pick: &Pick,
        picked: &Picked,
        error: String,
    ) -> Result<(), Stop> {
        let act = self.act((pick, picked), desk.audit("replay", &format!("failed: {error}")), None);
        self.failed(picked, error);
        let written = desk.write(Arc::new(vec![act])).await;
        written.map_err(|error| self.stopped("recording what failed", &pick.place.topic, error))
    }
}

fn unreached(letters: VecDeque<(Pick, Picked)>) -> Vec<Pick> {
    letters.into_iter().map(|(pick, _)| pick).collect()
}

fn words(failure: &Failure) -> String {
    let Failure { class, message, chain, .. } = failure;
    chain.iter().fold(format!("{class}: {message}"), |words, cause| words + ": " + cause)
}
