//! How a field's type stands in a payload: what a missing one reads as, what is left out, what must not be published.
//! It must never know which event the field belongs to.

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use std::fmt;
use std::marker::PhantomData;

use crate::shape::Shape;

/// A type that fields of the 28 events have.
pub(crate) trait Wire: Sized {
    /// What stands there, for pages and tools.
    const SHAPE: Shape;

    /// Whether a writer may leave the field out.
    const IS_OPTIONAL: bool = false;

    /// What a reader sees where the field is missing: Go's zero value.
    fn absent() -> Self;

    /// Reads the field's value, `null` as the contract has it for this type.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    /// Writes it.
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// Whether a writer leaves the field out.
    fn is_omitted(&self) -> bool {
        false
    }

    /// The publisher's rule for this type; the error says what was found and what was expected.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Reads a value, or what a missing field reads as for `null`.
pub(crate) fn or_absent<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Wire + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_else(T::absent))
}

/// Carries a field's reading through serde.
#[derive(Clone, Copy)]
pub(crate) struct Read<T>(pub(crate) PhantomData<T>);

impl<'de, T: Wire> de::DeserializeSeed<'de> for Read<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::read(deserializer)
    }
}

/// Carries a field's writing through serde.
pub(crate) struct Written<'a, T>(pub(crate) &'a T);

impl<T: Wire> Serialize for Written<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

/// An error inside a field, with the field's name.
pub(crate) fn field_error<E: de::Error>(field: &str, error: &E) -> E {
    E::custom(format_args!("field `{field}`: {error}"))
}

/// A name that is a known one but for its letter case is refused: ignored, it would read as a missing field.
pub(crate) fn refuse_other_case<E: de::Error>(given: &str, known: &[&'static str]) -> Result<(), E> {
    match known.iter().find(|name| crate::json::folds_to(given, name)) {
        Some(name) => {
            Err(E::custom(format_args!("field `{given}`: names are matched exactly, expected `{name}`")))
        }
        None => Ok(()),
    }
}

impl Wire for String {
    const SHAPE: Shape = Shape::Text;

    fn absent() -> Self {
        Self::new()
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        or_absent(deserializer)
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

/// A text that is left out when absent, and absent when empty.
impl Wire for Option<String> {
    const SHAPE: Shape = Shape::Text;
    const IS_OPTIONAL: bool = true;

    fn absent() -> Self {
        None
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::deserialize(deserializer)?.filter(|text| !text.is_empty()))
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_deref().unwrap_or_default())
    }

    fn is_omitted(&self) -> bool {
        self.as_deref().unwrap_or_default().is_empty()
    }
}

impl Wire for i64 {
    const SHAPE: Shape = Shape::Integer;

    fn absent() -> Self {
        0
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<Integer>::deserialize(deserializer)?.map_or(0, |integer| integer.0))
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(*self)
    }
}

/// A 64-bit integer out of JSON: no fraction, no exponent, but `-0`.
pub(crate) struct Integer(pub(crate) i64);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;

        impl Visitor<'_> for Whole {
            type Value = Integer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a 64-bit integer")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Integer, E> {
                Ok(Integer(value))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Integer, E> {
                i64::try_from(value)
                    .map(Integer)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(value), &self))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Integer, E> {
                // serde_json knows `-0` as a float only
                if value == 0.0 && value.is_sign_negative() {
                    return Ok(Integer(0));
                }
                Err(E::invalid_type(de::Unexpected::Float(value), &self))
            }
        }

        deserializer.deserialize_i64(Whole)
    }
}
