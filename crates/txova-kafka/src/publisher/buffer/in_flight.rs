//! A record that the client has, and its one answer. It must never know who waits for places.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::Span;

use super::{Buffer, Ended};
use crate::publisher::answer::Answer;
use crate::publisher::breaker::{Pass, Verdict};
use crate::publisher::error::{Place, PublishError, PublishErrorKind};
use crate::publisher::{Published, span};
use crate::transport::{Delivery, Undelivered};

/// A record the client has. Ends exactly once: dropped without an answer, it says so. There is one for each record under
/// way, so it holds little: of a record that fails the client tells the key.
pub(super) struct InFlight {
    pub(super) buffer: Arc<Buffer>,
    pub(super) topic: Arc<str>,
    pub(super) size_bytes: usize,
    pub(super) since: Instant,
    pub(super) pass: Pass,
    pub(super) span: Span,
    pub(super) answer: Option<Answer>,
}

impl InFlight {
    /// The client has answered.
    pub(super) fn answered(self, answer: Result<Delivery, Undelivered>) {
        let mut undelivered = match answer {
            Ok(delivery) => {
                let published = Published::new(Arc::clone(&self.topic), delivery);
                return self.end(Verdict::Answered, Ok(published));
            }
            Err(undelivered) => undelivered,
        };
        let buffer = Arc::clone(&self.buffer);
        let letter = buffer.letters.as_ref().and_then(|letters| {
            let letter = letters.letter(&mut undelivered)?;
            Some((letters, letter))
        });
        let Undelivered { error, written, is_taken, maybe_twice, key, .. } = undelivered;
        let place = Place { topic: Arc::clone(&self.topic), key };
        let error = PublishError::answered(place, self.size_bytes, error, written).with_twice(maybe_twice);
        let verdict = match error.kind() {
            _ if !is_taken => Verdict::Unknown,
            PublishErrorKind::Refused | PublishErrorKind::TooLarge => Verdict::Answered,
            PublishErrorKind::TimedOut | PublishErrorKind::Failed => Verdict::Away,
            _ => Verdict::Unknown,
        };
        match letter {
            None => self.end(verdict, Err(error)),
            // Its place stays taken until the letter is answered too.
            Some((letters, letter)) => {
                let told = move |told: Result<_, _>| {
                    let told = told.map(|(topic, delivery)| Published::new(topic, delivery));
                    self.end(verdict, Err(error.with_dead_letter(told)));
                };
                letters.send(buffer.producer.clone(), letter, Box::new(told));
            }
        }
    }

    pub(super) fn end(mut self, verdict: Verdict, result: Result<Published, PublishError>) {
        self.end_once(verdict, result);
    }

    fn end_once(&mut self, verdict: Verdict, result: Result<Published, PublishError>) {
        let Some(answer) = self.answer.take() else { return };
        let (since, now) = (self.since, Instant::now());
        if result.is_ok() {
            let latency_us = (now - since).as_micros();
            self.buffer.latencies.record(u64::try_from(latency_us).unwrap_or(u64::MAX));
        }
        span::end(&self.span, &result);
        let (topic, size_bytes, pass, error) =
            (&self.topic, self.size_bytes, self.pass, result.as_ref().err());
        // First: who has the answer finds it counted.
        let is_ready = self.buffer.answered(&Ended { topic, size_bytes, pass, verdict, since, now, error });
        answer.give(result);
        self.buffer.told(is_ready);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.answer.is_some() {
            let place = Place { topic: Arc::clone(&self.topic), key: None };
            self.end_once(Verdict::Unknown, Err(PublishError::unanswered(place)));
        }
    }
}
