//! Dead letters: one at least for each poison, with its exact origin, and none for anything else.

use std::collections::HashMap;

use txova_events::DeadLetter;

use super::{Rule, World};
use crate::event::{GROUP, Kind, Numbered, TOPIC};
use crate::journal::Place;
use crate::oracle::Logged;

/// A record of the dead-letter topic.
pub(crate) struct Letter {
    read: Result<DeadLetter, String>,
    key: Option<Vec<u8>>,
    pub(crate) written_ms: i64,
}

impl Letter {
    pub(crate) fn place(&self) -> Option<Place> {
        let letter = self.read.as_ref().ok()?;
        Some(Place { partition: letter.original_partition, offset: letter.original_offset })
    }
}

pub(super) fn read(logged: &Logged) -> Letter {
    let read = DeadLetter::decode(&logged.value).map_err(|error| error.to_string());
    Letter { read, key: logged.key.clone(), written_ms: logged.timestamp_ms }
}

pub(super) fn check(world: &World) -> Vec<Rule> {
    let mut exact = Rule::new("every dead letter is of a poison, with its topic, partition, offset and body");
    let mut written: HashMap<Place, usize> = HashMap::new();
    for letter in &world.letters {
        let problem = problem(world, letter);
        exact.look(problem.is_none(), || format!("{:?}: {}", letter.place(), problem.unwrap_or_default()));
        if let Some(place) = letter.place() {
            *written.entry(place).or_default() += 1;
        }
    }
    let mut all = Rule::new("every poison has a dead letter");
    let mut often = Rule::new("no poison has more dead letters than times it was refused");
    for (index, record) in world.records.iter().enumerate() {
        if record.event.kind == Kind::Poison {
            let letters = written.get(&record.place).copied().unwrap_or(0);
            let refused = world.of(index).filter(|(_, it)| it.settled().is_some()).count();
            all.look(letters > 0, || format!("{:?}", record.place));
            often.look(letters <= refused, || {
                format!("{:?}: {letters} letters, refused {refused} times", record.place)
            });
        }
    }
    vec![exact, all, often]
}

fn problem(world: &World, letter: &Letter) -> Option<String> {
    let letter_key = letter.key.as_deref();
    let letter = match &letter.read {
        Ok(letter) => letter,
        Err(error) => return Some(format!("no letter: {error}")),
    };
    let place = Place { partition: letter.original_partition, offset: letter.original_offset };
    let Some(record) = world.by_place.get(&place).map(|index| &world.records[*index]) else {
        return Some("the log has no such record".to_owned());
    };
    let body = letter.envelope.as_ref().and_then(|envelope| envelope.decode_payload::<Numbered>().ok());
    let key = format!("key-{}", record.event.key).into_bytes();
    // A refusal that was committed before its letter counts at the next member, too.
    let refused = world.of(world.by_place[&place]).filter(|(_, it)| it.settled().is_some()).count() as i64;
    let wrong = [
        (record.event.kind != Kind::Poison, "the record is no poison"),
        (letter.original_topic != TOPIC, "another topic"),
        (letter.event_id() != record.event_id, "another event id"),
        (body.as_ref() != Some(&record.event), "another body"),
        (letter.original_key.as_ref() != Some(&key), "another key"),
        (!(1..=refused).contains(&letter.attempt_count), "another attempt count"),
        (letter_key != Some(record.event_id.as_bytes()), "filed under another key"),
        (letter.consumer_group.as_deref() != Some(GROUP), "another group"),
        (letter.error_message != "poison", "another error"),
    ];
    wrong.iter().find(|(wrong, _)| *wrong).map(|(_, what)| (*what).to_owned())
}
