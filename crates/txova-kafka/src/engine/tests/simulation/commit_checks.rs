//! What the checker holds against commits: they are true, they tell all they can, and they come in time.

use std::time::Duration;

use super::checker::Checker;
use crate::client_error::{ClientError, ClientErrorKind};
use crate::engine::Now;
use crate::engine::offset_map;
use crate::transport::{CommitEntry, Committed};

impl Checker {
    /// A commit is sent, or the last one of an assignment.
    pub(super) fn sent(&mut self, m: usize, entries: &[CommitEntry], leaving: bool) {
        let mut told = vec![];
        for entry in entries {
            self.entry(m, entry, leaving);
            let p = entry.partition.partition;
            self.holds(!self.has_transaction(m, p), || {
                format!(
                    "the last commit of {p} by member {m} speaks while the answer to a transaction is out"
                )
            });
            if let Some(lease) = self.leases.get_mut(&(m, entry.partition.partition)) {
                self.members.get_mut(&m).expect("it runs").gone += lease.untold;
                lease.told();
                told.push((entry.partition.partition, lease.epoch));
            }
        }
        let member = self.members.get_mut(&m).expect("it runs");
        if !leaving {
            member.gone = 0; // what is told is no longer waiting
            let before = member.commit.replace(told);
            self.holds(before.is_none(), || format!("member {m} has two commits under way"));
        }
    }

    /// What a transaction told as done stays so, of the records that are still there.
    pub(super) fn keeps_telling(
        &mut self,
        before: Option<&Committed>,
        entry: &CommitEntry,
        is_there: impl Fn(i64) -> bool,
    ) {
        let Some(before) = before else { return };
        let map = |offset, text| offset_map::decode(offset, text).unwrap_or_default();
        let now = map(entry.offset, &entry.metadata).done;
        let is_told = |offset: &i64| *offset < entry.offset || now.iter().any(|run| run.contains(offset));
        let done = map(before.offset, &before.metadata).done.into_iter().flatten();
        let untold =
            (entry.offset..before.offset).chain(done).find(|offset| is_there(*offset) && !is_told(offset));
        self.holds(untold.is_none(), || {
            format!("commit-covers-settled: {untold:?} was told as done, and {entry:?} does not")
        });
    }

    /// Whether the answer to a transaction with this partition is out.
    pub(super) fn has_transaction(&self, m: usize, p: i32) -> bool {
        let epoch = self.leases.get(&(m, p)).map(|lease| lease.epoch);
        let told = self.members[&m].commit.as_ref();
        self.settings.transactions
            && told.is_some_and(|told| told.iter().any(|it| Some(it.1) == epoch && it.0 == p))
    }

    /// The broker has answered a commit.
    pub(super) fn answered(&mut self, m: usize, answer: &Result<(), ClientError>, now: Now) {
        let member = self.members.get_mut(&m).expect("it runs");
        let told = member.commit.take().unwrap_or_default();
        let Err(error) = answer else { return };
        member.cut |= error.kind == ClientErrorKind::OffsetMetadataTooLarge;
        member.no_commit_before = now.at + Duration::from_millis(3_200);
        for (p, epoch) in told {
            if let Some(lease) = self.leases.get_mut(&(m, p)).filter(|lease| lease.epoch == epoch) {
                lease.changed(now);
            }
        }
        self.saw("commit refused");
    }

    /// What an engine wants committed is true, and all it can tell.
    fn entry(&mut self, m: usize, entry: &CommitEntry, leaving: bool) {
        let p = entry.partition.partition;
        let at = format!("the commit of {p}@{} by member {m}", entry.offset);
        let Some(lease) = self.leases.get(&(m, p)) else {
            return self.holds(false, || format!("epoch: {at} is of no assignment"));
        };
        let (revoked, position) = (lease.revoked, lease.position());
        self.holds(leaving || !revoked, || format!("epoch: {at} crosses a revocation"));
        self.holds(position == Some(entry.offset), || {
            format!("sparse, commit-covers-settled: {at} should be at {position:?}")
        });
        let Ok(map) = offset_map::decode(entry.offset, &entry.metadata) else {
            return self.holds(false, || format!("commit-covers-settled: {at} has metadata nobody can read"));
        };
        let limit = self.settings.max_metadata_bytes;
        self.holds(entry.metadata.len() <= limit, || format!("bounded: {at} has too much metadata"));
        let covered =
            |offset: &i64| *offset < entry.offset || map.done.iter().any(|run| run.contains(offset));
        let loose = self.unsettled[p as usize].iter().copied().find(covered);
        self.holds(loose.is_none(), || {
            format!("commit-covers-settled: {at} covers {loose:?}, which is not settled")
        });
        let kind = match (map.done.is_empty(), map.failing.is_empty()) {
            (true, true) => "commit of a position",
            (false, true) => "commit with done records",
            (true, false) => "commit with failing records",
            (false, false) => "commit with both",
        };
        self.saw(kind);
        let whole = limit >= 100 && entry.metadata.len() * 4 < limit && !self.members[&m].cut;
        let lack = self.leases[&(m, p)].what_is_wrong_with(&map, entry.offset, whole);
        self.holds(lack.is_none(), || format!("{}: {at}", lack.unwrap_or_default()));
    }
}
