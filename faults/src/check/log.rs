//! The way in: what was acknowledged is in the log, each key in one partition and in order.

use std::collections::HashMap;

use super::{Rule, World};
use crate::journal::Place;

pub(super) fn check(world: &World) -> Vec<Rule> {
    let mut there = Rule::new("every acknowledged record is in the log where the acknowledgement says");
    for produced in &world.produced {
        let Some((partition, offset)) = produced.place else { continue };
        let found =
            world.by_place.get(&Place { partition, offset }).map(|index| &world.records[*index].event);
        let same = found.is_some_and(|event| (event.key, event.number) == (produced.key, produced.number));
        there.look(same, || format!("{produced:?}, found {found:?}"));
    }
    let mut order = Rule::new("the log has each key in one partition, its numbers rising, none twice");
    let mut last: HashMap<u32, (i32, u32)> = HashMap::new();
    for record in &world.records {
        let (partition, number) = (record.place.partition, record.event.number);
        let before = last.insert(record.event.key, (partition, number));
        let fits = before.is_none_or(|(other, previous)| other == partition && previous < number);
        order.look(fits, || format!("key {} number {number} behind {before:?}", record.event.key));
    }
    vec![there, order]
}
