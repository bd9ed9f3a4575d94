//! What was handled more than once, and by which fault. A repetition that no fault explains is a broken rule.
//!
//! A repetition belongs to a fault when the member that had the record before was killed, was stopped longer than the
//! group waits, lost its partitions or could not make its last commit, after it had begun the record and before the
//! record began again. A member that wakes from a stop after its partitions went to others (a zombie) can begin and
//! finish records that others have done or are doing, until it hears that they are lost: those are repetitions by a stop.

use serde::Serialize;

use super::{Handling, Rule, Story, World};
use crate::clock::At;
use crate::journal::{End, Note};

/// How old a finished handling may be that a kill takes back, in seconds: commits are due after 200 ms.
///
/// Not while the group waits for a member that was stopped or killed: the coordinator answers the requests of a
/// connection in turn, and a commit waits behind the request to join until that member's session is over.
const UNCOMMITTED_SECONDS: f64 = 5.0;
/// How long after waking a member may not have heard that it lost its partitions.
const ZOMBIE_SECONDS: f64 = 5.0;

/// Repetitions by cause.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Duplicates {
    /// Handlings that ended well, beyond the first of each record.
    pub(crate) handled_again: usize,
    /// Dead letters beyond the first of each poison.
    pub(crate) letters_again: usize,
    pub(crate) by_kill: usize,
    pub(crate) by_stop: usize,
    pub(crate) by_lost_partitions: usize,
    pub(crate) by_failed_last_commit: usize,
    pub(crate) unexplained: usize,
    /// Handlings a woken member began before it heard that its partitions were lost.
    pub(crate) begun_by_zombies: usize,
    /// Pairs of members that had a key in hand at the same time.
    pub(crate) keys_at_two_members: usize,
    /// How long before its member's kill the oldest handling had ended that came again, in seconds.
    pub(crate) oldest_uncommitted_at_kill_seconds: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Cause {
    Kill,
    Stop,
    Lost,
    LastCommit,
}

pub(super) fn check(world: &World) -> (Vec<Rule>, Duplicates) {
    let mut explained = Rule::new("every repetition belongs to a fault");
    let mut fresh = Rule::new("what a kill takes back was done shortly before it");
    let mut told = Duplicates::default();
    for index in 0..world.records.len() {
        let all: Vec<_> = world.of(index).collect();
        told.handled_again += all
            .iter()
            .filter(|(_, it)| it.end.is_some_and(|(_, end)| end == End::Done))
            .count()
            .saturating_sub(1);
        for pair in all.windows(2) {
            let [(a, first), (b, second)] = pair else { continue };
            if second.attempt > first.attempt && !std::ptr::eq(first, second) && first.settled().is_none() {
                continue; // the next attempt, here or at the next member
            }
            let cause = cause(a, first, b, second);
            match cause {
                Some(Cause::Kill) => {
                    told.by_kill += 1;
                    let age = age_at_kill(a, first);
                    let broker_was_away = world.broker_faults.iter().any(|(from, to)| {
                        first.start <= *to && a.killed().is_some_and(|killed| *from <= killed)
                    });
                    told.oldest_uncommitted_at_kill_seconds =
                        told.oldest_uncommitted_at_kill_seconds.max(age);
                    let group_waited = group_waited(world, a, first);
                    fresh.look(age <= UNCOMMITTED_SECONDS || broker_was_away || group_waited, || {
                        format!("{}: {:?} ended {age:.1} s before the kill", a.name, first.place)
                    });
                }
                Some(Cause::Stop) => told.by_stop += 1,
                Some(Cause::Lost) => told.by_lost_partitions += 1,
                Some(Cause::LastCommit) => told.by_failed_last_commit += 1,
                None => told.unexplained += 1,
            }
            explained.look(cause.is_some(), || {
                format!("{:?}: {} {first:?}, then {} {second:?}", first.place, a.name, b.name)
            });
        }
    }
    let mut poisons = std::collections::HashSet::new();
    told.letters_again = world.letters.iter().filter(|letter| !poisons.insert(letter.place())).count();
    told.begun_by_zombies = world.members.iter().map(begun_by_zombie).sum();
    told.keys_at_two_members = keys_at_two_members(world);
    (vec![explained, fresh], told)
}

