//! The event contract of the Txova ride-hailing platform: what services say to each other, byte for byte.
//!
//! When a rider asks for a ride, when a driver arrives, when a payment fails, the service that knows writes an *event*
//! to Kafka, and every service that cares reads it. Services in Go and services in Rust share the topics, so what is on
//! the wire is a contract. This crate is that contract in types, and nothing else: it does no I/O and knows no client.
//! (`txova-kafka` is what publishes and consumes.)
//!
//! # From an event to a record and back
//!
//! ```
//! use txova_events::{EnvelopeRef, EventContext, Money, Origin, PaymentId, PaymentInitiated, PaymentMethod};
//! use txova_events::{DistanceKm, RideCompleted, RideId, Time, ToRecord};
//!
//! // The ride service says that a ride is over.
//! let completed = RideCompleted {
//!     ride_id: RideId::new(),
//!     end_time: Time::now(),
//!     distance_km: DistanceKm::new(7.3)?,
//!     duration_mins: 21,
//!     fare: Money::from_centavos(185_00),
//! };
//! let record = completed.to_record(&Origin::now("ride-service"))?;
//! assert_eq!(record.topic, "txova.rides.v1");
//! assert_eq!(record.key, completed.ride_id.to_string()); // all events of a ride stay in order
//!
//! // The payment service reads the record's value: first the envelope, then, by its type, the payload.
//! let envelope = EnvelopeRef::decode(&record.value)?;
//! assert_eq!(envelope.event_type, "ride.completed");
//! let ride: RideCompleted = envelope.decode_payload()?;
//!
//! // What it publishes in turn names its cause and stays in the same chain.
//! let context = EventContext::caused_by(&envelope);
//! let payment = PaymentInitiated {
//!     payment_id: PaymentId::new(),
//!     ride_id: ride.ride_id,
//!     amount: ride.fare,
//!     method: PaymentMethod::Mpesa,
//! };
//! let origin = Origin { source: "payment-service", context: Some(&context), now: Time::now() };
//! let record = payment.to_record(&origin)?;
//! assert_eq!(EnvelopeRef::decode(&record.value)?.causation_id, Some(envelope.id));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The rooms of the house
//!
//! | what | where |
//! |---|---|
//! | the 28 events | [`events`] |
//! | events of your own, in a few lines | the [`Event`] trait |
//! | ids, money, places, times, words | [`ids`], [`values`] |
//! | the envelope: written ([`Envelope`]), looked at ([`EnvelopeRef`]), kept byte for byte ([`RawEnvelope`]) | here |
//! | an event as topic, key, headers and value | [`ToRecord`] |
//! | topics, keys, groups, layouts, the catalogue | [`topics`] |
//! | which partition a key lies on | [`partition`] |
//! | records that could not be handled | [`dlq`] |
//! | made-up events for tests, demos and pages | [`example`] |
//!
//! # Reading is lenient, publishing is strict
//!
//! A reader takes what a Go reader takes: a field that is missing or `null` is empty (a nil id, an `Unset` word, `""`,
//! 0), unknown fields are ignored and kept, of a repeated name the last stays, what is no Unicode text reads as U+FFFD.
//! Every refusal names the field: [`DecodeError`] for envelopes and dead letters, [`PayloadError`] for payloads. No bytes
//! make a reader panic or recurse.
//!
//! A publisher's rules are looked at by [`ToRecord::to_record`] (and `validate`), and [`InvalidEvent`] names the first
//! field that breaks one.
//!
//! # Deliberate differences from the Go library
//!
//! All that a Go service really writes is read with the same meaning, and Go reads all that is written here. The golden
//! vectors of `tests/golden` (made by the Go library) prove it line by line; these classes are where we differ:
//!
//! | class | Go | here | why |
//! |---|---|---|---|
//! | letter case of names | takes `ID` for `id` | refused, naming the field | nobody writes it; ignored, it would read as a missing field |
//! | objects that are there twice | mixes the members of two `actor`s or two `envelope`s | refused, naming the field | nobody writes it; a mixture is nobody's actor |
//! | odd spellings of times | takes `4:05:06`, `06,5`, `+24:00`, `+02:60` | refused: RFC 3339 only | Go itself cannot write all of them again |
//! | an empty e-mail | reads `""` as absent, writes it again | reads it as absent, leaves it out | the same meaning; a raw envelope keeps it |
//! | texts that are no UTF-8 | writes `\ufffd` for broken bytes | a Rust text has none; U+FFFD is written as it is | readers see the same text |
//! | holes and ratings that are not published | publishes nil ids, words left out, a rating of 6 | reads them, refuses to publish them | a nil key puts strangers in one order |
//!
//! And what the contract adds: a raw envelope keeps its payload and its unknown fields byte for byte where Go drops
//! blanks and fields; a record without an entity's id as its key is not published; `driver.location_updated` goes to its
//! own topic and is accepted from the drivers' topic, where Go services send it.

mod contract;
pub mod dlq;
mod envelope;
mod error;
mod event;
pub mod events;
pub mod example;
pub mod ids;
mod json;
pub mod partition;
mod record;
mod shape;
pub mod topics;
pub mod values;
mod wire;

pub use dlq::{DeadLetter, DeadLetterRecord};
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
pub use shape::{Field, Shape};
pub use values::*;
