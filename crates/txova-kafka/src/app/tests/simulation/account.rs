//! The account at the end: commits and dead letters against what really happened.

use std::collections::BTreeMap;

use tokio::time::Instant;
use txova_events::DeadLetter;

use super::super::{DLQ, GROUP, TOPIC};
use super::letters::follows;
use super::story::{At, Nature};
use super::world::World;
use crate::engine::offset_map::{self, OffsetMap};
use crate::testing::CommitRecord;

impl World {
    pub(super) fn account(&self) {
        self.every_record_is_settled();
        let mut last: BTreeMap<i32, (i64, OffsetMap)> = BTreeMap::new();
        for commit in self.cluster.commits() {
            self.check_commit(&commit, &mut last);
        }
        self.check_letters();
    }

    fn every_record_is_settled(&self) {
        let story = self.story();
        let facts = story.facts();
        let lost: Vec<At> =
            facts.written.keys().copied().filter(|at| facts.settled_at(*at).is_none()).collect();
        drop(facts);
        self.holds(lost.is_empty(), || format!("nothing dropped: never settled: {lost:?}"));
    }

    fn check_commit(&self, commit: &CommitRecord, last: &mut BTreeMap<i32, (i64, OffsetMap)>) {
        let CommitRecord { partition, offset, metadata, at, member, .. } = commit;
        let p = partition.partition;
        let map = match offset_map::decode(*offset, metadata) {
            Ok(map) => map,
            Err(error) => return self.holds(false, || format!("a commit of {partition}: {error}")),
        };
        let story = self.story();
        let mut facts = story.facts();
        let told = format!("commit {member} {:?} {partition} {offset} {:?}", *at - facts.began, map.done);
        facts.tell(&told);
        if !map.done.is_empty() {
            facts.saw("commit with done records");
        }
        if !map.failing.is_empty() {
            facts.saw("commit with failing records");
        }
        let covers =
            |offset: i64, map: &OffsetMap, o: i64| o < offset || map.done.iter().any(|run| run.contains(&o));
        let mut untrue = Vec::new();
        let mut forgotten = Vec::new();
        for ((_, o), _) in facts.written.range((p, 0)..(p + 1, 0)) {
            let settled = facts.settled_at((p, *o)).is_some_and(|settled| settled <= *at);
            if covers(*offset, &map, *o) && !settled {
                untrue.push(*o);
            }
            let before = last.get(&p).is_some_and(|(offset, map)| covers(*offset, map, *o));
            if before && !covers(*offset, &map, *o) {
                forgotten.push(*o);
            }
        }
        let after = *at - facts.began;
        facts.holds(untrue.is_empty(), || {
            format!("commit-covers-settled: after {after:?} {member} commits {partition} at {offset}, and {untrue:?} are not settled")
        });
        facts.holds(forgotten.is_empty(), || {
            format!("a commit of {partition} at {offset} forgets that {forgotten:?} are done")
        });
        let untold = map.failing.iter().find(|failing| {
            let failures = facts.written.get(&(p, failing.offset)).map_or(0, |written| written.failures);
            let no_event = facts.written.get(&(p, failing.offset)).map(|written| written.nature);
            // Each time it turns out to follow counts as a failure.
            let may_follow = facts.may_follow((p, failing.offset));
            failing.attempts > failures && !no_event.is_some_and(Nature::is_no_event) && !may_follow
        });
        let untold = untold.copied();
        facts.holds(untold.is_none(), || {
            format!("a commit of {partition} counts failures that were none: {untold:?}")
        });
        drop(facts);
        last.insert(p, (*offset, map));
    }

    fn check_letters(&self) {
        let story = self.story();
        let mut facts = story.facts();
        facts.check_letters_of_outages();
        let unreadable = facts.letters.unreadable.first().cloned();
        facts.holds(unreadable.is_none(), || format!("a dead letter cannot be read: {unreadable:?}"));
        let letters: Vec<(At, Vec<(Instant, DeadLetter)>)> =
            facts.letters.by_origin.iter().map(|(at, letters)| (*at, letters.clone())).collect();
        for (at, letters) in letters {
            if letters.len() > 1 {
                facts.saw("dead letter twice");
            }
            let Some(written) = facts.written.get(&at) else {
                return facts.holds(false, || format!("a dead letter of {at:?}, which was never written"));
            };
            let (nature, failures) = (written.nature, written.failures);
            let has_followed = facts.follows && letters.iter().any(|(_, letter)| follows(letter).is_some());
            let for_good = written.failed_for_good || nature.is_no_event() || has_followed;
            let (sent, most) = (written.sent.clone(), self.consumer.max_retries);
            if nature.is_no_event() {
                facts.saw("dead letter of what is no event");
            }
            for first in letters.iter().filter_map(|(_, letter)| follows(letter)) {
                facts.saw("followed");
                let is_letter = first < at.1 && facts.letters.first_at((at.0, first)).is_some();
                let same_key = facts.lane((at.0, first)) == facts.lane(at);
                let is_right = facts.follows && is_letter && same_key;
                facts.holds(is_right, || {
                    format!("follow: the dead letter of {at:?} follows {first}, which it should not")
                });
            }
            facts.holds(for_good || failures > most, || {
                format!("a dead letter of {at:?} ({nature:?}), which failed {failures} times and may be tried again {most} times")
            });
            for (when, letter) in letters {
                let told = format!("letter {at:?} {} {:?}", letter.attempt_count, when - facts.began);
                facts.tell(&told);
                let exact = letter.original_topic == TOPIC
                    && letter.topic() == DLQ
                    && letter.original_key.as_deref() == sent.key.as_deref()
                    && letter.body().as_deref() == sent.value.as_deref()
                    && letter.consumer_group.as_deref() == Some(GROUP)
                    && letter.cut.is_none();
                facts.holds(exact, || {
                    format!("the dead letter of {at:?} is not of what was written: {letter:?}")
                });
                let tried = letter.attempt_count;
                let all_tries = for_good || tried > i64::from(most);
                let no_more = tried <= i64::from(failures) || nature.is_no_event() || has_followed;
                facts.holds(tried >= 1 && all_tries && no_more, || {
                    format!("the dead letter of {at:?} says {tried} attempts; {failures} failed, {most} may be tried again")
                });
            }
        }
    }
}
