//! Which dead letters are meant, as data: for commands, plans and code. It must never read one.

use serde::{Deserialize, Serialize};
use txova_events::Time;

use super::entry::{DeadLetterEntry, EntryPlace};

/// Which dead letters are meant. A list that is empty, and what is `None`, asks for nothing; all that is asked for must
/// hold. An entry that cannot be read is only ever meant by its place.
///
/// ```
/// use txova_kafka::Selection;
///
/// let outage = Selection {
///     event_types: vec!["payment.*".to_owned()],
///     error_text: Some("the gateway is away".to_owned()),
///     ..Selection::default()
/// };
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// These entries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<EntryPlace>,
    /// Event types: `ride.completed`, or all that begin with what is before a `*`, `ride.*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub event_types: Vec<String>,
    /// Consumer groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Handlers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub handlers: Vec<String>,
    /// Fingerprints, or what they begin with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fingerprints: Vec<String>,
    /// Keys of the records.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Ids of the events.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub event_ids: Vec<String>,
    /// In the error's message or its causes, in whatever case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_text: Option<String>,
    /// Failed last at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// Failed last before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Time>,
    /// The record's partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// The record's offset is this or greater.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_offset: Option<i64>,
    /// The record's offset is less than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_offset: Option<i64>,
}

impl Selection {
    /// Whether this entry is meant.
    pub fn matches(&self, entry: &DeadLetterEntry) -> bool {
        if !is_one_of(&self.entries, |wanted| *wanted == entry.place) {
            return false;
        }
        let Ok(letter) = &entry.letter else {
            return *self == Self { entries: self.entries.clone(), ..Self::default() };
        };
        let fits = |pattern: &String, found: &str| match pattern.strip_suffix('*') {
            Some(beginning) => found.starts_with(beginning),
            None => pattern == found,
        };
        let named = |found: &Option<String>, wanted: &String| found.as_ref() == Some(wanted);
        is_one_of(&self.event_types, |wanted| fits(wanted, letter.event_type()))
            && is_one_of(&self.groups, |wanted| named(&letter.consumer_group, wanted))
            && is_one_of(&self.handlers, |wanted| named(&letter.handler, wanted))
            && is_one_of(&self.keys, |wanted| letter.original_key.as_deref() == Some(wanted.as_bytes()))
            && is_one_of(&self.event_ids, |wanted| wanted == letter.event_id())
            && self.from.is_none_or(|from| letter.last_failure >= from)
            && self.to.is_none_or(|to| letter.last_failure < to)
            && self.partition.is_none_or(|partition| letter.original_partition == partition)
            && self.from_offset.is_none_or(|from| letter.original_offset >= from)
            && self.to_offset.is_none_or(|to| letter.original_offset < to)
            && self.error_text.as_ref().is_none_or(|text| {
                let text = text.to_lowercase();
                let mut said = std::iter::once(&letter.error_message).chain(&letter.error_chain);
                said.any(|said| said.to_lowercase().contains(&text))
            })
            && is_one_of(&self.fingerprints, |wanted| letter.fingerprint().starts_with(wanted.as_str()))
    }
}

fn is_one_of<T>(wanted: &[T], is: impl FnMut(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(is)
}
