//! Whether each partition has its leader and its copies. It must never know how topics should be laid out.

use std::fmt;

use serde::Serialize;
use txova_kafka::admin::ClusterInfo;

use super::layout::Wanted;

/// A partition that is not well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Ailment {
    pub partition: String,
    pub leader: Option<i32>,
    pub replicas: Vec<i32>,
    pub in_sync: Vec<i32>,
    /// Whether nothing can be written: it has no leader, or too few copies in sync.
    pub is_closed: bool,
}

impl fmt::Display for Ailment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, leader, replicas, in_sync, is_closed } = self;
        write!(f, "{partition}: ")?;
        match leader {
            None => return write!(f, "no leader: nothing can be written or read"),
            Some(_) => write!(f, "{} of {} copies in sync", in_sync.len(), replicas.len())?,
        }
        let missing: Vec<String> =
            replicas.iter().filter(|id| !in_sync.contains(id)).map(|id| format!("broker {id}")).collect();
        write!(f, ", behind: {}", missing.join(", "))?;
        if *is_closed { write!(f, "; nothing can be written with acks=all") } else { Ok(()) }
    }
}

/// The partitions of these topics that are not well.
pub(crate) fn ailments(wanted: &[Wanted], cluster: &ClusterInfo) -> Vec<Ailment> {
    let mut ailments = Vec::new();
    for wanted in wanted {
        let least =
            wanted.settings.get("min.insync.replicas").and_then(|text| text.parse().ok()).unwrap_or(1);
        let topic = cluster.topics.iter().find(|topic| topic.name == wanted.name);
        for partition in topic.iter().flat_map(|topic| &topic.partitions) {
            let is_well = partition.leader.is_some() && partition.in_sync.len() >= partition.replicas.len();
            if !is_well {
                ailments.push(Ailment {
                    partition: format!("{}-{}", wanted.name, partition.id),
                    leader: partition.leader,
                    replicas: partition.replicas.clone(),
                    in_sync: partition.in_sync.clone(),
                    is_closed: partition.leader.is_none() || partition.in_sync.len() < least,
                });
            }
        }
    }
    ailments
}

#[cfg(test)]
mod tests {
    use txova_kafka::admin::{PartitionInfo, TopicInfo};

    use super::super::layout::Layout;
    use super::*;

    #[test]
    fn a_partition_without_a_leader_or_a_copy_is_told_and_whether_it_still_takes_records() {
        let wanted = Layout::Production.topics();
        let partition = |id, leader, in_sync: &[i32]| PartitionInfo {
            id,
            leader,
            replicas: vec![1, 2, 3],
            in_sync: in_sync.to_vec(),
        };
        let partitions = vec![
            partition(0, Some(1), &[1, 2, 3]),
            partition(1, Some(1), &[1, 2]),
            partition(2, Some(1), &[1]),
            partition(3, None, &[]),
        ];
        let topics = vec![TopicInfo { name: "txova.rides.v1".to_owned(), partitions }];
        let told = ailments(&wanted, &ClusterInfo { topics, ..ClusterInfo::default() });
        let closed: Vec<bool> = told.iter().map(|ailment| ailment.is_closed).collect();
        assert_eq!(closed, [false, true, true]);
        assert_eq!(told[0].to_string(), "txova.rides.v1-1: 2 of 3 copies in sync, behind: broker 3");
        assert!(told[2].to_string().contains("no leader"));
    }
}
