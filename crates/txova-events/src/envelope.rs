//! The envelope: what every event carries around its payload. It must never know topics or transports.

mod actor;
mod context;
mod head;
mod owned;
mod raw;
mod read;
mod typed;

pub use actor::Actor;
pub use context::EventContext;
pub use owned::RawEnvelope;
pub use raw::{EnvelopeRef, decode_payload, encode_payload};
pub use typed::{Envelope, EnvelopeBuilder};

pub(crate) use head::Head;
pub(crate) use read::{
    Unknown, decode_value, member_name, read_text, read_time, replace_object, write_unknown,
};
pub(crate) use typed::encode;
