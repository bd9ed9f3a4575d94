//! A record that the client has, and its one answer. It must never know who waits for places.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;
use tracing::Span;

use super::{Buffer, Ended};
use crate::publisher::answer::Answer;
use crate::publisher::breaker::{Pass, Verdict};
use crate::publisher::error::{Place, PublishError, PublishErrorKind};
use crate::publisher::{Published, span};
use crate::transport::{Delivery, Undelivered};

/// A record the client has. Ends exactly once: dropped without an answer, it says so.
pub(super) struct InFlight {
    pub(super) buffer: Arc<Buffer>,
    pub(super) size_bytes: usize,
    pub(super) since: Instant,
    pub(super) pass: Pass,
    pub(super) span: Span,
    pub(super) pending: Option<(Place, Answer)>,
}

impl InFlight {
    /// The client has answered.
    pub(super) fn answered(self, answer: Result<Delivery, Undelivered>) {
        let mut undelivered = match answer {
            Ok(delivery) => {
                return self.end(Verdict::Answered, |place| Ok(Published::new(place.topic, delivery)));
            }
            Err(undelivered) => undelivered,
        };
        let buffer = Arc::clone(&self.buffer);
        let letter = buffer.letters.as_ref().and_then(|letters| {
            let letter = letters.letter(&mut undelivered)?;
            Some((letters, letter))
        });
        let Undelivered { error, written, .. } = undelivered;
        let size_bytes = self.size_bytes;
        let error = move |place| PublishError::answered(place, size_bytes, error, written);
        match letter {
            None => self.end_with(error),
            // Its place stays taken until the letter is answered too.
            Some((letters, letter)) => {
                let told = move |told: Result<_, _>| {
                    let told = told.map(|(topic, delivery)| Published::new(topic, delivery));
                    self.end_with(|place| error(place).with_dead_letter(told));
                };
                letters.send(buffer.producer.clone(), letter, Box::new(told));
            }
        }
    }

    fn end_with(mut self, error: impl FnOnce(Place) -> PublishError) {
        let Some((place, answer)) = self.pending.take() else { return };
        let topic = Arc::clone(&place.topic);
        let error = error(place);
        let verdict = match error.kind() {
            PublishErrorKind::Refused | PublishErrorKind::TooLarge => Verdict::Answered,
            PublishErrorKind::TimedOut | PublishErrorKind::Failed => Verdict::Away,
            _ => Verdict::Unknown,
        };
        self.tell(&topic, answer, verdict, Err(error));
    }

    pub(super) fn end(
        mut self,
        verdict: Verdict,
        result: impl FnOnce(Place) -> Result<Published, PublishError>,
    ) {
        self.end_once(verdict, result);
    }

    fn end_once(&mut self, verdict: Verdict, result: impl FnOnce(Place) -> Result<Published, PublishError>) {
        let Some((place, answer)) = self.pending.take() else { return };
        let topic = Arc::clone(&place.topic);
        let result = result(place);
        self.tell(&topic, answer, verdict, result);
    }

    fn tell(
        &self,
        topic: &Arc<str>,
        answer: Answer,
        verdict: Verdict,
        result: Result<Published, PublishError>,
    ) {
        let (since, now) = (self.since, Instant::now());
        if result.is_ok() {
            let latency_us = (now - since).as_micros();
            self.buffer.latencies.record(u64::try_from(latency_us).unwrap_or(u64::MAX));
        }
        span::end(&self.span, &result);
        let (size_bytes, pass, error) = (self.size_bytes, self.pass, result.as_ref().err());
        // First: who has the answer finds it counted.
        self.buffer.answered(&Ended { topic, size_bytes, pass, verdict, since, now, error });
        answer.give(result);
        self.buffer.told();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.end_once(Verdict::Unknown, |place| Err(PublishError::unanswered(place)));
    }
}

/// Whoever comes first has it.
pub(super) fn take(slot: &Mutex<Option<InFlight>>) -> Option<InFlight> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}
