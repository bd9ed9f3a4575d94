//! The event of the load, and the handler that takes it down. It must never know who judges.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use txova_events::Event;
use txova_kafka::{Event as Incoming, HandlerError, State};

use super::ledger::Ledger;

/// One event of a run: the `number`th of all, so the `number / keys`th of its key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Beat {
    pub run: String,
    pub number: u64,
    pub key: u32,
    /// When it was due, in microseconds since the run began.
    pub due_us: u64,
    pub padding: String,
}

impl Event for Beat {
    const TYPE: &'static str = "soak.beat";
    const TOPIC: &'static str = "txova-kafka-soak";

    fn key(&self) -> String {
        format!("{}-{}", self.run, self.key)
    }
}

/// Takes down what came; that of another run is not ours.
pub(super) async fn heard(
    Incoming(beat): Incoming<Beat>,
    State(ledger): State<Arc<Ledger>>,
) -> Result<(), HandlerError> {
    if beat.run == ledger.run {
        ledger.handled(&beat);
    }
    Ok(())
}
