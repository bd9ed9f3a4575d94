//! What must change for topics to be as they should, and what may. It must never change anything, nor ask a cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use txova_kafka::NewTopic;
use txova_kafka::admin::{ClusterInfo, Setting, TopicInfo};

use super::layout::Wanted;
use crate::place::said;

/// What the word was given for.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct Allowed {
    /// Also shortens how long records are kept: those older than that are deleted.
    #[arg(long)]
    pub shrink_retention: bool,
    /// Also gives topics more partitions: keys move, and what is in the log of a key is no longer read in order with what
    /// comes.
    #[arg(long)]
    pub add_partitions: bool,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub topic: String,
    /// What it is about: `partitions`, `retention.ms`, …
    pub what: String,
    pub is: Option<String>,
    pub should_be: String,
    pub action: Action,
    /// Why it is not done, or what doing it means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    #[serde(skip)]
    pub step: Option<Step>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, what, is, should_be, .. } = self;
        match is {
            None => write!(f, "{topic} is missing"),
            Some(is) if what == "retention.ms" => write!(f, "{topic}: {}, not {}", kept(is), kept(should_be)),
            Some(is) => write!(f, "{topic}: {what} is {is}, not {should_be}"),
        }
    }
}

/// What becomes of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// `apply` makes the topic.
    Create,
    /// `apply` changes it.
    Change,
    /// `apply` does it only where it is told to.
    NeedsTheWord,
    /// No call of ours does it.
    ByHand,
}

/// A change to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Create(NewTopic),
    AddPartitions(i32),
    Set(&'static str, String),
}

/// What a cluster has.
pub(super) struct Found<'a> {
    pub cluster: &'a ClusterInfo,
    /// The settings of each topic that is there.
    pub settings: BTreeMap<&'a str, Vec<Setting>>,
}

/// Every difference between `wanted` and what the cluster has, in the order of `wanted`.
pub(super) fn plan(wanted: &[Wanted], found: &Found<'_>, allowed: Allowed) -> Vec<Finding> {
    wanted
        .iter()
        .flat_map(|wanted| match found.cluster.topics.iter().find(|topic| topic.name == wanted.name) {
            None => vec![create(wanted, found.cluster.brokers.len())],
            Some(topic) => differences(wanted, topic, found, allowed),
        })
        .collect()
}

fn create(wanted: &Wanted, brokers: usize) -> Finding {
    let settings = wanted.settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let topic = NewTopic {
        name: wanted.name.clone(),
        partitions: wanted.partitions,
        replication: wanted.replication,
        settings,
    };
    let has_brokers = usize::try_from(wanted.replication).is_ok_and(|copies| copies <= brokers);
    let too_few =
        || format!("{} copies need as many brokers, and the cluster has {brokers}", wanted.replication);
    Finding {
        topic: wanted.name.clone(),
        what: "topic".to_owned(),
        is: None,
        should_be: describe(wanted),
        action: if has_brokers { Action::Create } else { Action::ByHand },
        note: (!has_brokers).then(too_few),
        step: has_brokers.then_some(Step::Create(topic)),
    }
}

fn describe(wanted: &Wanted) -> String {
    let count =
        |number: i32, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    let mut text = count(wanted.partitions, "partition", "partitions");
    text += &format!(", {}", count(wanted.replication, "copy", "copies"));
    for (name, value) in &wanted.settings {
        text += &match *name {
            "cleanup.policy" => format!(", {value}"),
            "retention.ms" => format!(", {}", kept(value)),
            name => format!(", {name}={value}"),
        };
    }
    text
}

/// How long records are kept, for people.
pub(super) fn kept(retention_ms: &str) -> String {
    match retention_ms.parse::<i64>() {
        Ok(ms) if ms < 0 => "kept for ever".to_owned(),
        Ok(ms) => format!("kept {}", said(Duration::from_millis(ms as u64))),
        Err(_) => format!("retention.ms={retention_ms}"),
    }
}

