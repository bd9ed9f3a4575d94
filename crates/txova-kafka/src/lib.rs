//! Domain events on Kafka that are never lost, never out of order for a key, and always explainable.

mod attempt;
mod client_error;
pub mod config;
mod context;
#[allow(dead_code)]
mod driver;
#[allow(dead_code)]
mod engine;
pub mod extract;
pub mod handler;
mod outcome;
pub mod record;
pub mod router;
pub mod testing;
pub(crate) mod transport;

pub use client_error::{ClientError, ClientErrorKind};
pub use context::{Context, TraceContext};
pub use extract::{Attempt, Event, FromEvent, Incoming, Meta, Needs, Raw, State};
pub use handler::Handler;
pub use outcome::{ErrorClass, HandlerError};
pub use record::{Headers, OutgoingRecord, Record, TopicPartition};
pub use router::{Policy, Router, RouterError, RouterProblem, Routes, Unexpected};
pub use transport::{Delivery, OutOfRange, StartAt};
