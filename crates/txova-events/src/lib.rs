//! The event contract of the Txova ride-hailing platform.

pub mod dlq;
mod envelope;
mod error;
mod event;
pub mod events;
pub mod ids;
mod json;
pub mod partition;
mod record;
pub mod topics;
pub mod values;
mod wire;

pub use dlq::DeadLetter;
pub use envelope::{
    Actor, Envelope, EnvelopeBuilder, EnvelopeRef, EventContext, RawEnvelope, decode_payload, encode_payload,
};
pub use error::{DecodeError, DecodeErrorKind, InvalidEvent, InvalidField, PayloadError};
pub use event::Event;
pub use events::*;
pub use ids::{
    ActorId, DriverId, EventId, IncidentId, ParseIdError, PaymentId, PayoutId, RideId, UserId, VehicleId,
};
pub use record::{EventRecord, Origin, ToRecord};
pub use values::*;
