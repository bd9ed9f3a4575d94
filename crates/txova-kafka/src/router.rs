//! Which handler gets which events. It must never know partitions, time or the client.

use std::any::type_name;

use tower_layer::Layer;
use tower_service::Service;

use self::catalogue::Catalogue;
use self::classify::Classify;
use self::layer::Layers;
use self::unexpected::Policies;
use crate::batch::Batching;
use crate::extract::{Needs, States};
use crate::handler::{Handler, readable_name};
use crate::outcome::{ErrorClass, HandlerError};
use crate::retry_policy::RetryPolicy;

pub use self::layer::{HandlerRequest, HandlerService};
pub use self::problem::{RouterError, RouterProblem};
pub use self::routes::Routes;
pub use self::unexpected::{Policy, Unexpected};

mod build;
mod catalogue;
mod classify;
mod layer;
mod pattern;
mod problem;
mod routes;
#[cfg(test)]
mod tests;
mod unexpected;

/// Registers handlers by event type or pattern. [`build`](Self::build) checks everything at once.
#[doc = include_str!("router/guide.md")]
#[must_use = "a router does nothing until it is built"]
#[derive(Debug, Default)]
pub struct Router {
    registrations: Vec<Registration>,
    catalogue: Option<Catalogue>,
    policies: Policies,
    states: States,
    layers: Layers,
    classify: Option<Classify>,
    /// Whether handlers may take [`Tx`](crate::Tx).
    in_transactions: bool,
    problems: Vec<RouterProblem>,
}

/// A handler as it was registered, unchecked.
struct Registration {
    /// `None` where the handler's own `Event<T>` tells.
    pattern: Option<String>,
    name: String,
    topics: Option<Vec<String>>,
    needs: Needs,
    layers: Layers,
    /// Of a handler that takes batches.
    batching: Option<Batching>,
    retry: Option<RetryPolicy>,
    classify: Option<Classify>,
    handler: routes::AnyHandler,
}

impl Router {
    /// A router without handlers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers the handler of one event type: the `T` of its `Event<T>`, of which it must take exactly one.
    pub fn handle<H, Args>(self, handler: H) -> Self
    where
        H: Handler<Args>,
    {
        self.register(None, handler)
    }

    /// Registers the handler of every type that `pattern` matches: `ride.completed`, `ride.*`, `ride.driver_*` or `*`.
    ///
    /// The more exact goes first: a whole type, then the longer pattern, then the shorter, `*` last.
    pub fn on<H, Args>(self, pattern: impl Into<String>, handler: H) -> Self
    where
        H: Handler<Args>,
    {
        self.register(Some(pattern.into()), handler)
    }

