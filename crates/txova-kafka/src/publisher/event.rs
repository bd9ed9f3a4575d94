//! Turns an event into the record that is sent: the contract's headers, then the trace's. It must never know the
//! buffer behind it.

use bytes::Bytes;

use txova_events::{Origin, Time, ToRecord};

use super::Publisher;
use super::error::{PublishError, PublishErrorKind};
use crate::context::Context;
use crate::record::OutgoingRecord;

impl Publisher {
    /// The record of an event, with what it inherits from the context of this moment.
    pub(super) fn record_of<E: ToRecord + ?Sized>(&self, event: &E) -> Result<OutgoingRecord, PublishError> {
        let context = Context::current();
        let origin = Origin {
            source: &self.shared.source,
            context: context.as_ref().map(Context::event),
            now: Time::now(),
        };
        let event = event.to_record(&origin).map_err(|error| {
            let error = PublishError::unwritten(PublishErrorKind::InvalidEvent, None, error.to_string());
            self.shared.buffer.refuse(&error);
            error
        })?;
        let of_event = event
            .headers()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Some(Bytes::copy_from_slice(value))));
        let of_trace = context.iter().filter_map(Context::trace).flat_map(|trace| {
            trace.headers().map(|(name, value)| (name.to_owned(), Some(Bytes::from(value))))
        });
        let headers = of_event.chain(of_trace).collect();
        Ok(OutgoingRecord {
            topic: event.topic.into(),
            partition: None,
            key: Some(event.key.into()),
            value: Some(event.value.into()),
            headers,
            timestamp_ms: None,
        })
    }
}
