//! What an event inherits from the one being handled: who caused it, and the trace it belongs to. A task-local, so that
//! a publish inside a handler needs no argument for it. It must never know records, handlers or the publisher.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tracing::Span;
use txova_events::{Actor, EnvelopeRef, EventContext};

pub use self::trace::TraceContext;

mod trace;

tokio::task_local! {
    static CURRENT: Context;
}

/// What events published now inherit: correlation id, causation id, actor and trace.
///
/// Handlers run inside one, and everything they publish takes it over. The actor is the service's to set
/// ([`with_actor`](Self::with_actor)): an event's own is not carried on. A context belongs to its task: `tokio::spawn`
/// starts without one, so hand it on where work is spawned.
///
/// ```
/// use txova_kafka::Context;
/// # async fn notify_rider() {}
///
/// # async fn handler() {
/// if let Some(context) = Context::current() {
///     tokio::spawn(context.scope(notify_rider()));
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Context {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    event: OnceLock<EventContext>,
    /// The value of the record whose event causes what is published: most handlers publish nothing, and nothing is taken
    /// out of it for them.
    cause: Bytes,
    trace: Option<TraceContext>,
}

impl Context {
    /// A context of one's own, for instance of an HTTP request that publishes events.
    pub fn new(event: EventContext, trace: Option<TraceContext>) -> Self {
        Self { inner: Arc::new(Inner { event: event.into(), cause: Bytes::new(), trace }) }
    }

    /// Of what the event in a record's value brings about; the value has been read once already.
    pub(crate) fn caused_by(value: Bytes, trace: Option<TraceContext>) -> Self {
        Self { inner: Arc::new(Inner { event: OnceLock::new(), cause: value, trace }) }
    }

    /// The context this task is in; `None` outside of any. Costs no allocation.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// Runs `future` inside this context, in place of the one around it.
    ///
    /// # Cancellation
    /// As safe as `future` itself: nothing is left behind where it is dropped.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }

    /// The same context with the actor who causes what is published inside it.
    pub fn with_actor(&self, actor: Actor) -> Self {
        Self::new(self.event().clone().with_actor(actor), self.trace().cloned())
    }

    /// The same context inside another span, or another trace.
    pub fn with_trace(&self, trace: TraceContext) -> Self {
        Self::new(self.event().clone(), Some(trace))
    }

    /// The same context inside a span, where that is part of a trace.
    pub(crate) fn inside(self, span: &Span) -> Self {
        match crate::trace::context_of(span, self.trace()) {
            Some(trace) => self.with_trace(trace),
            None => self,
        }
    }

    /// As [`scope`](Self::scope), for what is not awaited.
    pub(crate) fn enter<T>(&self, call: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self.clone(), call)
    }

    /// The correlation id, causation id and actor that new events take over.
    pub fn event(&self) -> &EventContext {
        self.inner.event.get_or_init(|| {
            EnvelopeRef::decode(&self.inner.cause)
                .map_or_else(|_| EventContext::default(), |cause| EventContext::caused_by(&cause))
        })
    }

    /// The trace that new events belong to.
    pub fn trace(&self) -> Option<&TraceContext> {
        self.inner.trace.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(correlation_id: &str) -> Context {
        let event = EventContext::new(correlation_id);
        Context::new(event, None)
    }

    fn correlation_id() -> Option<String> {
        Context::current().map(|context| context.event().correlation_id.clone())
    }

    #[tokio::test]
    async fn the_inner_context_counts_and_the_outer_comes_back() {
        assert_eq!(correlation_id(), None);
        let seen = context("outer")
            .scope(async {
                let before = correlation_id();
                let inside = context("inner").scope(async { correlation_id() }).await;
                (before, inside, correlation_id())
            })
            .await;
        assert_eq!(seen, (Some("outer".into()), Some("inner".into()), Some("outer".into())));
        assert_eq!(correlation_id(), None);
    }

    #[tokio::test]
    async fn a_spawned_task_has_a_context_only_where_it_is_handed_on() {
        let (without, with) = context("ride")
            .scope(async {
                let handed_on = Context::current().expect("inside a scope").scope(async { correlation_id() });
                (tokio::spawn(async { correlation_id() }).await, tokio::spawn(handed_on).await)
            })
            .await;
        assert_eq!((without.expect("joins"), with.expect("joins")), (None, Some("ride".into())));
    }
}
