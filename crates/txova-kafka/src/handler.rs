//! What may be registered as a handler: async functions of extractors. It must never know routes, policies or records.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use crate::batch::Unreadable;
use crate::extract::{FromEvent, Incoming, Needs, PerBatch};
use crate::outcome::HandlerError;

pub(crate) use self::name::readable_name;

mod name;

/// What a handler does with one event, or with one batch, ready to be awaited.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

/// An async function that handles events.
///
/// Any `async fn` (or closure) of up to eight extractors ([`FromEvent`]), in any order, that returns `()` or
/// `Result<(), E>` where `E` becomes a [`HandlerError`] (any error does). There is nothing to implement by hand.
///
/// One whose first argument is a `Vec` of extractors takes [batches](crate::Router#batches).
///
/// ```
/// use txova_kafka::{HandlerError, Meta, Router, State};
///
/// #[derive(Clone)]
/// struct Ledger;
///
/// async fn nothing_at_all() {}
/// async fn log(meta: Meta) -> std::io::Result<()> { std::fs::metadata("/").map(drop) }
/// async fn book(State(ledger): State<Ledger>, meta: Meta) -> Result<(), HandlerError> { Ok(()) }
///
/// let router = Router::new()
///     .on("user.*", nothing_at_all)
///     .on("ride.*", log)
///     .on("payment.*", book)
///     .state(Ledger);
/// ```
///
/// Whatever is no extractor is refused where it is registered:
///
/// ```compile_fail
/// async fn charge(centavos: i64) {}
/// txova_kafka::Router::new().on("ride.completed", charge);
/// ```
///
/// # Cancellation
/// The future is dropped where the time limit passes or the app closes without waiting; what must not be cut in two
/// belongs in a transaction of its own. The extractor [`Attempt`](crate::Attempt) tells of it beforehand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot handle events",
    label = "not a handler",
    note = "a handler is an async fn of up to 8 extractors (Event<T>, Meta, State<S>, Attempt, Raw, Headers or your own \
            FromEvent) that returns `()` or `Result<(), E>` with an error for `E`",
    note = "a batch handler takes a `Vec` of extractors first, and beside it only what is PerBatch: State<S>, Attempt; what \
            belongs to one event stands inside: `Vec<(Event<T>, Meta)>`",
    note = "its future must be `Send`: hold no Rc, RefCell borrow or std lock guard across an await",
    note = "a closure must be `Send + Sync + 'static`: `move` what it uses, or take it as State<S>"
)]
pub trait Handler<Args>: Send + Sync + 'static {
    /// Whether it takes batches.
    const TAKES_BATCHES: bool;

    /// Tells what its extractors need, so that what is missing is found before the first record.
    fn needs(needs: &mut Needs);

    /// Takes what it wants out of the event, or out of all events of a batch. An extractor's refusal is the outer error;
    /// the handler has not run then.
    fn call(&self, incoming: &[Incoming<'_>]) -> Result<HandlerFuture, HandlerError>;
}

/// What a handler may return.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    label = "not a handler's answer",
    note = "a handler returns `()` or `Result<(), E>` where `E` is an error"
)]
pub trait IntoHandled {
    /// As the engine reads it.
    fn into_handled(self) -> Result<(), HandlerError>;
}

impl IntoHandled for () {
    fn into_handled(self) -> Result<(), HandlerError> {
        Ok(())
    }
}

impl<E: Into<HandlerError>> IntoHandled for Result<(), E> {
    fn into_handled(self) -> Result<(), HandlerError> {
        self.map_err(Into::into)
    }
}

/// Tells the handlers of batches from those of events.
#[derive(Debug)]
pub struct OfBatch<Args>(PhantomData<Args>);

fn first<'a, 'b>(incoming: &'a [Incoming<'b>]) -> Result<&'a Incoming<'b>, HandlerError> {
    incoming.first().ok_or_else(|| HandlerError::stop("a handler was called without an event"))
}

/// All events, or the places of those that cannot be read.
fn readable<Item: FromEvent>(incoming: &[Incoming<'_>]) -> Result<Vec<Item>, HandlerError> {
    if let [alone] = incoming {
        return Ok(vec![Item::from_event(alone)?]);
    }
    let mut items = Vec::with_capacity(incoming.len());
    let mut unreadable = Vec::new();
    for (place, incoming) in incoming.iter().enumerate() {
        match Item::from_event(incoming) {
            Ok(item) => items.push(item),
            Err(_) => unreadable.push(place),
        }
    }
    if unreadable.is_empty() { Ok(items) } else { Err(HandlerError::permanent(Unreadable(unreadable))) }
}

macro_rules! handler_of {
    ($($extractor:ident)*) => {
        impl<F, Answer, Handled, $($extractor),*> Handler<($($extractor,)*)> for F
        where
            F: Fn($($extractor),*) -> Answer + Send + Sync + 'static,
            Answer: Future<Output = Handled> + Send + 'static,
            Handled: IntoHandled,
            $($extractor: FromEvent,)*
        {
            const TAKES_BATCHES: bool = false;

            fn needs(_needs: &mut Needs) {
                $($extractor::needs(_needs);)*
            }

            fn call(&self, incoming: &[Incoming<'_>]) -> Result<HandlerFuture, HandlerError> {
                let _first = first(incoming)?;
                let answer = self($($extractor::from_event(_first)?),*);
                Ok(Box::pin(async move { answer.await.into_handled() }))
            }
        }

        impl<F, Answer, Handled, Item, $($extractor),*> Handler<OfBatch<(Item, $($extractor,)*)>> for F
        where
            F: Fn(Vec<Item>, $($extractor),*) -> Answer + Send + Sync + 'static,
            Answer: Future<Output = Handled> + Send + 'static,
            Handled: IntoHandled,
            Item: FromEvent,
            $($extractor: PerBatch,)*
        {
            const TAKES_BATCHES: bool = true;

            fn needs(needs: &mut Needs) {
                Item::needs(needs);
                $($extractor::needs(needs);)*
            }

            fn call(&self, incoming: &[Incoming<'_>]) -> Result<HandlerFuture, HandlerError> {
                let _first = first(incoming)?;
                let items = readable(incoming)?;
                let answer = self(items, $($extractor::from_event(_first)?),*);
                Ok(Box::pin(async move { answer.await.into_handled() }))
            }
        }
    };
}

handler_of!();
handler_of!(A);
handler_of!(A B);
handler_of!(A B C);
handler_of!(A B C D);
handler_of!(A B C D E);
handler_of!(A B C D E G);
handler_of!(A B C D E G H);
handler_of!(A B C D E G H I);
