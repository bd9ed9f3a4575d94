//! Places, directions, speeds, distances and ratings, each with its range.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ParseValueError;
use crate::shape::Shape;
use crate::wire::{Integer, Wire, or_absent, refuse_other_case};

/// A number that its type has no room for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{what} {given} is not {expected}")]
pub struct OutOfRange {
    what: &'static str,
    given: f64,
    expected: &'static str,
}

/// Gives a type of finite numbers its order and its hash, in which -0 is 0.
macro_rules! ordered {
    ($name:ident by $($number:ident)*) => {
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other).is_eq()
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                Ordering::Equal$(.then((self.$number() + 0.0).total_cmp(&(other.$number() + 0.0))))*
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                $((self.$number() + 0.0).to_bits().hash(state);)*
            }
        }
    };
}

/// A place on Earth, in degrees (WGS 84). Orders from south to north, then from west to east.
#[derive(Clone, Copy, Debug)]
pub struct Location {
    latitude: f64,
    longitude: f64,
}

impl Location {
    /// A place: latitude from -90 to 90, longitude from -180 to 180.
    pub fn new(latitude: f64, longitude: f64) -> Result<Self, OutOfRange> {
        if !(-90.0..=90.0).contains(&latitude) {
            return Err(OutOfRange { what: "latitude", given: latitude, expected: "between -90 and 90" });
        }
        if !(-180.0..=180.0).contains(&longitude) {
            return Err(OutOfRange { what: "longitude", given: longitude, expected: "between -180 and 180" });
        }
        Ok(Self { latitude, longitude })
    }

    /// Degrees north of the equator.
    pub const fn latitude(self) -> f64 {
        self.latitude
    }

    /// Degrees east of Greenwich.
    pub const fn longitude(self) -> f64 {
        self.longitude
    }
}

ordered!(Location by latitude longitude);

/// Reads `latitude,longitude`, as it prints.
impl FromStr for Location {
    type Err = ParseValueError;

    fn from_str(text: &str) -> Result<Self, ParseValueError> {
        let degrees = |part: &str| part.trim().parse::<f64>().ok();
        text.split_once(',')
            .and_then(|(latitude, longitude)| Self::new(degrees(latitude)?, degrees(longitude)?).ok())
            .ok_or_else(|| {
                ParseValueError::new("place", text, "degrees within their ranges like -25.9692,32.5732")
            })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.latitude, self.longitude)
    }
}

impl Serialize for Location {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut place = serializer.serialize_struct("Location", 2)?;
        place.serialize_field("latitude", &self.latitude)?;
        place.serialize_field("longitude", &self.longitude)?;
        place.end()
    }
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Place;

        impl<'de> Visitor<'de> for Place {
            type Value = Location;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with latitude and longitude")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Location, A::Error> {
                const NAMES: &[&str] = &["latitude", "longitude"];
                let (mut latitude, mut longitude) = (0.0, 0.0); // a missing coordinate is 0
                while let Some(name) = members.next_key::<std::borrow::Cow<'de, str>>()? {
                    let coordinate = match name.as_ref() {
                        "latitude" => &mut latitude,
                        "longitude" => &mut longitude,
                        other => {
                            refuse_other_case(other, NAMES)?;
                            members.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    if let Some(degrees) = members.next_value::<Option<f64>>()? {
                        *coordinate = degrees;
                    }
                }
                Location::new(latitude, longitude).map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_struct("Location", &["latitude", "longitude"], Place)
    }
}

impl Wire for Location {
    const SHAPE: Shape = Shape::Location;

    fn absent() -> Self {
        Self { latitude: 0.0, longitude: 0.0 }
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        or_absent(deserializer)
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }
}

macro_rules! measures {
    ($($(#[$doc:meta])* $name:ident $what:literal $unit:literal)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name(f64);

        ordered!($name by get);

        /// Reads a number, with or without its unit.
        impl FromStr for $name {
            type Err = ParseValueError;

            fn from_str(text: &str) -> Result<Self, ParseValueError> {
                let number = text.strip_suffix($unit.trim()).unwrap_or(text).trim();
                let value = number.parse().ok().and_then(|value| Self::new(value).ok());
                value.ok_or_else(|| ParseValueError::new($what, text, "a finite number"))
            }
        }

        impl $name {
            /// A finite number; NaN and infinities cannot be written as JSON and are refused.
            pub fn new(value: f64) -> Result<Self, OutOfRange> {
                if value.is_finite() {
                    Ok(Self(value))
                } else {
                    Err(OutOfRange { what: $what, given: value, expected: "a finite number" })
                }
            }

            /// The number, in the unit of the type.
            pub const fn get(self) -> f64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{}", $unit), self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_f64(self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(f64::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }

        impl Wire for $name {
            const SHAPE: Shape = Shape::Number($unit.trim_ascii());

            fn absent() -> Self {
                Self(0.0)
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

measures! {
    /// A direction in degrees, clockwise from north. Services write any number; [`Heading::normalised`] brings it
    /// into a circle.
    Heading "heading" "°"
    /// A speed in kilometres an hour.
    Speed "speed" " km/h"
    /// A distance in kilometres.
    DistanceKm "distance" " km"
}

impl Heading {
    /// The same direction from 0 up to 360.
    pub fn normalised(self) -> Self {
        let degrees = self.0.rem_euclid(360.0);
        // the remainder of a tiny negative number rounds up to the whole circle
        Self(if degrees >= 360.0 { 0.0 } else { degrees })
    }
}

/// What one side of a ride thought of the other: 1 to 5.
///
/// Other numbers cannot be made and are not published, but they are read, because Go services check no range: see
/// [`Rating::is_valid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rating(i64);

impl Rating {
    /// A rating from 1 to 5.
    pub fn new(stars: i64) -> Result<Self, OutOfRange> {
        let rating = Self(stars);
        if rating.is_valid() { Ok(rating) } else { Err(rating.out_of_range()) }
    }

    /// The number; from 1 to 5 unless a Go service wrote another.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whether the number is from 1 to 5.
    pub fn is_valid(self) -> bool {
        (1..=5).contains(&self.0)
    }

    fn out_of_range(self) -> OutOfRange {
        OutOfRange { what: "rating", given: self.0 as f64, expected: "a whole number from 1 to 5" }
    }
}

impl FromStr for Rating {
    type Err = ParseValueError;

    fn from_str(text: &str) -> Result<Self, ParseValueError> {
        let rating = text.parse().ok().and_then(|stars| Self::new(stars).ok());
        rating.ok_or_else(|| ParseValueError::new("rating", text, "a whole number from 1 to 5"))
    }
}

impl fmt::Display for Rating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Rating {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl<'de> Deserialize<'de> for Rating {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Integer::deserialize(deserializer).map(|integer| Self(integer.0))
    }
}

impl Wire for Rating {
    const SHAPE: Shape = Shape::Rating;

    fn absent() -> Self {
        Self(0)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        or_absent(deserializer)
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }

    fn check(&self) -> Result<(), String> {
        Self::new(self.0).map(|_| ()).map_err(|error| error.to_string())
    }
}
