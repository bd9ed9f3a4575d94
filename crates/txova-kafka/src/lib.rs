//! Domain events on Kafka that are never lost, never out of order for a key, and always explainable.

mod attempt;
mod client_error;
mod outcome;
pub mod record;
pub mod testing;
pub(crate) mod transport;

pub use client_error::{ClientError, ClientErrorKind};
pub use outcome::{ErrorClass, HandlerError};
pub use record::{Headers, OutgoingRecord, Record, TopicPartition};
pub use transport::{Delivery, OutOfRange, StartAt};
