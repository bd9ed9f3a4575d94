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

#[cfg(test)]
mod tests {
    use txova_events::{DeadLetter, RawEnvelope};

    use super::*;

    fn entry() -> DeadLetterEntry {
        let failed = "2026-11-24T08:00:00Z".parse().unwrap();
        let mut letter = DeadLetter::new("txova.rides.v1", 3, 42, "The Gateway is away", failed);
        letter.envelope = Some(RawEnvelope::decode(br#"{"id":"e1","type":"ride.rated"}"#).unwrap());
        letter.error_chain = vec!["connection refused".to_owned()];
        letter.consumer_group = Some("payments".to_owned());
        letter.handler = Some("charge".to_owned());
        letter.original_key = Some(b"ride 7".to_vec());
        let place = "txova.rides.v1.dlq/0/9".parse().unwrap();
        DeadLetterEntry { place, letter: Ok(letter), resolution: None }
    }

    /// Asks for something that fits the entry, or does not.
    type Part<'a> = &'a dyn Fn(&mut Selection, bool);

    #[test]
    fn each_part_of_a_selection_narrows_it_and_all_that_is_asked_for_must_hold() {
        let entry = entry();
        let fingerprint = entry.letter.as_ref().unwrap().fingerprint().into_owned();
        let selection = |part: Part<'_>, fits: bool| {
            let mut selection = Selection::default();
            part(&mut selection, fits);
            selection
        };
        let one_of = |fits: bool, right: &str, wrong: &str| vec![if fits { right } else { wrong }.to_owned()];
        let parts: [Part<'_>; 14] = [
            &|it, fits| {
                let place = if fits { "txova.rides.v1.dlq/0/9" } else { "txova.rides.v1.dlq/0/8" };
                it.entries = vec![place.parse().unwrap()];
            },
            &|it, fits| it.event_types = one_of(fits, "ride.rated", "ride.rate"),
            &|it, fits| it.event_types = one_of(fits, "ride.*", "rides.*"),
            &|it, fits| it.groups = one_of(fits, "payments", "pay"),
            &|it, fits| it.handlers = one_of(fits, "charge", "refund"),
            &|it, fits| it.fingerprints = one_of(fits, &fingerprint[..8], "0123"),
            &|it, fits| it.keys = one_of(fits, "ride 7", "ride 8"),
            &|it, fits| it.event_ids = one_of(fits, "e1", "e2"),
            &|it, fits| it.error_text = one_of(fits, "gateway IS", "gateway was").pop(),
            &|it, fits| it.error_text = one_of(fits, "Refused", "reset").pop(),
            &|it, fits| {
                let from = if fits { "2026-11-24T08:00:00Z" } else { "2026-11-24T08:00:01Z" };
                it.from = Some(from.parse().unwrap());
            },
            &|it, fits| {
                let to = if fits { "2026-11-24T08:00:01Z" } else { "2026-11-24T08:00:00Z" };
                it.to = Some(to.parse().unwrap());
            },
            &|it, fits| it.from_offset = Some(if fits { 42 } else { 43 }),
            &|it, fits| (it.partition, it.to_offset) = (Some(3), Some(if fits { 43 } else { 42 })),
        ];
        let mut all = Selection::default();
        for (at, part) in parts.iter().enumerate() {
            assert!(selection(part, true).matches(&entry), "part {at}");
            assert!(!selection(part, false).matches(&entry), "part {at}");
            part(&mut all, true);
        }
        assert!(all.matches(&entry));
        for (at, part) in parts.iter().enumerate() {
            let mut but_one = all.clone();
            part(&mut but_one, false);
            assert!(!but_one.matches(&entry), "all but part {at}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_meant_by_its_place_alone() {
        let unreadable = DeadLetterEntry { letter: DeadLetter::decode(b"no json"), ..entry() };
        assert!(Selection::default().matches(&unreadable));
        let mut selection = Selection { entries: vec![unreadable.place.clone()], ..Selection::default() };
        assert!(selection.matches(&unreadable));
        selection.from_offset = Some(0);
        assert!(!selection.matches(&unreadable));
    }
}
