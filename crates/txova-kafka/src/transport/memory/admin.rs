//! The calls of tools on the in-memory cluster: one broker, settings as they were given.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::Cluster;
use super::group::Group;
use super::state::{State, unknown_topic};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::TopicPartition;
use crate::transport::Committed;
use crate::transport::admin::{
    AdminCalls, BrokerDetails, BrokerInfo, ClusterInfo, GroupInfo, GroupState, MemberInfo, PartitionInfo,
    Setting, TopicInfo,
};

/// The only broker.
const BROKER: i32 = 1;

/// What a broker sets for a topic that says nothing: Kafka's defaults.
const TOPIC_DEFAULTS: [(&str, &str); 5] = [
    ("cleanup.policy", "delete"),
    ("max.message.bytes", "1048588"),
    ("message.timestamp.type", "CreateTime"),
    ("min.insync.replicas", "1"),
    ("retention.ms", "604800000"),
];

impl Cluster {
    /// Answers with what `ask` finds once the broker is there.
    fn asked<T: Send + 'static>(
        &self,
        timeout: Duration,
        what: &'static str,
        ask: impl FnOnce(&mut State) -> Result<T, ClientError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, ClientError>> {
        let shared = self.shared.clone();
        async move {
            shared.broker(timeout, what).await?;
            shared.update(ask)
        }
        .boxed()
    }
}

impl AdminCalls for Cluster {
    fn cluster(&self, timeout: Duration) -> BoxFuture<'static, Result<ClusterInfo, ClientError>> {
        self.asked(timeout, "the cluster", |state| {
            let partition = |id: usize| PartitionInfo {
                id: id as i32,
                leader: Some(BROKER),
                replicas: vec![BROKER],
                in_sync: vec![BROKER],
            };
            let topic = |(name, logs): (&std::sync::Arc<str>, &Vec<_>)| TopicInfo {
                name: name.to_string(),
                partitions: (0..logs.len()).map(partition).collect(),
            };
            Ok(ClusterInfo {
                id: Some("memory".to_owned()),
                brokers: vec![BrokerInfo { id: BROKER, address: "memory:0".to_owned() }],
                topics: state.topics.iter().map(topic).collect(),
            })
        })
    }

    fn topic_settings(
        &self,
        topics: Vec<String>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Vec<Vec<Setting>>, ClientError>> {
        self.asked(timeout, "settings of topics", move |state| {
            topics.iter().map(|topic| settings_of(state, topic)).collect()
        })
    }

    fn broker(&self, id: i32, timeout: Duration) -> BoxFuture<'static, Result<BrokerDetails, ClientError>> {
        self.asked(timeout, "a broker", move |_| match id {
            BROKER => Ok(BrokerDetails::default()),
            _ => {
                let text = format!("the cluster has no broker {id}, only {BROKER}");
                Err(ClientError::new(ClientErrorKind::Unreachable, text))
            }
        })
    }

    fn change_topic(
        &self,
        topic: String,
        settings: Vec<(String, String)>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<(), ClientError>> {
        self.asked(timeout, "changing a topic", move |state| {
            if !state.topics.contains_key(&*topic) {
                return Err(unknown_topic(&topic));
            }
            state.topic_settings.entry(topic).or_default().extend(settings);
            Ok(())
        })
    }

    fn add_partitions(
        &self,
        topic: String,
        total: i32,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<(), ClientError>> {
        self.asked(timeout, "adding partitions", move |state| {
            let count = state.topics.get(&*topic).ok_or_else(|| unknown_topic(&topic))?.len();
            match u32::try_from(i64::from(total) - count as i64) {
                Ok(more) if more > 0 => state.add_partitions(&topic, more),
                _ => {
                    let text =
                        format!("topic {topic} has {count} partitions: expected more than that, not {total}");
                    Err(ClientError::new(ClientErrorKind::Config, text))
                }
            }
        })
    }

    fn groups(&self, timeout: Duration) -> BoxFuture<'static, Result<Vec<GroupInfo>, ClientError>> {
        self.asked(timeout, "groups", |state| Ok(state.groups.iter().map(group_info).collect()))
    }

    fn set_offsets(
        &self,
        group: String,
        offsets: Vec<(TopicPartition, i64)>,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<(), ClientError>> {
        self.asked(timeout, "setting offsets", move |state| {
            for (partition, _) in &offsets {
                state.log(partition)?;
            }
            let members = state.groups.entry(group.clone()).or_default();
            if members.members.values().any(|member| !member.expelled) {
                let text = format!("group {group} has members: its offsets are theirs");
                return Err(ClientError::new(ClientErrorKind::StaleMember, text));
            }
            for (partition, offset) in offsets {
                members.committed.insert(partition, Committed { offset, metadata: String::new() });
            }
            Ok(())
        })
    }
}

fn settings_of(state: &State, topic: &str) -> Result<Vec<Setting>, ClientError> {
    if !state.topics.contains_key(topic) {
        return Err(unknown_topic(topic));
    }
    let own = state.topic_settings.get(topic);
    let is_set = |name: &str| own.is_some_and(|own| own.contains_key(name));
    let defaults = TOPIC_DEFAULTS.iter().filter(|(name, _)| !is_set(name));
    let mut settings: Vec<Setting> = defaults
        .map(|(name, value)| Setting {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
            is_own: false,
        })
        .collect();
    settings.extend(own.into_iter().flatten().map(|(name, value)| Setting {
        name: name.clone(),
        value: Some(value.clone()),
        is_own: true,
    }));
    settings.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(settings)
}

fn group_info((name, group): (&String, &Group)) -> GroupInfo {
    let there = group.members.iter().filter(|(_, member)| !member.expelled);
    let members: Vec<MemberInfo> = there
        .map(|(id, _)| {
            let has = group.owners.iter().filter(|(_, owner)| owner.member == *id);
            MemberInfo {
                id: id.to_string(),
                client_id: "memory".to_owned(),
                host: "memory".to_owned(),
                partitions: has.map(|(partition, _)| partition.clone()).collect(),
            }
        })
        .collect();
    let is_moving = group.owners.values().any(|owner| owner.revoking_until.is_some());
    let state = match (members.is_empty(), is_moving) {
        (true, _) => GroupState::Empty,
        (false, true) => GroupState::Rebalancing,
        (false, false) => GroupState::Stable,
    };
    GroupInfo { name: name.clone(), state, members }
}
