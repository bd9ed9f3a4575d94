//! The words of the contract. Closed enumerations refuse an unknown word, open ones keep it.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::lower;
use crate::shape::Shape;
use crate::wire::{Wire, or_absent};

/// A word that a closed enumeration does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no {what}, expected one of: {expected}")]
pub struct ParseEnumError {
    what: &'static str,
    given: String,
    expected: String,
}

macro_rules! closed {
    ($($(#[$doc:meta])* $name:ident $what:literal { $($(#[$word_doc:meta])* $word:ident $text:literal)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$word_doc])* $word,)*
            /// A Go service left the field out. Written as `""`; never published and never parsed.
            Unset,
        }

        impl $name {
            /// Every word, in the contract's order.
            pub const ALL: &'static [Self] = &[$(Self::$word),*];

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)*
                    Self::Unset => "",
                }
            }
        }

        /// Reads the word in any letter case, with or without blanks around it.
        impl FromStr for $name {
            type Err = ParseEnumError;

            fn from_str(text: &str) -> Result<Self, ParseEnumError> {
                let exact = Self::ALL.iter().find(|word| word.as_str() == text);
                if let Some(&word) = exact {
                    return Ok(word);
                }
                let plain = lower(text.trim());
                Self::ALL.iter().find(|word| word.as_str() == plain).copied().ok_or_else(|| ParseEnumError {
                    what: $what,
                    given: text.chars().take(64).collect(),
                    expected: [$($text),*].join(", "),
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Word;

                impl Visitor<'_> for Word {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "one of: {}", [$($text),*].join(", "))
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Word)
            }
        }

        impl Wire for $name {
            const SHAPE: Shape = Shape::Word { words: &[$($text),*], is_closed: true };

            fn absent() -> Self {
                Self::Unset
            }

            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize(deserializer)
            }

            fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.serialize(serializer)
            }

            fn check(&self) -> Result<(), String> {
                match self {
                    Self::Unset => Err(format!("is unset, expected one of: {}", [$($text),*].join(", "))),
                    _ => Ok(()),
                }
            }
        }
    )*};
}

macro_rules! open {
    ($($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident $text:literal)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$word_doc])* $word,)*
            /// Any other text, kept as it is; `""` where a Go service left the field out.
            Other(String),
        }

        impl $name {
            /// Every word of the contract, in its order.
            pub const ALL: &'static [Self] = &[$(Self::$word),*];

            /// The text on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$word => $text,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$word,)*
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl FromStr for $name {
            type Err = std::convert::Infallible;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ok(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                std::borrow::Cow::<'de, str>::deserialize(deserializer).map(|text| text.as_ref().into())
            }
        }

        impl Wire for $name {
            const SHAPE: Shape = Shape::Word { words: &[$($text),*], is_closed: false };

            fn absent() -> Self {
                Self::Other(String::new())
            }

            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                or_absent(deserializer)
            }

            fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.serialize(serializer)
            }
        }
    )*};
}

closed! {
    /// What a user is on the platform.
    UserType "user type" {
        /// Takes rides.
        Rider "rider"
        /// Gives rides.
        Driver "driver"
        /// Takes and gives rides.
        Both "both"
        /// Runs the platform.
        Admin "admin"
    }
    /// A document a driver hands in.
    DocumentType "document type" {
        /// The licence to drive.
        DriversLicense "drivers_license"
        /// The vehicle's registration.
        VehicleRegistration "vehicle_registration"
        /// The vehicle's insurance.
        Insurance "insurance"
        /// The vehicle's inspection.
        InspectionCertificate "inspection_certificate"
        /// An identity card.
        IdCard "id_card"
    }
    /// The kind of ride.
    ServiceType "service type" {
        /// The plain car.
        Standard "standard"
        /// More room.
        Comfort "comfort"
        /// The best car.
        Premium "premium"
        /// A motorcycle.
        Moto "moto"
    }
    /// Why a ride was cancelled.
    CancellationReason "cancellation reason" {
        /// The rider called it off.
        RiderCancelled "rider_cancelled"
        /// The driver called it off.
        DriverCancelled "driver_cancelled"
        /// Nobody was there to drive.
        NoDriversAvailable "no_drivers_available"
        /// The rider did not come.
        RiderNoShow "rider_no_show"
        /// The driver did not come.
        DriverNoShow "driver_no_show"
        /// Somebody did not feel safe.
        SafetyConcern "safety_concern"
        /// Anything else.
        Other "other"
    }
    /// How a ride is paid.
    PaymentMethod "payment method" {
        /// Notes and coins.
        Cash "cash"
        /// M-Pesa.
        Mpesa "mpesa"
        /// A bank card.
        Card "card"
        /// The platform's wallet.
        Wallet "wallet"
    }
    /// The kind of emergency.
    EmergencyType "emergency type" {
        /// An accident.
        Accident "accident"
        /// Harassment.
        Harassment "harassment"
        /// A theft.
        Theft "theft"
        /// Somebody is ill or hurt.
        Medical "medical"
        /// Anything else.
        Other "other"
    }
    /// How bad an incident is; orders from low to critical.
    IncidentSeverity "incident severity" {
        /// Low.
        Low "low"
        /// Medium.
        Medium "medium"
        /// High.
        High "high"
        /// Critical.
        Critical "critical"
    }
}

open! {
    /// What was verified of a user.
    VerificationType {
        /// The phone number.
        Phone "phone"
        /// The e-mail address.
        Email "email"
        /// The identity.
        Id "id"
    }
    /// Why a user is no more.
    DeletionType {
        /// The user asked for it.
        UserRequested "user_requested"
        /// An administrator did it.
        AdminAction "admin_action"
        /// The account was not used.
        Inactivity "inactivity"
    }
    /// Why a driver went offline.
    OfflineReason {
        /// The driver chose to.
        Manual "manual"
        /// Nothing was heard of the driver.
        Timeout "timeout"
        /// The shift is over.
        EndOfShift "end_of_shift"
        /// The app was closed.
        AppClosed "app_closed"
        /// The phone ran out of power.
        LowBattery "low_battery"
        /// An administrator did it.
        AdminAction "admin_action"
    }
    /// Who cancelled a ride.
    CancelledBy {
        /// The rider.
        Rider "rider"
        /// The driver.
        Driver "driver"
        /// The platform.
        System "system"
    }
    /// Who rated a ride.
    RatedBy {
        /// The rider.
        Rider "rider"
        /// The driver.
        Driver "driver"
    }
    /// What kind of actor caused an event.
    ActorType {
        /// A user.
        User "user"
        /// A part of the platform.
        System "system"
        /// An administrator.
        Admin "admin"
    }
}
