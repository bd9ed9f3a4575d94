//! A second listener with TLS and a log-in, and who may do what there: authorities, certificates, users, permissions.
//! All of it is made for one cluster, on this machine, and deleted with it. Knows no process.
//!
//! `writer` may write and read what begins with `open`, and nothing else. Whoever comes by the first listener, which
//! listens on this machine alone and asks for no name, may do everything, as the brokers among themselves do.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Context, Failure, Result};

const USER: &str = "writer";
const MECHANISMS: [&str; 2] = ["SCRAM-SHA-256", "SCRAM-SHA-512"];
const PREFIX: &str = "open";

/// The files of one cluster's secure listener.
#[derive(Debug, Clone)]
pub(crate) struct Secure {
    folder: PathBuf,
}

impl Secure {
    pub(crate) fn new(cluster: &Path) -> Self {
        Self { folder: cluster.join("secure") }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes the authorities, the broker's certificate and the user's password, where they are not there yet.
    pub(crate) fn prepare(&self) -> Result<()> {
        if self.file("server.pem").exists() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder).context(|| format!("cannot make {}", self.folder.display()))?;
        fs::set_permissions(&self.folder, Permissions::from_mode(0o700))
            .context(|| format!("cannot protect {}", self.folder.display()))?;
        self.write("password", &uuid::Uuid::new_v4().simple().to_string())?;
        self.authority("ca")?;
        // Nothing here is signed by it: what a client trusts that trusts the wrong one.
        self.authority("other-ca")?;
        self.write("names", "subjectAltName=IP:127.0.0.1,DNS:localhost\n")?;
        self.openssl("req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr")?;
        self.openssl(
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -extfile names \
             -out server.crt",
        )?;
        let read = |name: &str| {
            let path = self.file(name);
            fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))
        };
        self.write("server.pem", &(read("server.key")? + &read("server.crt")?))
    }

    fn authority(&self, name: &str) -> Result<()> {
        self.openssl(&format!(
            "req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN={name} -keyout {name}.key -out {name}.pem"
        ))
    }

    fn openssl(&self, arguments: &str) -> Result<()> {
        let done = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(&self.folder)
            .output()
            .context(|| "a secure listener needs certificates, and `openssl` does not run".to_owned())?;
        if done.status.success() {
            return Ok(());
        }
        Err(Failure::new(format!("`openssl {arguments}`: {}", String::from_utf8_lossy(&done.stderr).trim())))
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.file(name);
        fs::write(&path, text).context(|| format!("cannot write {}", path.display()))
    }

    /// The broker's settings for the listener `SECURE`.
    pub(crate) fn properties(&self) -> Vec<(&'static str, String)> {
        let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
        vec![
            ("listener.name.secure.sasl.enabled.mechanisms", MECHANISMS.join(",")),
            ("listener.name.secure.scram-sha-256.sasl.jaas.config", scram.to_owned()),
            ("listener.name.secure.scram-sha-512.sasl.jaas.config", scram.to_owned()),
            ("listener.name.secure.ssl.keystore.type", "PEM".to_owned()),
            ("listener.name.secure.ssl.keystore.location", self.file("server.pem").display().to_string()),
            ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned()),
            ("super.users", "User:ANONYMOUS".to_owned()),
        ]
    }

    /// What `StorageTool format` is told besides: the user is there before the first start.
    pub(crate) fn format_arguments(&self) -> Result<Vec<String>> {
        let path = self.file("password");
        let password = fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
        let user = |mechanism| format!("{mechanism}=[name={USER},password={password}]");
        Ok(MECHANISMS.iter().flat_map(|mechanism| ["--add-scram".to_owned(), user(mechanism)]).collect())
    }

    /// Calls of `AclCommand` that give the user what it may do; given again without harm.
    pub(crate) fn permissions() -> [Vec<&'static str>; 2] {
        let principal = "User:writer";
        let allow = ["--add", "--force", "--allow-principal", principal];
        let prefixed = ["--resource-pattern-type", "prefixed", "--operation", "All"];
        [
            [&allow[..], &prefixed, &["--topic", PREFIX]].concat(),
            [&allow[..], &prefixed, &["--group", PREFIX]].concat(),
        ]
    }

    /// What points a client at the listener.
    pub(crate) fn variables(&self, bootstrap: &str) -> String {
        format!(
            "TXOVA_KAFKA_BROKERS={bootstrap} TXOVA_KAFKA_SECURITY_PROTOCOL=sasl_tls \
             TXOVA_KAFKA_TLS_CA_FILE={} TXOVA_KAFKA_SASL_USERNAME={USER} TXOVA_KAFKA_SASL_PASSWORD_FILE={}",
            self.file("ca.pem").display(),
            self.file("password").display()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificates_are_made_once_and_the_password_is_in_no_variable() {
        let cluster = std::env::temp_dir().join(format!("secure-{}", uuid::Uuid::new_v4()));
        let secure = Secure::new(&cluster);
        secure.prepare().expect("made");
        let pem = fs::read_to_string(secure.file("server.pem")).expect("there");
        assert!(pem.contains("BEGIN PRIVATE KEY") && pem.contains("BEGIN CERTIFICATE"), "{pem}");
        let password = fs::read_to_string(secure.file("password")).expect("there");
        secure.prepare().expect("left as it is");
        assert_eq!(fs::read_to_string(secure.file("password")).expect("there"), password);
        assert!(!secure.variables("127.0.0.1:9094").contains(&password));
        assert!(secure.format_arguments().expect("read")[1].contains(&password));
        fs::remove_dir_all(cluster).expect("removed");
    }
}
