//! The event of the fault runs. What its handler does with it is decided by its own fields alone.

use serde::{Deserialize, Serialize};
use txova_events::Event;

pub(crate) const TOPIC: &str = "faults.numbered.v1";
pub(crate) const DLQ: &str = "faults.numbered.v1.dlq";
pub(crate) const GROUP: &str = "faults-group";

/// What the handlers publish where they do.
pub(crate) const FORWARDED: &str = "faults.forwarded.v1";

/// What the members under test are to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    AtLeastOnce,
    /// Handlers publish, in one transaction with the offset.
    ExactlyOnce,
}

/// A key's event with its number, from 0 without a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Numbered {
    pub(crate) key: u32,
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    /// How long handling takes; 0 does not even yield.
    pub(crate) work_ms: u32,
    pub(crate) filler: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Plain,
    /// Refused for good: belongs on the dead-letter topic.
    Poison,
    /// Fails at its first attempt.
    Flaky,
    /// Never ends, where the member is told so.
    Stuck,
}

impl Event for Numbered {
    const TYPE: &'static str = "faults.numbered";
    const TOPIC: &'static str = TOPIC;

    fn key(&self) -> String {
        format!("key-{}", self.key)
    }
}

/// What the handler of a [`Numbered`] publishes, with the place it had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Forwarded {
    pub(crate) key: u32,
    pub(crate) number: u32,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl Event for Forwarded {
    const TYPE: &'static str = "faults.forwarded";
    const TOPIC: &'static str = FORWARDED;

    fn key(&self) -> String {
        format!("key-{}", self.key)
    }
}
