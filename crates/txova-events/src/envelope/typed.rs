//! Envelopes around an event's own type: what services make and handlers see.

use super::{Actor, EventContext, Head};
use crate::error::InvalidEvent;
use crate::event::Event;
use crate::ids::EventId;
use crate::json;
use crate::values::Time;

/// An event with all that is known about it.
///
/// ```
/// use txova_events::{Envelope, Money, PayoutRequested, PayoutId, DriverId};
///
/// let payout = PayoutRequested {
///     payout_id: PayoutId::new(),
///     driver_id: DriverId::new(),
///     amount: Money::from_centavos(500_00),
/// };
/// let envelope = Envelope::new("payment-service", payout);
/// assert_eq!(envelope.event_type, "payout.requested");
/// assert_eq!(envelope.correlation_id, envelope.id); // it begins a chain
/// envelope.validate()?;
/// # Ok::<(), txova_events::InvalidEvent>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope<P> {
    /// The event's id. A UUID of version 7 when made here; any text when read.
    pub id: String,
    /// The event's type, `domain.action`.
    pub event_type: String,
    /// The version of the payload's schema.
    pub version: String,
    /// The service that published it.
    pub source: String,
    /// When it was made.
    pub timestamp: Time,
    /// What all events of one cause have in common.
    pub correlation_id: String,
    /// The id of the event that caused this one.
    pub causation_id: Option<String>,
    /// Who caused it.
    pub actor: Option<Actor>,
    /// What happened.
    pub payload: P,
}

impl<P: Event> Envelope<P> {
    /// A new event of `source` that begins a chain: with a new id, the clock's time, and its own id as correlation id.
    pub fn new(source: impl Into<String>, payload: P) -> Self {
        let id = EventId::new().to_string();
        Self {
            correlation_id: id.clone(),
            id,
            event_type: P::TYPE.to_owned(),
            version: P::VERSION.to_owned(),
            source: source.into(),
            timestamp: Time::now(),
            causation_id: None,
            actor: None,
            payload,
        }
    }

    /// A new event of `source` that goes on with a chain.
    pub fn from_context(source: impl Into<String>, context: &EventContext, payload: P) -> Self {
        Self {
            correlation_id: context.correlation_id.clone(),
            causation_id: context.causation_id.clone(),
            actor: context.actor.clone(),
            ..Self::new(source, payload)
        }
    }

    /// Builds an envelope field by field; [`EnvelopeBuilder::build`] looks at the rules.
    pub fn builder(source: impl Into<String>, payload: P) -> EnvelopeBuilder<P> {
        EnvelopeBuilder { envelope: Self::new(source, payload), correlated: false }
    }

    /// The partition key.
    pub fn key(&self) -> String {
        self.payload.key()
    }

    /// A publisher's rules, for the envelope and its payload; the error names the first field that breaks one.
    pub fn validate(&self) -> Result<(), InvalidEvent> {
        let head = self.head();
        head.validate()?;
        self.payload
            .validate()
            .map_err(|broken| head.invalid(&format!("payload.{}", broken.field), broken.reason))
    }

    /// The envelope's bytes, as a Go service would write them. The rules are not looked at; the only error is a payload
    /// whose own serialisation fails.
    pub fn encode(&self) -> Result<Vec<u8>, InvalidEvent> {
        encode(&self.head(), &self.payload)
    }

    pub(crate) fn head(&self) -> Head<'_> {
        Head {
            id: &self.id,
            event_type: &self.event_type,
            version: &self.version,
            source: &self.source,
            timestamp: self.timestamp,
            correlation_id: &self.correlation_id,
            causation_id: self.causation_id.as_deref(),
            actor: self.actor.as_ref(),
        }
    }
}

pub(crate) fn encode<P: Event>(head: &Head<'_>, payload: &P) -> Result<Vec<u8>, InvalidEvent> {
    let mut out = Vec::with_capacity(512);
    head.write(&mut out);
    json::append(&mut out, payload).map_err(|error| head.invalid("payload", error.to_string()))?;
    out.push(b'}');
    Ok(out)
}

/// Builds an [`Envelope`].
///
/// ```
/// use txova_events::{Actor, Envelope, UserDeleted, UserId, DeletionType};
///
/// let user_id = UserId::new();
/// let envelope = Envelope::builder("user-service", UserDeleted { user_id, deletion_type: DeletionType::Inactivity })
///     .correlation_id("request-17")
///     .actor(Actor::admin(UserId::new()))
///     .build()?;
/// assert_eq!(envelope.correlation_id, "request-17");
/// # Ok::<(), txova_events::InvalidEvent>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder makes nothing until it is built"]
pub struct EnvelopeBuilder<P> {
    envelope: Envelope<P>,
    correlated: bool,
}

impl<P: Event> EnvelopeBuilder<P> {
    /// The event's id, in place of a new one. Where no correlation id is given, that one, too.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.envelope.id = id.into();
        if !self.correlated {
            self.envelope.correlation_id.clone_from(&self.envelope.id);
        }
        self
    }

    /// The version of the payload's schema, in place of the event's own.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.envelope.version = version.into();
        self
    }

    /// When it was made, in place of the clock's time.
    pub fn timestamp(mut self, timestamp: Time) -> Self {
        self.envelope.timestamp = timestamp;
        self
    }

    /// What all events of one cause have in common.
    pub fn correlation_id(mut self, correlation_id: impl Into<String>) -> Self {
        self.envelope.correlation_id = correlation_id.into();
        self.correlated = true;
        self
    }

    /// The id of the event that caused this one.
    pub fn causation_id(mut self, causation_id: impl Into<String>) -> Self {
        self.envelope.causation_id = Some(causation_id.into());
        self
    }

    /// Who caused it.
    pub fn actor(mut self, actor: Actor) -> Self {
        self.envelope.actor = Some(actor);
        self
    }

    /// Correlation id, causation id and actor at once.
    pub fn context(mut self, context: &EventContext) -> Self {
        self.envelope.causation_id.clone_from(&context.causation_id);
        self.envelope.actor.clone_from(&context.actor);
        self.correlation_id(context.correlation_id.clone())
    }

    /// The envelope, where it breaks no rule of a publisher's.
    pub fn build(self) -> Result<Envelope<P>, InvalidEvent> {
        self.envelope.validate()?;
        Ok(self.envelope)
    }
}
