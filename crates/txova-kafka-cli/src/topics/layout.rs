//! The topics the platform needs, and how each is laid out. It must never know what a cluster has.

use std::collections::BTreeMap;

use clap::ValueEnum;
use txova_events::topics::{self, TopicProfile};

/// How much a cluster is meant to bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    /// 12 partitions, 3 copies of which 2 must be in sync, a week.
    Production,
    /// 3 partitions, 1 copy, a day.
    Development,
}

/// A topic as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub name: String,
    pub partitions: i32,
    pub replication: i32,
    /// By Kafka's names.
    pub settings: BTreeMap<&'static str, String>,
}

/// Dead letters wait for a person.
const DEAD_LETTERS_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// What was decided about a dead letter, and the record of every decision.
pub(crate) const DECISIONS: [(&str, &str); 2] =
    [("txova.dlq.resolutions", "compact"), ("txova.dlq.audit", "delete")];
const FOR_EVER: i64 = -1;

impl Layout {
    fn profile(self) -> TopicProfile {
        match self {
            Self::Production => TopicProfile::production(),
            Self::Development => TopicProfile::development(),
        }
    }

    /// Brokers that a write waits for, of those that have a copy.
    fn min_in_sync(self) -> i32 {
        match self {
            Self::Production => 2,
            Self::Development => 1,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Development => "development",
        }
    }

    /// Every topic of the platform: the six, the dead letters of each, and what is decided about those.
    pub(crate) fn topics(self) -> Vec<Wanted> {
        let profile = self.profile();
        let topic = |name: String, partitions: i32, policy: &str, retention_ms: i64| Wanted {
            name,
            partitions,
            replication: i32::from(profile.replication),
            settings: BTreeMap::from([
                ("cleanup.policy", policy.to_owned()),
                ("min.insync.replicas", self.min_in_sync().to_string()),
                ("retention.ms", retention_ms.to_string()),
            ]),
        };
        let events = topics::ALL.iter().flat_map(|name| {
            let dead_letters = topics::dlq_topic(name);
            [
                topic((*name).to_owned(), profile.partitions, "delete", profile.retention_ms),
                topic(dead_letters, profile.partitions, "delete", DEAD_LETTERS_MS),
            ]
        });
        let decisions = DECISIONS.iter().map(|(name, policy)| topic((*name).to_owned(), 1, policy, FOR_EVER));
        events.chain(decisions).collect()
    }
}
