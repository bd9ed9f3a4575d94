//! Entries in a few words, for tables and lines. It must never choose among them.

use txova_events::{DeadLetter, Time};
use txova_kafka::{DeadLetterEntry, Resolution};

use crate::output::Cell;

/// What a reader sees where nobody knows.
pub(crate) const UNKNOWN: &str = "–";

pub(crate) fn or_unknown(text: &str) -> String {
    if text.is_empty() { UNKNOWN.to_owned() } else { text.to_owned() }
}

pub(crate) fn optional(text: Option<&String>) -> String {
    text.map_or_else(|| UNKNOWN.to_owned(), |text| or_unknown(text))
}

/// Whole seconds.
pub(crate) fn moment(time: Time) -> String {
    match time.is_zero() {
        true => UNKNOWN.to_owned(),
        false => Time::from_unix_ms(time.unix_ms() / 1_000 * 1_000).unwrap_or(time).to_string(),
    }
}

/// The state, in the colour of what is to be done.
pub(crate) fn state(resolution: Option<&Resolution>) -> Cell {
    match resolution.map_or("open", |resolution| resolution.state.as_str()) {
        "open" => Cell::warm("open"),
        "replayed" => Cell::good("replayed"),
        "quarantined" => Cell::bad("quarantined"),
        other => Cell::faint(other),
    }
}

/// Where the record came from. Go services are not told, and write 0 and 0.
pub(crate) fn came_from(letter: &DeadLetter) -> String {
    let DeadLetter { original_topic, original_partition, original_offset, .. } = letter;
    match letter.consumer_group.is_none() && *original_partition == 0 && *original_offset == 0 {
        true => format!("{original_topic}, place unknown"),
        false => format!("{original_topic}/{original_partition}/{original_offset}"),
    }
}

/// Where it is and what is wrong with it.
pub(crate) fn line(entry: &DeadLetterEntry) -> String {
    match &entry.letter {
        Ok(letter) => format!(
            "{} {} {} {} {}: {}",
            moment(letter.last_failure),
            entry.place,
            or_unknown(letter.event_type()),
            optional(letter.consumer_group.as_ref()),
            letter.fingerprint(),
            letter.error_message
        ),
        Err(error) => format!("{} is no dead letter: {error}", entry.place),
    }
}