fn differences(wanted: &Wanted, topic: &TopicInfo, found: &Found<'_>, allowed: Allowed) -> Vec<Finding> {
    let finding = |what: &str, is: String, should_be: String| Finding {
        topic: wanted.name.clone(),
        what: what.to_owned(),
        is: Some(is),
        should_be,
        action: Action::ByHand,
        note: None,
        step: None,
    };
    let mut findings = Vec::new();
    let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    if partitions != wanted.partitions {
        let finding = finding("partitions", partitions.to_string(), wanted.partitions.to_string());
        findings.push(if partitions > wanted.partitions {
            let note = "partitions are never taken away: the topic would have to be made anew".to_owned();
            Finding { note: Some(note), ..finding }
        } else {
            let note =
                "keys move to other partitions, and lose their order with what is in the log".to_owned();
            let step = Some(Step::AddPartitions(wanted.partitions));
            Finding { action: the_word(allowed.add_partitions), note: Some(note), step, ..finding }
        });
    }
    let replication = i32::try_from(topic.replication()).unwrap_or(i32::MAX);
    if replication != wanted.replication {
        let note = "copies are moved between brokers with kafka-reassign-partitions".to_owned();
        let finding = finding("copies", replication.to_string(), wanted.replication.to_string());
        findings.push(Finding { note: Some(note), ..finding });
    }
    let settings = found.settings.get(&*wanted.name).map(Vec::as_slice).unwrap_or_default();
    for (name, value) in &wanted.settings {
        let is =
            settings.iter().find(|setting| setting.name == **name).and_then(|setting| setting.value.clone());
        if is.as_deref() == Some(value) {
            continue;
        }
        let is = is.unwrap_or_default();
        let shrinks = *name == "retention.ms" && is_shorter(value, &is);
        let deletes = *name == "cleanup.policy";
        let closes =
            *name == "min.insync.replicas" && value.parse().is_ok_and(|least: i32| least > replication);
        let (action, note) = match (shrinks, deletes) {
            _ if closes => {
                let note = format!(
                    "with {replication} of {} copies nothing could be written any more",
                    wanted.replication
                );
                (Action::ByHand, Some(note))
            }
            (true, _) => {
                let note = format!("records older than that are deleted ({} now)", kept(&is));
                (the_word(allowed.shrink_retention), Some(note))
            }
            (_, true) => {
                let note = format!("`{value}` deletes other records than `{is}` does: it is yours to change");
                (Action::ByHand, Some(note))
            }
            _ => (Action::Change, None),
        };
        let step = (action != Action::ByHand).then(|| Step::Set(name, value.clone()));
        findings.push(Finding { action, note, step, ..finding(name, is, value.clone()) });
    }
    findings
}

fn the_word(is_given: bool) -> Action {
    if is_given { Action::Change } else { Action::NeedsTheWord }
}

/// Whether records are kept for less time; what cannot be read is taken for longer.
fn is_shorter(retention_ms: &str, than: &str) -> bool {
    let length = |text: &str| text.parse::<i64>().map(|ms| if ms < 0 { i64::MAX } else { ms });
    match (length(retention_ms), length(than)) {
        (Ok(one), Ok(other)) => one < other,
        _ => true,
    }
}

/// Topics under the platform's names that no layout knows. They are only told.
pub(super) fn strangers<'a>(wanted: &[Wanted], cluster: &'a ClusterInfo) -> Vec<&'a str> {
    let names = cluster.topics.iter().map(|topic| &*topic.name).filter(|name| name.starts_with("txova."));
    names.filter(|name| wanted.iter().all(|wanted| wanted.name != *name)).collect()
}

#[cfg(test)]
mod tests {
    use txova_kafka::admin::{BrokerInfo, PartitionInfo};

    use super::super::layout::Layout;
    use super::*;

    fn cluster(brokers: i32, topics: Vec<TopicInfo>) -> ClusterInfo {
        let brokers = (1..=brokers).map(|id| BrokerInfo { id, address: format!("kafka-{id}:9092") });
        ClusterInfo { id: None, brokers: brokers.collect(), topics }
    }

    fn topic(name: &str, partitions: i32, copies: i32) -> TopicInfo {
        let partition = |id| PartitionInfo {
            id,
            leader: Some(1),
            replicas: (1..=copies).collect(),
            in_sync: (1..=copies).collect(),
        };
        TopicInfo { name: name.to_owned(), partitions: (0..partitions).map(partition).collect() }
    }

    fn settings(pairs: &[(&str, &str)]) -> Vec<Setting> {
        let setting = |(name, value): &(&str, &str)| Setting {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
            is_own: true,
        };
        pairs.iter().map(setting).collect()
    }

    fn rides() -> Vec<Wanted> {
        Layout::Production.topics().into_iter().filter(|topic| topic.name == "txova.rides.v1").collect()
    }

