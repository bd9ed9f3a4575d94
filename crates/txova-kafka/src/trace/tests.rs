//! Goal: what one event sets off is one trace, through publishers, handlers, retries and dead letters of several services.
//! Method: two services on the in-memory cluster, OpenTelemetry's own SDK with an exporter that keeps everything.

use std::time::Duration;

use opentelemetry::trace::{SpanId, SpanKind, Status, TraceId, TracerProvider as _};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use serde::{Deserialize, Serialize};
use tracing::Instrument;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt;
use txova_events::Event as _;

use crate::config::Order;
use crate::context::{Context, TraceContext};
use crate::extract::{Attempt, Event, State};
use crate::outcome::HandlerError;
use crate::publisher::Publisher;
use crate::testing::Cluster;

const LONG: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize, Serialize)]
struct Delivered {}

impl txova_events::Event for Delivered {
    const TYPE: &'static str = "parcel.delivered";
    const TOPIC: &'static str = "parcels.v1";

    fn key(&self) -> String {
        "a".to_owned()
    }
}

#[derive(Debug, Deserialize, Serialize)]
struct Charged {}

impl txova_events::Event for Charged {
    const TYPE: &'static str = "charge.made";
    const TOPIC: &'static str = "charges.v1";

    fn key(&self) -> String {
        "a".to_owned()
    }
}

/// Keeps the spans of this thread while it lives.
struct Kept {
    exporter: InMemorySpanExporter,
    _provider: SdkTracerProvider,
    _guard: DefaultGuard,
}

impl Kept {
    fn begin() -> Self {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        Self { exporter, _provider: provider, _guard: guard }
    }

    /// Those that have ended, in that order.
    fn all(&self) -> Vec<SpanData> {
        self.exporter.get_finished_spans().unwrap()
    }

    fn named(&self, name: &str) -> Vec<SpanData> {
        self.all().into_iter().filter(|span| span.name == name).collect()
    }

    fn one(&self, name: &str) -> SpanData {
        let mut found = self.named(name);
        assert_eq!(found.len(), 1, "{name}: {found:#?}");
        found.remove(0)
    }
}

fn id(span: &SpanData) -> SpanId {
    span.span_context.span_id()
}

fn attribute(span: &SpanData, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == name);
    found.map(|attribute| attribute.value.to_string())
}

async fn charge(_: Event<Delivered>, State(events): State<Publisher>) -> Result<(), HandlerError> {
    events.publish(&Charged {}).await?;
    Ok(())
}

