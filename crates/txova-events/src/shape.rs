//! What the contract says of a payload's fields, as data: for pages and tools. It must never read or write a payload.

use std::fmt;

/// What an event of the contract says of itself.
pub(crate) trait Described: crate::Event {
    const ABOUT: &'static str;
    const KEY_FIELD: &'static str;
    const FIELDS: &'static [Field];
}

/// A field of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it says.
    pub about: &'static str,
    /// What stands there.
    pub shape: Shape,
    /// Whether a writer leaves it out where there is nothing to say.
    pub is_optional: bool,
}

/// What a field's value is. Shown for people by `Display`.
///
/// ```
/// use txova_events::{Shape, topics};
///
/// let entry = topics::catalogue_entry("payment.initiated").unwrap();
/// let method = entry.fields.iter().find(|field| field.name == "method").unwrap();
/// assert_eq!(method.shape.to_string(), "cash | mpesa | card | wallet");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shape {
    /// A UUID.
    Id,
    /// Any text.
    Text,
    /// A 64-bit integer.
    Integer,
    /// An integer of centavos; 100 are one metical.
    Centavos,
    /// An integer from 1 to 5.
    Rating,
    /// A number of this unit.
    Number(&'static str),
    /// A time as RFC 3339 text.
    Time,
    /// An object of `latitude` and `longitude`, in degrees.
    Location,
    /// A Mozambican mobile number.
    Phone,
    /// An e-mail address.
    Email,
    /// One of these words.
    Word {
        /// The words, in the contract's order.
        words: &'static [&'static str],
        /// Whether a reader refuses any other.
        is_closed: bool,
    },
    /// A list of such values.
    List(&'static Shape),
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id => f.write_str("UUID"),
            Self::Text => f.write_str("text"),
            Self::Integer => f.write_str("integer"),
            Self::Centavos => f.write_str("integer, centavos"),
            Self::Rating => f.write_str("integer, 1 to 5"),
            Self::Number(unit) => write!(f, "number, {unit}"),
            Self::Time => f.write_str("time, RFC 3339"),
            Self::Location => f.write_str("{latitude, longitude}, degrees"),
            Self::Phone => f.write_str("mobile number, +258…"),
            Self::Email => f.write_str("e-mail address"),
            Self::Word { words, is_closed } => {
                f.write_str(&words.join(" | "))?;
                if *is_closed { Ok(()) } else { f.write_str(" | other text") }
            }
            Self::List(shape) => write!(f, "list of: {shape}"),
        }
    }
}
