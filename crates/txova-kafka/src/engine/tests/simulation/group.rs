//! What befalls a member: partitions come and are taken away, the process is killed or closed.

use std::time::Duration;

use super::pauses::name;
use super::world::{Client, Member, World};
use crate::transport::Assignment;

impl World {
    /// The group gives partitions nobody has to a member, all at once.
    pub(super) fn assign(&mut self, m: usize) {
        if self.members[m].revoking.is_some() {
            return;
        }
        let all = 0..self.owners.len() as i32;
        let free: Vec<i32> = all.filter(|p| self.owners[*p as usize].is_none()).collect();
        let free: Vec<i32> = free.into_iter().filter(|p| !self.members[m].untold.contains(p)).collect();
        let chosen: Vec<i32> = free.into_iter().filter(|_| self.calm || self.dice.chance(70)).collect();
        if chosen.is_empty() {
            return;
        }
        self.epoch += 1;
        let mut assignments = vec![];
        for p in chosen {
            let committed = self.group[p as usize].clone();
            let first = committed.as_ref().map_or(0, |committed| committed.offset);
            self.owners[p as usize] = Some(m);
            let client = Client { epoch: self.epoch, first, position: first, paused: false };
            self.members[m].clients.insert(p, client);
            self.checker.assigned(m, p, self.epoch, committed.as_ref());
            assignments.push(Assignment { partition: name(p), committed });
        }
        let unreadable = self.members[m].engine.assigned(self.epoch, assignments, self.now);
        self.checker.holds(unreadable.is_empty(), || "what the group kept cannot be read".into());
    }

    pub(super) fn revoke(&mut self, m: usize) {
        let member = &mut self.members[m];
        if member.revoking.is_some() || member.clients.is_empty() {
            return;
        }
        let held = member.clients.keys().copied();
        let taken: Vec<i32> = held.filter(|_| self.dice.chance(60)).collect();
        let deadline = self.now.at + Duration::from_millis(self.dice.below(2000) as u64);
        self.checker.revoking(m, &taken, deadline);
        let names: Vec<_> = taken.iter().map(|p| name(*p)).collect();
        member.engine.revoked(&names, deadline);
        member.revoking = Some(taken);
    }

    /// The group throws a member out of one partition or all; the member learns of it later.
    pub(super) fn take_away(&mut self, m: usize) {
        let all = self.dice.chance(50);
        let partitions: Vec<i32> = self.members[m].clients.keys().copied().collect();
        for p in partitions {
            if self.owners[p as usize] == Some(m) && (all || self.dice.chance(40)) {
                self.owners[p as usize] = None;
                self.members[m].untold.push(p);
                self.checker.saw("partition lost");
            }
        }
    }

    pub(super) fn tell_lost(&mut self, m: usize) {
        let lost = std::mem::take(&mut self.members[m].untold);
        let names: Vec<_> = lost.iter().map(|p| name(*p)).collect();
        for p in &lost {
            self.checker.over(m, *p);
            self.members[m].clients.remove(p);
        }
        self.members[m].engine.lost(&names, self.now);
    }

    /// A process is killed and another one takes its place.
    pub(super) fn crash(&mut self, m: usize) {
        self.checker.saw("crash");
        if let Some((entries, None)) = self.members[m].commit.take()
            && self.dice.chance(50)
        {
            let _ = self.write(m, &entries);
        }
        self.begin_anew(m);
    }

    pub(super) fn begin_anew(&mut self, m: usize) {
        for owner in &mut self.owners {
            owner.take_if(|owner| *owner == m);
        }
        self.members[m] = Member::new(&self.checker.settings);
        self.checker.began(m);
    }

    pub(super) fn close(&mut self, m: usize) {
        if self.members[m].closing {
            return;
        }
        let deadline = self.now.at + Duration::from_millis(self.dice.below(3000) as u64);
        self.members[m].closing = true;
        self.checker.closing(m, deadline);
        self.members[m].engine.close(deadline);
    }

    pub(super) fn wants_to_stop(&self, m: usize) -> bool {
        self.members[m].engine.stop_reason().is_some()
    }
}
