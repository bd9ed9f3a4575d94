//! A router that has been checked: finds a record's handler and runs it. It must never know how it was registered.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use foldhash::fast::FixedState;
use futures_util::future::BoxFuture;
use tracing::{Instrument, Span};
use txova_events::EnvelopeRef;

use super::catalogue::Catalogue;
use super::classify::Classify;
use super::layer::{HandlerRequest, Wrapped};
use super::pattern::Pattern;
use super::unexpected::{Counts, Policies, Unexpected};
use crate::attempt::{Attempt, Dispatch};
use crate::batch::{BatchError, Batching, Unreadable};
use crate::context::Context;
use crate::extract::{Incoming, PayloadProblem, States};
use crate::handler::HandlerFuture;
use crate::outcome::{BatchOutcome, Failure, HandlerError, HandlerId, Outcome};
use crate::record::Record;
use crate::retry_policy::RetryPolicy;
use crate::trace::{self, Attempted};

/// A handler of whatever arguments, inside all layers: an extractor's refusal is known before the future, which runs
/// inside the event's context. It is given one event, or all of a batch.
pub(super) type AnyHandler =
    Box<dyn Fn(&[Incoming<'_>]) -> Result<HandlerFuture, HandlerError> + Send + Sync + 'static>;

/// Handlers, checked and ready. Cheap to clone: clones share everything.
#[derive(Clone)]
pub struct Routes {
    table: Arc<Table>,
}

pub(super) struct Route {
    pub pattern: Pattern,
    pub name: Arc<str>,
    pub handler: Wrapped,
    /// The number of its batches, where it takes batches.
    pub batch: Option<u32>,
    /// Where it has its own.
    pub retry: Option<RetryPolicy>,
    pub classify: Option<Classify>,
}

/// Routes in the order of precedence; whole types are found by `exact`.
pub(super) struct Table {
    pub exact: HashMap<String, usize, FixedState>,
    pub first_prefix: usize,
    pub routes: Vec<Route>,
    /// By the numbers the routes have.
    pub batches: Vec<Batching>,
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
    /// What it publishes inherits from it; a batch has no single cause.
    context: Option<Context>,
    span: Span,
    future: HandlerFuture,
}

impl Ready<'_> {
    async fn run(self) -> Result<(), HandlerError> {
        let future = self.future.instrument(self.span);
        match self.context {
            Some(context) => context.scope(future).await,
            None => future.await,
        }
    }
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

    /// How the handlers that take batches are set, by the numbers [`Dispatch::batch_of`] gives.
    pub(crate) fn batches(&self) -> &[Batching] {
        &self.table.batches
    }

    /// The handlers that have retries of their own.
    pub(crate) fn retries(&self) -> impl Iterator<Item = (HandlerId, RetryPolicy)> {
        let all = self.table.routes.iter().enumerate();
        all.filter_map(|(at, route)| Some((HandlerId(at as u32), route.retry?)))
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
        if error.error().is::<PayloadProblem>() {
            return Box::new(error.into_failure(None, Arc::clone(&route.name)));
        }
        let error = match &route.classify {
            Some(classify) => classify.apply(error),
            None => error,
        };
        Box::new(error.into_failure(Some(id), Arc::clone(&route.name)))
    }

    /// The outcome at once where no handler is to run.
    fn prepare(self: &Arc<Self>, attempt: &Attempt) -> Result<Ready<'_>, Outcome> {
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
        if is_held(std::slice::from_ref(attempt), id) {
            return Err(Outcome::Held(id));
        }
        let incoming = Incoming { attempt, envelope: &envelope, states: &self.states };
        let context = Context::of(&incoming);
        let span = trace::processing(attempt, &envelope, &route.name, context.trace());
        let context = route.batch.is_none().then(|| context.inside(&span));
        let call = || match &route.handler {
            Wrapped::Bare(handler) => handler(std::slice::from_ref(&incoming)),
            Wrapped::Layered(service) => Ok(service.run(self.request(route, Arc::new([attempt.clone()])))),
        };
        let future = span.in_scope(|| match &context {
            Some(context) => context.enter(call),
            None => call(),
        });
        let future = future.map_err(|error| {
            let failure = self.failure(self.judged(error), id, route);
            trace::failed(&span, &failure);
            Outcome::Failed(failure)
        })?;
        Ok(Ready { id, route, context, span, future })
    }

    fn request(self: &Arc<Self>, route: &Route, attempts: Arc<[Attempt]>) -> HandlerRequest {
        HandlerRequest { attempts, handler: Arc::clone(&route.name), table: Arc::clone(self) }
    }

    /// Reads the records' envelopes, each of which was read once already.
    pub(super) fn read<T>(
        &self,
        attempts: &[Attempt],
        call: impl FnOnce(&[Incoming<'_>]) -> Result<T, HandlerError>,
    ) -> Result<T, HandlerError> {
        let values = attempts.iter().map(|attempt| attempt.record.value.as_deref().unwrap_or_default());
        let envelopes: Vec<EnvelopeRef<'_>> =
            values.map(EnvelopeRef::decode).collect::<Result<_, _>>().map_err(HandlerError::permanent)?;
        let incoming = attempts.iter().zip(&envelopes);
        let states = &self.states;
        let incoming = incoming.map(|(attempt, envelope)| Incoming { attempt, envelope, states });
        call(&incoming.collect::<Vec<_>>())
    }

    fn route_of(&self, record: &Record) -> Option<(HandlerId, &Route)> {
        let envelope = EnvelopeRef::decode(record.value.as_ref()?).ok()?;
        self.find(&envelope.event_type)
    }

    /// What a handler of batches said of each record, where that is what it said.
    fn named(
        &self,
        error: HandlerError,
        (id, route): (HandlerId, &Route),
        records: usize,
    ) -> Result<Vec<(usize, Box<Failure>)>, Box<Failure>> {
        let as_failure = |error| self.failure(error, id, route);
        let failed = error.downcast::<BatchError>().and_then(|named| named.into_failed(records));
        let failed = failed.map_err(as_failure)?.into_iter();
        Ok(failed.map(|(place, error)| (place, as_failure(error))).collect())
    }

    fn refuse(
        &self,
        kind: Unexpected,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
        handler: &Arc<str>,
    ) -> Outcome {
        self.counts.add(kind);
        let class = self.policies.of(kind).class();
        Outcome::Failed(Box::new(HandlerError::new(class, error).into_failure(None, Arc::clone(handler))))
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

/// Whether these records must not reach their handler now.
fn is_held(attempts: &[Attempt], handler: HandlerId) -> bool {
    attempts.iter().any(|attempt| attempt.held.as_deref().is_some_and(|held| held.contains(&handler)))
}

impl Dispatch for Routes {
    fn dispatch(&self, attempt: Attempt) -> BoxFuture<'static, Outcome> {
        let table = Arc::clone(&self.table);
        Box::pin(async move {
            let ready = match table.prepare(&attempt) {
                Ok(ready) => ready,
                Err(outcome) => return outcome,
            };
            let (id, route, is_batch) = (ready.id, ready.route, ready.context.is_none());
            let attempt = Attempted::new(&ready.span);
            let outcome = match ready.run().await {
                Ok(()) => Outcome::Handled(id),
                Err(error) if is_batch => match table.named(error, (id, route), 1) {
                    Ok(mut failed) => {
                        failed.pop().map_or(Outcome::Handled(id), |(_, failure)| Outcome::Failed(failure))
                    }
                    Err(failure) => Outcome::Failed(failure),
                },
                Err(error) => Outcome::Failed(table.failure(error, id, route)),
            };
            attempt.ended(&outcome);
            outcome
        })
    }

    fn dispatch_batch(&self, attempts: Vec<Attempt>) -> BoxFuture<'static, BatchOutcome> {
        let table = Arc::clone(&self.table);
        Box::pin(async move {
            let records = attempts.len();
            let route = attempts.first().and_then(|first| table.route_of(&first.record));
            let Some((id, route)) = route else {
                let error = HandlerError::stop("a batch was begun for a record that no handler takes");
                let failure = Box::new(error.into_failure(None, Arc::clone(&table.no_handler)));
                return BatchOutcome::Whole(Outcome::Failed(failure));
            };
            if is_held(&attempts[..1], id) {
                return BatchOutcome::Whole(Outcome::Held(id));
            }
            let span = trace::processing_batch(&attempts, &route.name);
            let attempt = Attempted::new(&span);
            let future = span.in_scope(|| match &route.handler {
                Wrapped::Bare(handler) => table.read(&attempts, handler).map_err(|error| table.judged(error)),
                Wrapped::Layered(service) => Ok(service.run(table.request(route, attempts.into()))),
            });
            let said = match future {
                Ok(future) => future.instrument(span).await,
                Err(error) => Err(error),
            };
            let outcome = match said.map_err(HandlerError::downcast::<Unreadable>) {
                Ok(()) => BatchOutcome::Whole(Outcome::Handled(id)),
                Err(Ok(Unreadable(places))) => BatchOutcome::NotRun(places),
                Err(Err(error)) => match table.named(error, (id, route), records) {
                    Ok(failed) => BatchOutcome::Parts { by: id, failed },
                    Err(failure) => BatchOutcome::Whole(Outcome::Failed(failure)),
                },
            };
            match &outcome {
                BatchOutcome::Whole(outcome) => attempt.ended(outcome),
                BatchOutcome::Parts { .. } | BatchOutcome::NotRun(_) => {
                    attempt.ended(&Outcome::Handled(id));
                }
            }
            outcome
        })
    }

    fn batch_of(&self, record: &Record) -> Option<u32> {
        if self.table.batches.is_empty() {
            return None; // spares reading the envelope
        }
        self.table.route_of(record)?.1.batch
    }

    fn handler_for(&self, record: &Record) -> (Option<HandlerId>, Arc<str>) {
        match self.table.route_of(record) {
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
