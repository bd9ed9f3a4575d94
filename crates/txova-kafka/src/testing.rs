#![doc = include_str!("testing/guide.md")]

mod event_store;
mod expect;
mod harness;
mod journal;
mod running;
mod settled;
#[cfg(test)]
mod tests;
mod unsettled;

pub use self::event_store::{EventStore, StoredEvent};
pub use self::expect::{Expected, expect};
pub use self::harness::Harness;
pub use self::journal::{HandlerEnd, HandlerRun};
pub use self::running::RunningApp;
pub use self::settled::{Committed, Settled};
pub use self::unsettled::Unsettled;
pub use crate::transport::librdkafka::mock::MockKafka;
pub use crate::transport::memory::{Cluster, CommitFault, CommitRecord, MemberId, MemberView, ProduceFault};

use std::sync::Arc;

use crate::config::KafkaConfig;
use crate::kafka::Kafka;

/// The events of one imagined ride, in order: what [`example::Ride::life`](txova_events::example::Ride::life) tells of the
/// ride of a seed.
///
/// ```
/// use txova_kafka::testing::{Harness, ride_life};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let kit = Harness::new();
/// for event in ride_life(7) {
///     kit.publish(&event);
/// }
/// # }
/// ```
pub fn ride_life(seed: u64) -> Vec<txova_events::RawEnvelope> {
    txova_events::example::Ride::seeded(seed).life()
}

impl Cluster {
    /// This cluster, as services see it, with default settings.
    pub fn kafka(&self) -> Kafka {
        Kafka::over(Arc::new(self.clone()), KafkaConfig::default())
    }
}

/// Fails the test that called.
#[track_caller]
#[allow(clippy::panic, reason = "it is how a test fails")]
fn fail(why: &str) -> ! {
    panic!("{why}")
}
