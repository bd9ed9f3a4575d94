//! Spans in the words of OpenTelemetry's [messaging conventions](https://opentelemetry.io/docs/specs/semconv/messaging/):
//! one for each publish, for each attempt at a record, for each dead letter. They must never carry a payload, a key, a
//! header's value or an error's text: any of these may name a person.
//!
//! With the feature `otel` they are spans of the trace that a record's `traceparent` names, and what is sent carries
//! theirs. Without it the headers are handed on as they came.

use tracing::field::Empty;
use tracing::{Level, Span};
use txova_events::EnvelopeRef;
use txova_events::topics::dlq_topic;

use crate::attempt::Attempt;
use crate::context::TraceContext;
use crate::outcome::{ErrorClass, Failure, Outcome};
use crate::record::{OutgoingRecord, Record, TopicPartition};

#[cfg(test)]
mod logs;
#[cfg(feature = "otel")]
mod otel;
#[cfg(not(feature = "otel"))]
mod plain;
#[cfg(test)]
#[cfg(feature = "otel")]
mod tests;

#[cfg(feature = "otel")]
pub(crate) use self::otel::{context_of, follow, link};
#[cfg(not(feature = "otel"))]
pub(crate) use self::plain::{context_of, follow, link};

/// A span for each record costs a microsecond where somebody listens: who writes logs at info should not pay for it, who
/// asks for traces does.
pub(crate) const LEVEL: Level = if cfg!(feature = "otel") { Level::INFO } else { Level::DEBUG };

/// An attempt at an event, from its arguments to its outcome.
pub(crate) fn processing(
    attempt: &Attempt,
    envelope: &EnvelopeRef<'_>,
    handler: &str,
    trace: Option<&TraceContext>,
) -> Span {
    let partition = &attempt.partition;
    let span = tracing::span!(
        target: "txova_kafka::process",
        parent: None,
        LEVEL,
        "process",
        otel.name = format_args!("process {}", partition.topic),
        otel.kind = "consumer",
        otel.status_code = Empty,
        error.type = Empty,
        messaging.system = "kafka",
        messaging.operation.type = "process",
        messaging.operation.name = "process",
        messaging.destination.name = &*partition.topic,
        messaging.destination.partition.id = partition.partition,
        messaging.consumer.group.name = &*attempt.group,
        messaging.kafka.offset = attempt.record.offset,
        messaging.message.id = &*envelope.id,
        messaging.message.conversation_id = &*envelope.correlation_id,
        txova.event_type = &*envelope.event_type,
        txova.handler = handler,
        txova.attempt = attempt.number,
    );
    trace.into_iter().for_each(|trace| follow(&span, trace));
    span
}

/// An attempt at a batch. It belongs to no event's trace, and is linked to those of all.
pub(crate) fn processing_batch(attempts: &[Attempt], handler: &str) -> Span {
    let Some(first) = attempts.first() else { return Span::none() };
    let span = tracing::span!(
        target: "txova_kafka::process",
        parent: None,
        LEVEL,
        "process",
        otel.name = format_args!("process {}", first.partition.topic),
        otel.kind = "consumer",
        otel.status_code = Empty,
        error.type = Empty,
        messaging.system = "kafka",
        messaging.operation.type = "process",
        messaging.operation.name = "process",
        messaging.destination.name = &*first.partition.topic,
        messaging.destination.partition.id = first.partition.partition,
        messaging.consumer.group.name = &*first.group,
        messaging.batch.message_count = attempts.len(),
        txova.handler = handler,
    );
    attempts.iter().for_each(|attempt| link(&span, &attempt.record.headers));
    span
}

/// A dead letter on its way, in the trace of the record it is about.
pub(crate) fn dead_lettering(partition: &TopicPartition, record: &Record, group: &str) -> Sending {
    let given = TraceContext::from_headers(&record.headers);
    let topic = dlq_topic(&partition.topic);
    let span = tracing::span!(
        target: "txova_kafka::dead_letter",
        parent: None,
        LEVEL,
        "dead_letter",
        otel.name = format_args!("publish {topic}"),
        otel.kind = "producer",
        otel.status_code = Empty,
        messaging.system = "kafka",
        messaging.operation.type = "send",
        messaging.operation.name = "publish",
        messaging.destination.name = topic,
        messaging.consumer.group.name = group,
        txova.original.topic = &*partition.topic,
        txova.original.partition = partition.partition,
        txova.original.offset = record.offset,
    );
    given.iter().for_each(|trace| follow(&span, trace));
    let trace = context_of(&span, given.as_ref()).or(given);
    Sending { span, trace }
}

/// A record that is being sent, and the trace it is a part of.
pub(crate) struct Sending {
    span: Span,
    trace: Option<TraceContext>,
}

impl Sending {
    /// Makes the record say which trace it belongs to.
    pub(crate) fn mark(&self, record: &mut OutgoingRecord) {
        self.trace.iter().for_each(|trace| mark(record, trace));
    }

    pub(crate) fn answered(&self, is_written: bool) {
        if !is_written {
            self.span.record("otel.status_code", "ERROR");
        }
    }
}

/// Makes the span a part of the trace that the record names, and the record a child of the span.
pub(crate) fn hand_on(span: &Span, record: &mut OutgoingRecord) {
    if span.is_disabled() {
        return;
    }
    let given = TraceContext::read(record.headers.iter().map(|(name, value)| (&**name, value.as_deref())));
    given.iter().for_each(|trace| follow(span, trace));
    context_of(span, given.as_ref()).iter().for_each(|trace| mark(record, trace));
}

/// Whatever the record said before, it says this now.
fn mark(record: &mut OutgoingRecord, trace: &TraceContext) {
    let ours = [TraceContext::TRACEPARENT, TraceContext::TRACESTATE, TraceContext::BAGGAGE];
    record.headers.retain(|(name, _)| !ours.contains(&&**name));
    record.headers.extend(trace.headers().map(|(name, value)| (name.into(), Some(value.into()))));
}

/// An attempt under way. Dropped before its end, by the time limit, a panic or a partition that was given back, its span
/// says so.
pub(crate) struct Attempted(Span);

impl Attempted {
    pub(crate) fn new(span: &Span) -> Self {
        Self(span.clone())
    }

    pub(crate) fn ended(mut self, outcome: &Outcome) {
        let span = std::mem::replace(&mut self.0, Span::none());
        if let Outcome::Failed(failure) = outcome {
            failed(&span, failure);
        }
    }
}

impl Drop for Attempted {
    fn drop(&mut self) {
        if !self.0.is_disabled() {
            self.0.record("otel.status_code", "ERROR");
            self.0.record("error.type", "interrupted");
        }
    }
}

/// Writes a failure into the span of its attempt.
pub(crate) fn failed(span: &Span, failure: &Failure) {
    if !span.is_disabled() && failure.class != ErrorClass::Skip {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", failure.class.as_str());
    }
}
