//! How a run ended, told to the engine and to the log. It must never decide what becomes of a record.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use crate::attempt::{Attempt, Dispatch};
use crate::outcome::{BatchOutcome, ErrorClass, Failure, HandlerId, Outcome};
use crate::record::{Record, TopicPartition};

use super::mutation::{Mutation, broken};

pub(super) type Panic = Box<dyn Any + Send>;
/// What a run came to; `Err(None)` is one that took too long.
pub(super) type Ran<T> = Result<T, Option<Panic>>;

/// What it takes to name a failure, looked up only when there is one.
pub(super) struct Named {
    dispatch: Arc<dyn Dispatch>,
    record: Record,
    partition: TopicPartition,
    attempt: u32,
}

impl Named {
    pub(super) fn new(dispatch: Arc<dyn Dispatch>, attempt: &Attempt) -> Self {
        let (record, partition) = (attempt.record.clone(), attempt.partition.clone());
        Self { dispatch, record, partition, attempt: attempt.number }
    }

    pub(super) fn outcome(&self, ran: Ran<Outcome>, limit: Duration) -> Outcome {
        let outcome = ran.unwrap_or_else(|end| self.cut_short(end, limit));
        if let Outcome::Failed(failure) = &outcome {
            self.tell(self.record.offset, failure);
        }
        outcome
    }

    /// As [`Self::outcome`], of a batch that this record began.
    pub(super) fn batch_outcome(
        &self,
        ran: Ran<BatchOutcome>,
        limit: Duration,
        offsets: &[i64],
    ) -> BatchOutcome {
        let outcome = ran.unwrap_or_else(|end| BatchOutcome::Whole(self.cut_short(end, limit)));
        match &outcome {
            BatchOutcome::Whole(Outcome::Failed(failure)) if offsets.len() < 2 => {
                self.tell(self.record.offset, failure);
            }
            BatchOutcome::Whole(Outcome::Failed(failure)) => {
                let (partition, records) = (&self.partition, offsets.len());
                let (first, last) = (offsets.first().copied(), offsets.last().copied());
                warn!(%partition, first, last, records, handler = %failure.handler, class = %failure.class,
                    error = failure.told(), "a batch failed as a whole");
            }
            BatchOutcome::Parts { failed, .. } => {
                for (place, failure) in failed {
                    self.tell(offsets.get(*place).copied().unwrap_or(self.record.offset), failure);
                }
            }
            BatchOutcome::Whole(Outcome::Handled(_) | Outcome::Held(_) | Outcome::NotRun)
            | BatchOutcome::NotRun(_) => {}
        }
        outcome
    }

    fn cut_short(&self, by: Option<Panic>, limit: Duration) -> Outcome {
        let message = match by {
            Some(_) if broken(Mutation::PanicsAreFine) => return Outcome::Handled(HandlerId(0)),
            Some(panic) => format!("the handler panicked: {}", panic_text(&*panic)),
            None => format!("the handler took longer than {} ms", limit.as_millis()),
        };
        let handler = self.dispatch.handler_for(&self.record);
        Outcome::Failed(Box::new(Failure::of(ErrorClass::Transient, handler, message)))
    }

    fn tell(&self, offset: i64, failure: &Failure) {
        let (partition, attempt) = (&self.partition, self.attempt);
        if failure.class == ErrorClass::Skip {
            debug!(%partition, offset, handler = %failure.handler, reason = failure.told(), "skipped");
        } else {
            warn!(%partition, offset, attempt, handler = %failure.handler, class = %failure.class,
                error = failure.told(), "a handler failed");
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
