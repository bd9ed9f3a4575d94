//! Stands in for the contract until that is merged.
#![allow(missing_docs)]

use std::fmt;

pub(super) use crate::context::EventContext;

pub type Time = time::OffsetDateTime;

pub trait ToRecord {
    fn to_record(&self, origin: &Origin<'_>) -> Result<EventRecord, InvalidEvent>;
}

pub struct Origin<'a> {
    pub source: &'a str,
    pub context: Option<&'a EventContext>,
    pub now: Time,
}

pub struct EventRecord {
    pub event_type: String,
    pub topic: String,
    pub key: String,
    pub event_id: String,
    pub correlation_id: String,
    pub value: Vec<u8>,
}

impl EventRecord {
    pub fn headers(&self) -> [(&'static str, &[u8]); 3] {
        [
            ("event_type", self.event_type.as_bytes()),
            ("event_id", self.event_id.as_bytes()),
            ("correlation_id", self.correlation_id.as_bytes()),
        ]
    }
}

#[derive(Debug)]
pub struct InvalidEvent(pub String);

impl fmt::Display for InvalidEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
