//! Turns an event into the record that is sent: the contract's headers, then the trace's. It must never know what is
//! behind it, a buffer or a transaction.

use bytes::Bytes;

use txova_events::{Origin, Time, ToRecord};

use super::Publisher;
use super::buffer::place_of;
use super::error::{PublishError, PublishErrorKind};
use crate::context::Context;
use crate::record::OutgoingRecord;

impl Publisher {
    /// The record of an event, with what it inherits from the context of this moment.
    pub(super) fn record_of<E: ToRecord + ?Sized>(&self, event: &E) -> Result<OutgoingRecord, PublishError> {
        record_of(&self.shared.source, event).inspect_err(|error| self.shared.buffer.refuse(error))
    }
}

/// The record of an event of `source`, where it has at most so many bytes.
pub(crate) fn prepare<E: ToRecord + ?Sized>(
    source: &str,
    event: &E,
    max_message_bytes: usize,
) -> Result<OutgoingRecord, PublishError> {
    let record = record_of(source, event)?;
    let size_bytes = record.size_bytes();
    match size_bytes > max_message_bytes {
        true => Err(PublishError::too_large(place_of(&record), size_bytes, max_message_bytes)),
        false => Ok(record),
    }
}

fn record_of<E: ToRecord + ?Sized>(source: &str, event: &E) -> Result<OutgoingRecord, PublishError> {
    let context = Context::current();
    let origin = Origin { source, context: context.as_ref().map(Context::event), now: Time::now() };
    let mut event = event
        .to_record(&origin)
        .map_err(|error| PublishError::unwritten(PublishErrorKind::InvalidEvent, None, error.to_string()))?;
    let of_event = event.take_headers().map(|(name, value)| (name.into(), Some(Bytes::from(value))));
    let of_trace = context
        .iter()
        .filter_map(Context::trace)
        .flat_map(|trace| trace.headers().map(|(name, value)| (name.into(), Some(Bytes::from(value)))));
    let headers = of_event.into_iter().chain(of_trace).collect();
    Ok(OutgoingRecord {
        topic: event.topic.into(),
        partition: None,
        key: Some(event.key.into()),
        value: Some(event.value.into()),
        headers,
        timestamp_ms: None,
    })
}
