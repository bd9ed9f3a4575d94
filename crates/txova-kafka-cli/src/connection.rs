//! The cluster a command talks to: the same flags, variables and file for every command. It must never know what the
//! command wants there.

use std::path::PathBuf;
use std::time::Duration;

use txova_kafka::config::{KafkaConfig, Loader};
use txova_kafka::publisher::Publisher;
use txova_kafka::{ClientError, ClientErrorKind, Kafka};

use crate::failure::{Failure, hint};

/// How long a cluster is tried before the command gives up: told within five seconds.
const REACH: Duration = Duration::from_secs(4);

/// Which cluster, and how to be let in. Secrets come from the file, from files it names, or from the environment; there
/// is no flag for one.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// Brokers, host:port[,host:port…], in place of those of TXOVA_KAFKA_BROKERS and the file.
    #[arg(long, value_name = "LIST")]
    pub brokers: Option<String>,
    /// A TOML file of settings, in place of the one TXOVA_KAFKA_CONFIG names.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The file's [profiles.NAME] to take, in place of TXOVA_KAFKA_PROFILE.
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
}

impl ConnectionArgs {
    /// Whether the command line names a cluster, whatever the environment says.
    pub(crate) fn is_given(&self) -> bool {
        self.brokers.is_some() || self.config.is_some() || self.profile.is_some()
    }

    /// The settings: file, profile, environment, flags, the later wins.
    ///
    /// # Errors
    /// Everything that is wrong with them, at once.
    pub(crate) fn settings(&self) -> Result<KafkaConfig, Failure> {
        let mut loader = Loader::new().env();
        if let Some(file) = &self.config {
            loader = loader.file(file);
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile(profile);
        }
        if let Some(brokers) = &self.brokers {
            let brokers = KafkaConfig::for_brokers(brokers).connection.brokers;
            loader = loader.set(|config| config.connection.brokers = brokers);
        }
        Ok(loader.load()?)
    }

    /// The cluster, which nobody has talked to yet.
    pub(crate) fn kafka(&self) -> Result<Kafka, Failure> {
        Ok(Kafka::new(self.settings()?)?)
    }

    /// The cluster, once it has answered; one that does not is told within five seconds.
    pub(crate) async fn connect(&self) -> Result<Kafka, Failure> {
        let kafka = self.kafka()?;
        match kafka.topics(&[], REACH).await {
            Ok(_) => Ok(kafka),
            Err(error) => Err(self.unreached(&kafka, &error)),
        }
    }

    fn unreached(&self, kafka: &Kafka, error: &ClientError) -> Failure {
        let brokers = kafka.config().connection.brokers.join(",");
        let said_by = match (&self.brokers, std::env::var_os("TXOVA_KAFKA_BROKERS")) {
            (Some(_), _) => "--brokers",
            (None, Some(_)) => "TXOVA_KAFKA_BROKERS",
            (None, None) => "the file",
        };
        let cause = match error.kind {
            ClientErrorKind::Unreachable | ClientErrorKind::TimedOut => "no Kafka answers at",
            _ => "the Kafka lets nobody in at",
        };
        let hint = hint(error.kind).map(|hint| format!("\n{hint}")).unwrap_or_default();
        Failure::Cluster(format!("{cause} {brokers} ({said_by}): {error}{hint}"))
    }
}

/// Connects a publisher to a topic that may have been made a moment ago: its leaders take a while to be known.
pub(crate) async fn warm_up(
    publisher: &Publisher,
    topic: &str,
    timeout: Duration,
) -> Result<(), ClientError> {
    let until = tokio::time::Instant::now() + timeout;
    loop {
        match publisher.warm_up([topic], timeout).await {
            Err(error) if error.is_retriable() && tokio::time::Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            answer => return answer,
        }
    }
}
