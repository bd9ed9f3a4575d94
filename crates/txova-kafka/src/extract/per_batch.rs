//! What a batch handler may take beside its events.

use super::{Attempt, FromEvent, State};

/// An argument that is the same for all events of a batch, so that a batch handler can take it beside its `Vec`. What
/// belongs to one event stands inside: `Vec<(Event<T>, Meta)>`.
///
/// An [`Attempt`]'s number is that of the first event: 1, because one that has failed is handled alone. Only failures of an
/// outage, which do not count, leave an event among others; each one's own number is in its [`Meta`](super::Meta).
///
/// An extractor of one's own says so by one line: `impl PerBatch for Tariffs {}`.
///
/// ```compile_fail
/// # use txova_kafka::{Meta, Raw, Router};
/// async fn store(records: Vec<Raw>, meta: Meta) {} // whose?
/// Router::new().on("ride.*", store);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand beside a batch handler's events",
    label = "belongs to one event, not to a batch",
    note = "take it with each event: `Vec<(Event<T>, {Self})>`",
    note = "beside the Vec, which comes first, stand State<S>, Attempt, and your own types that implement PerBatch"
)]
pub trait PerBatch: FromEvent {}

impl<S: Clone + Send + Sync + 'static> PerBatch for State<S> {}
impl PerBatch for Attempt {}
