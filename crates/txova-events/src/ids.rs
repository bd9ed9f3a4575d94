//! Identities: one type for each kind of thing, all UUIDs on the wire. They must never mix.
//!
//! Ids made here are of version 7, so they sort by the time they were made. Ids of any version are read, as 36 or 32
//! digits in any letter case, and always written as 36 in lower case.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::shape::Shape;
use crate::wire::Wire;

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is no UUID: expected 36 characters like 550e8400-e29b-41d4-a716-446655440000, or its 32 digits"
)]
pub struct ParseIdError {
    given: String,
}

pub(crate) fn parse_uuid(text: &str) -> Result<Uuid, ParseIdError> {
    // uuid reads braces and `urn:uuid:`, too; a Go service does not
    let uuid = if matches!(text.len(), 32 | 36) { Uuid::try_parse(text).ok() } else { None };
    uuid.ok_or_else(|| ParseIdError { given: text.chars().take(64).collect() })
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, of UUID version 7.
            #[allow(clippy::new_without_default, reason = "each call makes another id, a default would be one")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id of all zeros: what a reader sees where a Go service left the id out. Never published.
            pub const fn nil() -> Self {
                Self(Uuid::nil())
            }

            /// Whether this is the id of all zeros.
            pub fn is_nil(self) -> bool {
                self.0.is_nil()
            }

            /// An id that was made elsewhere.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_uuid(text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(UuidText).map(Self)
            }
        }

        impl Wire for $name {
            const SHAPE: Shape = Shape::Id;

            fn absent() -> Self {
                Self::nil()
            }

            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize(deserializer)
            }

            fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.serialize(serializer)
            }

            fn check(&self) -> Result<(), String> {
                if self.is_nil() { Err("is the id of all zeros, expected a real one".to_owned()) } else { Ok(()) }
            }
        }

        impl Wire for Option<$name> {
            const SHAPE: Shape = Shape::Id;
            const IS_OPTIONAL: bool = true;

            fn absent() -> Self {
                None
            }

            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize(deserializer)
            }

            fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.serialize(serializer)
            }

            fn is_omitted(&self) -> bool {
                self.is_none()
            }

            fn check(&self) -> Result<(), String> {
                self.as_ref().map_or(Ok(()), Wire::check)
            }
        }
    )*};
}

ids! {
    /// A user of the platform: rider, driver or administrator.
    UserId
    /// A driver.
    DriverId
    /// A ride, from its request to its rating.
    RideId
    /// A payment for a ride.
    PaymentId
    /// A payout to a driver.
    PayoutId
    /// A safety incident.
    IncidentId
    /// A vehicle.
    VehicleId
    /// An event. On the wire an envelope's id may be any text, so [`Envelope`](crate::Envelope) holds it as one;
    /// ids made here are of this type.
    EventId
    /// Who caused an event: a user, an administrator or a part of the system.
    ActorId
}

impl From<UserId> for ActorId {
    fn from(user: UserId) -> Self {
        Self(user.0)
    }
}

struct UuidText;

impl Visitor<'_> for UuidText {
    type Value = Uuid;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a UUID as text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Uuid, E> {
        parse_uuid(text).map_err(E::custom)
    }
}
