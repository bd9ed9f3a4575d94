//! Which entries are meant, as flags. It must never read one.

use clap::Args;
use txova_events::{DeadLetter, Time};
use txova_kafka::{DeadLetterEntry, EntryPlace, Replay, Selection};

use crate::failure::Failure;
use crate::place::Place;

use super::jq::Jq;

/// All that is given must hold; of a flag that is given more than once, one.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which")]
pub(crate) struct FilterArgs {
    /// Topics the letters are about (txova.rides.v1); every topic with a dead-letter topic where none is given.
    #[arg(value_name = "TOPIC")]
    pub topics: Vec<String>,
    /// An entry, as `ls --each` names it: txova.rides.v1.dlq/3/42.
    #[arg(long, value_name = "ENTRY")]
    entry: Vec<EntryPlace>,
    /// An event's type, or all that begin so: payment.failed, payment.*
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Vec<String>,
    /// The consumer group that failed.
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// The handler that failed.
    #[arg(long, value_name = "NAME")]
    handler: Vec<String>,
    /// What letters that failed alike have in common, or its beginning.
    #[arg(long, short, value_name = "HEX")]
    fingerprint: Vec<String>,
    /// The record's key.
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// The event's id.
    #[arg(long, value_name = "ID")]
    event_id: Vec<String>,
    /// In the error or its causes, in whatever case.
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Failed last at this time or later: a time (2026-11-24T08:00:00Z) or an age (2h, 3d).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Time>,
    /// Failed last before this time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Time>,
    /// The record's partition.
    #[arg(long, value_name = "N")]
    partition: Option<i32>,
    /// The record's offset: 100..200 are 100 to 199; either end can be left out.
    #[arg(long, value_name = "FROM..TO", value_parser = offsets)]
    offsets: Option<Offsets>,
    /// A jq expression about the letter's JSON, as `show --json` has it: '.envelope.payload.fare < 0'.
    #[arg(long, value_name = "EXPRESSION")]
    jq: Option<String>,
}

type Offsets = (Option<i64>, Option<i64>);

/// What was asked for, checked.
#[derive(Clone)]
pub(crate) struct Filter {
    pub topics: Vec<String>,
    pub selection: Selection,
    jq: Option<Jq>,
}

impl FilterArgs {
    pub(crate) fn read(self) -> Result<Filter, Failure> {
        let (from_offset, to_offset) = self.offsets.unwrap_or_default();
        let selection = Selection {
            entries: self.entry,
            event_types: self.event_type,
            groups: self.group,
            handlers: self.handler,
            fingerprints: self.fingerprint.into_iter().map(|hex| hex.to_lowercase()).collect(),
            keys: self.key,
            event_ids: self.event_id,
            error_text: self.error,
            from: self.since,
            to: self.until,
            partition: self.partition,
            from_offset,
            to_offset,
        };
        let jq = self.jq.as_deref().map(Jq::compile).transpose()?;
        let mut topics = self.topics;
        if topics.is_empty() {
            // Places name their topic.
            topics = selection.entries.iter().map(|entry| origin(&entry.topic).to_owned()).collect();
        }
        topics.sort();
        topics.dedup();
        Ok(Filter { topics, selection, jq })
    }
}

impl Filter {
    pub(crate) fn wants(&self, entry: &DeadLetterEntry) -> bool {
        self.selection.matches(entry)
            && self.jq.as_ref().is_none_or(|jq| entry.letter.as_ref().is_ok_and(|letter| jq.holds(letter)))
    }

    /// Whether nothing narrows it.
    pub(crate) fn is_everything(&self) -> bool {
        self.selection == Selection::default() && self.jq.is_none()
    }

    /// The same as a replay's choice.
    pub(crate) fn replay(self) -> Replay {
        let replay = Replay::new().topics(self.topics).select(self.selection);
        match self.jq {
            None => replay,
            Some(jq) => replay.filter(move |letter: &DeadLetter| jq.holds(letter)),
        }
    }
}

/// The topic that a dead-letter topic is about.
pub(crate) fn origin(dlq: &str) -> &str {
    dlq.strip_suffix(txova_events::topics::DLQ_SUFFIX).unwrap_or(dlq)
}

fn moment(text: &str) -> Result<Time, String> {
    let expected = "expected a time (2026-11-24T08:00:00Z) or an age (15m, 2h, 3d)";
    match text.parse::<Place>() {
        Ok(Place::At(unix_ms)) => Time::from_unix_ms(unix_ms).ok_or_else(|| expected.to_owned()),
        _ => Err(expected.to_owned()),
    }
}

fn offsets(text: &str) -> Result<Offsets, String> {
    let expected = || "expected 100..200, 100.. or ..200".to_owned();
    let (from, to) = text.split_once("..").ok_or_else(expected)?;
    let end = |text: &str| match text {
        "" => Ok(None),
        text => text.parse::<i64>().map(Some).map_err(|_| expected()),
    };
    Ok((end(from)?, end(to)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_range_has_one_end_or_both() {
        assert_eq!(offsets("100..200"), Ok((Some(100), Some(200))));
        assert_eq!((offsets("7.."), offsets("..9")), (Ok((Some(7), None)), Ok((None, Some(9)))));
        assert!(["100", "a..b", "1...2"].iter().all(|wrong| offsets(wrong).is_err()));
    }
}
