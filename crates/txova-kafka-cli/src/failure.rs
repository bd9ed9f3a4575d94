//! How a command ends when it has no answer, and which exit code that is. It must never know which command it was.

use std::fmt;

use txova_kafka::config::{ConfigError, Origin, Problem};
use txova_kafka::{ClientError, ClientErrorKind, KafkaError};

/// What scripts may rely on; the same for every command.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done, and what was asked holds
  1    done, and the answer is no: a check failed, drift was found, an event is invalid, lag is above the alert
  2    not understood: a flag, a setting, a file or its content
  3    the cluster cannot be reached, or does not do what it is asked
  130  interrupted";

/// What a command that was carried out found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// What was asked holds.
    Yes,
    /// It does not.
    No,
}

impl Verdict {
    /// Yes where `holds`.
    pub(crate) fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Yes => 0,
            Self::No => 1,
        }
    }
}

/// Why a command has no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A flag, a setting, a file or its content cannot be used.
    Usage(String),
    /// The cluster cannot be reached, or does not do what it is asked.
    Cluster(String),
    /// Somebody pressed Ctrl-C before there was one.
    Interrupted,
    /// Nobody reads the output any more.
    ReaderGone,
}

impl Failure {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Cluster(_) => 3,
            Self::Interrupted => 130,
            Self::ReaderGone => 0, // `| head` has all it wants
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Cluster(text) => f.write_str(text),
            Self::Interrupted => f.write_str("interrupted"),
            Self::ReaderGone => f.write_str("nobody reads the output"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match hint(error.kind) {
            Some(hint) => Self::Cluster(format!("{error}\n{hint}")),
            None => Self::Cluster(error.to_string()),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let problems: Vec<String> = error.problems().iter().map(told).collect();
        Self::Usage(problems.join("\n"))
    }
}

impl From<KafkaError> for Failure {
    fn from(error: KafkaError) -> Self {
        match error {
            KafkaError::Config(error) => error.into(),
            KafkaError::Client(error) if error.kind == ClientErrorKind::Config => {
                Self::Usage(error.to_string())
            }
            KafkaError::Client(error) => error.into(),
            other => Self::Cluster(other.to_string()),
        }
    }
}

impl From<std::io::Error> for Failure {
    /// Of writing to standard output; whoever reads a file names it.
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::Usage(format!("standard output: {error}")),
        }
    }
}

/// What is set in code here was said on the command line.
fn told(problem: &Problem) -> String {
    let flag = match (&*problem.setting, &problem.origin) {
        ("connection.brokers", Origin::Code) => "--brokers",
        ("profile", Origin::Code) => "--profile",
        ("connection.brokers", Origin::Default) if problem.value.is_none() => {
            return "no Kafka is named: give --brokers HOST:PORT, --config FILE or TXOVA_KAFKA_BROKERS\n\
                    (`txova-kafka dev` starts one to try things on, and says its address)"
                .to_owned();
        }
        _ => return problem.to_string(),
    };
    match &problem.value {
        Some(value) => format!("{flag} {value}: {}", problem.expected),
        None => format!("{flag}: {}", problem.expected),
    }
}

/// What a person may look at.
pub(crate) fn hint(kind: ClientErrorKind) -> Option<&'static str> {
    Some(match kind {
        ClientErrorKind::Unreachable | ClientErrorKind::TimedOut => {
            "Is Kafka running there, and does this machine reach that address and the ones its brokers advertise?"
        }
        ClientErrorKind::Tls => {
            "Do `connection.security_protocol` and the port fit each other, and does `connection.tls.ca_file` name who \
             signed the broker's certificate?"
        }
        ClientErrorKind::Authentication => {
            "Are `connection.sasl.mechanism` and `username` right, and the password (TXOVA_KAFKA_SASL_PASSWORD, or \
             `connection.sasl.password_file`)?"
        }
        ClientErrorKind::Authorization => "This user may not do that: an ACL of the cluster must allow it.",
        ClientErrorKind::UnknownTopic => "`txova-kafka topics plan` shows which topics are missing.",
        _ => return None,
    })
}
