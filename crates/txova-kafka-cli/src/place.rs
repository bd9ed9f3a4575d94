//! Where in a log, as a person says it. It must never know how a cluster finds the place.

use std::str::FromStr;
use std::time::Duration;

use txova_events::Time;
use txova_kafka::admin::{Admin, LogEnds};
use txova_kafka::{ClientError, TopicPartition};

/// A place in every log that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the first record that is there.
    Earliest,
    /// Behind the last.
    Latest,
    /// At the first record of this moment or later, in milliseconds since the Unix epoch.
    At(i64),
    /// At this offset.
    Offset(i64),
}

/// What may be said.
const PLACES: &str =
    "earliest, latest, an offset (1500), a time (2026-11-24T08:00:00Z) or an age (15m, 2h, 3d)";

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = text.trim();
        if let Ok(offset) = plain.parse::<u64>() {
            return i64::try_from(offset)
                .map(Self::Offset)
                .map_err(|_| format!("no log is {offset} records long"));
        }
        match plain.to_ascii_lowercase().as_str() {
            "earliest" => return Ok(Self::Earliest),
            "latest" => return Ok(Self::Latest),
            _ => {}
        }
        if let Some(age) = span(plain) {
            return Ok(Self::At(Time::now().unix_ms().saturating_sub(age.as_millis() as i64)));
        }
        let time = plain.to_ascii_uppercase().parse::<Time>().map_err(|_| format!("expected {PLACES}"))?;
        Ok(Self::At(time.unix_ms()))
    }
}

/// `500ms`, `30s`, `15m`, `2h`, `3d`.
pub(crate) fn span(text: &str) -> Option<Duration> {
    let digits = text.find(|char: char| !char.is_ascii_digit()).filter(|at| *at > 0)?;
    let number: u64 = text[..digits].parse().ok()?;
    let unit_ms = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    // A hundred years: more is a slip, and no clock of ours goes that far.
    number.checked_mul(unit_ms).filter(|ms| *ms <= 3_153_600_000_000).map(Duration::from_millis)
}

/// For flags: a [`span`], or whole seconds.
pub(crate) fn span_or_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| span(text)).ok_or_else(|| "expected a time span: 500ms, 30s, 15m, 2h or 3d".to_owned())
}

/// The offset of the place in each log, and the logs' ends. An offset that a log does not have is that of its nearer end.
pub(crate) async fn offsets(
    admin: &Admin,
    place: Place,
    partitions: &[TopicPartition],
    timeout: Duration,
) -> Result<Vec<(i64, LogEnds)>, ClientError> {
    let ends = admin.log_ends(partitions, timeout).await?;
    let found = match place {
        Place::Earliest => ends.iter().map(|ends| ends.first).collect(),
        Place::Latest => ends.iter().map(|ends| ends.end).collect(),
        Place::Offset(offset) => ends.iter().map(|ends| offset.clamp(ends.first, ends.end)).collect(),
        Place::At(unix_ms) => admin.offsets_at(partitions, unix_ms, timeout).await?,
    };
    Ok(found.into_iter().zip(ends).collect())
}

/// A span for people, in its two largest units.
pub(crate) fn said(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {:02} m", seconds / 3_600, seconds / 60 % 60),
        _ if (seconds / 3_600).is_multiple_of(24) => format!("{} d", seconds / 86_400),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_end_an_offset_a_time_or_an_age() {
        assert_eq!("Latest".parse(), Ok(Place::Latest));
        assert_eq!("0".parse(), Ok(Place::Offset(0)));
        assert_eq!("2026-11-24t10:00:00+02:00".parse(), Ok(Place::At(1_795_507_200_000)));
        let Ok(Place::At(ago)) = "15m".parse() else { panic!("an age is a time") };
        assert!((Time::now().unix_ms() - ago - 900_000).abs() < 60_000);
        for wrong in ["", "-1", "15", "m", "yesterday", "99999999999999999999", "9999999999999d", "1.5h"] {
            let read = wrong.parse::<Place>();
            assert!(read.is_err() || wrong == "15", "{wrong}: {read:?}");
        }
    }

    #[test]
    fn spans_are_said_in_their_two_largest_units() {
        let all = [5, 125, 7_500, 200_000].map(|seconds| said(Duration::from_secs(seconds)));
        assert_eq!(all, ["5 s", "2 m 05 s", "2 h 05 m", "2 d 07 h"]);
    }
}
