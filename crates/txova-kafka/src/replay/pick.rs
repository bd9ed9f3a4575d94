//! From everything there is to the letters that are meant, and a count of the others. It must never change anything.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use txova_events::{DeadLetter, topics};

use crate::dead_letter::list::{Topics, scan};
use crate::dead_letter::{DeadLetterEntry, EntryPlace, ResolutionState, first_offset, origin_of};
use crate::record::TopicPartition;
use crate::router::Routes;

use super::bodies::Bodies;
use super::letter::Picked;
use super::run::doing;
use super::{Plan, Replay, ReplayError, ReplayReport, UnreadableEntry};

/// A letter that was picked, as light as it can be: there may be millions.
pub(super) struct Pick {
    pub place: EntryPlace,
    pub origin: Origin,
    /// Where its event stood before it was ever sent back: what came first is taken up first.
    pub first: i64,
    /// The consumer group it is for.
    pub group: Arc<str>,
    /// It is no letter, as far as can be read.
    pub is_unreadable: bool,
    /// Empty where nobody knows.
    pub event_id: Box<str>,
    /// The record's key; `None` where nobody knows.
    pub key: Option<Box<[u8]>>,
    /// The letter's size.
    pub bytes: usize,
    /// The letter, while it is in memory.
    pub value: Option<Bytes>,
}

/// Where the record of a letter was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
}

impl Pick {
    /// Reads the letter once more, where it is in memory.
    pub(super) fn letter(&self) -> Result<Picked, String> {
        let value = self.value.as_deref().ok_or("it is no longer there")?;
        let letter = DeadLetter::decode(value).map_err(|error| error.to_string())?;
        Ok(Picked { place: self.place.clone(), letter })
    }

    /// In which order letters are taken up.
    fn turn(&self) -> impl Ord + '_ {
        (&self.origin.topic, self.origin.partition, self.first, self.origin.offset, &self.place)
    }
}

/// Who picks: an app, for its own group and handlers, or anybody.
pub(super) struct Picker<'a> {
    pub replay: &'a Replay,
    /// The one group and its handlers.
    pub app: Option<(&'a str, &'a Routes)>,
    /// Letters in these states are wanted.
    pub states: &'a [ResolutionState],
    /// Entries that cannot be read are picked too, and letters without a group: nobody tries them.
    pub takes_anything: bool,
}

/// What was picked and what was not.
pub(super) struct Picks {
    pub picks: Vec<Pick>,
    pub report: ReplayReport,
    pub unhandled: Unhandled,
}

/// The records that are dead letters, picked or not, and were not replayed: their group has not handled them.
#[derive(Default)]
pub(super) struct Unhandled(HashMap<(Arc<str>, TopicPartition), HashSet<i64>>);

impl Unhandled {
    pub(super) fn of(&self, group: &Arc<str>, partition: &TopicPartition) -> Option<&HashSet<i64>> {
        self.0.get(&(Arc::clone(group), partition.clone()))
    }

    fn note(&mut self, letter: &DeadLetter, group: &str, names: &mut Names) {
        let topic = names.name(&letter.original_topic);
        let partition = TopicPartition::new(topic, letter.original_partition);
        self.0.entry((names.name(group), partition)).or_default().insert(letter.original_offset);
    }
}

