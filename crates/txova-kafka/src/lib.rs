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
mod follow;
pub mod handler;
#[cfg(feature = "http")]
pub mod http;
mod kafka;
pub mod lifecycle;
pub mod metrics;
mod outcome;
pub mod publisher;
mod pulse;
pub mod record;
mod redriven;
mod replay;
mod retry_policy;
pub mod router;
pub mod testing;
mod trace;
pub(crate) mod transport;

pub use app::{
    App, AppBuilder, AppHandle, AppStatus, BuildError, FailedRecord, RangeEnd, RangePart, RangeReport,
    RangeStart, RunError, RunRange, UnknownTopic, shutdown_signal,
};
pub use batch::{BatchError, Batching};
pub use client_error::{ClientError, ClientErrorKind};
pub use context::{Context, TraceContext};
pub use dead_letter::{
    AuditRecord, Claim, DeadLetterEntry, EntryPlace, EntryPlaceError, Resolution, ResolutionState, Selection,
};
pub use engine::{CloseReport, Counts, HeldHandler, PartitionStatus, Paused, RecordState, Status, Stuck};
pub use extract::{Attempt, Event, FromEvent, Incoming, Meta, Needs, PerBatch, Raw, State, Tx};
pub use handler::Handler;
pub use kafka::{FailingRecord, Kafka, KafkaError, Lag};
pub use outcome::{ErrorClass, HandlerError};
pub use record::{Headers, OutgoingRecord, ReadableKey, Record, TopicPartition};
pub use replay::{
    FailedReplay, Overtaken, Plan, PlannedEntry, Reason, Replay, ReplayError, ReplayReport, UnreadableEntry,
};
pub use retry_policy::RetryPolicy;
pub use router::{
    HandlerRequest, HandlerService, Policy, Router, RouterError, RouterProblem, Routes, Unexpected,
};
pub use transport::{Delivery, NewTopic, OutOfRange, StartAt};
