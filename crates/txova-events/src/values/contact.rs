//! Phone numbers and e-mail addresses in their one normal form. Errors never repeat the number or the address: they
//! end up in logs.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::lower;
use crate::shape::Shape;
use crate::wire::Wire;

/// A Mozambican mobile number, written `+258` and nine digits, the first two from 82 to 87.
///
/// All but ASCII digits is dropped when one is read, and the country's code may be missing:
///
/// ```
/// use txova_events::Phone;
///
/// let phone: Phone = "84 123-4567".parse().unwrap();
/// assert_eq!(phone.to_string(), "+258841234567");
/// assert!("0841234567".parse::<Phone>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone(u32);

/// Why a text is no Mozambican mobile number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// Neither nine digits nor twelve that begin with 258.
    #[error("a phone number of {digits} digits, expected nine, or 258 and nine")]
    Digits {
        /// How many ASCII digits there are.
        digits: usize,
    },
    /// Nine digits of another kind of number.
    #[error("a phone number with the prefix {prefix}, expected a mobile's, from 82 to 87")]
    Prefix {
        /// The first two of the nine digits.
        prefix: u32,
    },
}

impl FromStr for Phone {
    type Err = PhoneError;

    fn from_str(text: &str) -> Result<Self, PhoneError> {
        let digits: Vec<u32> =
            text.bytes().filter(u8::is_ascii_digit).map(|digit| u32::from(digit - b'0')).collect();
        let nine = match digits.as_slice() {
            [2, 5, 8, nine @ ..] if nine.len() == 9 => nine,
            nine if nine.len() == 9 => nine,
            other => return Err(PhoneError::Digits { digits: other.len() }),
        };
        let number = nine.iter().fold(0, |number, digit| number * 10 + digit);
        match number / 10_000_000 {
            82..=87 => Ok(Self(number)),
            prefix => Err(PhoneError::Prefix { prefix }),
        }
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+258{:09}", self.0)
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phone({self})")
    }
}

/// An e-mail address: lower case, ASCII, with a dot in the domain.
///
/// ```
/// use txova_events::Email;
///
/// let email: Email = " Ana.Machava@Exemplo.co.mz".parse().unwrap();
/// assert_eq!(email.as_str(), "ana.machava@exemplo.co.mz");
/// assert!("ana@localhost".parse::<Email>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);

/// Why a text is no e-mail address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no e-mail address: {why}, expected one like ana@exemplo.co.mz")]
pub struct EmailError {
    why: &'static str,
}

impl Email {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        let refuse = |why| Err(EmailError { why });
        let address = lower(text.trim());
        let Some((local, domain)) = address.split_once('@') else { return refuse("there is no @") };
        let local_ok = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
        if address.len() > 254 || local.len() > 64 {
            return refuse("it is too long");
        }
        if local.is_empty() || !local.bytes().all(local_ok) {
            return refuse("what is before the @ is empty or has other characters than an address");
        }
        let label_ok = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if !domain.contains('.') || !domain.split('.').all(label_ok) {
            return refuse("what is after the @ is no domain with a dot");
        }
        Ok(Self(address))
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! contacts {
    ($($name:ident $expected:literal omitted $omitted:literal)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Text)
            }
        }

        /// `""` is an absent one.
        impl Wire for Option<$name> {
            const SHAPE: Shape = Shape::$name;
            const IS_OPTIONAL: bool = $omitted;

            fn absent() -> Self {
                None
            }

            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match Option::<String>::deserialize(deserializer)?.as_deref() {
                    None | Some("") => Ok(None),
                    Some(text) => text.parse().map(Some).map_err(de::Error::custom),
                }
            }

            fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    Some(value) => value.serialize(serializer),
                    None => serializer.serialize_str(""),
                }
            }

            fn is_omitted(&self) -> bool {
                $omitted && self.is_none()
            }
        }
    )*};
}

contacts! {
    Phone "a phone number as text" omitted false
    Email "an e-mail address as text" omitted true
}
