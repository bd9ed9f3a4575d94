//! Passes over what was sent back to a topic for another consumer group. It stands before the handlers, and must never know
//! them.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use txova_events::dlq::redrive;

use crate::attempt::{Attempt, Dispatch};
use crate::outcome::{BatchOutcome, HandlerError, HandlerId, Outcome};
use crate::record::Record;

/// The handlers of one group.
pub(crate) struct Redriven<D> {
    handlers: D,
    group: Arc<str>,
    /// Stands for a handler's name.
    nobody: Arc<str>,
}

impl<D> Redriven<D> {
    pub(crate) fn new(handlers: D, group: Arc<str>) -> Self {
        Self { handlers, group, nobody: "-".into() }
    }

    fn is_for_another(&self, record: &Record) -> bool {
        record.headers.get(redrive::GROUP).is_some_and(|group| group != self.group.as_bytes())
    }
}

impl<D: Dispatch> Dispatch for Redriven<D> {
    fn dispatch(&self, attempt: Attempt) -> BoxFuture<'static, Outcome> {
        if self.is_for_another(&attempt.record) {
            let skip = HandlerError::skip("it was sent back for another consumer group");
            let failure = skip.into_failure(None, Arc::clone(&self.nobody));
            return Box::pin(std::future::ready(Outcome::Failed(Box::new(failure))));
        }
        self.handlers.dispatch(attempt)
    }

    fn dispatch_batch(&self, attempts: Vec<Attempt>) -> BoxFuture<'static, BatchOutcome> {
        self.handlers.dispatch_batch(attempts)
    }

    fn batch_of(&self, record: &Record) -> Option<u32> {
        if self.is_for_another(record) { None } else { self.handlers.batch_of(record) }
    }

    fn handler_for(&self, record: &Record) -> (Option<HandlerId>, Arc<str>) {
        self.handlers.handler_for(record)
    }
}
