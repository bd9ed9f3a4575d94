//! A publish as a span of OpenTelemetry's messaging conventions. It must never carry a payload, a key or a header's
//! value but the event's id: a key may be a phone number.

use tracing::Span;
use tracing::field::Empty;

use super::error::PublishError;
use super::{PublishErrorKind, Published};
use crate::record::OutgoingRecord;
use crate::trace;

/// From the call until the answer; the record is a child of it from here on. Where nobody listens to
/// `txova_kafka::publish` it costs one look.
pub(super) fn of(record: &mut OutgoingRecord) -> Span {
    let span = tracing::span!(
        target: "txova_kafka::publish",
        trace::LEVEL,
        "publish",
        otel.name = format_args!("publish {}", record.topic),
        otel.kind = "producer",
        otel.status_code = Empty,
        messaging.system = "kafka",
        messaging.operation.type = "send",
        messaging.operation.name = "publish",
        messaging.destination.name = &*record.topic,
        messaging.message.id = event_id(record),
        messaging.message.body.size = record.value.as_ref().map_or(0, |value| value.len() as u64),
        messaging.destination.partition.id = Empty,
        messaging.kafka.offset = Empty,
        error.type = Empty,
    );
    trace::hand_on(&span, record);
    span
}

/// Writes the end into the span.
pub(super) fn end(span: &Span, result: &Result<Published, PublishError>) {
    if span.is_disabled() {
        return;
    }
    match result {
        Ok(published) => {
            span.record("messaging.destination.partition.id", published.partition);
            span.record("messaging.kafka.offset", published.offset);
        }
        Err(error) => failed(span, error.kind()),
    }
}

/// For a record that got no place.
pub(super) fn failed(span: &Span, kind: PublishErrorKind) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", kind.as_str());
}

fn event_id(record: &OutgoingRecord) -> Option<&str> {
    let (_, id) = record.headers.iter().find(|(name, _)| name == "event_id")?;
    std::str::from_utf8(id.as_deref()?).ok()
}
