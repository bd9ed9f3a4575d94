//! What happened since the start, by count and topic. Counting must cost no more than adding one to a number.

use std::sync::Arc;

use super::Engine;

/// What happened since the start, by count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Records taken.
    pub received: u64,
    /// Handler runs begun.
    pub started: u64,
    /// Records a handler said ok to.
    pub handled: u64,
    /// Records settled by `skip`.
    pub skipped: u64,
    /// Attempts that failed, whatever came of it; not those that said `skip` or `stop`.
    pub failed: u64,
    /// Attempts put off to a later one.
    pub retried: u64,
    /// Records whose dead letter is acknowledged.
    pub dead_lettered: u64,
    /// Dead letters the broker did not take, each to be written again.
    pub dead_letter_failures: u64,
    /// Commits acknowledged.
    pub commits: u64,
    /// Commits refused or unanswered.
    pub commit_failures: u64,
    /// Records that came again and were known to be settled.
    pub known: u64,
    /// Times a handler was held back because its world seemed to be away.
    pub holds: u64,
}

/// The counts of every topic that was ever assigned, and those that belong to none.
#[derive(Default)]
pub(super) struct Tally {
    topics: Vec<(Arc<str>, Counts)>,
    rest: Counts,
}

/// A topic's place in the tally. It stays when the last partition of the topic has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TopicSlot(usize);

impl Tally {
    pub(super) fn slot(&mut self, topic: &Arc<str>) -> TopicSlot {
        let known = self.topics.iter().position(|(name, _)| name == topic);
        TopicSlot(known.unwrap_or_else(|| {
            self.topics.push((Arc::clone(topic), Counts::default()));
            self.topics.len() - 1
        }))
    }

    /// For what belongs to no topic: commits, and handlers held back.
    pub(super) fn rest(&mut self) -> &mut Counts {
        &mut self.rest
    }

    pub(super) fn by_topic(&self) -> Vec<(Arc<str>, Counts)> {
        self.topics.clone()
    }

    pub(super) fn all(&self) -> Counts {
        self.topics.iter().fold(self.rest, |sum, (_, of)| sum.plus(of))
    }
}

impl Counts {
    fn plus(self, other: &Self) -> Self {
        Self {
            received: self.received + other.received,
            started: self.started + other.started,
            handled: self.handled + other.handled,
            skipped: self.skipped + other.skipped,
            failed: self.failed + other.failed,
            retried: self.retried + other.retried,
            dead_lettered: self.dead_lettered + other.dead_lettered,
            dead_letter_failures: self.dead_letter_failures + other.dead_letter_failures,
            commits: self.commits + other.commits,
            commit_failures: self.commit_failures + other.commit_failures,
            known: self.known + other.known,
            holds: self.holds + other.holds,
        }
    }
}

impl<R> Engine<R> {
    /// The counts of the topic that the partition at `slot` belongs to.
    pub(super) fn count(&mut self, slot: usize) -> &mut Counts {
        let topic = self.partitions.get(slot).map(|partition| partition.topic);
        match topic.and_then(|TopicSlot(at)| self.tally.topics.get_mut(at)) {
            Some((_, counts)) => counts,
            None => &mut self.tally.rest,
        }
    }
}
