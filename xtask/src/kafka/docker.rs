//! Kafka's nodes as containers of the official image. Touches only containers and the network it named itself.

use std::process::{Command, Output};

use super::engine::{Engine, State};
use super::settings::{Addresses, Settings, VERSION, joined};
use crate::failure::{Context, Failure, Result};

const STOP_WITHIN_SECONDS: &str = "20";

/// The nodes of one cluster, in containers named after its port.
#[derive(Debug)]
pub(crate) struct Docker {
    pub(crate) settings: Settings,
    pub(crate) cluster_id: String,
}

fn image() -> String {
    format!("apache/kafka:{VERSION}")
}

/// Says why Docker cannot be used here, if it cannot: no daemon, or the image is neither here nor to be had.
pub(crate) fn usable() -> Result<()> {
    docker(["info", "--format", "{{.ServerVersion}}"])?;
    if docker(["image", "inspect", &image()]).is_err() {
        eprintln!("fetching the image {} (once)", image());
        docker(["pull", "--quiet", &image()])?;
    }
    Ok(())
}

impl Docker {
    fn network(&self) -> String {
        format!("txova-kafka-{}", self.settings.port)
    }

    fn name(&self, node: u8) -> String {
        format!("{}-{node}", self.network())
    }

    fn addresses(&self, node: u8) -> Addresses {
        // Only the clients' port is published; the two others are seen in the cluster's network alone, and stand
        // beside it so that no choice of port makes two of them the same.
        let (client, controller) = (self.settings.client_port(node), self.settings.controller_port(node));
        let broker = controller + 1;
        Addresses {
            voters: joined(self.settings, |it| {
                format!("{it}@{}:{}", self.name(it), self.settings.controller_port(it))
            }),
            listeners: format!("CLIENT://:{client},BROKER://:{broker},CONTROLLER://:{controller}"),
            advertised: format!("CLIENT://127.0.0.1:{client},BROKER://{}:{broker}", self.name(node)),
            protocols: "CLIENT:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
            between_brokers: "BROKER",
            log_dir: "/tmp/kraft-combined-logs".to_owned(),
        }
    }

    fn create(&self, node: u8) -> Vec<String> {
        let port = self.settings.client_port(node);
        let mut arguments =
            ["create", "--name", &self.name(node), "--network", &self.network()].map(str::to_owned).to_vec();
        arguments.extend(["--publish".to_owned(), format!("127.0.0.1:{port}:{port}")]);
        let environment = [
            ("CLUSTER_ID".to_owned(), self.cluster_id.clone()),
            ("KAFKA_HEAP_OPTS".to_owned(), "-Xms512m -Xmx512m".to_owned()),
        ];
        let properties = self.settings.properties(node, &self.addresses(node));
        let properties = properties.into_iter().map(|(name, value)| (variable(name), value));
        for (name, value) in environment.into_iter().chain(properties) {
            arguments.extend(["--env".to_owned(), format!("{name}={value}")]);
        }
        arguments.push(image());
        arguments
    }
}

/// The variable by which the image takes a setting.
fn variable(setting: &str) -> String {
    format!("KAFKA_{}", setting.to_uppercase().replace('_', "__").replace('-', "___").replace('.', "_"))
}

impl Engine for Docker {
    fn prepare(&self) -> Result<()> {
        if docker(["network", "inspect", &self.network()]).is_err() {
            docker(["network", "create", &self.network()])?;
        }
        for node in self.settings.node_ids() {
            if docker(["container", "inspect", &self.name(node)]).is_err() {
                docker(self.create(node))?;
            }
        }
        Ok(())
    }

    fn state(&self, node: u8) -> Result<State> {
        let name = self.name(node);
        let Ok(said) = docker(["container", "inspect", "--format", "{{.State.Status}}", &name]) else {
            return Ok(State::Down);
        };
        Ok(match said.as_str() {
            "running" | "restarting" => State::Up { who: format!("container {name}"), paused: false },
            "paused" => State::Up { who: format!("container {name}"), paused: true },
            _ => State::Down,
        })
    }

    fn start(&self, node: u8) -> Result<()> {
        docker(["start", &self.name(node)]).map(drop)
    }

    fn permit(&self) -> Result<()> {
        Ok(()) // there is no secure listener in containers
    }

    fn kill(&self, node: u8) -> Result<()> {
        docker(["kill", &self.name(node)]).map(drop)
    }

    fn pause(&self, node: u8) -> Result<()> {
        docker(["pause", &self.name(node)]).map(drop)
    }

    fn unpause(&self, node: u8) -> Result<()> {
        docker(["unpause", &self.name(node)]).map(drop)
    }

    fn stop(&self) -> Result<Vec<u8>> {
        let mut up = Vec::new();
        for node in self.settings.node_ids() {
            if let State::Up { paused, .. } = self.state(node)? {
                if paused {
                    self.unpause(node)?;
                }
                up.push(self.name(node));
            }
        }
        if !up.is_empty() {
            let stop = ["stop", "-t", STOP_WITHIN_SECONDS].map(str::to_owned);
            docker(stop.into_iter().chain(up))?;
        }
        // Docker kills what does not end in time and does not say which.
        Ok(Vec::new())
    }

    fn remove(&self) -> Result<()> {
        for node in self.settings.node_ids() {
            let name = self.name(node);
            if docker(["container", "inspect", &name]).is_ok() {
                docker(["rm", "--force", "--volumes", &name])?;
            }
        }
        if docker(["network", "inspect", &self.network()]).is_ok() {
            docker(["network", "rm", &self.network()])?;
        }
        Ok(())
    }

    fn log_tail(&self, node: u8) -> String {
        docker(["logs", "--tail", "15", &self.name(node)]).unwrap_or_else(|failure| failure.to_string())
    }
}

/// Runs `docker` and gives back what it printed, or its own words on why not.
fn docker<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Result<String> {
    let arguments: Vec<_> = arguments.into_iter().map(|it| it.as_ref().to_owned()).collect();
    let called = arguments.first().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    let Output { status, stdout, stderr } =
        Command::new("docker").args(arguments).output().context(|| "cannot run `docker`".to_owned())?;
    if status.success() {
        Ok(String::from_utf8_lossy(&stdout).trim().to_owned())
    } else {
        Err(Failure::new(format!("`docker {called}`: {}", String::from_utf8_lossy(&stderr).trim())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Docker {
        Docker {
            settings: Settings { nodes: 3, port: 9092, partitions: 3, auto_create: true, secure: false },
            cluster_id: "AZy1".to_owned(),
        }
    }

    #[test]
    fn a_setting_becomes_the_variable_the_image_reads() {
        assert_eq!(variable("offsets.topic.num.partitions"), "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS");
    }

    #[test]
    fn a_node_is_reached_from_this_machine_by_loopback_only() {
        let arguments = three().create(2);
        assert!(arguments.contains(&"127.0.0.1:9102:9102".to_owned()), "{arguments:?}");
        assert!(
            arguments.iter().any(|it| it
                == "KAFKA_ADVERTISED_LISTENERS=CLIENT://127.0.0.1:9102,BROKER://txova-kafka-9092-2:9104")
        );
    }

    #[test]
    fn the_controllers_find_each_other_by_container_name() {
        let arguments = three().create(1);
        assert!(arguments.iter().any(|it| it
            == "KAFKA_CONTROLLER_QUORUM_VOTERS=1@txova-kafka-9092-1:9093,2@txova-kafka-9092-2:9103,3@txova-kafka-9092-3:9113"));
    }
}
