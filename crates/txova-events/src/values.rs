//! What fields hold besides ids: money, places, people, times, and the words of every enumeration. Knows no events.

mod contact;
mod enums;
mod list;
mod measure;
mod money;
mod time;

pub use contact::{Email, EmailError, Phone, PhoneError};
pub use enums::{
    ActorType, CancellationReason, CancelledBy, DeletionType, DocumentType, EmergencyType, IncidentSeverity,
    OfflineReason, ParseEnumError, PaymentMethod, RatedBy, ServiceType, UserType, VerificationType,
};
pub use list::List;
pub use measure::{DistanceKm, Heading, Location, OutOfRange, Rating, Speed};
pub use money::Money;
pub use time::{Time, TimeError};

/// A text that is no value of a type: what was given and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no {what}, expected {expected}")]
pub struct ParseValueError {
    what: &'static str,
    given: String,
    expected: &'static str,
}

impl ParseValueError {
    fn new(what: &'static str, given: &str, expected: &'static str) -> Self {
        Self { what, given: given.chars().take(64).collect(), expected }
    }
}

/// Lower case as Go has it: character by character, so that `İ` is `i`.
pub(crate) fn lower(text: &str) -> String {
    text.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect()
}
