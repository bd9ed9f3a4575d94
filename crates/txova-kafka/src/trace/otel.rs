//! Where OpenTelemetry's context and ours meet: what a header says becomes a span's parent, and a span what a header says.

use std::str::FromStr;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::context::TraceContext;
use crate::record::Headers;

/// Makes the span a part of `trace`, unless the span around it is one already.
pub(crate) fn follow(span: &Span, trace: &TraceContext) {
    if span.is_disabled() {
        return;
    }
    let around = Span::current().context().span().span_context().trace_id();
    if around != TraceId::from_bytes(trace.trace_id()) {
        let parent = opentelemetry::Context::new().with_remote_span_context(remote(trace));
        // Where there is no OpenTelemetry layer there is no parent to set.
        let _ = span.set_parent(parent);
    }
}

/// Says that the span has to do with the trace that headers name.
pub(crate) fn link(span: &Span, headers: &Headers) {
    if span.is_disabled() {
        return;
    }
    if let Some(trace) = TraceContext::from_headers(headers) {
        span.add_link(remote(&trace));
    }
}

/// What a record must carry to be a child of the span; the baggage is that of `given`. `None` where the span is in no
/// trace, and what came goes on as it is.
pub(crate) fn context_of(span: &Span, given: Option<&TraceContext>) -> Option<TraceContext> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let here = context.span().span_context().clone();
    let trace = TraceContext::new(here.trace_id().to_bytes(), here.span_id().to_bytes(), here.is_sampled())?;
    let state = here.trace_state().header();
    Some(trace.with_lists(Some(state.as_str()), given.and_then(TraceContext::baggage)))
}

fn remote(trace: &TraceContext) -> SpanContext {
    let flags = if trace.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::default() };
    SpanContext::new(
        TraceId::from_bytes(trace.trace_id()),
        SpanId::from_bytes(trace.parent_id()),
        flags,
        true,
        trace.tracestate().and_then(|state| TraceState::from_str(state).ok()).unwrap_or_default(),
    )
}