fn cause(a: &Story, first: &Handling, b: &Story, second: &Handling) -> Option<Cause> {
    let between = |at: At| first.start <= at && at <= second.start;
    if a.killed().is_some_and(|at| at <= second.start) {
        return Some(Cause::Kill);
    }
    let near = |to| first.start.seconds_since(to) < ZOMBIE_SECONDS;
    if a.long_stops().any(|(from, to)| from <= second.start && near(to)) {
        return Some(Cause::Stop);
    }
    if b.long_stops().any(|(_, to)| second.start.seconds_since(to) < ZOMBIE_SECONDS && to <= second.start) {
        return Some(Cause::Stop);
    }
    let begins_late = a.lost_before(first.start).is_some();
    if a.noted(Note::Lost).any(between) || begins_late {
        return Some(Cause::Lost); // one that begins too late breaks a rule of its own
    }
    if b.noted(Note::Lost).any(|at| second.start <= at && at.seconds_since(second.start) < ZOMBIE_SECONDS) {
        return Some(Cause::Lost);
    }
    a.noted(Note::LastCommitFailed).any(|at| first.start <= at).then_some(Cause::LastCommit)
}

/// Whether another member kept the group waiting at some time between the handling's end and its member's kill.
fn group_waited(world: &World, story: &Story, handling: &Handling) -> bool {
    let (Some((ended, _)), Some(killed)) = (handling.end, story.killed()) else { return false };
    let others = world.members.iter().filter(|other| other.name != story.name);
    others.flat_map(Story::kept_others_waiting).any(|(from, to)| from <= killed && ended <= to)
}

fn age_at_kill(story: &Story, handling: &Handling) -> f64 {
    let ended = handling.end.map_or(At(u64::MAX), |(at, _)| at);
    story.killed().map_or(0.0, |killed| killed.seconds_since(ended))
}

fn begun_by_zombie(story: &Story) -> usize {
    let windows: Vec<_> = story
        .long_stops()
        .filter_map(|(_, woke)| {
            let lost = story.noted(Note::Lost).find(|at| *at >= woke)?;
            (lost.seconds_since(woke) < ZOMBIE_SECONDS).then_some((woke, lost))
        })
        .collect();
    let begun = |it: &&Handling| windows.iter().any(|(woke, lost)| *woke <= it.start && it.start <= *lost);
    story.handlings.iter().filter(begun).count()
}

fn keys_at_two_members(world: &World) -> usize {
    let mut all: Vec<(u32, At, At, usize)> = Vec::new();
    for (member, story) in world.members.iter().enumerate() {
        let killed = story.killed().unwrap_or(At(u64::MAX));
        let spans = story.handlings.iter();
        all.extend(spans.map(|it| (it.key, it.start, it.end.map_or(killed, |(at, _)| at), member)));
    }
    all.sort_unstable();
    let overlaps = |pair: &[(u32, At, At, usize)]| {
        pair[0].0 == pair[1].0 && pair[0].3 != pair[1].3 && pair[1].1 < pair[0].2
    };
    all.windows(2).filter(|pair| overlaps(pair)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Line, Place};
    use crate::process::Faults;

    fn ms(ms: u64) -> At {
        At(ms * 1_000_000)
    }

    fn story(lines: &[Line]) -> Story {
        Story::new("member", lines, &Faults::default(), 6.0)
    }

    fn start(at: At) -> Line {
        Line::Start { at, place: Place { partition: 0, offset: 7 }, key: 1, number: 1, attempt: 1 }
    }

    fn note(at: At, note: Note) -> Line {
        Line::Note { at, note }
    }

    #[test]
    fn a_member_that_repeats_what_it_has_done_and_lived_through_nothing_is_not_explained() {
        let calm = story(&[note(ms(0), Note::Assigned), start(ms(10)), start(ms(500))]);
        assert_eq!(cause(&calm, &calm.handlings[0], &calm, &calm.handlings[1]), None);
        let revoked = [note(ms(0), Note::Assigned), start(ms(10)), note(ms(20), Note::Revoked)];
        let revoked = story(&[&revoked[..], &[note(ms(30), Note::Assigned), start(ms(500))]].concat());
        assert_eq!(cause(&revoked, &revoked.handlings[0], &revoked, &revoked.handlings[1]), None);
        let lost_before =
            [note(ms(0), Note::Lost), note(ms(1), Note::Assigned), start(ms(10)), start(ms(500))];
        let lost_before = story(&lost_before);
        let [first, second] = lost_before.handlings[..] else { panic!("two") };
        assert_eq!(cause(&lost_before, &first, &lost_before, &second), None);
    }

    #[test]
    fn partitions_that_were_lost_explain_what_had_begun_by_then() {
        for began in [10, 21] {
            let mut lines = vec![note(ms(0), Note::Assigned), start(ms(began)), note(ms(20), Note::Lost)];
            lines.extend([note(ms(30), Note::Assigned), start(ms(500))]);
            let lost = story(&lines);
            let [first, second] = lost.handlings[..] else { panic!("two") };
            assert_eq!(cause(&lost, &first, &lost, &second), Some(Cause::Lost), "began after {began} ms");
        }
    }
}
