//! Where the cluster is and how to be let in. Knows nothing of what is written or read there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Secret;
use super::choice::choices;

/// Where the cluster is and how to be let in.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// Some brokers of the cluster, each `host:port` (`[::1]:9092` for IPv6); the rest is found through them.
    pub brokers: Vec<String>,
    /// The name this client has in the brokers' logs and quotas.
    pub client_id: String,
    /// Plain text or TLS, with or without a user.
    pub security_protocol: SecurityProtocol,
    /// For `tls` and `sasl_tls`.
    pub tls: Tls,
    /// For `sasl_plaintext` and `sasl_tls`.
    pub sasl: Sasl,
    /// How long one connection may take to be made, TLS and log-in included.
    pub connect_timeout_ms: u64,
    /// The first wait before a broken connection is tried again; doubles each time.
    pub reconnect_backoff_ms: u64,
    /// The longest such wait.
    pub reconnect_backoff_max_ms: u64,
    /// How often a client asks again what topics look like: the longest until a topic that was made late, or partitions
    /// that were added, are noticed. Leaders that move are noticed at once.
    ///
    /// Added partitions change where keys go: what a key wrote before and after lies in two partitions, which nothing
    /// orders between each other. Wait until the group's lag is 0 before anything is written to them, or make a new topic.
    pub metadata_refresh_ms: u64,
    /// More properties of the client library, by its names, for every client made; values are never shown. One that has a setting here, or
    /// that the library depends on, is refused.
    pub properties: BTreeMap<String, Secret>,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            brokers: Vec::new(),
            client_id: "txova-kafka".to_owned(),
            security_protocol: SecurityProtocol::Plaintext,
            tls: Tls::default(),
            sasl: Sasl::default(),
            connect_timeout_ms: 10_000,
            reconnect_backoff_ms: 100,
            reconnect_backoff_max_ms: 2_000,
            metadata_refresh_ms: 30_000,
            properties: BTreeMap::new(),
        }
    }
}

choices! {
    /// How a connection is protected.
    pub enum SecurityProtocol {
        /// Neither encrypted nor logged in.
        #[default]
        Plaintext = "plaintext",
        /// Encrypted.
        Tls = "tls" | "ssl",
        /// Logged in, not encrypted.
        SaslPlaintext = "sasl_plaintext",
        /// Encrypted and logged in.
        SaslTls = "sasl_tls" | "sasl_ssl",
    }
}

impl SecurityProtocol {
    /// Whether connections are encrypted.
    pub fn uses_tls(self) -> bool {
        matches!(self, Self::Tls | Self::SaslTls)
    }

    /// Whether a user logs in.
    pub fn uses_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslTls)
    }
}

/// TLS: whom to trust and who we are.
#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    /// PEM file of the authorities to trust; `None` takes the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM file of our own certificate, where the brokers ask for one. Needs `key_file`.
    pub cert_file: Option<PathBuf>,
    /// PEM file of the certificate's private key.
    pub key_file: Option<PathBuf>,
    /// The private key's pass phrase.
    pub key_password: Option<Secret>,
    /// A file with the private key's pass phrase; a line's end at its end is not part of it.
    pub key_password_file: Option<PathBuf>,
    /// Whether the broker's certificate must carry the name we connect to. Off only for tests.
    pub verify_hostname: bool,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            ca_file: None,
            cert_file: None,
            key_file: None,
            key_password: None,
            key_password_file: None,
            verify_hostname: true,
        }
    }
}

/// The user to log in as.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sasl {
    /// How the password is proved.
    pub mechanism: SaslMechanism,
    /// The user's name.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// A file with the password; a line's end at its end is not part of it.
    pub password_file: Option<PathBuf>,
}

choices! {
    /// How the password is proved to the broker.
    pub enum SaslMechanism {
        /// Sent as it is: only over TLS.
        Plain = "plain",
        /// Challenge and response with SHA-256.
        ScramSha256 = "scram_sha_256" | "scram-sha-256",
        /// Challenge and response with SHA-512.
        #[default]
        ScramSha512 = "scram_sha_512" | "scram-sha-512",
    }
}
