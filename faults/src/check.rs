//! Accounts for every record: what was acknowledged, what the logs hold, what members did, what was committed. It knows
//! only what was seen from outside.

mod commits;
mod duplicates;
mod letters;
mod log;
mod order;
mod settled;
mod story;

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::clock::At;
use crate::event::Numbered;
use crate::failure::{Context, Result};
use crate::journal::Place;
use crate::oracle::Logged;
use crate::produce::Produced;

pub(crate) use self::duplicates::Duplicates;
pub(crate) use self::letters::Letter;
pub(crate) use self::story::{Handling, Story};

/// How many cases of a broken rule are told in words.
const SHOWN: usize = 5;

/// A record of the log.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) place: Place,
    pub(crate) event: Numbered,
    pub(crate) event_id: String,
}

/// What the group had committed at a moment, or earlier.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// After the answer had come.
    pub(crate) at: At,
    pub(crate) wall_ms: i64,
    pub(crate) committed: BTreeMap<i32, i64>,
}

/// All that was seen of a run.
pub(crate) struct World {
    /// By partition and offset.
    pub(crate) records: Vec<Record>,
    pub(crate) by_place: HashMap<Place, usize>,
    pub(crate) produced: Vec<Produced>,
    pub(crate) letters: Vec<Letter>,
    pub(crate) members: Vec<Story>,
    pub(crate) samples: Vec<Sample>,
    /// When brokers were away, with the time it takes to come back.
    pub(crate) broker_faults: Vec<(At, At)>,
    /// One handling of one record each, by record, then by start: member and handling.
    pub(crate) handlings: Vec<Vec<(usize, usize)>>,
}

/// A rule, and where it was broken.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Rule {
    pub(crate) rule: &'static str,
    /// How many cases were looked at.
    pub(crate) looked_at: usize,
    pub(crate) broken: usize,
    pub(crate) examples: Vec<String>,
}

impl Rule {
    pub(crate) fn new(rule: &'static str) -> Self {
        Self { rule, looked_at: 0, broken: 0, examples: Vec::new() }
    }

    pub(crate) fn look(&mut self, holds: bool, example: impl FnOnce() -> String) {
        self.looked_at += 1;
        if !holds {
            self.broken += 1;
            if self.examples.len() < SHOWN {
                self.examples.push(example());
            }
        }
    }
}

impl World {
    pub(crate) fn new(
        logged: Vec<Logged>,
        produced: Vec<Produced>,
        letters: &[Logged],
        members: Vec<Story>,
        samples: Vec<Sample>,
        broker_faults: Vec<(At, At)>,
    ) -> Result<Self> {
        let mut records = logged.iter().map(record).collect::<Result<Vec<_>>>()?;
        records.sort_by_key(|record| record.place);
        let by_place: HashMap<_, _> =
            records.iter().enumerate().map(|(index, record)| (record.place, index)).collect();
        let mut handlings = vec![Vec::new(); records.len()];
        for (member, story) in members.iter().enumerate() {
            for (handling, seen) in story.handlings.iter().enumerate() {
                if let Some(record) = by_place.get(&seen.place) {
                    handlings[*record].push((member, handling));
                }
            }
        }
        for of_record in &mut handlings {
            of_record.sort_by_key(|(member, handling)| members[*member].handlings[*handling].start);
        }
        let letters = letters.iter().map(letters::read).collect();
        Ok(Self { records, by_place, produced, letters, members, samples, broker_faults, handlings })
    }

    /// Every rule. What was said twice is told beside them.
    pub(crate) fn check(&self) -> (Vec<Rule>, Duplicates) {
        let (explained, duplicates) = duplicates::check(self);
        let mut rules = log::check(self);
        rules.extend(settled::check(self));
        rules.extend(letters::check(self));
        rules.extend(order::check(self));
        rules.extend(commits::check(self));
        rules.extend(explained);
        (rules, duplicates)
    }

    /// The handlings of a record, by their start.
    pub(crate) fn of(&self, record: usize) -> impl Iterator<Item = (&Story, &Handling)> {
        self.handlings[record].iter().map(|(member, handling)| {
            let story = &self.members[*member];
            (story, &story.handlings[*handling])
        })
    }
}

fn record(logged: &Logged) -> Result<Record> {
    let place = Place { partition: logged.partition, offset: logged.offset };
    let at = || format!("the record at partition {} offset {}", place.partition, place.offset);
    let envelope = txova_events::EnvelopeRef::decode(&logged.value).context(at)?;
    let event = envelope.decode_payload::<Numbered>().context(at)?;
    Ok(Record { place, event, event_id: envelope.id.to_string() })
}
