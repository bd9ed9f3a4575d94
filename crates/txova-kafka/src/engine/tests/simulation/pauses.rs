//! An operator pauses a member or one of its topics, and the checker's account of it.

use super::checker::Checker;
use super::world::World;
use crate::record::TopicPartition;

const TOPICS: [&str; 2] = ["rides", "fares"];
/// What may be paused; `None` is all.
const SCOPES: [Option<&str>; 3] = [None, Some(TOPICS[0]), Some(TOPICS[1])];

pub(super) type Scope = Option<&'static str>;

pub(super) fn topic(p: i32) -> &'static str {
    TOPICS[p as usize % TOPICS.len()]
}

pub(super) fn name(p: i32) -> TopicPartition {
    TopicPartition::new(topic(p), p)
}

impl World {
    pub(super) fn pause(&mut self, m: usize) {
        let Some(scope) = self.dice.pick(&SCOPES) else { return };
        self.checker.saw(if scope.is_some() { "a topic paused" } else { "all paused" });
        self.checker.pauses(m).insert(scope);
        self.members[m].engine.pause(scope.map(Into::into), self.now.at);
    }

    /// Ends one of the pauses there are.
    pub(super) fn resume(&mut self, m: usize) {
        let scopes: Vec<Scope> = self.checker.pauses(m).iter().copied().collect();
        let Some(scope) = self.dice.pick(&scopes) else { return };
        self.checker.pauses(m).remove(&scope);
        self.members[m].engine.resume(scope);
    }
}

impl Checker {
    fn pauses(&mut self, m: usize) -> &mut std::collections::BTreeSet<Scope> {
        &mut self.members.get_mut(&m).expect("it runs").pauses
    }

    pub(super) fn is_paused(&self, m: usize, p: i32) -> bool {
        let pauses = &self.members[&m].pauses;
        pauses.contains(&None) || pauses.contains(&Some(topic(p)))
    }
}
