//! Goal: what an orchestrator sees of a service while its broker is away and when it is back: alive throughout, ready only
//! when it can do its work, and ready again by itself.
//! Method: a Kafka of its own (`cargo xtask kafka`), which is killed and started, where TXOVA_KAFKA_BROKERS is set.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)] // a test says what it expects by failing

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::Value;
use tower::ServiceExt;
use txova_events::{RideDriverAssigned, topics};
use txova_kafka::config::{ConsumerConfig, KafkaConfig};
use txova_kafka::http::Endpoints;
use txova_kafka::lifecycle::Lifecycle;
use txova_kafka::{Event, HandlerError, Kafka, NewTopic};

const WAIT: Duration = Duration::from_secs(120);
const STARTING: Duration = Duration::from_secs(60);

async fn assigned(_: Event<RideDriverAssigned>) -> Result<(), HandlerError> {
    Ok(())
}

/// A Kafka of this test's own, which is gone with it.
struct Cluster(u16);

impl Cluster {
    fn start() -> Self {
        let cluster = Self(free_port());
        cluster.task(&["start"]);
        cluster
    }

    fn task(&self, words: &[&str]) {
        let mut task = Command::new(env!("CARGO"));
        task.args(["run", "--quiet", "--package", "xtask", "--", "kafka", "--port", &self.0.to_string()]);
        let done = task.args(words).output().unwrap();
        assert!(done.status.success(), "kafka {words:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.task(&["clean"]);
    }
}

/// One for the broker, where the one behind it is free for its controller; below those that outgoing connections are given.
fn free_port() -> u16 {
    let any = || 10_000 + (uuid::Uuid::new_v4().as_u128() % 20_000) as u16;
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    std::iter::repeat_with(any).find(|port| is_free(*port) && is_free(port + 1)).unwrap()
}

async fn ask(router: &Router, path: &str) -> (u16, Value) {
    let response = router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let code = response.status().as_u16();
    (code, serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap())
}

/// Asks until the service is ready, or no more, and sees that it is alive each time.
async fn until_ready_is(router: &Router, code: u16) -> Value {
    let deadline = tokio::time::Instant::now() + WAIT;
    loop {
        let live = ask(router, "/health/live").await;
        assert_eq!(live.0, 200, "a broker that is away is no reason for a restart: {}", live.1);
        let (found, body) = ask(router, "/health/ready").await;
        if found == code {
            return body;
        }
        assert!(tokio::time::Instant::now() < deadline, "ready is {found} and not {code}: {body}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn problem(body: &Value, part: &str) -> String {
    let checks = body["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == part).unwrap();
    check["problem"].as_str().unwrap_or_default().to_owned()
}

async fn watch() {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let brokers = format!("127.0.0.1:{}", cluster.0);
    let kafka = Kafka::new(KafkaConfig::for_brokers(&brokers)).unwrap();
    let topic = |name: String| NewTopic { name, partitions: 3, replication: 1, settings: vec![] };
    let both = vec![topic(topics::RIDES.into()), topic(topics::dlq_topic(topics::RIDES))];
    kafka.create_topics(both, WAIT).await.unwrap();

    let events = kafka.publisher("ride-service").unwrap();
    let settings = |consumer: &mut ConsumerConfig| {
        consumer.session_timeout_ms = 6_000;
        consumer.heartbeat_interval_ms = 1_000;
    };
    let app = kafka.app("ride-service").handle(assigned).consumer(settings).build().unwrap();
    let router = Endpoints::new().check(events.clone()).check(app.handle()).router();
    let group = app.group().to_owned();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async move { drop(stopped.await) };
    let service = Lifecycle::new().with(events).with(app.into_service()).run_until(stopped);
    let service = tokio::spawn(service);
    until_ready_is(&router, 200).await;

    cluster.task(&["kill", "1"]);
    let away = until_ready_is(&router, 503).await;
    assert_eq!(away["status"], "failed");
    // The publisher hears of it at once, the group when its session is over: both must have said so in the end.
    let deadline = tokio::time::Instant::now() + STARTING;
    loop {
        let body = ask(&router, "/health/ready").await.1;
        let (publisher, app) = (problem(&body, "publisher"), problem(&body, &group));
        if publisher.contains("no broker answers") && app.contains("it has lost its partitions") {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the publisher says {publisher:?}, the app {app:?}");
        assert_eq!(ask(&router, "/health/live").await.0, 200);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    cluster.task(&["resume", "1"]);
    until_ready_is(&router, 200).await;
    stop.send(()).unwrap();
    let report = service.await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_alive_while_its_broker_is_away_and_ready_again_when_it_is_back() {
    match std::env::var("TXOVA_KAFKA_BROKERS") {
        Ok(brokers) if !brokers.is_empty() => watch().await,
        _ => eprintln!("left out: no real Kafka (TXOVA_KAFKA_BROKERS is not set)"),
    }
}
