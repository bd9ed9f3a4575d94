//! Gives letters another state, without trying them. It must never touch the letters themselves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use txova_events::{DeadLetter, Time, topics};

use crate::client_error::{ClientError, ClientErrorKind};
use crate::dead_letter::desk::{Act, Desk, DeskError, Who};
use crate::dead_letter::list::Topics;
use crate::dead_letter::{AuditRecord, ResolutionState, origin_of, outgoing};
use crate::kafka::Kafka;

use super::letter::Picked;
use super::pick::Pick;
use super::run::{Run, Stop, doing};
use super::{Replay, ReplayError};

/// Letters that are imported in one transaction.
const PIECE: usize = 500;
const LEASE: Duration = Duration::from_secs(30);

impl Run {
    pub(super) async fn decide_all(
        &mut self,
        state: &ResolutionState,
        desk: &mut Desk,
        piece: Vec<Pick>,
    ) -> Result<(), (Stop, Vec<Pick>)> {
        let act = match state {
            ResolutionState::Discarded => "discard",
            ResolutionState::Quarantined => "quarantine",
            _ => "reopen",
        };
        let mut acts = Vec::with_capacity(piece.len());
        for pick in &piece {
            // What cannot be read can be decided about all the same: by its place.
            let picked = pick.letter().unwrap_or_else(|_| Picked {
                place: pick.place.clone(),
                letter: DeadLetter::new("", 0, 0, "", Time::ZERO),
            });
            let is_letter = !picked.letter.original_topic.is_empty();
            let mut decided = self.act((pick, &picked), desk.audit(act, "done"), Some(state.clone()));
            if let Some(resolution) = decided.resolution.as_mut().filter(|_| !is_letter) {
                resolution.origin.clear(); // it would be compared with what is found there
            }
            acts.push(decided);
        }
        if let Err(error) = desk.write(Arc::new(acts)).await {
            let topic = piece.first().map(|pick| pick.place.topic.to_string()).unwrap_or_default();
            return Err((self.stopped("writing down what was decided", &topic, error), piece));
        }
        self.report.decided += piece.len() as u64;
        Ok(())
    }
}

/// Puts letters onto their topics as new entries.
pub(super) async fn import(
    kafka: &Kafka,
    letters: Vec<DeadLetter>,
    replay: Replay,
) -> Result<(), ReplayError> {
    let there = Topics::look(kafka).await.map_err(doing("looking for the dead-letter topics"))?;
    let mut by_topic: BTreeMap<String, Vec<DeadLetter>> = BTreeMap::new();
    for letter in letters {
        by_topic.entry(topics::dlq_topic(&letter.original_topic)).or_default().push(letter);
    }
    if let Some(topic) = by_topic.keys().find(|topic| there.partitions(topic).is_none()) {
        return Err(ReplayError::UnknownTopic { topic: topic.clone() });
    }
    let by = replay.by.unwrap_or_else(|| "somebody".to_owned());
    for (topic, letters) in by_topic {
        let who = Who {
            by: by.clone(),
            why: replay.why.clone(),
            doing: format!("importing {} dead letters", letters.len()),
        };
        let failed = |error: DeskError| match error {
            DeskError::Claimed(claim) => {
                ReplayError::Claimed { topic: topic.clone(), claim, report: Box::default() }
            }
            DeskError::Client(error) | DeskError::Refused(_, error) => doing("importing dead letters")(error),
        };
        let mut desk = Desk::open(kafka, &there, topic.as_str().into(), &who, LEASE, replay.takes_over)
            .await
            .map_err(failed)?;
        for piece in letters.chunks(PIECE) {
            let acts: Vec<Act> = piece
                .iter()
                .map(|letter| {
                    let audit = AuditRecord {
                        group: letter.consumer_group.clone().unwrap_or_default(),
                        origin: origin_of(letter),
                        event_id: letter.event_id().to_owned(),
                        event_type: letter.event_type().to_owned(),
                        fingerprint: letter.fingerprint().into_owned(),
                        ..desk.audit("import", "done")
                    };
                    Act { resolution: None, audit, record: Some(outgoing(letter).into()) }
                })
                .collect();
            match desk.write(Arc::new(acts)).await {
                Ok(()) => {}
                Err(DeskError::Refused(at, error)) => {
                    let which = piece.get(at).map(origin_of).unwrap_or_default();
                    let error = ClientError::new(
                        ClientErrorKind::TooLarge,
                        format!("the letter about {which}: {error}"),
                    );
                    return Err(failed(error.into()));
                }
                Err(error) => return Err(failed(error)),
            }
        }
        desk.close(&format!("{} imported", letters.len())).await;
    }
    Ok(())
}
