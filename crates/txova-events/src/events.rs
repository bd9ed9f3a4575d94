//! The 28 events of the platform, one module for each domain. They know their payloads, never their envelopes.
//!
//! A field that is missing or `null` reads as the contract has it (a nil id, an [`Unset`](crate::UserType::Unset)
//! word, an empty text, zero); [`Event::validate`](crate::Event::validate) keeps such holes from being published.
//! Unknown fields are ignored, of repeated ones the last stays.
//!
//! | type | event | topic | key |
//! |---|---|---|---|
//! | `user.registered` | [`UserRegistered`] | `txova.users.v1` | `user_id` |
//! | `user.verified` | [`UserVerified`] | `txova.users.v1` | `user_id` |
//! | `user.profile_updated` | [`UserProfileUpdated`] | `txova.users.v1` | `user_id` |
//! | `user.suspended` | [`UserSuspended`] | `txova.users.v1` | `user_id` |
//! | `user.deleted` | [`UserDeleted`] | `txova.users.v1` | `user_id` |
//! | `driver.application_submitted` | [`DriverApplicationSubmitted`] | `txova.drivers.v1` | `driver_id` |
//! | `driver.documents_submitted` | [`DriverDocumentsSubmitted`] | `txova.drivers.v1` | `driver_id` |
//! | `driver.approved` | [`DriverApproved`] | `txova.drivers.v1` | `driver_id` |
//! | `driver.rejected` | [`DriverRejected`] | `txova.drivers.v1` | `driver_id` |
//! | `driver.went_online` | [`DriverWentOnline`] | `txova.drivers.v1` | `driver_id` |
//! | `driver.went_offline` | [`DriverWentOffline`] | `txova.drivers.v1` | `driver_id` |
//! | `driver.location_updated` | [`DriverLocationUpdated`] | `txova.locations.v1` | `driver_id` |
//! | `ride.requested` | [`RideRequested`] | `txova.rides.v1` | `ride_id` |
//! | `ride.driver_assigned` | [`RideDriverAssigned`] | `txova.rides.v1` | `ride_id` |
//! | `ride.driver_arrived` | [`RideDriverArrived`] | `txova.rides.v1` | `ride_id` |
//! | `ride.started` | [`RideStarted`] | `txova.rides.v1` | `ride_id` |
//! | `ride.completed` | [`RideCompleted`] | `txova.rides.v1` | `ride_id` |
//! | `ride.cancelled` | [`RideCancelled`] | `txova.rides.v1` | `ride_id` |
//! | `ride.rated` | [`RideRated`] | `txova.rides.v1` | `ride_id` |
//! | `payment.initiated` | [`PaymentInitiated`] | `txova.payments.v1` | `payment_id` |
//! | `payment.completed` | [`PaymentCompleted`] | `txova.payments.v1` | `payment_id` |
//! | `payment.failed` | [`PaymentFailed`] | `txova.payments.v1` | `payment_id` |
//! | `payment.refunded` | [`PaymentRefunded`] | `txova.payments.v1` | `payment_id` |
//! | `payout.requested` | [`PayoutRequested`] | `txova.payments.v1` | `payout_id` |
//! | `payout.completed` | [`PayoutCompleted`] | `txova.payments.v1` | `payout_id` |
//! | `safety.emergency_triggered` | [`SafetyEmergencyTriggered`] | `txova.safety.v1` | `ride_id` |
//! | `safety.incident_reported` | [`SafetyIncidentReported`] | `txova.safety.v1` | `incident_id` |
//! | `safety.trip_shared` | [`SafetyTripShared`] | `txova.safety.v1` | `ride_id` |