    fn planned(topic: TopicInfo, pairs: &[(&str, &str)], allowed: Allowed) -> Vec<(String, Action)> {
        let cluster = cluster(3, vec![topic]);
        let found =
            Found { cluster: &cluster, settings: BTreeMap::from([("txova.rides.v1", settings(pairs))]) };
        plan(&rides(), &found, allowed).into_iter().map(|finding| (finding.what, finding.action)).collect()
    }

    const GOOD: [(&str, &str); 3] =
        [("cleanup.policy", "delete"), ("min.insync.replicas", "2"), ("retention.ms", "604800000")];

    fn with<'a>(name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
        GOOD.iter().map(|pair| if pair.0 == name { (name, value) } else { *pair }).collect()
    }

    #[test]
    fn what_is_as_it_should_be_is_not_touched() {
        assert_eq!(planned(topic("txova.rides.v1", 12, 3), &GOOD, Allowed::default()), []);
    }

    #[test]
    fn a_missing_topic_is_made_as_the_layout_says_and_not_where_brokers_are_too_few() {
        let found = |brokers| {
            let cluster = cluster(brokers, Vec::new());
            plan(&rides(), &Found { cluster: &cluster, settings: BTreeMap::new() }, Allowed::default())
                .remove(0)
        };
        let Some(Step::Create(topic)) = found(3).step else { panic!("it can be made") };
        assert_eq!((topic.partitions, topic.replication), (12, 3));
        assert!(topic.settings.contains(&("min.insync.replicas".to_owned(), "2".to_owned())));
        let refused = found(1);
        assert_eq!((refused.action, refused.step), (Action::ByHand, None));
    }

    #[test]
    fn retention_grows_by_itself_and_shrinks_only_with_the_word() {
        let act =
            |now: &str, allowed| planned(topic("txova.rides.v1", 12, 3), &with("retention.ms", now), allowed);
        let retention = |action| vec![("retention.ms".to_owned(), action)];
        assert_eq!(act("86400000", Allowed::default()), retention(Action::Change));
        for longer in ["2592000000", "-1", "unknown"] {
            assert_eq!(act(longer, Allowed::default()), retention(Action::NeedsTheWord), "{longer}");
            let allowed = Allowed { shrink_retention: true, ..Allowed::default() };
            assert_eq!(act(longer, allowed), retention(Action::Change), "{longer}");
        }
    }

    #[test]
    fn partitions_are_added_only_with_the_word_and_never_taken() {
        let act = |count, allowed| planned(topic("txova.rides.v1", count, 3), &GOOD, allowed);
        let partitions = |action| vec![("partitions".to_owned(), action)];
        assert_eq!(act(3, Allowed::default()), partitions(Action::NeedsTheWord));
        let allowed = Allowed { add_partitions: true, ..Allowed::default() };
        assert_eq!(act(3, allowed), partitions(Action::Change));
        assert_eq!(act(24, allowed), partitions(Action::ByHand));
    }

    #[test]
    fn more_copies_in_sync_than_there_are_would_close_the_topic_and_are_not_asked_for() {
        let act = |copies| {
            planned(
                topic("txova.rides.v1", 12, copies),
                &with("min.insync.replicas", "1"),
                Allowed::default(),
            )
        };
        let insync = |action| ("min.insync.replicas".to_owned(), action);
        assert_eq!(act(3), [insync(Action::Change)]);
        assert_eq!(act(1), [("copies".to_owned(), Action::ByHand), insync(Action::ByHand)]);
    }

    #[test]
    fn copies_and_the_way_records_are_deleted_are_told_and_left_to_people() {
        let all = Allowed { shrink_retention: true, add_partitions: true };
        let copies = planned(topic("txova.rides.v1", 12, 1), &GOOD, all);
        assert_eq!(copies, [("copies".to_owned(), Action::ByHand)]);
        let policy = planned(topic("txova.rides.v1", 12, 3), &with("cleanup.policy", "compact"), all);
        assert_eq!(policy, [("cleanup.policy".to_owned(), Action::ByHand)]);
    }

    #[test]
    fn strangers_are_told_and_other_peoples_topics_are_not() {
        let names = ["txova.rides.v1", "txova.rides.v2", "orders", "__consumer_offsets"];
        let cluster = cluster(1, names.map(|name| topic(name, 1, 1)).into());
        assert_eq!(strangers(&rides(), &cluster), ["txova.rides.v2"]);
    }
}
