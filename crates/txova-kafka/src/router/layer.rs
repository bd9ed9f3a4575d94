//! What may stand around handlers: `tower` layers. It must never know which handler is inside, nor what becomes of a
//! record.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::routes::{AnyHandler, Table};
use crate::attempt::Attempt;
use crate::extract::FromEvent;
use crate::handler::HandlerFuture;
use crate::outcome::HandlerError;
use crate::record::{Record, TopicPartition};

/// One attempt at an event, or one run over a batch, on its way through the layers to its handler. Cheap to clone.
#[derive(Clone)]
pub struct HandlerRequest {
    /// Never empty.
    pub(super) attempts: Arc<[Attempt]>,
    pub(super) handler: Arc<str>,
    pub(super) table: Arc<Table>,
}

impl HandlerRequest {
    fn first(&self) -> &Attempt {
        self.attempts.first().expect("invariant: a request is for at least one record")
    }

    /// The record; of a batch, the first.
    pub fn record(&self) -> &Record {
        &self.first().record
    }

    /// All records: one, or those of the batch.
    pub fn records(&self) -> impl ExactSizeIterator<Item = &Record> {
        self.attempts.iter().map(|attempt| &attempt.record)
    }

    /// Where it was read.
    pub fn partition(&self) -> &TopicPartition {
        &self.first().partition
    }

    /// Which try this is: 1 for the first.
    pub fn attempt(&self) -> u32 {
        self.first().number
    }

    /// The name of the handler it is for.
    pub fn handler(&self) -> &str {
        &self.handler
    }

    /// Whatever a handler could take as an argument: `request.extract::<Meta>()`; of a batch, from the first record. Reads
    /// the envelope anew each time.
    ///
    /// # Errors
    /// The extractor's own, of its own class.
    pub fn extract<E: FromEvent>(&self) -> Result<E, HandlerError> {
        self.table.read(std::slice::from_ref(self.first()), |incoming| match incoming {
            [first, ..] => E::from_event(first),
            [] => Err(HandlerError::stop("a request was for no record")),
        })
    }
}

impl fmt::Debug for HandlerRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerRequest")
            .field("handler", &self.handler)
            .field("partition", self.partition())
            .field("offset", &self.record().offset)
            .field("records", &self.attempts.len())
            .field("attempt", &self.attempt())
            .finish_non_exhaustive()
    }
}

/// A handler, or a handler with layers around it, as the next layer sees it. Always ready; a clone is the same one.
#[derive(Clone)]
pub struct HandlerService {
    run: Arc<dyn Run>,
}

impl Service<HandlerRequest> for HandlerService {
    type Response = ();
    type Error = HandlerError;
    type Future = HandlerFuture;

    fn poll_ready(&mut self, _context: &mut TaskContext<'_>) -> Poll<Result<(), HandlerError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HandlerRequest) -> HandlerFuture {
        self.run.run(request)
    }
}

impl HandlerService {
    pub(super) fn run(&self, request: HandlerRequest) -> HandlerFuture {
        self.run.run(request)
    }
}

impl fmt::Debug for HandlerService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandlerService")
    }
}

trait Run: Send + Sync {
    fn run(&self, request: HandlerRequest) -> HandlerFuture;
}

/// The handler itself, inside all layers.
struct Innermost(AnyHandler);

impl Run for Innermost {
    fn run(&self, request: HandlerRequest) -> HandlerFuture {
        match request.table.read(&request.attempts, |incoming| (self.0)(incoming)) {
            Ok(future) => future,
            Err(error) => Box::pin(std::future::ready(Err(request.table.judged(error)))),
        }
    }
}

/// A layer's service. Each run has a clone of its own, since a service runs one request at a time.
struct Layered<S>(S);

impl<S> Run for Layered<S>
where
    S: Service<HandlerRequest, Response = ()> + Clone + Send + Sync + 'static,
    S::Error: Into<HandlerError>,
    S::Future: Send,
{
    fn run(&self, request: HandlerRequest) -> HandlerFuture {
        let mut service = self.0.clone();
        Box::pin(async move {
            poll_fn(|context| service.poll_ready(context)).await.map_err(Into::into)?;
            service.call(request).await.map_err(Into::into)
        })
    }
}

type AnyLayer = Arc<dyn Fn(HandlerService) -> HandlerService + Send + Sync>;

/// Layers in the order they were given: the first is the outermost.
#[derive(Clone, Default)]
pub(super) struct Layers(Vec<AnyLayer>);

impl Layers {
    pub(super) fn push<L>(&mut self, layer: L)
    where
        L: Layer<HandlerService> + Send + Sync + 'static,
        L::Service: Service<HandlerRequest, Response = ()> + Clone + Send + Sync + 'static,
        <L::Service as Service<HandlerRequest>>::Error: Into<HandlerError>,
        <L::Service as Service<HandlerRequest>>::Future: Send,
    {
        let around = move |inner| HandlerService { run: Arc::new(Layered(layer.layer(inner))) };
        self.0.push(Arc::new(around));
    }

    /// The handler inside these layers and, further in, inside its own.
    pub(super) fn around(&self, own: &Self, handler: AnyHandler) -> Wrapped {
        if self.0.is_empty() && own.0.is_empty() {
            return Wrapped::Bare(handler);
        }
        let innermost = HandlerService { run: Arc::new(Innermost(handler)) };
        let inwards = self.0.iter().chain(&own.0).rev();
        Wrapped::Layered(inwards.fold(innermost, |inner, around| around(inner)))
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} layers", self.0.len())
    }
}

/// A handler as a route runs it: one without layers is called directly.
pub(super) enum Wrapped {
    Bare(AnyHandler),
    Layered(HandlerService),
}