    /// Names the handler registered just before, in place of its function's name: in dead letters, logs and health.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        match self.registrations.last_mut() {
            Some(registration) => registration.name = name.into(),
            None => self.problems.push(RouterProblem::NothingBefore { setting: ".named(…)" }),
        }
        self
    }

    /// Says which topics the handler registered just before is for, in place of the event's own and the catalogue's.
    ///
    /// It is what the service subscribes to, no filter: an event of its type from another subscribed topic is handled
    /// too.
    pub fn topics<T: Into<String>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        match self.registrations.last_mut() {
            Some(registration) => registration.topics = Some(topics.into_iter().map(Into::into).collect()),
            None => self.problems.push(RouterProblem::NothingBefore { setting: ".topics(…)" }),
        }
        self
    }

    /// Says how large the batches of the handler registered just before may get and how long they may fill, in place of
    /// [`Batching::default`]. See [Batches](Self#batches).
    pub fn batch(mut self, batching: Batching) -> Self {
        match self.registrations.last_mut() {
            Some(Registration { batching: Some(before), .. }) => *before = batching,
            Some(registration) => {
                let (setting, handler) = (registration.setting(), registration.name.clone());
                self.problems.push(RouterProblem::NoBatches { setting, handler });
            }
            None => self.problems.push(RouterProblem::NothingBefore { setting: ".batch(…)" }),
        }
        self
    }

    /// Says how often and how long the records of the handler registered just before are tried again, in place of the
    /// consumer's settings.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        match self.registrations.last_mut() {
            Some(registration) => registration.retry = Some(policy),
            None => self.problems.push(RouterProblem::NothingBefore { setting: ".retry(…)" }),
        }
        self
    }

    /// Says what class the errors of the handler registered just before have: `class_of` sees each error as the handler
    /// returned it, through all layers, and its answer counts. See [Errors](Self#errors).
    pub fn classify(
        mut self,
        class_of: impl Fn(&HandlerError) -> ErrorClass + Send + Sync + 'static,
    ) -> Self {
        match self.registrations.last_mut() {
            Some(registration) => registration.classify = Some(Classify::new(class_of)),
            None => self.problems.push(RouterProblem::NothingBefore { setting: ".classify(…)" }),
        }
        self
    }

    /// As [`classify`](Self::classify), for every handler that has none of its own, whenever it is registered.
    pub fn classify_all(
        mut self,
        class_of: impl Fn(&HandlerError) -> ErrorClass + Send + Sync + 'static,
    ) -> Self {
        self.classify = Some(Classify::new(class_of));
        self
    }

    /// Puts a `tower` layer around the handler registered just before; the first given is the outermost. See
    /// [Layers](Self#layers).
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<HandlerService> + Send + Sync + 'static,
        L::Service: Service<HandlerRequest, Response = ()> + Clone + Send + Sync + 'static,
        <L::Service as Service<HandlerRequest>>::Error: Into<HandlerError>,
        <L::Service as Service<HandlerRequest>>::Future: Send,
    {
        match self.registrations.last_mut() {
            Some(registration) => registration.layers.push(layer),
            None => self.problems.push(RouterProblem::NothingBefore { setting: ".layer(…)" }),
        }
        self
    }

    /// Puts a `tower` layer around each handler there is, outside of the handler's own layers. Each handler gets a
    /// service of its own. See [Layers](Self#layers).
    pub fn layer_all<L>(mut self, layer: L) -> Self
    where
        L: Layer<HandlerService> + Send + Sync + 'static,
        L::Service: Service<HandlerRequest, Response = ()> + Clone + Send + Sync + 'static,
        <L::Service as Service<HandlerRequest>>::Error: Into<HandlerError>,
        <L::Service as Service<HandlerRequest>>::Future: Send,
    {
        self.layers.push(layer);
        self
    }

    /// Gives handlers a value they take as [`State<S>`](crate::State); one of each type.
    pub fn state<S: Clone + Send + Sync + 'static>(mut self, state: S) -> Self {
        if !self.states.insert(state) {
            self.problems.push(RouterProblem::TwoStates { state: type_name::<S>() });
        }
        self
    }

    /// Lists the event types there are, each with the topics it is accepted from, whether handled here or not: in
    /// place of the platform's 28. The types of `Event<T>` arguments need no listing.
    ///
    /// It tells a type that another service handles ([`Unexpected::Unhandled`]) from one that nobody knows
    /// ([`Unexpected::UnknownType`]), and a pattern's topics.
    pub fn catalogue<E, T, Topics>(mut self, types: impl IntoIterator<Item = (E, Topics)>) -> Self
    where
        E: Into<String>,
        T: Into<String>,
        Topics: IntoIterator<Item = T>,
    {
        let mut catalogue = Catalogue::default();
        for (event_type, topics) in types {
            catalogue.add(event_type.into(), topics);
        }
        self.catalogue = Some(catalogue);
        self
    }

    /// Says what becomes of records that no handler can be given. [`Unexpected`] names what holds without it.
    pub fn unexpected(mut self, kind: Unexpected, policy: Policy) -> Self {
        self.policies.set(kind, policy);
        self
    }

    /// The app commits in transactions, in which handlers may publish.
    pub(crate) fn in_transactions(mut self) -> Self {
        self.in_transactions = true;
        self
    }

    /// Checks everything that was registered.
    ///
    /// # Errors
    /// All problems there are, each naming its setting.
    pub fn build(self) -> Result<Routes, RouterError> {
        build::build(self)
    }

    fn register<H, Args>(mut self, pattern: Option<String>, handler: H) -> Self
    where
        H: Handler<Args>,
    {
        let mut needs = Needs::default();
        H::needs(&mut needs);
        self.registrations.push(Registration {
            pattern,
            name: readable_name(type_name::<H>()),
            topics: None,
            needs,
            layers: Layers::default(),
            batching: H::TAKES_BATCHES.then(Batching::default),
            retry: None,
            classify: None,
            handler: Box::new(move |incoming| handler.call(incoming)),
        });
        self
    }
}

impl Registration {
    /// As the user wrote it.
    fn setting(&self) -> String {
        match &self.pattern {
            None => format!(".handle({})", self.name),
            Some(pattern) => format!(".on(\"{pattern}\", {})", self.name),
        }
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.setting())
    }
}
