//! What an event inherits from what caused it. It must never know payloads.

use super::{Actor, EnvelopeRef};
use crate::ids::EventId;

/// What events published on the way of one cause have in common.
///
/// While an event is being handled, its context is [`EventContext::caused_by`] it: what the handler publishes carries
/// on the correlation id and names the handled event as its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventContext {
    /// The id that every event of the chain carries.
    pub correlation_id: String,
    /// The id of the event that caused this one; `None` at the beginning of a chain.
    pub causation_id: Option<String>,
    /// Who causes what is published; set by the service, never carried from event to event by itself.
    pub actor: Option<Actor>,
}

impl EventContext {
    /// The beginning of a chain, under the id a request came with.
    pub fn new(correlation_id: impl Into<String>) -> Self {
        Self { correlation_id: correlation_id.into(), causation_id: None, actor: None }
    }

    /// The context of what `event` brings about: its correlation id (its own id where it has none) and, as the cause,
    /// its id.
    pub fn caused_by(event: &EnvelopeRef<'_>) -> Self {
        let correlation_id = if event.correlation_id.is_empty() { &event.id } else { &event.correlation_id };
        Self {
            correlation_id: correlation_id.clone().into_owned(),
            causation_id: (!event.id.is_empty()).then(|| event.id.clone().into_owned()),
            actor: None,
        }
    }

    /// The same context, with the actor who causes what is published.
    pub fn with_actor(mut self, actor: Actor) -> Self {
        self.actor = Some(actor);
        self
    }
}

/// The beginning of a chain with a new correlation id.
impl Default for EventContext {
    fn default() -> Self {
        Self::new(EventId::new().to_string())
    }
}
