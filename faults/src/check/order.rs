//! Order for a key. For first deliveries it holds without exception, over all members: a member starts a record only
//! when the one before it of that key is settled, by itself or by a commit it began from. So what a stopped member does
//! when it wakes after its partitions went to others can repeat records, and cannot overtake any.

use std::collections::HashMap;

use super::story::WRITTEN_SECONDS;
use super::{Rule, World};
use crate::clock::At;
use crate::journal::{Note, Place};

pub(super) fn check(world: &World) -> Vec<Rule> {
    vec![
        first_deliveries(world),
        no_overlap(world),
        once_in_an_assignment(world),
        nothing_in_a_lost_assignment(world),
    ]
}

fn first_deliveries(world: &World) -> Rule {
    let mut rule = Rule::new("a record first starts after the one before it of its key has first ended");
    let mut last: HashMap<u32, (usize, Option<At>)> = HashMap::new();
    for (index, record) in world.records.iter().enumerate() {
        let started = world.of(index).map(|(_, it)| it.start).min();
        let ended = world.of(index).filter_map(|(_, it)| it.settled()).min();
        if let Some((before, ended_before)) = last.insert(record.event.key, (index, ended)) {
            let in_order = match (ended_before, started) {
                (Some(ended), Some(started)) => ended <= started,
                (None, Some(_)) => false,
                (_, None) => true, // told as lost
            };
            rule.look(in_order, || {
                let place = world.records[before].place;
                let key = record.event.key;
                format!(
                    "key {key}: {:?} started at {started:?}, {place:?} ended at {ended_before:?}",
                    record.place
                )
            });
        }
    }
    rule
}

fn no_overlap(world: &World) -> Rule {
    let mut rule = Rule::new("no member handles two records of a key at once");
    for story in &world.members {
        let mut busy: HashMap<u32, (At, Place)> = HashMap::new();
        for it in &story.handlings {
            let end = it.end.map_or(At(u64::MAX), |(at, _)| at);
            let before = busy.insert(it.key, (end, it.place));
            rule.look(before.is_none_or(|(until, _)| until <= it.start), || {
                format!("{}: key {}: {:?} started inside {before:?}", story.name, it.key, it.place)
            });
        }
    }
    rule
}

fn once_in_an_assignment(world: &World) -> Rule {
    let mut rule = Rule::new("no attempt at a record starts twice in one assignment");
    for story in &world.members {
        let mut started: HashMap<(Place, u32), At> = HashMap::new();
        for it in &story.handlings {
            let before = started.insert((it.place, it.attempt), it.start);
            let again = |at: &At| !story.noted(Note::Assigned).any(|note| *at <= note && note <= it.start);
            rule.look(!before.as_ref().is_some_and(again), || {
                format!(
                    "{}: {:?} attempt {} at {before:?} and {:?}",
                    story.name, it.place, it.attempt, it.start
                )
            });
        }
    }
    rule
}

fn nothing_in_a_lost_assignment(world: &World) -> Rule {
    let mut rule = Rule::new("nothing begins at a member that knows that its partitions are lost");
    for story in &world.members {
        for it in &story.handlings {
            let lost = story.lost_before(it.start);
            rule.look(lost.is_none_or(|lost| it.start.seconds_since(lost) <= WRITTEN_SECONDS), || {
                format!("{}: {it:?}, and its partitions were lost at {lost:?}", story.name)
            });
        }
    }
    rule
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Story;
    use crate::journal::Line;
    use crate::process::Faults;

    #[test]
    fn what_begins_after_a_loss_and_before_the_next_assignment_breaks_a_rule() {
        let start = |offset, ms: u64| {
            let (at, place) = (At(ms * 1_000_000), Place { partition: 0, offset });
            Line::Start { at, place, key: 1, number: 1, attempt: 1 }
        };
        let note = |note, ms: u64| Line::Note { at: At(ms * 1_000_000), note };
        let before = [note(Note::Assigned, 0), start(0, 10), note(Note::Lost, 2_000), start(1, 2_001)];
        let after = [start(2, 2_500), note(Note::Assigned, 3_000), start(2, 3_010)];
        let story = Story::new("member", &[&before[..], &after[..]].concat(), &Faults::default(), 6.0);
        let world = World::new(vec![], vec![], &[], vec![story], vec![], vec![]).expect("a world");
        let rule = nothing_in_a_lost_assignment(&world);
        assert_eq!((rule.looked_at, rule.broken), (4, 1), "{:?}", rule.examples);
    }
}