/// Declares events: the struct, its reading and writing by the contract's rules, and its place on the wire.
macro_rules! events {
    ($(
        #[doc = $about:literal]
        $(#[doc = $doc:literal])*
        $name:ident = $event_type:literal on $topic:ident by $key:ident {
            $($(#[doc = $field_doc:literal])* $field:ident: $of:ty,)*
        }
    )*) => {$(
        #[doc = $about]
        $(#[doc = $doc])*
        #[doc = concat!("\n\nOn the wire: `", $event_type, "`, keyed by `", stringify!($key), "`.")]
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name {
            $($(#[doc = $field_doc])* pub $field: $of,)*
        }

        impl crate::shape::Described for $name {
            const ABOUT: &'static str = $about.trim_ascii();
            const KEY_FIELD: &'static str = stringify!($key);
            const FIELDS: &'static [crate::shape::Field] = &[$(crate::shape::Field {
                name: stringify!($field),
                about: concat!($($field_doc),*).trim_ascii(),
                shape: <$of as $crate::wire::Wire>::SHAPE,
                is_optional: <$of as $crate::wire::Wire>::IS_OPTIONAL,
            }),*];
        }

        impl $crate::Event for $name {
            const TYPE: &'static str = $event_type;
            const TOPIC: &'static str = $crate::topics::$topic;

            fn key(&self) -> String {
                self.$key.to_string()
            }

            fn validate(&self) -> Result<(), $crate::InvalidField> {
                $($crate::wire::Wire::check(&self.$field)
                    .map_err(|reason| $crate::InvalidField::new(stringify!($field), reason))?;)*
                Ok(())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeStruct;
                use $crate::wire::{Wire, Written};

                let left_out = [$(Wire::is_omitted(&self.$field)),*];
                let written = left_out.iter().filter(|&&omitted| !omitted).count();
                let mut payload = serializer.serialize_struct(stringify!($name), written)?;
                $(if !Wire::is_omitted(&self.$field) {
                    payload.serialize_field(stringify!($field), &Written(&self.$field))?;
                })*
                payload.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Payload;

                impl<'de> serde::de::Visitor<'de> for Payload {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("the payload of ", $event_type, ", an object"))
                    }

                    fn visit_unit<E>(self) -> Result<$name, E> {
                        Ok($name { $($field: $crate::wire::Wire::absent(),)* })
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut members: A) -> Result<$name, A::Error> {
                        use $crate::wire::{field_error, Read, refuse_other_case};

                        const NAMES: &[&str] = &[$(stringify!($field)),*];
                        $(let mut $field = None;)*
                        while let Some(name) = members.next_key::<std::borrow::Cow<'de, str>>()? {
                            match name.as_ref() {
                                $(stringify!($field) => {
                                    let seed = Read::<$of>(std::marker::PhantomData);
                                    let value = members.next_value_seed(seed);
                                    $field = Some(value.map_err(|error| field_error(stringify!($field), &error))?);
                                })*
                                other => {
                                    refuse_other_case(other, NAMES)?;
                                    members.next_value::<serde::de::IgnoredAny>()?;
                                }
                            }
                        }
                        Ok($name { $($field: $field.unwrap_or_else($crate::wire::Wire::absent),)* })
                    }
                }

                deserializer.deserialize_any(Payload)
            }
        }
    )*};
}

mod driver;
mod payment;
mod ride;
mod safety;
mod user;

pub use driver::{
    DriverApplicationSubmitted, DriverApproved, DriverDocumentsSubmitted, DriverLocationUpdated,
    DriverRejected, DriverWentOffline, DriverWentOnline,
};
pub use payment::{
    PaymentCompleted, PaymentFailed, PaymentInitiated, PaymentRefunded, PayoutCompleted, PayoutRequested,
};
pub use ride::{
    RideCancelled, RideCompleted, RideDriverArrived, RideDriverAssigned, RideRated, RideRequested,
    RideStarted,
};
pub use safety::{SafetyEmergencyTriggered, SafetyIncidentReported, SafetyTripShared};
pub use user::{UserDeleted, UserProfileUpdated, UserRegistered, UserSuspended, UserVerified};
