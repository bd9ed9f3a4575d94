//! What readers see, against what handlers did and what the group has committed. It must never ask an app.

use std::collections::{BTreeMap, HashMap};

use txova_events::{DeadLetter, EnvelopeRef};

use super::super::super::{DLQ, GROUP, TOPIC};
use super::super::{Forwarded, OUT};
use super::handler::{At, End, Facts, Nature};
use crate::config::Order;
use crate::engine::offset_map;
use crate::record::{Record, TopicPartition};
use crate::testing::Cluster;

/// One published event: of which record, its number among those of the record, and of which run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Output {
    of: At,
    number: usize,
    run: usize,
}

/// What is seen, in the order in which it could be.
#[derive(Default)]
pub(super) struct Account {
    read: HashMap<TopicPartition, i64>,
    outputs: BTreeMap<At, Vec<Output>>,
    letters: BTreeMap<At, Vec<DeadLetter>>,
    /// Of each key, in the order of its partition's log.
    by_key: BTreeMap<String, Vec<Output>>,
    pub story: Vec<String>,
}

impl Account {
    /// Reads what is new. What is seen now must be committed now, however many partitions that takes.
    pub(super) fn look(&mut self, cluster: &Cluster, after: std::time::Duration) -> Result<(), String> {
        let mut seen = Vec::new();
        for topic in [OUT, DLQ] {
            for (partition, record) in cluster.records(topic) {
                let next = self.read.entry(partition.clone()).or_default();
                if record.offset < *next {
                    continue;
                }
                *next = record.offset + 1;
                seen.push(if topic == OUT { self.output(&record) } else { self.letter(&record)? });
                self.story.push(format!("{after:?} {topic} {partition} {:?}", seen.last()));
            }
        }
        seen.sort_unstable();
        seen.dedup();
        let uncommitted: Vec<At> = seen.into_iter().filter(|at| !is_committed(cluster, *at)).collect();
        match uncommitted.is_empty() {
            true => Ok(()),
            false => Err(format!("seen, and not committed: {uncommitted:?}")),
        }
    }

    fn output(&mut self, record: &Record) -> At {
        let envelope = EnvelopeRef::decode(record.value.as_deref().unwrap()).unwrap();
        let Forwarded { key, of } = envelope.decode_payload::<Forwarded>().unwrap();
        let mut numbers = of.split(' ').map(|number| number.parse::<i64>().unwrap());
        let mut next = || numbers.next().unwrap();
        let of = (next() as i32, next());
        let output = Output { of, number: next() as usize, run: next() as usize };
        self.outputs.entry(of).or_default().push(output);
        self.by_key.entry(key).or_default().push(output);
        of
    }

    fn letter(&mut self, record: &Record) -> Result<At, String> {
        let letter =
            DeadLetter::decode(record.value.as_deref().unwrap()).map_err(|error| error.to_string())?;
        let at = (letter.original_partition, letter.original_offset);
        self.letters.entry(at).or_default().push(letter);
        Ok(at)
    }

    /// The account at the end.
    pub(super) fn settle(&self, facts: &mut Facts, order: Order) -> Result<(), String> {
        let written: Vec<(At, Nature)> = facts.written.iter().map(|(at, it)| (*at, it.nature)).collect();
        for (at, nature) in written {
            let none = Vec::new();
            let outputs = self.outputs.get(&at).unwrap_or(&none);
            let letters = self.letters.get(&at).map_or(&[][..], |letters| letters);
            let wrong = |what: &str| {
                let runs = facts.runs.iter().filter(|run| run.at == at).map(|run| (run.attempt, run.end));
                let runs: Vec<_> = runs.collect();
                Err(format!(
                    "{what}: {at:?} ({nature:?}) left {outputs:?} and {} letters, ran {runs:?}",
                    letters.len()
                ))
            };
            let event = match (nature, &outputs[..], letters) {
                (Nature::Skipped | Nature::Tombstone, [], []) => "skipped",
                (Nature::Garbage, [], [_]) => "letter of what is no event",
                (Nature::Poison | Nature::Skipped, [], [_]) => "letter of a handler's",
                (Nature::Sound, [], [letter]) if letter.error_message.contains("cannot be written") => {
                    "letter of what was too large"
                }
                (Nature::Sound, [], [_]) => "letter of a handler's",
                (Nature::Sound, [first, ..], []) => {
                    let in_order = outputs
                        .iter()
                        .enumerate()
                        .all(|(number, output)| output.number == number && output.run == first.run);
                    let run = &facts.runs[first.run];
                    let whole = outputs.len() == facts.written[&at].outputs;
                    if !in_order || !whole {
                        return wrong("exactly once, and of one attempt");
                    }
                    if run.end != Some(End::Handled) || run.at != at {
                        return wrong("of an attempt that succeeded");
                    }
                    if facts.runs.iter().filter(|other| other.at == at).count() > 1 {
                        facts.saw("one of several attempts");
                    }
                    "outputs of a record"
                }
                _ => return wrong("exactly once"),
            };
            facts.saw(event);
        }
        if order != Order::None {
            for (key, outputs) in &self.by_key {
                let places: Vec<_> = outputs.iter().map(|output| (output.of, output.number)).collect();
                if !places.is_sorted() {
                    return Err(format!("order for a key: {key} is published as {places:?}"));
                }
            }
        }
        Ok(())
    }
}

/// Whether the group has committed a record as done.
fn is_committed(cluster: &Cluster, (p, offset): At) -> bool {
    let Some((position, metadata)) = cluster.committed_by(GROUP, &TopicPartition::new(TOPIC, p)) else {
        return false;
    };
    let map = offset_map::decode(position, &metadata).unwrap_or_default();
    offset < position || map.done.iter().any(|run| run.contains(&offset))
}