async fn book(_: Event<Charged>, attempt: Attempt) -> Result<(), HandlerError> {
    match attempt.number() {
        1 => Err(HandlerError::transient("the ledger is away")),
        _ => Err(HandlerError::permanent("the ledger refuses")),
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_and_all_it_sets_off_are_one_trace_over_two_services() {
    let kept = Kept::begin();
    let topics = ["parcels.v1", "parcels.v1.dlq", "charges.v1", "charges.v1.dlq"];
    let cluster = topics.iter().fold(Cluster::new(), |cluster, topic| cluster.with_topic(topic, 1));
    let kafka = cluster.kafka();
    let events = kafka.publisher("depot").unwrap();
    let depot = kafka.app("depot").handle(charge).state(events.clone()).build().unwrap();
    let ledger = kafka.app("ledger").handle(book).build().unwrap();
    let handles = [depot.handle(), ledger.handle()];
    let runs = [tokio::spawn(depot.run()), tokio::spawn(ledger.run())];

    let request = tracing::info_span!("request");
    events.publish(&Delivered {}).instrument(request).await.unwrap();
    cluster.wait_until(|cluster| cluster.records("charges.v1.dlq").len() == 1).await;
    for (handle, run) in handles.into_iter().zip(runs) {
        assert!(handle.close(LONG).await);
        run.await.unwrap().unwrap();
    }

    let request = kept.one("request");
    let published = kept.one("publish parcels.v1");
    let processed = kept.one("process parcels.v1");
    let published_again = kept.one("publish charges.v1");
    let attempts = kept.named("process charges.v1");
    let letter = kept.one("publish charges.v1.dlq");
    assert_eq!(attempts.len(), 2);
    for (child, parent) in [
        (&published, &request),
        (&processed, &published),
        (&published_again, &processed),
        (&attempts[0], &published_again),
        (&attempts[1], &published_again),
        (&letter, &published_again),
    ] {
        assert_eq!(child.parent_span_id, id(parent), "{} is no child of {}", child.name, parent.name);
    }
    let trace = request.span_context.trace_id();
    assert!(kept.all().iter().all(|span| span.span_context.trace_id() == trace), "{:#?}", kept.all());

    for (span, kind) in [
        (&published, SpanKind::Producer),
        (&processed, SpanKind::Consumer),
        (&attempts[0], SpanKind::Consumer),
        (&letter, SpanKind::Producer),
    ] {
        assert_eq!(span.span_kind, kind, "{}", span.name);
        assert_eq!(attribute(span, "messaging.system").as_deref(), Some("kafka"));
    }
    assert_eq!(attempts[1].status, Status::error(""));
    for (name, value) in [
        ("messaging.operation.type", "process"),
        ("messaging.operation.name", "process"),
        ("messaging.destination.name", "charges.v1"),
        ("messaging.destination.partition.id", "0"),
        ("messaging.consumer.group.name", "ledger-group"),
        ("messaging.kafka.offset", "0"),
        ("error.type", "permanent"),
        ("txova.event_type", Charged::TYPE),
        ("txova.attempt", "2"),
    ] {
        assert_eq!(attribute(&attempts[1], name).as_deref(), Some(value), "{name}");
    }
    let headers = &cluster.records("charges.v1.dlq")[0].1.headers;
    let carried = TraceContext::from_headers(headers).expect("a dead letter says which trace it belongs to");
    assert_eq!(SpanId::from_bytes(carried.parent_id()), id(&letter));
}

#[tokio::test(start_paused = true)]
async fn a_trace_that_comes_in_a_context_is_continued_where_no_span_is_around() {
    let kept = Kept::begin();
    let cluster = Cluster::new().with_topic("parcels.v1", 1);
    let events = cluster.kafka().publisher("depot").unwrap();
    let incoming = TraceContext::from_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let context = Context::new(txova_events::EventContext::new("c"), incoming.clone());
    context.scope(async { events.publish(&Delivered {}).await }).await.unwrap();
    let published = kept.one("publish parcels.v1");
    assert_eq!(published.span_context.trace_id(), TraceId::from_bytes(incoming.clone().unwrap().trace_id()));
    assert_eq!(published.parent_span_id, SpanId::from_bytes(incoming.unwrap().parent_id()));
    let headers = &cluster.records("parcels.v1")[0].1.headers;
    let sent = TraceContext::from_headers(headers).unwrap();
    assert_eq!(SpanId::from_bytes(sent.parent_id()), id(&published));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_ended_by_its_time_limit_leaves_a_span_that_says_so() {
    let kept = Kept::begin();
    let cluster = Cluster::new().with_topic("parcels.v1", 1).with_topic("parcels.v1.dlq", 1);
    let events = cluster.kafka().publisher("depot").unwrap();
    async fn hang(_: Event<Delivered>) {
        std::future::pending().await
    }
    let app = cluster.kafka().app("depot").handle(hang).consumer(|consumer| {
        consumer.max_retries = 0;
        consumer.order = Order::Partition;
    });
    let app = app.build().unwrap();
    let (handle, run) = (app.handle(), tokio::spawn(app.run()));
    events.publish(&Delivered {}).await.unwrap();
    cluster.wait_until(|cluster| cluster.records("parcels.v1.dlq").len() == 1).await;
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
    let processed = kept.one("process parcels.v1");
    assert_eq!(attribute(&processed, "error.type").as_deref(), Some("interrupted"));
    assert_eq!(processed.status, Status::error(""));
}

#[tokio::test(start_paused = true)]
async fn what_opentelemetry_does_not_see_is_handed_on_as_it_came() {
    let cluster = Cluster::new().with_topic("parcels.v1", 1);
    let events = cluster.kafka().publisher("depot").unwrap();
    let incoming = TraceContext::from_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let context = Context::new(txova_events::EventContext::new("c"), incoming.clone());
    context.scope(async { events.publish(&Delivered {}).await }).await.unwrap();
    let headers = &cluster.records("parcels.v1")[0].1.headers;
    assert_eq!(TraceContext::from_headers(headers), incoming);
}
