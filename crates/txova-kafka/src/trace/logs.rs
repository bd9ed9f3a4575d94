//! Goal: whatever goes wrong, no line of the log holds a payload, a key, a phone number or a secret.
//! Method: a service in memory whose events all hold a phone number, handled well and in every wrong way; a publisher with
//! secrets and no broker; the log at debug, as text, all of it.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;
use txova_events::UserRegistered;

use crate::client_error::ClientErrorKind;
use crate::config::{KafkaConfig, SaslMechanism, SecurityProtocol};
use crate::extract::{Event, Meta};
use crate::kafka::Kafka;
use crate::outcome::HandlerError;
use crate::record::OutgoingRecord;
use crate::testing::{Cluster, ProduceFault};

const TOPIC: &str = "txova.users.v1";
const DLQ: &str = "txova.users.v1.dlq";
const LONG: Duration = Duration::from_secs(60);
const PHONE: &str = "+258841234567";
const SECRET: &str = "correct horse battery staple";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Log {
    fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::CLOSE)
            .with_writer(log.clone());
        (log, tracing::subscriber::set_default(subscriber.finish()))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Fails where the log holds any of it, in any spelling.
    fn holds_nothing_of(&self, secrets: &[&str]) {
        let text = self.text();
        let lines = text.lines().filter(|line| secrets.iter().any(|secret| line.contains(secret)));
        assert_eq!(lines.collect::<Vec<_>>(), [""; 0]);
    }
}

/// Refuses what it reads, as a service does that takes care of what it says.
async fn refuse(Event(user): Event<UserRegistered>, meta: Meta) -> Result<(), HandlerError> {
    match meta.event_id.as_str() {
        "fine" => Ok(()),
        "panics" => panic!("on purpose"),
        _ => Err(HandlerError::permanent(format!("no place for {}", user.user_id))),
    }
}

fn envelope(id: &str, payload: &str) -> String {
    format!(
        r#"{{"id":"{id}","type":"user.registered","version":"1.0","source":"user-service","timestamp":"2026-11-24T08:00:00Z","correlation_id":"c","payload":{payload}}}"#
    )
}

fn record(value: &str) -> OutgoingRecord {
    OutgoingRecord {
        topic: TOPIC.into(),
        key: Some(PHONE.into()),
        value: Some(value.to_owned().into()),
        headers: vec![("phone".into(), Some(PHONE.into()))],
        ..OutgoingRecord::default()
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_becomes_of_an_event_no_line_of_the_log_holds_what_it_says() {
    let (log, _guard) = Log::begin();
    let cluster = Cluster::new().with_topic(TOPIC, 1).with_topic(DLQ, 1);
    let id = "0190b1e4-7a3c-7cc0-b0b5-0123456789ab";
    let well = format!(r#"{{"user_id":"{id}","phone":"{PHONE}","user_type":"rider"}}"#);
    for (event, payload) in [
        ("fine", well.clone()),
        ("refused", well.clone()),
        ("panics", well.clone()),
        ("wrong id", format!(r#"{{"user_id":"{PHONE}","phone":"{PHONE}","user_type":"rider"}}"#)),
        ("wrong type", format!(r#"{{"user_id":"{id}","phone":"{PHONE}","user_type":"{PHONE}"}}"#)),
        ("a number", format!(r#"{{"user_id":"{id}","phone":{},"user_type":"rider"}}"#, &PHONE[1..])),
        ("too long", format!(r#"{{"user_id":"{id}","phone":"{PHONE}{PHONE}","user_type":"rider"}}"#)),
        ("a text", format!(r#""{PHONE}""#)),
        ("a list", format!(r#"["{PHONE}"]"#)),
        ("no field", format!(r#"{{"phone":"{PHONE}"}}"#)),
        (
            "e-mail",
            format!(r#"{{"user_id":"{id}","phone":"{PHONE}","user_type":"rider","email":"{PHONE}"}}"#),
        ),
    ] {
        cluster.produce(record(&envelope(event, &payload))).unwrap();
    }
    for value in [
        PHONE.to_owned(),
        format!("{{\"id\":{PHONE}}}"),
        format!("{{\"id\":\"{PHONE}\""),
        format!(r#"{{"id":"x","type":"user.registered","version":1,"payload":{{"phone":"{PHONE}"}}}}"#),
        envelope("unclosed", &format!(r#"{{"phone":"{PHONE}"#)),
    ] {
        cluster.produce(record(&value)).unwrap();
    }
    let sent = cluster.records(TOPIC).len();
    cluster.fail_produces(DLQ, 1, ProduceFault::Refused(ClientErrorKind::TimedOutNotWritten));
    let kafka = cluster.kafka();
    let app = kafka.app("user-service").handle(refuse).build().unwrap();
    let (handle, run) = (app.handle(), tokio::spawn(app.run()));
    cluster.wait_until(|cluster| cluster.records(DLQ).len() == sent - 1).await;
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();

    let events = kafka.publisher("user-service").unwrap();
    cluster.fail_produces(TOPIC, 2, ProduceFault::Refused(ClientErrorKind::NotEnoughReplicas));
    drop(events.enqueue_record(record(&well)).await.unwrap()); // nobody waits for it
    events.publish_record(record(&well)).await.unwrap_err();
    events.close(LONG).await;
    events.publish_record(record(&well)).await.unwrap_err();

    let text = log.text();
    assert!(text.contains("a handler failed") && text.contains("nobody waits"), "{text}");
    log.holds_nothing_of(&[PHONE, &PHONE[1..], "841234567"]);
}

#[tokio::test]
async fn no_line_of_the_log_holds_a_secret_of_the_configuration() {
    let (log, _guard) = Log::begin();
    let mut config = KafkaConfig::for_brokers("127.0.0.1:1");
    config.connection.security_protocol = SecurityProtocol::SaslPlaintext;
    config.connection.sasl.mechanism = SaslMechanism::Plain;
    config.connection.sasl.username = Some("user-service".to_owned());
    config.connection.sasl.password = Some(SECRET.into());
    config.publisher.delivery_timeout_ms = 1_000;
    config.publisher.request_timeout_ms = 500;
    tracing::info!(?config, "starting");
    let kafka = Kafka::new(config).unwrap();
    tracing::info!(?kafka, "started");
    let events = kafka.publisher("user-service").unwrap();
    events.publish_record(record("{}")).await.unwrap_err();
    events.warm_up(["t"], Duration::from_millis(500)).await.unwrap_err();
    tracing::info!(report = ?events.close(Duration::from_secs(5)).await, ?events, "ended");
    assert!(log.text().contains("sent in clear"), "{}", log.text());
    log.holds_nothing_of(&[SECRET, PHONE]);
}
