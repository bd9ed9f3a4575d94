//! A router that has been checked: finds a record's handler and runs it. It must never know how it was registered.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use txova_events::{EnvelopeRef, EventContext};

use super::catalogue::Catalogue;
use super::layer::{HandlerRequest, Wrapped};
use super::pattern::Pattern;
use super::unexpected::{Counts, Policies, Unexpected};
use crate::attempt::{Attempt, Dispatch};
use crate::context::{Context, TraceContext};
use crate::extract::{Incoming, PayloadProblem, States};
use crate::handler::HandlerFuture;
use crate::outcome::{Failure, HandlerError, HandlerId, Outcome};
use crate::record::Record;

/// A handler of whatever arguments, inside all layers: an extractor's refusal is known before the future, which runs
/// inside the event's context.
pub(super) type AnyHandler =
    Box<dyn Fn(&Incoming<'_>) -> Result<HandlerFuture, HandlerError> + Send + Sync + 'static>;

/// Handlers, checked and ready. Cheap to clone: clones share everything.
#[derive(Clone)]
pub struct Routes {
    table: Arc<Table>,
}

pub(super) struct Route {
    pub pattern: Pattern,
    pub name: Arc<str>,
    pub handler: Wrapped,
}

/// Routes in the order of precedence; whole types are found by `exact`.
pub(super) struct Table {
    pub exact: HashMap<String, usize>,
    pub first_prefix: usize,
    pub routes: Vec<Route>,
    pub catalogue: Catalogue,
    pub policies: Policies,
    pub states: States,
    pub topics: Vec<String>,
    pub counts: Counts,
    /// Stands for a handler's name where none was found.
    pub no_handler: Arc<str>,
}

/// A handler that has taken its arguments.
struct Ready<'a> {
    id: HandlerId,
    route: &'a Route,
    context: Context,
    future: HandlerFuture,
}

impl Routes {
    pub(super) fn new(table: Table) -> Self {
        Self { table: Arc::new(table) }
    }

    /// The topics to subscribe to, each once.
    pub fn topics(&self) -> &[String] {
        &self.table.topics
    }

    /// The handlers by precedence: the type or pattern, and the handler's name.
    pub fn handlers(&self) -> impl Iterator<Item = (String, &str)> {
        self.table.routes.iter().map(|route| (route.pattern.to_string(), &*route.name))
    }

    /// The name of the handler that gets events of this type.
    pub fn handler_of(&self, event_type: &str) -> Option<&str> {
        self.table.find(event_type).map(|(_, route)| &*route.name)
    }

    /// How many records of this kind have come since the start; one that is tried again counts again.
    pub fn unexpected(&self, kind: Unexpected) -> u64 {
        self.table.counts.of(kind)
    }
}

impl Table {
    fn find(&self, event_type: &str) -> Option<(HandlerId, &Route)> {
        let at = match self.exact.get(event_type) {
            Some(&at) => at,
            None => {
                let mut patterns = self.routes.iter().enumerate().skip(self.first_prefix);
                patterns.find(|(_, route)| route.pattern.matches(event_type))?.0
            }
        };
        Some((HandlerId(at as u32), self.routes.get(at)?))
    }

    /// An error of a handler, or of what it takes as arguments, as data. What `Event<T>` cannot read is no verdict of the
    /// handler's.
    fn failure(&self, error: HandlerError, id: HandlerId, route: &Route) -> Box<Failure> {
        let by = (!error.error().is::<PayloadProblem>()).then_some(id);
        Box::new(error.into_failure(by, Arc::clone(&route.name)))
    }

    fn prepare(self: &Arc<Self>, attempt: &Attempt) -> Result<Ready<'_>, Box<Failure>> {
        let Some(value) = &attempt.record.value else {
            let message = "the record has no value (a tombstone): expected an event";
            return Err(self.refuse(Unexpected::Tombstone, message, &self.no_handler));
        };
        let envelope = EnvelopeRef::decode(value).map_err(|error| {
            let message = format!("the record is no event envelope: {error}");
            self.refuse(Unexpected::NoEnvelope, message, &self.no_handler)
        })?;
        let event_type = &*envelope.event_type;
        if event_type.is_empty() {
            let message =
                "the record is no event envelope: field `type` is missing, expected `domain.action`";
            return Err(self.refuse(Unexpected::NoEnvelope, message, &self.no_handler));
        }
        let Some((id, route)) = self.find(event_type) else {
            return Err(match self.catalogue.lists(event_type) {
                true => {
                    let message = format!("no handler here takes `{event_type}`");
                    self.refuse(Unexpected::Unhandled, message, &self.no_handler)
                }
                false => {
                    let message = format!(
                        "the event type `{event_type}` is unknown: no handler takes it, no catalogue lists it"
                    );
                    self.refuse(Unexpected::UnknownType, message, &self.no_handler)
                }
            });
        };
        let incoming = Incoming { attempt, envelope: &envelope, states: &self.states };
        let trace = TraceContext::from_headers(&attempt.record.headers);
        let context = Context::new(EventContext::caused_by(&envelope), trace);
        let future = match &route.handler {
            Wrapped::Bare(handler) => context
                .enter(|| handler(&incoming))
                .map_err(|error| self.failure(self.judged(error), id, route))?,
            Wrapped::Layered(service) => {
                let (attempt, handler) = (attempt.clone(), Arc::clone(&route.name));
                let request = HandlerRequest { attempt, handler, table: Arc::clone(self) };
                context.enter(|| service.run(request))
            }
        };
        Ok(Ready { id, route, context, future })
    }

    fn refuse(
        &self,
        kind: Unexpected,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
        handler: &Arc<str>,
    ) -> Box<Failure> {
        self.counts.add(kind);
        let class = self.policies.of(kind).class();
        Box::new(HandlerError::new(class, error).into_failure(None, Arc::clone(handler)))
    }

    /// What `Event<T>` cannot read has a policy; the class of any other extractor's error is the extractor's own.
    pub(super) fn judged(&self, error: HandlerError) -> HandlerError {
        let kind = error.error().downcast_ref().map(|problem| match problem {
            PayloadProblem::Version { .. } => Unexpected::UnsupportedVersion,
            PayloadProblem::Decode(_) => Unexpected::Undecodable,
        });
        let Some(kind) = kind else { return error };
        self.counts.add(kind);
        error.with_class(self.policies.of(kind).class())
    }
}

impl Dispatch for Routes {
    fn dispatch(&self, attempt: Attempt) -> BoxFuture<'static, Outcome> {
        let table = Arc::clone(&self.table);
        Box::pin(async move {
            let ready = match table.prepare(&attempt) {
                Ok(ready) => ready,
                Err(failure) => return Outcome::Failed(failure),
            };
            match ready.context.scope(ready.future).await {
                Ok(()) => Outcome::Handled(ready.id),
                Err(error) => Outcome::Failed(table.failure(error, ready.id, ready.route)),
            }
        })
    }

    fn handler_for(&self, record: &Record) -> (Option<HandlerId>, Arc<str>) {
        let envelope = record.value.as_ref().and_then(|value| EnvelopeRef::decode(value).ok());
        match envelope.and_then(|envelope| self.table.find(&envelope.event_type)) {
            Some((id, route)) => (Some(id), Arc::clone(&route.name)),
            None => (None, Arc::clone(&self.table.no_handler)),
        }
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.handlers()).finish()
    }
}
