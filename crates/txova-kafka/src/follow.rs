//! Which keys have open dead letters of this group, and what that means for a record of theirs: it follows them. A state
//! machine that is told letters, decisions and records in the order of their keys; it must never know a client, a handler
//! or a clock.
//!
//! Architecture invariant *follow*: no record of a key is handled while an earlier one of it is an open dead letter of the
//! group.
//!
//! Everything is a matter of places in the partition's log, so that no answer depends on how soon somebody heard of
//! something. A letter stands where its event first stood, however often that was sent back (its *turn*). It is open for
//! the records before the one that was sent back for it, and no more behind that one, which is handled in its stead, if
//! no earlier letter of the key is open. So whatever arrives between the sending back and its news follows, and what
//! arrives behind it does not. Only letters that are discarded, or handled in the process that replays them, are no longer
//! open from the moment that is heard.

pub(crate) mod read;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hasher};

use txova_events::dlq::redrive;

use crate::dead_letter::{ResolutionState, offset_at};
use crate::record::{Record, TopicPartition};

/// Tells keys from each other; records without a key are of one key. Two keys with the same hash follow each other.
pub(crate) fn key_hash(key: Option<&[u8]>) -> u64 {
    let Some(key) = key else { return 0 };
    let mut hasher = DefaultHasher::new();
    hasher.write(key);
    hasher.finish()
}

/// The open letters of a group about records of the partitions it has here.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    partitions: HashMap<TopicPartition, Letters>,
}

#[derive(Debug, Default)]
struct Letters {
    /// By key and turn.
    keys: HashMap<u64, BTreeMap<i64, Letter>>,
    /// Key and turn of the letter about the record at each offset.
    places: HashMap<i64, (u64, i64)>,
    /// What was decided while letters are being read: it counts for what was read, too.
    while_reading: Option<Vec<Decision>>,
}

/// A dead letter of this group that is open somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub key: u64,
    /// Where its event first stood.
    pub turn: i64,
    /// The record that it is about.
    pub offset: i64,
    pub timestamp_ms: Option<i64>,
    /// The record that was sent back for it, once there is one.
    pub sent_to: Option<i64>,
}

/// What was decided about the letter about the record at an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub partition: TopicPartition,
    pub offset: i64,
    pub state: ResolutionState,
    /// Where in the same partition its record was sent back to.
    pub sent_to: Option<i64>,
}

/// What becomes of a record whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Handle,
    /// The letter whose event first stood there is open.
    Follows(i64),
    /// It is a dead letter already: its offset was not committed any more.
    IsLetter,
}

impl Letter {
    /// The letter about a record that cannot be handled.
    pub(crate) fn about(partition: &TopicPartition, record: &Record, group: &str) -> Self {
        Self {
            key: key_hash(record.key.as_deref()),
            turn: turn(partition, record, group),
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            sent_to: None,
        }
    }
}

/// Where the event of a record first stood, if it was sent back for this group.
fn turn(partition: &TopicPartition, record: &Record, group: &str) -> i64 {
    let is_ours = record.headers.text(redrive::GROUP) == Some(group);
    let origin = record.headers.text(redrive::ORIGIN).filter(|_| is_ours);
    let first = origin.and_then(|origin| offset_at(origin, (&partition.topic, partition.partition)));
    first.unwrap_or(record.offset)
}

impl Followed {
    /// A partition of which nothing is known yet.
    pub(crate) fn assigned(&mut self, partition: &TopicPartition) {
        self.partitions.insert(partition.clone(), Letters::default());
    }

    pub(crate) fn over(&mut self, partition: &TopicPartition) {
        self.partitions.remove(partition);
    }

    /// From now on the letters of this partition are being read.
    pub(crate) fn reads(&mut self, partition: &TopicPartition) {
        if let Some(letters) = self.partitions.get_mut(partition) {
            letters.while_reading = Some(Vec::new());
        }
    }

    /// The letters that were read.
    pub(crate) fn found(&mut self, partition: &TopicPartition, found: Vec<Letter>) {
        let Some(letters) = self.partitions.get_mut(partition) else { return };
        found.into_iter().for_each(|letter| letters.add(letter));
        for decision in letters.while_reading.take().unwrap_or_default() {
            letters.decide(&decision);
        }
    }

