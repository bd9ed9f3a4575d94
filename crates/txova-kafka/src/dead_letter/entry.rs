//! Where a dead letter is and what has become of it. It must never know how either was read.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use txova_events::dlq::redrive;
use txova_events::{DeadLetter, DecodeError, Time};

/// The place of an entry on a dead-letter topic. Such a topic is only ever appended to, so the place names the entry for
/// good; it is the key of the entry's resolution.
///
/// Printed and parsed as `topic/partition/offset`:
///
/// ```
/// use txova_kafka::EntryPlace;
///
/// let place: EntryPlace = "txova.rides.v1.dlq/3/42".parse()?;
/// assert_eq!((&*place.topic, place.partition, place.offset), ("txova.rides.v1.dlq", 3, 42));
/// assert_eq!(place.to_string(), "txova.rides.v1.dlq/3/42");
/// assert!("txova.rides.v1.dlq-3".parse::<EntryPlace>().is_err());
/// # Ok::<(), txova_kafka::EntryPlaceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryPlace {
    /// The dead-letter topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// The offset there.
    pub offset: i64,
}

/// Why a text names no entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} names no entry: expected topic/partition/offset, such as txova.rides.v1.dlq/3/42")]
pub struct EntryPlaceError {
    given: String,
}

impl fmt::Display for EntryPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl FromStr for EntryPlace {
    type Err = EntryPlaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (rest, offset) = text.rsplit_once('/')?;
            let (topic, partition) = rest.rsplit_once('/')?;
            let place = Self {
                topic: topic.into(),
                partition: partition.parse().ok()?,
                offset: offset.parse().ok()?,
            };
            (!topic.is_empty() && place.partition >= 0 && place.offset >= 0).then_some(place)
        };
        parse().ok_or_else(|| EntryPlaceError { given: text.to_owned() })
    }
}

impl TryFrom<String> for EntryPlace {
    type Error = EntryPlaceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<EntryPlace> for String {
    fn from(place: EntryPlace) -> Self {
        place.to_string()
    }
}

/// An entry of a dead-letter topic.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DeadLetterEntry {
    /// Where it is.
    pub place: EntryPlace,
    /// The letter, or why the record is none.
    pub letter: Result<DeadLetter, DecodeError>,
    /// What was decided about it last; `None` where nobody has decided anything.
    pub resolution: Option<Resolution>,
}

impl DeadLetterEntry {
    pub(crate) fn is_replayed(&self) -> bool {
        self.resolution.as_ref().is_some_and(|resolution| resolution.state == ResolutionState::Replayed)
    }

    /// Whether something is still to be done about it.
    pub fn is_open(&self) -> bool {
        self.resolution.as_ref().is_none_or(|resolution| resolution.state == ResolutionState::Open)
    }
}

/// Where the record of a letter came from, as resolutions say it.
pub(crate) fn origin_of(letter: &DeadLetter) -> String {
    format!("{}/{}/{}", letter.original_topic, letter.original_partition, letter.original_offset)
}

/// Where a letter's event stood before it was ever sent back: its offset in the partition of the letter's record.
pub(crate) fn first_offset(letter: &DeadLetter) -> i64 {
    let header = |name: &str| {
        let mut named = letter.original_headers.iter().rev().filter(|(header, _)| header == name);
        named.next().and_then(|(_, value)| std::str::from_utf8(value.as_deref()?).ok())
    };
    let at = (letter.original_topic.as_str(), letter.original_partition);
    let first = header(redrive::ORIGIN).and_then(|origin| offset_at(origin, at));
    first.unwrap_or(letter.original_offset)
}

/// The offset of `topic/partition/offset`, where that is of this partition.
pub(crate) fn offset_at(origin: &str, (topic, partition): (&str, i32)) -> Option<i64> {
    let place: EntryPlace = origin.parse().ok()?; // spelt alike
    (*place.topic == *topic && place.partition == partition).then_some(place.offset)
}

/// What was decided about an entry, by whom, when and why: the value of a record on `txova.dlq.resolutions`, in JSON.
///
/// A field that a writer left out is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Resolution {
    /// The entry, as [`EntryPlace`] prints it.
    pub entry: String,
    /// What has become of it.
    pub state: ResolutionState,
    /// The consumer group for which that holds.
    pub group: String,
    /// The handler that handled it, by its name.
    pub handler: String,
    /// Where the record came from, as `topic/partition/offset`.
    pub origin: String,
    /// The event's id; empty where nobody knows.
    pub event_id: String,
    /// The event's type; empty where nobody knows.
    pub event_type: String,
    /// Who decided.
    pub by: String,
    /// Why; empty where nobody said.
    pub why: String,
    /// When.
    pub at: Option<Time>,
    /// How often the record was tried, replays counted.
    pub attempts: u32,
    /// Where the record was sent back to, as `topic/partition/offset`; `None` where it was handled in the process that
    /// replayed it, or where an older library wrote this.
    pub sent_to: Option<String>,
    /// What the handler had to say where it settled the record without handling it.
    pub skipped: Option<String>,
    /// The version of the library that wrote this.
    pub library_version: String,
}

/// What has become of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum ResolutionState {
    /// Something is still to be done about it.
    #[default]
    Open,
    /// A handler has handled it, or it was sent back to its topic for the group that failed.
    Replayed,
    /// Somebody decided that nothing is to be done.
    Discarded,
    /// Set aside: it is not replayed until somebody opens it again.
    Quarantined,
    /// A state this version does not know. It is left alone.
    Other(String),
}

impl ResolutionState {
    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Open => "open",
            Self::Replayed => "replayed",
            Self::Discarded => "discarded",
            Self::Quarantined => "quarantined",
            Self::Other(name) => name,
        }
    }
}

impl From<String> for ResolutionState {
    fn from(name: String) -> Self {
        let known = [Self::Open, Self::Replayed, Self::Discarded, Self::Quarantined];
        known.into_iter().find(|state| state.as_str() == name).unwrap_or(Self::Other(name))
    }
}

impl From<ResolutionState> for String {
    fn from(state: ResolutionState) -> Self {
        state.as_str().to_owned()
    }
}

impl fmt::Display for ResolutionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
