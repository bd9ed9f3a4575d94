//! What a publish leaves in traces.

use std::collections::BTreeMap;
use std::fmt::Debug;

use tracing::field::{Field, Visit};
use tracing::span;

use super::*;
use crate::client_error::ClientErrorKind;
use crate::testing::ProduceFault;

type Fields = BTreeMap<String, String>;

/// Keeps the fields of each span.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<(String, Fields)>>>);

struct Write<'a>(&'a mut Fields);

impl Visit for Write<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl tracing::Subscriber for Spans {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "txova_kafka::publish"
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let mut fields = Fields::new();
        attributes.record(&mut Write(&mut fields));
        let mut spans = self.0.lock().unwrap();
        spans.push((attributes.metadata().name().to_owned(), fields));
        span::Id::from_u64(spans.len() as u64)
    }

    fn record(&self, id: &span::Id, values: &span::Record<'_>) {
        values.record(&mut Write(&mut self.0.lock().unwrap()[id.into_u64() as usize - 1].1));
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_publish_is_a_span_of_the_messaging_conventions_without_key_or_payload() {
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(spans.clone());
    let cluster = cluster();
    let publisher = publisher(&cluster, |_| {});
    let headers = vec![("event_id".into(), Some("event-1".into()))];
    let personal = OutgoingRecord { headers, key: Some("+258841234567".into()), ..record("secret text") };
    publisher.publish_record(personal).await.unwrap();
    cluster.fail_produces(TOPIC, 1, ProduceFault::Refused(ClientErrorKind::Authorization));
    publisher.publish_record(record("2")).await.unwrap_err();
    publisher.close(SECOND).await;
    publisher.publish_record(record("3")).await.unwrap_err();

    let spans = spans.0.lock().unwrap();
    let field = |span: usize, name: &str| spans[span].1.get(name).map_or("", |value| value);
    assert_eq!((spans.len(), &*spans[0].0), (3, "publish"));
    for (name, value) in [
        ("otel.name", "publish notes"),
        ("otel.kind", "producer"),
        ("messaging.system", "kafka"),
        ("messaging.operation.type", "send"),
        ("messaging.destination.name", "notes"),
        ("messaging.destination.partition.id", "0"),
        ("messaging.kafka.offset", "0"),
        ("messaging.message.id", "event-1"),
        ("error.type", ""),
    ] {
        assert_eq!(field(0, name), value, "{name}");
    }
    assert_eq!((field(1, "error.type"), field(1, "otel.status_code")), ("refused", "ERROR"));
    assert_eq!(field(2, "error.type"), "closed");
    let all = format!("{spans:?}");
    assert!(!all.contains("258841234567") && !all.contains("secret text"), "{all}");
}
