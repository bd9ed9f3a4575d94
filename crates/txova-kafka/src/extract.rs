//! What a handler may take as arguments, and how it gets it out of a record. It must never know routes or partitions'
//! state.

use std::any::{TypeId, type_name};

use txova_events::EnvelopeRef;

use crate::attempt::Attempt as RecordAttempt;
use crate::outcome::HandlerError;
use crate::record::{Headers, Record};

pub use self::attempt::Attempt;
pub use self::event::Event;
pub(crate) use self::event::PayloadProblem;
pub use self::meta::Meta;
pub use self::per_batch::PerBatch;
pub use self::raw::Raw;
pub use self::state::State;
pub(crate) use self::state::States;
pub use self::tx::Tx;
pub(crate) use self::tx::{Outgoing, Publishing};

mod attempt;
mod context;
mod event;
mod headers;
mod meta;
mod per_batch;
mod raw;
mod state;
mod together;
mod tx;

/// Something a handler can take as an argument.
///
/// A company's own extractor reads the event, or builds on others:
///
/// ```
/// use txova_kafka::{FromEvent, HandlerError, Incoming, Needs, Router, State};
///
/// /// The city whose gateway wrote the record.
/// struct City(String);
///
/// impl FromEvent for City {
///     fn from_event(incoming: &Incoming<'_>) -> Result<Self, HandlerError> {
///         let city = incoming.headers().text("city");
///         city.map(|city| City(city.to_owned())).ok_or_else(|| {
///             HandlerError::permanent("the header `city` is missing or no UTF-8: expected a city's name")
///         })
///     }
/// }
///
/// #[derive(Clone)]
/// struct Tariffs;
///
/// /// That city's tariff. It asks for the state it builds on, so that a missing one is found at build.
/// struct Tariff(Tariffs, City);
///
/// impl FromEvent for Tariff {
///     fn from_event(incoming: &Incoming<'_>) -> Result<Self, HandlerError> {
///         let State(tariffs) = State::from_event(incoming)?;
///         Ok(Tariff(tariffs, City::from_event(incoming)?))
///     }
///
///     fn needs(needs: &mut Needs) {
///         State::<Tariffs>::needs(needs);
///     }
/// }
///
/// async fn price(Tariff(_tariffs, City(_name)): Tariff) {}
///
/// let without_state = Router::new().on("ride.*", price).topics(["txova.rides.v1"]).build();
/// assert!(without_state.unwrap_err().to_string().contains("State<"));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a handler's argument",
    label = "not an extractor",
    note = "extractors are Event<T>, Meta, State<S>, Attempt, Context, Raw, Headers, Tx, tuples of them, and your own \
            types that implement FromEvent",
    note = "a batch, `Vec<Event<T>>` or a Vec of any of them, must be the first argument",
    note = "Event<T> needs `T: txova_events::Event`; State<S> needs `S: Clone + Send + Sync + 'static`"
)]
pub trait FromEvent: Sized {
    /// Takes it from the event. It only reads what is there: whatever has to be awaited belongs in the handler.
    ///
    /// # Errors
    /// Whatever it is, the handler does not run, and the error's class says what becomes of the record.
    fn from_event(incoming: &Incoming<'_>) -> Result<Self, HandlerError>;

    /// Says what it needs, so that the router's `build` finds what is missing. Nothing unless written.
    fn needs(_needs: &mut Needs) {}
}

/// What the extractors of one handler need.
#[derive(Debug, Default)]
pub struct Needs {
    events: Vec<EventNeed>,
    states: Vec<StateNeed>,
    transaction: bool,
}

#[derive(Debug)]
pub(crate) struct EventNeed {
    pub event_type: &'static str,
    pub topics: Vec<&'static str>,
}

#[derive(Debug)]
pub(crate) struct StateNeed {
    pub id: TypeId,
    pub name: &'static str,
}

impl Needs {
    pub(crate) fn event(&mut self, event_type: &'static str, topics: Vec<&'static str>) {
        self.events.push(EventNeed { event_type, topics });
    }

    pub(crate) fn state<S: 'static>(&mut self) {
        let (id, name) = (TypeId::of::<S>(), type_name::<S>());
        if self.states.iter().all(|state| state.id != id) {
            self.states.push(StateNeed { id, name });
        }
    }

    pub(crate) fn transaction(&mut self) {
        self.transaction = true;
    }

    pub(crate) fn has_transaction(&self) -> bool {
        self.transaction
    }

    pub(crate) fn events(&self) -> &[EventNeed] {
        &self.events
    }

    pub(crate) fn states(&self) -> &[StateNeed] {
        &self.states
    }
}

/// An event on its way to a handler, as extractors see it.
#[derive(Debug)]
pub struct Incoming<'a> {
    pub(crate) attempt: &'a RecordAttempt,
    pub(crate) envelope: &'a EnvelopeRef<'a>,
    pub(crate) states: &'a States,
}

impl Incoming<'_> {
    /// The record as it was read.
    pub fn record(&self) -> &Record {
        &self.attempt.record
    }

    /// The record's headers.
    pub fn headers(&self) -> &Headers {
        &self.attempt.record.headers
    }

    /// The envelope, its payload unread.
    pub fn envelope(&self) -> &EnvelopeRef<'_> {
        self.envelope
    }

    /// The topic it came from.
    pub fn topic(&self) -> &str {
        &self.attempt.partition.topic
    }
}
