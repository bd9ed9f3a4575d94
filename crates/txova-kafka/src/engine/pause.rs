//! What an operator has paused: nothing starts there and nothing more is fetched until it is resumed. It must never be
//! ended by anything else: no rebalance, no room, no dead letter that is taken again.

use std::sync::Arc;

use super::mutation::{Mutation, broken};
use super::status::Paused;
use super::time::Moment;
use super::{Engine, Partition};

/// What is paused, and since when; `None` is the whole app. One does not end the other.
#[derive(Default)]
pub(super) struct Pauses(Vec<(Option<Arc<str>>, Moment)>);

impl Pauses {
    pub(super) fn covers(&self, topic: &str) -> bool {
        self.0.iter().any(|(paused, _)| paused.as_deref().is_none_or(|paused| paused == topic))
    }

    pub(super) fn told(&self, now: Moment) -> Vec<Paused> {
        let paused = self.0.iter();
        paused.map(|(topic, since)| Paused { topic: topic.clone(), since: now.since(*since) }).collect()
    }
}

impl<R: Clone> Engine<R> {
    /// An operator pauses a topic, or all where it is `None`: what runs ends, what is to be dead-lettered or committed is,
    /// and nothing starts, also of partitions that come later.
    pub(crate) fn pause(&mut self, topic: Option<Arc<str>>, now: Moment) {
        if self.pauses.0.iter().all(|(paused, _)| *paused != topic) {
            self.pauses.0.push((topic, now));
            self.heed_pauses();
        }
    }

    /// Ends [`Self::pause`] of the same topic, or of all.
    pub(crate) fn resume(&mut self, topic: Option<&str>) {
        self.pauses.0.retain(|(paused, _)| paused.as_deref() != topic);
        self.heed_pauses();
    }

    fn heed_pauses(&mut self) {
        let slots: Vec<usize> = self.partitions.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let Some(partition) = self.partitions.get_mut(slot) else { continue };
            partition.by_operator = self.pauses.covers(&partition.name.topic);
            if !broken(Mutation::ForgetsWhatWasPaused) {
                self.enter_rotation(slot);
            }
            self.update_pause(slot);
        }
        self.breakers.unblock();
    }

    /// A partition that has just come.
    pub(super) fn heed_pause_of(&self, partition: &mut Partition) {
        partition.by_operator =
            self.pauses.covers(&partition.name.topic) && !broken(Mutation::ForgetsPausesAtAssignment);
    }
}
