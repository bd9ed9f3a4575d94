//! A Kafka cluster inside the process, for tests and for trying things out: librdkafka's own mock brokers, spoken to
//! over TCP by real clients. It must never be used to prove what only a real broker can do.
#![allow(unsafe_code)]

use std::sync::mpsc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::bindings::{rd_kafka_handle_mock_cluster, rd_kafka_mock_group_initial_rebalance_delay_ms};
use rdkafka::producer::{BaseProducer, DefaultProducerContext, Producer as _};

use super::config::check_name;
use super::own_thread;
use crate::client_error::{ClientError, ClientErrorKind};

/// How long dropping waits for the brokers to stop.
const STOP: Duration = Duration::from_secs(2);
/// How long starting may take.
const START: Duration = Duration::from_secs(10);

/// A Kafka cluster inside the process. Listens on the loopback interface; dropping it stops it, within two seconds.
///
/// What it cannot do: it keeps 5 MiB a partition and drops what is older, a group of two members does not get going
/// (one member for each group), a member that leaves is replaced only when the group's `session.timeout.ms` less one
/// second is over (set it low for restarts), and it neither creates topics by request nor aborts transactions as a broker does. A
/// topic that is written to without being named here comes into being with four partitions.
#[derive(Debug)]
pub struct MockKafka {
    bootstrap: String,
    stop: Option<mpsc::Sender<()>>,
    stopped: mpsc::Receiver<()>,
}

impl MockKafka {
    /// Starts `brokers` brokers with these topics, each with its number of partitions.
    ///
    /// # Errors
    ///
    /// [`ClientErrorKind::Config`] for a number of brokers or partitions below one or a name that is none, and
    /// [`ClientErrorKind::Other`] where no broker could be started.
    pub fn start(brokers: i32, topics: &[(&str, i32)]) -> Result<Self, ClientError> {
        if brokers < 1 {
            return Err(config(format!("a mock cluster of {brokers} brokers: expected 1 or more")));
        }
        for (topic, partitions) in topics {
            check_name("the topic", topic)?;
            if *partitions < 1 {
                return Err(config(format!(
                    "topic {topic} with {partitions} partitions: expected 1 or more"
                )));
            }
        }
        let topics: Vec<(String, i32)> =
            topics.iter().map(|(topic, partitions)| ((*topic).to_owned(), *partitions)).collect();
        let (started, start) = mpsc::sync_channel(1);
        let (stop, stopping) = mpsc::channel::<()>();
        let (ended, stopped) = mpsc::channel::<()>();
        own_thread::start("txova-kafka-mock", move || {
            match Cluster::start(brokers, &topics) {
                Err(error) => {
                    let _ = started.send(Err(error)); // nobody waits any more
                }
                Ok(cluster) => {
                    if started.send(cluster.bootstrap()).is_ok() {
                        let _ = stopping.recv(); // ends when the handle is dropped
                    }
                    drop(cluster);
                }
            }
            drop(ended);
        })?;
        let bootstrap = start
            .recv_timeout(START)
            .map_err(|_| other(format!("the mock cluster did not start within {START:?}")))??;
        Ok(Self { bootstrap, stop: Some(stop), stopped })
    }

    /// The addresses of the brokers, as `bootstrap.servers` takes them.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }
}

impl Drop for MockKafka {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.stopped.recv_timeout(STOP); // librdkafka has been seen to hang here; the thread is left then
    }
}

/// The cluster on its own thread: it must not leave the one it was made on.
struct Cluster {
    client: BaseProducer<DefaultProducerContext>,
}

impl Cluster {
    fn start(brokers: i32, topics: &[(String, i32)]) -> Result<Self, ClientError> {
        let mut settings = ClientConfig::new();
        settings.set("test.mock.num.brokers", brokers.to_string());
        settings.set("log_level", "2"); // one line of start-up noise each
        let client: BaseProducer<_> = settings
            .create_with_context(DefaultProducerContext)
            .map_err(|error| other(format!("starting a mock cluster: {error}")))?;
        let cluster = Self { client };
        let mock = cluster.client.client().mock_cluster();
        let mock =
            mock.ok_or_else(|| other("this librdkafka was built without its mock cluster".to_owned()))?;
        for (topic, partitions) in topics {
            mock.create_topic(topic, *partitions, brokers)
                .map_err(|error| config(format!("creating topic {topic} in the mock cluster: {error}")))?;
        }
        // SAFETY: the cluster belongs to the client, which is alive; rdkafka has no call for this setting. Without it
        // a group's first member waits three seconds for others.
        unsafe {
            let native = rd_kafka_handle_mock_cluster(cluster.client.client().native_ptr());
            rd_kafka_mock_group_initial_rebalance_delay_ms(native, 0);
        }
        drop(mock);
        Ok(cluster)
    }

    fn bootstrap(&self) -> Result<String, ClientError> {
        let mock = self.client.client().mock_cluster();
        Ok(mock.ok_or_else(|| other("the mock cluster is gone".to_owned()))?.bootstrap_servers())
    }
}

fn config(message: String) -> ClientError {
    ClientError::new(ClientErrorKind::Config, message)
}

fn other(message: String) -> ClientError {
    ClientError::new(ClientErrorKind::Other, message)
}
