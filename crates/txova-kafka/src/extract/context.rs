//! What is published for an event inherits from it.

use super::{FromEvent, Incoming};
use crate::context::{Context, TraceContext};
use crate::outcome::HandlerError;

/// The event's own context. A handler of one event runs inside it anyway; a batch has no single cause, so its handler
/// takes `Vec<(Event<T>, Context)>` and publishes inside [`context.scope(…)`](Context::scope).
impl FromEvent for Context {
    fn from_event(incoming: &Incoming<'_>) -> Result<Self, HandlerError> {
        Ok(Self::of(incoming))
    }
}

impl Context {
    pub(crate) fn of(incoming: &Incoming<'_>) -> Self {
        let trace = TraceContext::from_headers(incoming.headers());
        Self::caused_by(incoming.record().value.clone().unwrap_or_default(), trace)
    }
}
