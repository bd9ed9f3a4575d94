//! Static members: a name outlives the process under it. Who joins under a name that is taken throws its holder out; who
//! comes back under it in time finds what it left. It must never move a partition of anybody else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::MemberId;
use super::group::Group;
use super::log::Log;
use super::state::Shared;
use crate::record::TopicPartition;
use crate::transport::{GroupEvent, fenced};

impl Group {
    /// Gives a member that joins under a name what the last one under it has. Answers whether the group is as it was: then
    /// nobody else hears of it.
    pub(super) fn take_place(
        &mut self,
        name: &str,
        id: MemberId,
        topics: &BTreeMap<Arc<str>, Vec<Log>>,
    ) -> bool {
        let Some(instance) = self.members.get(&id).and_then(|member| member.options.instance.clone()) else {
            return false;
        };
        let there = self.members.iter().find(|(other, member)| {
            **other != id && !member.expelled && member.options.instance.as_ref() == Some(&instance)
        });
        let there = there.map(|(other, _)| *other);
        let before = match (there, self.away.remove(&instance)) {
            (Some(there), _) => {
                self.fence(name, there, &instance);
                there
            }
            (None, Some(away)) => away,
            (None, None) => return false,
        };
        let (mut taken, mut is_as_it_was) = (Vec::new(), true);
        for partition in self.partitions_where(|owner| owner.member == before) {
            let is_pending = self.is_pending(&partition);
            let Some(owner) = self.owners.get_mut(&partition) else { continue };
            is_as_it_was &= owner.revoking_until.is_none();
            owner.member = id;
            owner.revoking_until = None;
            if is_pending {
                self.owners.remove(&partition); // given out when its transaction has ended
            } else {
                taken.push(partition);
            }
        }
        if taken.is_empty() {
            return false; // it may have gone before it was given anything
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.assign(taken, &self.committed, topics);
        }
        // What nobody could be given while it was away is given now.
        is_as_it_was && self.subscribers(topics).keys().all(|partition| self.owners.contains_key(partition))
    }

    /// Throws a member out for good: it is told, and can neither commit nor join anew.
    fn fence(&mut self, name: &str, id: MemberId, instance: &str) {
        let Some(member) = self.members.get_mut(&id) else { return };
        (member.expelled, member.fenced) = (true, true);
        let all: Vec<TopicPartition> = member.fetching.keys().cloned().collect();
        member.lose(all);
        member.tell(GroupEvent::Fatal(fenced(name, instance)));
    }
}

/// Waits for a member that left its name behind, and gives what it had to others when its session is over.
pub(super) async fn wait_for(
    shared: Arc<Shared>,
    group: String,
    instance: String,
    id: MemberId,
    session: Duration,
) {
    tokio::time::sleep(session).await;
    shared.update(|state| {
        let Some(kept) = state.groups.get_mut(&group) else { return };
        if kept.away.get(&instance) == Some(&id) {
            kept.away.remove(&instance);
            kept.forget(id);
            state.rebalance(&group);
        }
    });
}
