//! Money in centavos. It must never become a float.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ParseValueError;
use crate::shape::Shape;
use crate::wire::{Integer, Wire, or_absent};

/// An amount in centavos of the metical: 100 centavos are 1 MZN. May be negative.
///
/// ```
/// use txova_events::Money;
///
/// let fare = Money::from_centavos(125_50);
/// assert_eq!(fare.to_string(), "125.50 MZN");
/// assert_eq!("125.50".parse(), Ok(fare));
/// assert_eq!(fare.checked_add(Money::from_centavos(50)), Some(Money::from_centavos(126_00)));
/// assert_eq!(fare.checked_mul(i64::MAX), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// So many centavos.
    pub const fn from_centavos(centavos: i64) -> Self {
        Self(centavos)
    }

    /// So many whole meticais; `None` where that is more than an amount can hold.
    pub const fn from_meticais(meticais: i64) -> Option<Self> {
        match meticais.checked_mul(100) {
            Some(centavos) => Some(Self(centavos)),
            None => None,
        }
    }

    /// The amount in centavos.
    pub const fn centavos(self) -> i64 {
        self.0
    }

    /// The sum; `None` on overflow.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference; `None` on overflow.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// So many times the amount; `None` on overflow.
    pub fn checked_mul(self, times: i64) -> Option<Self> {
        self.0.checked_mul(times).map(Self)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let centavos = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02} MZN", centavos / 100, centavos % 100)
    }
}

/// Reads what [`Money`] prints, with or without the currency, and whole meticais.
impl FromStr for Money {
    type Err = ParseValueError;

    fn from_str(text: &str) -> Result<Self, ParseValueError> {
        let amount = text.strip_suffix("MZN").unwrap_or(text).trim();
        let (sign, digits) = amount.strip_prefix('-').map_or((1, amount), |digits| (-1, digits));
        let (meticais, centavos) = digits.split_once('.').unwrap_or((digits, "00"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let read = || -> Option<i64> {
            let total = meticais.parse::<i128>().ok()?.checked_mul(100)? + centavos.parse::<i128>().ok()?;
            i64::try_from(sign * total).ok()
        };
        match read() {
            Some(total) if all_digits(meticais) && all_digits(centavos) && centavos.len() == 2 => {
                Ok(Self(total))
            }
            _ => Err(ParseValueError::new("amount of money", text, "meticais and centavos like 125.50 MZN")),
        }
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Integer::deserialize(deserializer).map(|integer| Self(integer.0))
    }
}

impl Wire for Money {
    const SHAPE: Shape = Shape::Centavos;

    fn absent() -> Self {
        Self::ZERO
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        or_absent(deserializer)
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }
}
