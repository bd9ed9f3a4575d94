//! How a cluster is laid out (nodes, ports) and the settings its brokers get. Knows no process, file or container.

use serde::{Deserialize, Serialize};

/// The release of Apache Kafka that is started.
pub(crate) const VERSION: &str = "4.3.1";

/// What a cluster is asked to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Brokers, each also a controller: 1 or 3.
    pub(crate) nodes: u8,
    /// Where the first broker listens for clients; each further one ten ports higher.
    pub(crate) port: u16,
    /// Partitions of a topic that is created without saying how many.
    pub(crate) partitions: u32,
    /// Whether a topic appears when it is first named.
    pub(crate) auto_create: bool,
    /// Whether each broker also listens with TLS and a log-in.
    #[serde(default)]
    pub(crate) secure: bool,
}

/// The addresses a node binds and tells others; they differ between a process and a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) voters: String,
    pub(crate) listeners: String,
    pub(crate) advertised: String,
    pub(crate) protocols: String,
    pub(crate) between_brokers: &'static str,
    pub(crate) log_dir: String,
}

impl Settings {
    /// The node numbers, from 1.
    pub(crate) fn node_ids(self) -> impl Iterator<Item = u8> {
        1..=self.nodes
    }

    /// Where `node` listens for clients.
    pub(crate) fn client_port(self, node: u8) -> u16 {
        self.port + (u16::from(node) - 1) * 10
    }

    /// Where `node` listens for the other controllers.
    pub(crate) fn controller_port(self, node: u8) -> u16 {
        self.client_port(node) + 1
    }

    /// Where `node` listens with TLS and a log-in, when it does.
    pub(crate) fn secure_port(self, node: u8) -> u16 {
        self.client_port(node) + 2
    }

    /// As [`bootstrap`](Self::bootstrap), for the listener with TLS and a log-in.
    pub(crate) fn secure_bootstrap(self) -> String {
        joined(self, |node| format!("127.0.0.1:{}", self.secure_port(node)))
    }

    /// What a client is given to find the cluster: `127.0.0.1:9092,…`.
    pub(crate) fn bootstrap(self) -> String {
        joined(self, |node| format!("127.0.0.1:{}", self.client_port(node)))
    }

    /// The settings of `node`, in the order they are written.
    pub(crate) fn properties(self, node: u8, at: &Addresses) -> Vec<(&'static str, String)> {
        // Three copies, two of them in sync, is what production has; with fewer nodes only one copy is possible.
        let (copies, in_sync) = if self.nodes >= 3 { ("3", "2") } else { ("1", "1") };
        let given = [
            ("process.roles", "broker,controller"),
            ("controller.listener.names", "CONTROLLER"),
            ("inter.broker.listener.name", at.between_brokers),
            ("default.replication.factor", copies),
            ("min.insync.replicas", in_sync),
            ("offsets.topic.replication.factor", copies),
            ("transaction.state.log.replication.factor", copies),
            ("transaction.state.log.min.isr", in_sync),
            ("share.coordinator.state.topic.replication.factor", copies),
            ("share.coordinator.state.topic.min.isr", in_sync),
            // 50 partitions each by default: seconds of a first start and hundreds of files, for nothing here.
            ("offsets.topic.num.partitions", "4"),
            ("transaction.state.log.num.partitions", "4"),
            ("share.coordinator.state.topic.num.partitions", "4"),
            // Kafka waits 3 s for more members before a new group's first assignment; a test has all of its own.
            ("group.initial.rebalance.delay.ms", "0"),
            // 128 MiB by default, a quarter of the heap a node gets here.
            ("log.cleaner.dedupe.buffer.size", "8388608"),
        ];
        let chosen = [
            ("node.id", node.to_string()),
            ("controller.quorum.voters", at.voters.clone()),
            ("listeners", at.listeners.clone()),
            ("listener.security.protocol.map", at.protocols.clone()),
            ("advertised.listeners", at.advertised.clone()),
            ("log.dirs", at.log_dir.clone()),
            ("num.partitions", self.partitions.to_string()),
            ("auto.create.topics.enable", self.auto_create.to_string()),
        ];
        chosen.into_iter().chain(given.map(|(name, value)| (name, value.to_owned()))).collect()
    }
}

/// One entry for every node, with commas between.
pub(crate) fn joined(settings: Settings, entry: impl Fn(u8) -> String) -> String {
    settings.node_ids().map(entry).collect::<Vec<_>>().join(",")
}

/// Settings as the text of a `.properties` file.
pub(crate) fn properties_file(properties: &[(&'static str, String)]) -> String {
    // A backslash begins an escape in that format.
    properties.iter().map(|(name, value)| format!("{name}={}\n", value.replace('\\', "\\\\"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(nodes: u8) -> Settings {
        Settings { nodes, port: 9092, partitions: 6, auto_create: true, secure: false }
    }

    fn value(nodes: u8, name: &str) -> String {
        let at = Addresses {
            voters: "1@127.0.0.1:9093".into(),
            listeners: "CLIENT://127.0.0.1:9092".into(),
            advertised: "CLIENT://127.0.0.1:9092".into(),
            protocols: "CLIENT:PLAINTEXT".into(),
            between_brokers: "CLIENT",
            log_dir: "/data/1".into(),
        };
        let all = settings(nodes).properties(1, &at);
        let found: Vec<_> = all.iter().filter(|(it, _)| *it == name).collect();
        assert_eq!(found.len(), 1, "{name} is written exactly once");
        found[0].1.clone()
    }

    #[test]
    fn one_node_keeps_one_copy_of_everything() {
        for name in [
            "default.replication.factor",
            "min.insync.replicas",
            "offsets.topic.replication.factor",
            "transaction.state.log.replication.factor",
            "transaction.state.log.min.isr",
            "share.coordinator.state.topic.replication.factor",
            "share.coordinator.state.topic.min.isr",
        ] {
            assert_eq!(value(1, name), "1", "{name}");
        }
    }

    #[test]
    fn three_nodes_keep_three_copies_and_need_two() {
        assert_eq!(value(3, "default.replication.factor"), "3");
        assert_eq!(value(3, "min.insync.replicas"), "2");
        assert_eq!(value(3, "transaction.state.log.min.isr"), "2");
    }

    #[test]
    fn what_was_asked_for_is_what_the_broker_is_told() {
        assert_eq!(value(1, "num.partitions"), "6");
        assert_eq!(value(1, "auto.create.topics.enable"), "true");
        assert_eq!(value(1, "node.id"), "1");
        assert_eq!(value(1, "group.initial.rebalance.delay.ms"), "0");
    }

    #[test]
    fn nodes_are_ten_ports_apart_with_the_controller_in_between() {
        let three = settings(3);
        assert_eq!(three.bootstrap(), "127.0.0.1:9092,127.0.0.1:9102,127.0.0.1:9112");
        assert_eq!(three.controller_port(3), 9113);
    }

    #[test]
    fn a_properties_file_survives_a_backslash() {
        assert_eq!(properties_file(&[("log.dirs", r"C:\data".into())]), "log.dirs=C:\\\\data\n");
    }
}
