//! Who should have which partition: balanced, and moving as little as can be, as `cooperative-sticky` does. A pure
//! function; it must never know revocations, epochs or time.

use std::collections::BTreeMap;

use super::MemberId;
use crate::record::TopicPartition;

/// Gives every partition to a member that subscribed to its topic, if there is one.
///
/// A partition stays where it is unless another subscriber has two fewer. `pins` are followed before anything else.
pub(super) fn assign(
    subscribers: &BTreeMap<TopicPartition, Vec<MemberId>>,
    current: &BTreeMap<TopicPartition, MemberId>,
    pins: &BTreeMap<TopicPartition, MemberId>,
) -> BTreeMap<TopicPartition, MemberId> {
    let mut target = BTreeMap::new();
    let mut load: BTreeMap<MemberId, usize> = BTreeMap::new();
    for member in subscribers.values().flatten() {
        load.entry(*member).or_default();
    }
    for (partition, members) in subscribers {
        let wanted = pins.get(partition).or_else(|| current.get(partition));
        if let Some(member) = wanted.filter(|member| members.contains(member)) {
            target.insert(partition.clone(), *member);
            *load.entry(*member).or_default() += 1;
        }
    }
    let lightest = |members: &[MemberId], load: &BTreeMap<MemberId, usize>| {
        members.iter().copied().min_by_key(|member| (load.get(member).copied().unwrap_or_default(), *member))
    };
    for (partition, members) in subscribers {
        if target.contains_key(partition) {
            continue;
        }
        if let Some(member) = lightest(members, &load) {
            target.insert(partition.clone(), member);
            *load.entry(member).or_default() += 1;
        }
    }
    // Each move brings two loads closer together, so this ends; from the heaviest first, so that few are needed.
    let next_move = |target: &BTreeMap<TopicPartition, MemberId>, load: &BTreeMap<MemberId, usize>| {
        let load_of = |member: &MemberId| load.get(member).copied().unwrap_or_default();
        let movable = target.iter().filter(|(partition, _)| !pins.contains_key(partition));
        movable
            .filter_map(|(partition, from)| {
                let to = lightest(subscribers.get(partition)?, load)?;
                (load_of(&to) + 1 < load_of(from)).then(|| (partition.clone(), *from, to))
            })
            .max_by_key(|(_, from, _)| load_of(from))
    };
    while let Some((partition, from, to)) = next_move(&target, &load) {
        target.insert(partition, to);
        *load.entry(from).or_default() -= 1;
        *load.entry(to).or_default() += 1;
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partitions(count: i32, members: &[u64]) -> BTreeMap<TopicPartition, Vec<MemberId>> {
        let members: Vec<MemberId> = members.iter().copied().map(MemberId).collect();
        (0..count).map(|p| (TopicPartition::new("t", p), members.clone())).collect()
    }

    fn loads(assignment: &BTreeMap<TopicPartition, MemberId>) -> BTreeMap<u64, usize> {
        let mut loads = BTreeMap::new();
        for member in assignment.values() {
            *loads.entry(member.0).or_default() += 1;
        }
        loads
    }

    #[test]
    fn a_newcomer_takes_its_share_and_nothing_else_moves() {
        let none = BTreeMap::new();
        let one = assign(&partitions(12, &[1]), &none, &none);
        let two = assign(&partitions(12, &[1, 2]), &one, &none);
        let three = assign(&partitions(12, &[1, 2, 3]), &two, &none);
        assert_eq!(loads(&two), [(1, 6), (2, 6)].into());
        assert_eq!(loads(&three), [(1, 4), (2, 4), (3, 4)].into());
        let moved = three.iter().filter(|(partition, member)| two[*partition] != **member).count();
        assert_eq!(moved, 4);
    }

    #[test]
    fn a_partition_goes_only_to_a_member_that_subscribed_to_its_topic() {
        let mut subscribers = partitions(4, &[1]);
        subscribers.insert(TopicPartition::new("u", 0), vec![MemberId(2)]);
        subscribers.insert(TopicPartition::new("v", 0), Vec::new());
        let assignment = assign(&subscribers, &BTreeMap::new(), &BTreeMap::new());
        assert_eq!(loads(&assignment), [(1, 4), (2, 1)].into());
        assert!(!assignment.contains_key(&TopicPartition::new("v", 0)));
    }

    #[test]
    fn a_pinned_partition_goes_where_it_is_pinned() {
        let pins = BTreeMap::from([(TopicPartition::new("t", 0), MemberId(2))]);
        let current = assign(&partitions(2, &[1, 2]), &BTreeMap::new(), &BTreeMap::new());
        let pinned = assign(&partitions(2, &[1, 2]), &current, &pins);
        assert_eq!(pinned[&TopicPartition::new("t", 0)], MemberId(2));
    }
}
