//! Goal: a record reaches the right handler with the right arguments, and a wrong router is refused with every reason.
//! Method: events of a company's own, records made by hand, real dispatch; no broker, no time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use tokio_util::sync::CancellationToken;

use super::{Policy, Router, RouterProblem, Routes, Unexpected};
use crate::attempt::{Attempt as RecordAttempt, Dispatch};
use crate::context::Context;
use crate::extract::{Attempt, Event, Meta, Raw, State};
use crate::outcome::{ErrorClass, Failure, HandlerError, Outcome};
use crate::record::{Headers, Record, TopicPartition};

mod batches;
mod build;
mod dispatch;
mod events;
mod layers;
mod unexpected;

use self::events::{ParcelDelivered, ParcelLost};

/// Counts its runs.
#[derive(Clone, Default)]
struct Runs(Arc<AtomicU32>);

impl Runs {
    fn add(&self) {
        self.0.fetch_add(1, SeqCst);
    }

    fn count(&self) -> u32 {
        self.0.load(SeqCst)
    }
}

fn envelope(event_type: &str, payload: &str) -> String {
    format!(
        r#"{{"id":"0198c0de-0000-7000-8000-000000000001","type":"{event_type}","version":"1.0","source":"depot","timestamp":"2026-11-24T08:00:00.5Z","correlation_id":"order-7","causation_id":"order-placed-7","actor":{{"id":"6c6e0e82-7f86-4cb4-b630-5707956d567a","type":"user"}},"payload":{payload}}}"#
    )
}

fn delivered() -> String {
    envelope("parcel.delivered", r#"{"parcel_id":"p-1","weight_g":1200}"#)
}

fn record(value: Option<&[u8]>) -> Record {
    let trace: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    Record::copy_from(42, Some(1_795_507_200_123), Some(b"p-1"), value, [("traceparent", Some(trace))])
}

fn attempt(value: Option<&[u8]>) -> RecordAttempt {
    RecordAttempt {
        partition: TopicPartition::new("parcels.v1", 3),
        record: record(value),
        group: Arc::from("billing-group"),
        number: 1,
        first_failure: None,
        received_ms: Some(1_795_507_201_623),
        deadline: tokio::time::Instant::now() + std::time::Duration::from_secs(30),
        cancelled: CancellationToken::new(),
        outgoing: None,
        held: None,
    }
}

async fn dispatch(routes: &Routes, value: impl AsRef<[u8]>) -> Outcome {
    routes.dispatch(attempt(Some(value.as_ref()))).await
}

async fn failure(routes: &Routes, value: impl AsRef<[u8]>) -> Failure {
    match dispatch(routes, value).await {
        Outcome::Failed(failure) => Failure { backtrace: None, ..*failure }, // RUST_BACKTRACE may be set
        other => panic!("{other:?}, where a failure was expected"),
    }
}

fn problems(router: Router) -> Vec<RouterProblem> {
    router.build().expect_err("expected problems").problems().to_vec()
}