    /// The broker has this letter.
    pub(crate) fn written(&mut self, partition: &TopicPartition, letter: Letter) {
        if let Some(letters) = self.partitions.get_mut(partition) {
            letters.add(letter);
        }
    }

    /// True where that makes a letter open of which nothing is known here: letters are to be read again.
    pub(crate) fn decided(&mut self, decision: Decision) -> bool {
        let Some(letters) = self.partitions.get_mut(&decision.partition) else { return false };
        let is_unknown = letters.decide(&decision);
        if let Some(since) = &mut letters.while_reading {
            since.push(decision);
        }
        is_unknown
    }

    /// What becomes of a record whose turn it is: all before it of its key are settled.
    pub(crate) fn look(&mut self, partition: &TopicPartition, record: &Record, group: &str) -> Verdict {
        let is_for_another =
            || record.headers.get(redrive::GROUP).is_some_and(|wanted| wanted != group.as_bytes());
        let key = key_hash(record.key.as_deref());
        match self.partitions.get_mut(partition).filter(|letters| letters.keys.contains_key(&key)) {
            Some(letters) if !is_for_another() => letters.look(key, turn(partition, record, group), record),
            _ => Verdict::Handle,
        }
    }

    /// Letters that are kept in mind.
    pub(crate) fn letters(&self) -> usize {
        self.partitions.values().map(|letters| letters.places.len()).sum()
    }

    pub(crate) fn keys(&self) -> usize {
        self.partitions.values().map(|letters| letters.keys.len()).sum()
    }
}

impl Letters {
    fn add(&mut self, letter: Letter) {
        let of_key = self.keys.entry(letter.key).or_default();
        let older = of_key.get(&letter.turn).copied();
        if older.is_some_and(|older| older.offset > letter.offset) {
            return; // it came back, and failed again
        }
        of_key.insert(letter.turn, letter);
        if let Some(older) = older {
            self.places.remove(&older.offset);
        }
        self.places.insert(letter.offset, (letter.key, letter.turn));
    }

    fn remove(&mut self, offset: i64) {
        let Some((key, turn)) = self.places.remove(&offset) else { return };
        if let Some(of_key) = self.keys.get_mut(&key) {
            of_key.remove(&turn);
            if of_key.is_empty() {
                self.keys.remove(&key);
            }
        }
    }

    fn decide(&mut self, decision: &Decision) -> bool {
        let known = self.places.get(&decision.offset).copied();
        match (&decision.state, decision.sent_to) {
            (ResolutionState::Replayed, Some(sent_to)) => {
                let letter = known.and_then(|(key, turn)| self.keys.get_mut(&key)?.get_mut(&turn));
                letter.into_iter().for_each(|letter| letter.sent_to = Some(sent_to));
            }
            (ResolutionState::Replayed, None) | (ResolutionState::Discarded, _) => {
                self.remove(decision.offset)
            }
            (ResolutionState::Open, _) => return known.is_none(),
            (ResolutionState::Quarantined | ResolutionState::Other(_), _) => {}
        }
        false
    }

    fn look(&mut self, key: u64, turn: i64, record: &Record) -> Verdict {
        let offset = record.offset;
        let of_key = self.keys.get(&key).into_iter().flat_map(BTreeMap::values);
        // What was sent back to before here has been here.
        let has_passed = |letter: &&Letter| letter.sent_to.is_some_and(|sent_to| sent_to < offset);
        let is_back = |letter: &&Letter| letter.turn == turn && letter.offset < offset;
        let over: Vec<i64> = of_key
            .filter(|letter| has_passed(letter) || is_back(letter))
            .map(|letter| letter.offset)
            .collect();
        over.into_iter().for_each(|offset| self.remove(offset));
        let Some(of_key) = self.keys.get(&key) else { return Verdict::Handle };
        let is_it = |letter: &Letter| {
            // Another log's record at the same place would have another time.
            letter.offset == offset
                && letter.timestamp_ms.is_some()
                && letter.timestamp_ms == record.timestamp_ms
        };
        match of_key.first_key_value() {
            _ if of_key.get(&turn).is_some_and(is_it) => Verdict::IsLetter,
            Some((first, _)) if *first < turn => Verdict::Follows(*first),
            _ => Verdict::Handle,
        }
    }
}