impl Picker<'_> {
    /// Reads everything. `origins` are the topics where none are asked for.
    pub(super) async fn pick(
        &self,
        kafka: &crate::kafka::Kafka,
        there: &Topics,
        origins: &[String],
    ) -> Result<Picks, ReplayError> {
        let asked = &self.replay.topics;
        let exists = |topic: &str| there.partitions(topic).is_some();
        if let Some(topic) = asked.iter().find(|topic| !exists(topic) && !exists(&topics::dlq_topic(topic))) {
            return Err(ReplayError::UnknownTopic { topic: topic.clone() });
        }
        let of_plan = self.replay.plan.as_ref().map(|plan| plan.topics().collect::<Vec<_>>());
        let origins = match (asked.is_empty(), &of_plan) {
            (false, _) => asked,
            (true, Some(topics)) => topics,
            (true, None) => origins,
        };
        let mut picks =
            Picks { picks: Vec::new(), report: ReplayReport::default(), unhandled: Unhandled::default() };
        picks.report.topics = match of_plan.as_ref().is_some_and(Vec::is_empty) {
            true => return Ok(picks),
            false => there.dead_letter_topics(origins).into_iter().map(|(topic, _)| topic).collect(),
        };
        let mut planned = self.replay.plan.as_ref().map(Plan::by_place);
        let (mut names, mut bodies) = (Names::default(), Bodies::default());
        let read = scan(kafka, there, origins, |entry, record| {
            if let (Ok(letter), false) = (&entry.letter, entry.is_replayed())
                && let Some(group) = &letter.consumer_group
            {
                picks.unhandled.note(letter, group, &mut names);
            }
            let value = record.value.unwrap_or_default();
            let mut picked = self.look(entry, value, &mut planned, &mut names, &mut picks.report);
            if let Some(pick) = &mut picked {
                bodies.keep(pick);
            }
            picks.picks.extend(picked);
        });
        read.await.map_err(doing("reading the dead letters"))?;
        picks.report.gone = planned.into_iter().flatten().map(|(place, _)| place).collect();
        picks.report.gone.sort();
        picks.picks.sort_by(|a, b| a.turn().cmp(&b.turn()));
        Ok(picks)
    }

    fn look(
        &self,
        entry: DeadLetterEntry,
        value: Bytes,
        planned: &mut Option<HashMap<EntryPlace, (String, String)>>,
        names: &mut Names,
        report: &mut ReplayReport,
    ) -> Option<Pick> {
        report.read += 1;
        if let Some(planned) = planned {
            let same = |(origin, event_id): &(String, String)| match &entry.letter {
                Ok(letter) => *origin == origin_of(letter) && *event_id == letter.event_id(),
                Err(_) => origin.is_empty(),
            };
            // Another letter at the place of one that was planned is none of the plan's: that one is gone.
            match planned.get(&entry.place).is_some_and(same) {
                true => drop(planned.remove(&entry.place)),
                false => {
                    report.passed_over += 1;
                    return None;
                }
            }
        }
        let state = entry.resolution.as_ref().map(|resolution| resolution.state.clone()).unwrap_or_default();
        let unreadable = match (&entry.letter, &state) {
            (_, state) if !self.states.contains(state) => match state {
                ResolutionState::Other(state) => Some(format!(
                    "its resolution has a state that is not known here, and it is left alone: {state}"
                )),
                _ => {
                    report.resolved_before += 1;
                    return None;
                }
            },
            (Err(error), _) if !self.takes_anything => Some(error.to_string()),
            _ => None,
        };
        if let Some(reason) = unreadable {
            report.unreadable.push(UnreadableEntry { place: entry.place, reason });
            return None;
        }
        let count = match self.sift(&entry) {
            Ok(group) => {
                let (origin, first, event_id, key) = match &entry.letter {
                    Ok(letter) => {
                        let key = letter.original_key.as_deref().map(Box::from);
                        (names.origin(letter), first_offset(letter), letter.event_id().into(), key)
                    }
                    Err(_) => (names.place(&entry.place), entry.place.offset, Box::default(), None),
                };
                return Some(Pick {
                    origin,
                    first,
                    group: names.name(&group),
                    is_unreadable: entry.letter.is_err(),
                    event_id,
                    key,
                    bytes: value.len(),
                    value: Some(value),
                    place: entry.place,
                });
            }
            Err(Reason::Unnamed) => &mut report.unnamed,
            Err(Reason::OtherGroup) => &mut report.other_groups,
            Err(Reason::NotMeant) => &mut report.passed_over,
            Err(Reason::Nobodys) => &mut report.unhandled,
        };
        *count += 1;
        None
    }

    /// The group it is for, or why it is not picked.
    fn sift(&self, entry: &DeadLetterEntry) -> Result<String, Reason> {
        let replay = self.replay;
        let Ok(letter) = &entry.letter else {
            // Nothing can be said of what cannot be read but its place.
            let is_meant = replay.filter.is_none() && replay.selection.matches(entry);
            return if is_meant { Ok(String::new()) } else { Err(Reason::NotMeant) };
        };
        let group = match (letter.consumer_group.as_ref(), replay.unnamed_as.as_ref()) {
            (Some(group), _) | (None, Some(group)) => group.as_str(),
            (None, None) if self.takes_anything => "",
            (None, None) => return Err(Reason::Unnamed),
        };
        if self.app.is_some_and(|(own, _)| own != group) {
            return Err(Reason::OtherGroup);
        }
        if !replay.selection.matches(entry) || replay.filter.as_ref().is_some_and(|filter| !filter(letter)) {
            return Err(Reason::NotMeant);
        }
        // An event that no handler here takes: its policy may be to ignore it, which would settle a letter that nobody
        // has handled.
        let is_nobodys = |routes: &Routes| {
            let event_type = letter.envelope.as_ref().map(|envelope| &envelope.event_type);
            event_type.is_some_and(|event_type| routes.handler_of(event_type).is_none())
        };
        match self.app.is_some_and(|(_, routes)| is_nobodys(routes)) {
            true => Err(Reason::Nobodys),
            false => Ok(group.to_owned()),
        }
    }
}

enum Reason {
    Unnamed,
    OtherGroup,
    NotMeant,
    Nobodys,
}

/// Names that many letters have in common, each kept once.
#[derive(Default)]
struct Names(HashSet<Arc<str>>);

impl Names {
    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = name.into();
        self.0.insert(Arc::clone(&new));
        new
    }

    fn origin(&mut self, letter: &DeadLetter) -> Origin {
        let topic = self.name(&letter.original_topic);
        Origin { topic, partition: letter.original_partition, offset: letter.original_offset }
    }

    fn place(&mut self, place: &EntryPlace) -> Origin {
        Origin { topic: Arc::clone(&place.topic), partition: place.partition, offset: place.offset }
    }
}
