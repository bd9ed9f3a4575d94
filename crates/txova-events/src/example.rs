//! Events that nobody published and that could be real: a ride in Maputo from a seed, and all 28 events drawn from it. It
//! must never be used where ids have to be new.
//!
//! For tests, demos and pages. All that is drawn from one [`Ride`] agrees: ids, places, distance, fare, times.
//!
//! ```
//! use txova_events::example::{Example, Ride};
//! use txova_events::{Money, PaymentInitiated, RideCompleted};
//!
//! let ride = Ride::seeded(7);
//! let completed = RideCompleted::example(&ride);
//! let payment = PaymentInitiated::example(&ride);
//! assert_eq!((payment.ride_id, payment.amount), (completed.ride_id, completed.fare));
//!
//! // Something else in it, where the test is about that; as often as you like.
//! let free = completed.with(|ride| ride.fare = Money::ZERO).with(|ride| ride.duration_mins = 3);
//! assert_eq!(free.ride_id, payment.ride_id);
//!
//! // The whole story, in order, as envelopes that name their causes.
//! let types: Vec<_> = ride.life().iter().map(|event| event.event_type.to_string()).collect();
//! assert_eq!(types.first().map(String::as_str), Some("ride.requested"));
//! assert_eq!(types.last().map(String::as_str), Some("ride.rated"));
//! ```

mod events;
mod maputo;
mod ride;
mod seed;
mod story;

#[cfg(test)]
mod tests;

pub use self::ride::Ride;

use crate::event::Event;

/// An event that can be drawn from an imagined ride.
///
/// The 28 events of the platform can; a company's own event joins them in a few lines:
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use txova_events::example::{Example, Ride};
/// use txova_events::{Event, RideId};
///
/// #[derive(Serialize, Deserialize)]
/// struct TipGiven {
///     ride_id: RideId,
///     centavos: i64,
/// }
///
/// impl Event for TipGiven {
///     const TYPE: &'static str = "tip.given";
///     const TOPIC: &'static str = "acme.tips.v1";
///     fn key(&self) -> String {
///         self.ride_id.to_string()
///     }
/// }
///
/// impl Example for TipGiven {
///     fn example(ride: &Ride) -> Self {
///         Self { ride_id: ride.ride_id, centavos: ride.fare.centavos() / 10 }
///     }
/// }
///
/// assert_eq!(TipGiven::example(&Ride::seeded(1)).key(), Ride::seeded(1).ride_id.to_string());
/// ```
pub trait Example: Event {
    /// The event as it would be on `ride`. The same ride gives the same event.
    fn example(ride: &Ride) -> Self;

    /// The same event with something else in it.
    #[must_use = "the event itself is not changed"]
    fn with(mut self, edit: impl FnOnce(&mut Self)) -> Self {
        edit(&mut self);
        self
    }
}
