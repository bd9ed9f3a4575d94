//! An operator pauses a member and resumes it.

use super::super::TOPIC;
use super::world::World;

impl World {
    /// Pauses a member, or its topic. From when it says so itself nothing may start there.
    pub(super) async fn pause(&mut self) {
        let Some(m) = self.pick_living() else { return };
        let (handle, by_topic) = (self.members[m].handle.clone(), self.dice.chance(50));
        match by_topic {
            true => handle.pause_topic(TOPIC).expect("it reads the topic"),
            false => handle.pause(),
        }
        let Some(status) = handle.status().await else { return };
        self.saw(if by_topic { "topic paused" } else { "app paused" });
        let is_told = status.engine.paused.iter().any(|paused| paused.topic.is_some() == by_topic);
        self.holds(is_told, || format!("paused: member {m} is paused and does not say so"));
        self.story().facts().members[m].is_paused = true;
    }

    /// Ends all pauses of a member.
    pub(super) fn resume(&mut self, m: usize) {
        self.story().facts().members[m].is_paused = false;
        let handle = &self.members[m].handle;
        handle.resume();
        handle.resume_topic(TOPIC).expect("it reads the topic");
    }
}
