//! Goal: the endpoints tell an orchestrator the truth, in time, whatever the parts do.
//! Method: the router asked directly, over a service on the in-memory cluster; a server asked over TCP.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tower::ServiceExt;

use super::*;
use crate::extract::Meta;
use crate::lifecycle::{Checked, Checking, Lifecycle, Named};
use crate::outcome::HandlerError;
use crate::record::OutgoingRecord;
use crate::testing::Cluster;

const TOPIC: &str = "parcels.v1";
const DLQ: &str = "parcels.v1.dlq";
const LONG: Duration = Duration::from_secs(60);

/// Answers as it is made to.
struct Scripted {
    ready: fn() -> Checked,
    hangs: bool,
}

impl Named for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }
}

impl HealthChecker for Scripted {
    fn check(&self, _: Instant) -> Checking<'_> {
        Box::pin(async {
            if self.hangs {
                std::future::pending::<()>().await;
            }
            (self.ready)()
        })
    }
}

async fn ask(router: &Router, path: &str) -> (u16, Value) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let code = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (
        code,
        serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8(body.into()).unwrap())),
    )
}

/// Until the endpoint answers so; virtual time passes meanwhile.
async fn until(router: &Router, path: &str, code: u16) -> Value {
    for _ in 0..600 {
        let (found, body) = ask(router, path).await;
        if found == code {
            return body;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{path} never answered {code}: {:?}", ask(router, path).await)
}

#[tokio::test(start_paused = true)]
async fn a_check_that_fails_hangs_or_panics_is_said_so_and_keeps_nobody_waiting() {
    for (ready, hangs, problem) in [
        ((|| Checked::failed("the till is empty")) as fn() -> Checked, false, "the till is empty"),
        (Checked::well, true, "no answer within 3 s"),
        (|| panic!("on purpose"), false, "the check panicked"),
    ] {
        let well = Scripted { ready: Checked::well, hangs: false };
        let router = Endpoints::new().check(Scripted { ready, hangs }).check(well).router();
        let began = Instant::now();
        let (code, body) = ask(&router, "/health/ready").await;
        assert!(began.elapsed() <= Duration::from_secs(3));
        assert_eq!((code, &body["status"]), (503, &Value::from("failed")));
        assert_eq!(body["checks"][0]["problem"], problem);
        assert_eq!(body["checks"][1]["status"], "ok");
        assert_eq!(ask(&router, "/health/live").await.0, 200, "a check is alive unless it says otherwise");
    }
}

#[tokio::test]
async fn metrics_are_what_the_recorder_renders_and_without_one_they_are_not_there() {
    let bare = Endpoints::new().router();
    assert_eq!(ask(&bare, "/metrics").await.0, 404);
    assert_eq!(ask(&bare, "/health/ready").await.0, 200);
    let router = Endpoints::new().metrics(|| "txova_up 1\n".to_owned()).router();
    assert_eq!(ask(&router, "/metrics").await, (200, Value::from("txova_up 1\n")));
}

async fn refuse(meta: Meta) -> Result<(), HandlerError> {
    Err(HandlerError::permanent(format!("{} is refused", meta.event_type)))
}

#[tokio::test(start_paused = true)]
async fn a_service_is_ready_once_it_is_let_in_and_not_while_it_is_stuck_or_closing() {
    let cluster = Cluster::new().with_topic(TOPIC, 1).with_topic(DLQ, 1);
    let kafka = cluster.kafka();
    let events = kafka.publisher("depot").unwrap();
    let app = kafka.app("depot").on("parcel.*", refuse).topics([TOPIC]).build().unwrap();
    let handle = app.handle();
    let router = Endpoints::new().check(events.clone()).check(app.handle()).router();

    let (code, body) = ask(&router, "/health/ready").await;
    assert_eq!((code, body["checks"][1]["name"].as_str()), (503, Some("depot-group")), "{body}");
    let run = tokio::spawn(app.run());
    until(&router, "/health/ready", 200).await;

    cluster.produce_down(DLQ);
    let value = r#"{"id":"e","type":"parcel.moved","version":"1.0","source":"depot","timestamp":"2026-11-24T08:00:00Z","correlation_id":"c","payload":{}}"#;
    let record =
        OutgoingRecord { topic: TOPIC.into(), value: Some(value.into()), ..OutgoingRecord::default() };
    cluster.produce(record).unwrap();
    tokio::time::sleep(Duration::from_secs(300)).await; // the letter's delivery timeout
    let body = until(&router, "/health/ready", 503).await;
    let problem = body["checks"][1]["problem"].as_str().unwrap();
    assert!(problem.starts_with("parcels.v1-0 offset 0, taken "), "{problem}");
    assert!(problem.contains("its dead letter is not taken ("), "{problem}");
    assert_eq!(ask(&router, "/health/live").await.0, 200, "a restart would not help");
    let (_, body) = ask(&router, "/health").await;
    let oldest = &body["checks"][1]["details"]["partitions"][0]["oldest"];
    assert_eq!(
        (oldest["offset"].as_i64(), oldest["last_error"].as_str()),
        (Some(0), Some("parcel.moved is refused"))
    );

    cluster.produce_up(DLQ);
    until(&router, "/health/ready", 200).await;
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
    assert_eq!(ask(&router, "/health/live").await.0, 503, "it has ended");
    events.close(LONG).await;
    assert_eq!(ask(&router, "/health/ready").await.1["checks"][0]["problem"], "it is closed");
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_has_paused_is_ready_and_alive_and_said() {
    let cluster = Cluster::new().with_topic(TOPIC, 1).with_topic(DLQ, 1);
    let app = cluster.kafka().app("depot").on("parcel.*", refuse).topics([TOPIC]).build().unwrap();
    let handle = app.handle();
    let router = Endpoints::new().check(app.handle()).router();
    let run = tokio::spawn(app.run());
    let body = until(&router, "/health/ready", 200).await;
    assert_eq!(body["checks"][0].get("notice"), None);
    handle.pause_topic(TOPIC).unwrap();
    tokio::time::sleep(LONG).await;
    let (code, body) = ask(&router, "/health/ready").await;
    let notice = body["checks"][0]["notice"].as_str();
    assert_eq!((code, notice), (200, Some("parcels.v1 is paused by an operator for 60 s")));
    assert_eq!(ask(&router, "/health/live").await.0, 200);
    let (_, body) = ask(&router, "/health").await;
    assert_eq!(body["checks"][0]["details"]["partitions"][0]["paused_by_operator"], true);
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_is_the_last_part_to_close_and_waits_for_no_open_connection() {
    let server = Endpoints::new().metrics(|| "txova_up 1\n".to_owned()).serve_on(([127, 0, 0, 1], 0).into());
    let address = server.address();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let life = tokio::spawn(Lifecycle::new().with(server).run_until(async move { drop(stopped.await) }));
    let mut open = tokio::net::TcpStream::connect(address.await.unwrap()).await.unwrap();
    open.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 512];
    let read = open.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("txova_up 1\n"), "{answer}");
    stop.send(()).unwrap();
    let report = life.await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_and_nothing_starts() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Endpoints::new().serve_on(taken.local_addr().unwrap());
    let report = Lifecycle::new().with(server).run_until(std::future::pending()).await;
    assert!(report.to_string().contains("starting http failed: cannot listen on 127.0.0.1:"), "{report}");
}
