#![doc = include_str!("../README.md")]

pub mod admin;
mod app;
mod attempt;
mod batch;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod client_error;
pub mod config;
mod context;
mod dead_letter;
mod driver;
mod engine;
pub mod extract;
pub mod handler;
mod kafka;
pub mod lifecycle;
pub mod metrics;
mod outcome;
pub mod publisher;
pub mod record;
mod replay;
pub mod router;
pub mod testing;
mod trace;
pub(crate) mod transport;

pub use app::{
    App, AppBuilder, AppHandle, AppStatus, BuildError, FailedRecord, RangeEnd, RangePart, RangeReport,
    RangeStart, RunError, RunRange, shutdown_signal,
};
pub use batch::{BatchError, Batching};
pub use client_error::{ClientError, ClientErrorKind};
pub use context::{Context, TraceContext};
pub use dead_letter::{DeadLetterEntry, EntryPlace, EntryPlaceError, Resolution, ResolutionState};
pub use engine::{CloseReport, Counts, PartitionStatus, RecordState, Status, Stuck};
pub use extract::{Attempt, Event, FromEvent, Incoming, Meta, Needs, PerBatch, Raw, State};
pub use handler::Handler;
pub use kafka::{FailingRecord, Kafka, KafkaError, Lag};
pub use outcome::{ErrorClass, HandlerError};
pub use record::{Headers, OutgoingRecord, Record, TopicPartition};
pub use replay::{FailedReplay, Replay, ReplayError, ReplayReport, UnreadableEntry};
pub use router::{
    HandlerRequest, HandlerService, Policy, Router, RouterError, RouterProblem, Routes, Unexpected,
};
pub use transport::{Delivery, NewTopic, OutOfRange, StartAt};
