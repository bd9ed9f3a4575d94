//! What the checker holds against giving back and closing, and against an engine that rests while there is work.

use super::checker::{Checker, Closing};
use super::lease::Stage;
use crate::engine::{CloseReport, Moment, Now};

impl Checker {
    pub(super) fn revoking(&mut self, m: usize, partitions: &[i32], deadline: Moment) {
        for p in partitions {
            if let Some(lease) = self.leases.get_mut(&(m, *p)) {
                lease.draining = true;
                lease.revoked = true;
            }
        }
        self.members.get_mut(&m).expect("it runs").revoke_by = Some(deadline);
    }

    pub(super) fn closing(&mut self, m: usize, deadline: Moment) {
        for (_, lease) in self.leases.range_mut((m, i32::MIN)..=(m, i32::MAX)) {
            lease.draining = true;
        }
        let closing = Closing { deadline, drained: 0, abandoned: 0, returned: 0 };
        self.members.get_mut(&m).expect("it runs").closing = Some(closing);
    }

    /// An assignment is over.
    pub(super) fn over(&mut self, m: usize, p: i32) {
        self.probes_lost(m, p);
        let Some(lease) = self.leases.remove(&(m, p)) else { return };
        let member = self.members.get_mut(&m).expect("it runs");
        member.gone += lease.untold;
        if let Some(closing) = &mut member.closing {
            let cut_off = lease.with_handlers() + lease.count(Stage::Writing);
            closing.abandoned += cut_off;
            closing.returned += lease.in_flight().0 - cut_off;
        }
    }

    pub(super) fn released(&mut self, m: usize, partitions: &[i32], now: Now) {
        let deadline = self.members.get_mut(&m).expect("it runs").revoke_by.take();
        self.left_in_time(m, partitions, deadline, now);
    }

    fn left_in_time(&mut self, m: usize, partitions: &[i32], deadline: Option<Moment>, now: Now) {
        let closing = self.members[&m].closing.as_ref().map(|closing| closing.deadline);
        let due = deadline.into_iter().chain(closing).min().is_some_and(|deadline| deadline <= now.at);
        let mut leases = partitions.iter().filter_map(|p| self.leases.get(&(m, *p)));
        let busy = leases.any(|lease| lease.count(Stage::Running) + lease.count(Stage::Writing) > 0);
        let mut leases = partitions.iter().filter_map(|p| self.leases.get(&(m, *p)));
        let untold = leases.any(|lease| lease.untold_since.is_some());
        let under_way = partitions.iter().any(|p| self.has_transaction(m, *p));
        let may_be_short = self.settings.transactions && self.maps_are_short(m);
        self.holds(!untold || under_way || may_be_short, || {
            format!("member {m} left without committing what it could")
        });
        self.holds(due || !under_way, || format!("member {m} left before its transaction was answered"));
        if under_way {
            self.saw("left with a transaction under way");
        }
        self.holds(due || !busy, || {
            format!("close is bounded: member {m} left before its handlers ended or its deadline")
        });
    }

    pub(super) fn closed(&mut self, m: usize, now: Now) {
        let all: Vec<i32> = self.leases_of(m).map(|(p, _)| p).collect();
        self.left_in_time(m, &all, None, now);
        for p in all {
            self.over(m, p);
        }
    }

    pub(super) fn reported(&mut self, m: usize, report: &CloseReport) {
        let Some(closing) = &self.members[&m].closing else { return };
        let own = (closing.drained, closing.abandoned, closing.returned);
        let told = (report.drained, report.abandoned.len(), report.returned);
        self.holds(own == told, || {
            format!("close is bounded: the report says {told:?} (drained, abandoned, returned), not {own:?}")
        });
    }

    /// A map may have no room for what was told before, so that nothing can be committed with transactions.
    pub(super) fn maps_are_short(&self, m: usize) -> bool {
        self.members[&m].cut || self.settings.max_metadata_bytes < 4096
    }

    /// Nothing is left to be done at this moment: nothing may be overdue.
    pub(super) fn rested(
        &mut self,
        m: usize,
        wake_at: Option<Moment>,
        paused: impl Fn(i32) -> bool,
        now: Now,
    ) {
        self.holds(wake_at.is_none_or(|at| at > now.at), || {
            format!("member {m} would spin: it wants to wake in the past")
        });
        let member = &self.members[&m];
        let stopped = member.stopped;
        let late = |deadline: Option<Moment>| deadline.is_some_and(|deadline| deadline <= now.at);
        let overdue = late(member.revoke_by) || late(member.closing.as_ref().map(|closing| closing.deadline));
        let going = || self.leases_of(m).filter(|(_, lease)| !lease.draining);
        let fetching =
            going().find(|(p, lease)| (lease.pinned || self.is_paused(m, *p)) && !paused(*p)).map(|(p, _)| p);
        let busy: usize = self.leases_of(m).map(|(_, lease)| lease.count(Stage::Running)).sum();
        let largest = self.settings.batches.iter().map(|batch| batch.max_records).max().unwrap_or(1);
        let waiting: usize = self.leases_of(m).map(|(_, lease)| lease.untold + lease.with_handlers()).sum();
        let may_be_full = waiting + member.gone + largest > self.settings.commit_every_records;
        let may_wait = member.commit.is_some() || member.no_commit_before > now.at; // it may be full of older ones
        let held = self.settings.transactions && (may_be_full || may_wait);
        let free = !stopped && !held && busy < self.settings.concurrency;
        let batches = &self.settings.batches;
        let is_away = |handler| self.is_away(m, handler);
        let idle = going().filter(|(p, _)| !self.is_paused(m, *p)).find_map(|(p, lease)| {
            lease.idle(now, batches, is_away).filter(|_| free).map(|offset| (p, offset))
        });
        let throttled = self.is_throttled(m, now);
        let sleeps = idle.is_some() && throttled && wake_at.is_none();
        if idle.is_some() && throttled {
            self.saw("throttled");
        }
        let idle = idle.filter(|_| !throttled);
        let may_be_short = self.settings.transactions && self.maps_are_short(m);
        let rests = self.members[&m].commit.is_none() && self.members[&m].no_commit_before <= now.at;
        let may_commit = rests && !may_be_short;
        let interval = self.settings.commit_interval;
        let committing = || self.leases_of(m).map(|(_, lease)| lease).filter(|lease| !lease.revoked);
        let silent = committing().any(|lease| lease.untold_since.is_some_and(|at| at + interval <= now.at));
        let many =
            committing().map(|lease| lease.untold).sum::<usize>() >= self.settings.commit_every_records;
        self.rested_in_outages(m, free && !throttled, now);
        self.holds(!sleeps, || format!("rate: member {m} does not wake when there is a token"));
        self.holds(!(may_commit && silent), || format!("a commit of member {m} is overdue by time"));
        self.holds(!(may_commit && many), || format!("a commit of member {m} is overdue by count"));
        self.holds(!overdue, || format!("close is bounded: member {m} is past its deadline"));
        self.holds(fetching.is_none(), || {
            format!("a down DLQ or an operator pauses: {fetching:?} goes on fetching")
        });
        self.holds(idle.is_none(), || {
            format!("nothing dropped: {idle:?} could start at member {m} and does not")
        });
        self.leases.range_mut((m, i32::MIN)..=(m, i32::MAX)).for_each(|(_, lease)| lease.note_free(now));
    }
}
