//! Consumer groups, and their offsets set from outside.

use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::groups::GroupMemberInfo;
use rdkafka::topic_partition_list::Offset;

use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::TopicPartition;
use crate::transport::admin::{GroupInfo, GroupState, MemberInfo};
use crate::transport::librdkafka::config::{Settings, check_name};
use crate::transport::librdkafka::errors;
use crate::transport::librdkafka::metadata_calls::{check_partitions, explain, open};

/// The protocol of consumers; other kinds of groups (Kafka Connect's) are none of ours.
const CONSUMERS: &str = "consumer";

pub(super) fn groups(settings: &Settings, timeout: Duration) -> Result<Vec<GroupInfo>, ClientError> {
    let consumer = open(settings, None)?;
    // The brokers are known only once somebody has asked.
    let began = Instant::now();
    consumer.fetch_metadata(None, timeout).map_err(|error| explain(settings, &consumer, "", &error))?;
    let left = timeout.saturating_sub(began.elapsed());
    let list = consumer
        .fetch_group_list(None, left)
        .map_err(|error| explain(settings, &consumer, "the groups", &error))?;
    let ours = list.groups().iter().filter(|group| {
        let protocol = group.protocol_type();
        protocol == CONSUMERS || protocol.is_empty()
    });
    let mut groups: Vec<GroupInfo> = ours
        .map(|group| GroupInfo {
            name: group.name().to_owned(),
            state: state(group.state()),
            members: group.members().iter().map(member).collect(),
        })
        .collect();
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(groups)
}

fn state(text: &str) -> GroupState {
    match text {
        "Empty" => GroupState::Empty,
        "Stable" => GroupState::Stable,
        "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => GroupState::Rebalancing,
        "Dead" => GroupState::Dead,
        _ => GroupState::Unknown,
    }
}

fn member(member: &GroupMemberInfo) -> MemberInfo {
    MemberInfo {
        id: member.id().to_owned(),
        client_id: member.client_id().to_owned(),
        host: member.client_host().trim_start_matches('/').to_owned(),
        partitions: member.assignment().and_then(assignment).unwrap_or_default(),
    }
}

/// Kafka's ConsumerProtocolAssignment: a version, then topics with their partitions. A foreign member may have written
/// any bytes.
fn assignment(bytes: &[u8]) -> Option<Vec<TopicPartition>> {
    let mut rest = bytes;
    take::<2>(&mut rest)?;
    let topics = u32::from_be_bytes(take(&mut rest)?);
    let mut partitions = Vec::new();
    for _ in 0..topics {
        let length = usize::from(u16::from_be_bytes(take(&mut rest)?));
        let name = rest.get(..length)?;
        rest = rest.get(length..)?;
        let topic: std::sync::Arc<str> = String::from_utf8_lossy(name).into();
        for _ in 0..u32::from_be_bytes(take(&mut rest)?) {
            partitions.push(TopicPartition::new(topic.clone(), i32::from_be_bytes(take(&mut rest)?)));
        }
    }
    Some(partitions)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*first)
}

pub(super) fn set_offsets(
    settings: &Settings,
    group: &str,
    offsets: &[(TopicPartition, i64)],
    timeout: Duration,
) -> Result<(), ClientError> {
    check_name("the group", group)?;
    let place = format!("setting offsets of group {group}");
    if let Some((partition, offset)) = offsets.iter().find(|(_, offset)| *offset < 0) {
        let message = format!("{place}: {offset} is no offset of {partition}, expected 0 or more");
        return Err(ClientError::new(ClientErrorKind::Config, message));
    }
    if offsets.is_empty() {
        return Ok(());
    }
    let consumer = open(settings, Some(group))?;
    let partitions: Vec<TopicPartition> = offsets.iter().map(|(partition, _)| partition.clone()).collect();
    check_partitions(settings, &consumer, &partitions, Instant::now() + timeout)?;
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (partition, offset) in offsets {
        list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(*offset))
            .map_err(|error| errors::at(&place, &error))?;
    }
    consumer.commit(&list, CommitMode::Sync).map_err(|error| explain(settings, &consumer, &place, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_and_bytes_that_are_none_are_no_panic() {
        let mut bytes = vec![0, 1, 0, 0, 0, 1, 0, 3];
        bytes.extend(b"abc");
        bytes.extend([0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0]);
        let expected = [TopicPartition::new("abc", 0), TopicPartition::new("abc", 7)];
        assert_eq!(assignment(&bytes).as_deref(), Some(&expected[..]));
        for cut in 0..bytes.len() - 4 {
            assert_eq!(assignment(&bytes[..cut]), None, "{cut}");
        }
        assert_eq!(assignment(&[0, 0, 255, 255, 255, 255]), None);
    }
}
