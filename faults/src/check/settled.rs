//! Nothing lost: every record in the log was handled to its end, poison by its dead letter.

use std::collections::HashSet;

use super::{Rule, World};
use crate::event::Kind;
use crate::journal::End;

pub(super) fn check(world: &World) -> Vec<Rule> {
    let letters: HashSet<_> = world.letters.iter().filter_map(|letter| letter.place()).collect();
    let mut lost = Rule::new("nothing is lost: every record was handled, or is on the dead-letter topic");
    let mut true_to = Rule::new("no handler saw another record than the log has at that place");
    for (index, record) in world.records.iter().enumerate() {
        let settled = match record.event.kind {
            Kind::Poison => letters.contains(&record.place),
            _ => world.of(index).any(|(_, it)| it.end.is_some_and(|(_, end)| end == End::Done)),
        };
        lost.look(settled, || {
            let seen: Vec<_> = world.of(index).map(|(story, it)| (&story.name, it.start, it.end)).collect();
            format!("{:?} key {} number {}: {seen:?}", record.place, record.event.key, record.event.number)
        });
    }
    for story in &world.members {
        for it in &story.handlings {
            let event = world.by_place.get(&it.place).map(|index| &world.records[*index].event);
            let same = event.is_some_and(|event| (event.key, event.number) == (it.key, it.number));
            true_to.look(same, || format!("{}: {it:?}, and the log has {event:?}", story.name));
        }
    }
    vec![lost, true_to]
}
