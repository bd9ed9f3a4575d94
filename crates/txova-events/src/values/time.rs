//! Instants with the offset they were given in, spelt as Go spells them.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::{Date, Month, OffsetDateTime, UtcOffset};

use crate::shape::Shape;
use crate::wire::{Wire, or_absent};

/// An instant, to the nanosecond, in the offset its writer had.
///
/// Printed as RFC 3339 with the trailing zeros of the fraction trimmed and `Z` for UTC. Two are equal when they are
/// the same instant, whatever their offsets.
///
/// ```
/// use txova_events::Time;
///
/// let maputo: Time = "2025-06-15T14:30:45.500+02:00".parse().unwrap();
/// assert_eq!(maputo.to_string(), "2025-06-15T14:30:45.5+02:00");
/// assert_eq!(maputo, "2025-06-15T12:30:45.5Z".parse().unwrap());
/// assert!("2025-06-15 12:30:45".parse::<Time>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(OffsetDateTime);

/// Why a text is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no time: expected RFC 3339, like 2025-06-15T12:30:45.5Z or 2025-06-15T14:30:45+02:00")]
pub struct TimeError {
    given: String,
}

impl Time {
    /// What a reader sees where a Go service left a time out: 0001-01-01T00:00:00Z.
    pub const ZERO: Self = match Date::from_calendar_date(1, Month::January, 1) {
        Ok(date) => Self(OffsetDateTime::new_utc(date, time::Time::MIDNIGHT)),
        Err(_) => Self(OffsetDateTime::UNIX_EPOCH), // not reached: the date exists
    };

    /// The clock's time, in UTC.
    pub fn now() -> Self {
        Self(OffsetDateTime::now_utc())
    }

    /// A time that came from elsewhere. `None` where it cannot be written as RFC 3339: a year outside 0 to 9999, or an
    /// offset of a whole day or with seconds.
    pub fn from_datetime(datetime: OffsetDateTime) -> Option<Self> {
        let offset = datetime.offset();
        let writable = (0..=9999).contains(&datetime.year())
            && offset.seconds_past_minute() == 0
            && offset.whole_hours().unsigned_abs() < 24;
        writable.then_some(Self(datetime))
    }

    /// The instant so many milliseconds after 1970-01-01T00:00:00Z, in UTC; `None` outside the years 0 to 9999.
    pub fn from_unix_ms(unix_ms: i64) -> Option<Self> {
        let datetime = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000).ok()?;
        Self::from_datetime(datetime)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z, rounded down.
    pub fn unix_ms(self) -> i64 {
        self.0.unix_timestamp() * 1000 + i64::from(self.0.millisecond())
    }

    /// The `time` crate's value.
    pub const fn datetime(self) -> OffsetDateTime {
        self.0
    }

    /// Whether this is the instant that stands for none, [`Time::ZERO`].
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    fn parse_bytes(text: &[u8]) -> Option<Self> {
        let digits = |from: usize, to: usize| {
            text.get(from..to)?.iter().try_fold(0u32, |number, &byte| {
                byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0'))
            })
        };
        let two = |at: usize| digits(at, at + 2).and_then(|number| u8::try_from(number).ok());
        for (at, separator) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
            if text.get(at) != Some(&separator) {
                return None;
            }
        }
        let year = i32::try_from(digits(0, 4)?).ok()?;
        let date = Date::from_calendar_date(year, Month::try_from(two(5)?).ok()?, two(8)?).ok()?;
        let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
        let mut at = 19;
        let mut nanosecond = 0;
        if text.get(at) == Some(&b'.') {
            let fraction = text[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if fraction == 0 {
                return None;
            }
            let kept = fraction.min(9); // digits beyond nine are dropped
            nanosecond = digits(at + 1, at + 1 + kept)? * 10u32.pow(u32::try_from(9 - kept).ok()?);
            at += 1 + fraction;
        }
        let offset = match *text.get(at)? {
            b'Z' => {
                at += 1;
                UtcOffset::UTC
            }
            sign @ (b'+' | b'-') if text.get(at + 3) == Some(&b':') => {
                let (hours, minutes) = (i8::try_from(two(at + 1)?).ok()?, i8::try_from(two(at + 4)?).ok()?);
                if hours > 23 || minutes > 59 {
                    return None;
                }
                at += 6;
                let sign = if sign == b'-' { -1 } else { 1 };
                UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()?
            }
            _ => return None,
        };
        if at != text.len() {
            return None;
        }
        let clock = time::Time::from_hms_nano(hour, minute, second, nanosecond).ok()?;
        Some(Self(date.with_time(clock).assume_offset(offset)))
    }
}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        Self::parse_bytes(text.as_bytes()).ok_or_else(|| TimeError { given: text.chars().take(64).collect() })
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.0;
        let (year, month, day) = (t.year(), u8::from(t.month()), t.day());
        let (hour, minute, second) = (t.hour(), t.minute(), t.second());
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if t.nanosecond() != 0 {
            let fraction = format!("{:09}", t.nanosecond());
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        if t.offset().is_utc() {
            return f.write_str("Z");
        }
        let sign = if t.offset().is_negative() { '-' } else { '+' };
        let (hours, minutes, _) = t.offset().as_hms();
        write!(f, "{sign}{:02}:{:02}", hours.unsigned_abs(), minutes.unsigned_abs())
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Time({self})")
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time as RFC 3339 text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl Wire for Time {
    const SHAPE: Shape = Shape::Time;

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
