//! TLS and a password against a real broker: the right ones open, each wrong one is an error that says which, within
//! seconds, and no secret is ever said.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use txova_kafka::config::{KafkaConfig, SaslMechanism, SecurityProtocol};
use txova_kafka::{ClientErrorKind, Kafka, OutgoingRecord};

use super::Found;
use super::refusals::secure_config;
use super::words::Words;
use crate::brokers::Place;
use crate::check::Rule;
use crate::failure::{Context, Result};
use crate::faults::client;

const TOPIC: &str = "open.door";
const WRONG: &str = "wrong-pa55word";
/// How long a question may take; an error must come long before.
const PATIENCE: Duration = Duration::from_secs(30);
const SECONDS: Duration = Duration::from_secs(10);

/// What is wrong, how to make it so, and which error it must be.
struct Door {
    what: &'static str,
    change: fn(&mut KafkaConfig, &Path),
    kind: ClientErrorKind,
}

const WRONG_DOORS: [Door; 5] = [
    Door {
        what: "a wrong password",
        change: |config, _| {
            config.connection.sasl.password_file = None;
            config.connection.sasl.password = Some(WRONG.into());
        },
        kind: ClientErrorKind::Authentication,
    },
    Door {
        what: "a user nobody knows",
        change: |config, _| config.connection.sasl.username = Some("nobody".to_owned()),
        kind: ClientErrorKind::Authentication,
    },
    Door {
        what: "another authority",
        change: |config, folder| config.connection.tls.ca_file = Some(folder.join("other-ca.pem")),
        kind: ClientErrorKind::Tls,
    },
    Door {
        what: "plain text to a TLS port",
        change: |config, _| {
            let brokers = config.connection.brokers.join(",");
            *config = KafkaConfig::for_brokers(&brokers);
        },
        kind: ClientErrorKind::Tls,
    },
    Door {
        what: "a password in plain text to a TLS port",
        change: |config, _| {
            config.connection.security_protocol = SecurityProtocol::SaslPlaintext;
            config.connection.tls.ca_file = None;
        },
        kind: ClientErrorKind::Tls,
    },
];

pub(super) async fn run(place: &Place, found: &mut Found) -> Result<()> {
    let words = Words::default();
    // For the whole process: librdkafka's threads speak too.
    let _ = tracing::subscriber::set_global_default(words.clone());
    let brokers = place.start_secure().await?;
    let right = secure_config(&brokers)?;
    let file = right.connection.sasl.password_file.clone().unwrap_or_default();
    let secret = fs::read_to_string(&file).context(|| format!("cannot read {}", file.display()))?;
    let folder = file.parent().unwrap_or(Path::new(".")).to_owned();
    let topic =
        txova_kafka::NewTopic { name: TOPIC.to_owned(), partitions: 1, replication: 1, settings: vec![] };
    let made = client(&brokers.bootstrap)?.create_topics(vec![topic], PATIENCE).await;
    made.context(|| "the topic cannot be made".to_owned())?;

    let mut opens = Rule::new("the right password and authority open, with each mechanism");
    for mechanism in [SaslMechanism::ScramSha256, SaslMechanism::ScramSha512] {
        let mut config = right.clone();
        config.connection.sasl.mechanism = mechanism;
        let kafka = Kafka::new(config).context(|| "no client".to_owned())?;
        let publisher = kafka.publisher("faults").context(|| "no publisher".to_owned())?;
        let value = Some("hello".into());
        let record = OutgoingRecord { topic: TOPIC.into(), value, ..OutgoingRecord::default() };
        let began = Instant::now();
        let answer = publisher.publish_record(record).await;
        found.fact(mechanism.as_str(), format!("acknowledged after {} ms", began.elapsed().as_millis()));
        opens.look(answer.is_ok(), || format!("{mechanism}: {answer:?}"));
        opens.look(publisher.health().is_ready(), || format!("{mechanism}: {:?}", publisher.health()));
        publisher.close(SECONDS).await;
    }

    let mut shut = Rule::new("each wrong one is an error within seconds that says which");
    let mut texts = String::new();
    for door in WRONG_DOORS {
        let mut config = right.clone();
        (door.change)(&mut config, &folder);
        (config.publisher.delivery_timeout_ms, config.publisher.request_timeout_ms) = (5_000, 2_000);
        let kafka = Kafka::new(config).context(|| "no client".to_owned())?;
        let publisher = kafka.publisher("faults").context(|| "no publisher".to_owned())?;
        let began = Instant::now();
        let asked = publisher.warm_up([TOPIC], PATIENCE).await;
        let took = began.elapsed();
        let fits = asked.as_ref().is_err_and(|error| error.kind == door.kind) && took < SECONDS;
        shut.look(fits, || format!("{}, asked, after {took:?}: {asked:?}", door.what));
        let began = Instant::now();
        let record = OutgoingRecord { topic: TOPIC.into(), ..OutgoingRecord::default() };
        let answer = publisher.publish_record(record).await;
        let took_to_publish = began.elapsed();
        let fits = answer.is_err() && took_to_publish < SECONDS;
        shut.look(fits, || format!("{}, published, after {took_to_publish:?}: {answer:?}", door.what));
        let health = publisher.health();
        shut.look(health.is_reachable == Some(false), || format!("{}: {health:?}", door.what));
        let error = asked.err().map(|error| error.to_string()).unwrap_or_default();
        found.fact(door.what, format!("after {} ms: {error}", took.as_millis()));
        texts += &format!("{error} {answer:?} {health:?} {kafka:?} {:?}", kafka.config());
        publisher.close(SECONDS).await;
    }
    let said = texts + &words.said();
    let mut silent = Rule::new("no password is in any error, log line, span or Debug text");
    for password in [&*secret, WRONG] {
        silent.look(!said.contains(password), || "one is".to_owned());
    }
    found.fact("looked through for passwords", format!("{} KiB of text", said.len() / 1024));
    found.rules.extend([opens, shut, silent]);
    Ok(())
}
