//! Commits: never beyond what was settled, and never back. Looked at many times a second while it all goes on.

use std::collections::{BTreeMap, HashMap};

use super::{Rule, World};
use crate::clock::At;
use crate::event::Kind;
use crate::journal::Place;

pub(super) fn check(world: &World) -> Vec<Rule> {
    let mut covered = Rule::new("no commit seen covered a record that was not settled by then");
    let mut forward = Rule::new("no partition's commit was seen to go back");
    let mut first_letter: HashMap<Place, i64> = HashMap::new();
    for letter in &world.letters {
        if let Some(place) = letter.place() {
            let first = first_letter.entry(place).or_insert(i64::MAX);
            *first = (*first).min(letter.written_ms);
        }
    }
    let mut next: BTreeMap<i32, usize> = BTreeMap::new();
    for (index, record) in world.records.iter().enumerate().rev() {
        next.insert(record.place.partition, index);
    }
    let mut seen: BTreeMap<i32, i64> = BTreeMap::new();
    for sample in &world.samples {
        for (partition, offset) in &sample.committed {
            let before = seen.insert(*partition, *offset).unwrap_or(0);
            forward.look(before <= *offset, || format!("partition {partition}: from {before} to {offset}"));
            // A record once found settled stays settled: only those newly covered are looked at.
            let Some(index) = next.get_mut(partition) else { continue };
            while let Some(record) = world
                .records
                .get(*index)
                .filter(|record| record.place.partition == *partition && record.place.offset < *offset)
            {
                let settled = world.of(*index).filter_map(|(_, it)| it.settled()).min();
                let letter = first_letter.get(&record.place).copied().unwrap_or(i64::MAX);
                let holds = settled.is_some_and(|at| at <= sample.at)
                    && (record.event.kind != Kind::Poison || letter <= sample.wall_ms);
                covered.look(holds, || told(record.place, settled, sample.at, *offset));
                *index += 1;
            }
        }
    }
    vec![covered, forward]
}

fn told(place: Place, settled: Option<At>, at: At, committed: i64) -> String {
    format!("{place:?}: {committed} was committed at {at:?}, and the record was settled at {settled:?}")
}
