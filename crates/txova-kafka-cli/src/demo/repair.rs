//! The one command that repairs: the dead letters of the payment service go through its repaired handler. And the
//! counting of what lies in the dead-letter topics, from the topics themselves.

use std::sync::Arc;

use txova_kafka::publisher::Publisher;
use txova_kafka::{Kafka, Replay};

use super::DemoError;
use super::services::{self, Joining, World};

/// What the replay did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Repaired {
    pub replayed: u64,
    /// Failed again, or not reached.
    pub failed: u64,
}

/// What lies in the dead-letter topics about a group's records.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Letters {
    pub written: u64,
    pub open: u64,
}

/// Replays what the first version of the payment handler refused. The poison stays where it is: no handler can help it.
pub(crate) async fn repair(
    kafka: &Kafka,
    world: &Arc<World>,
    publisher: &Publisher,
    joining: &Joining,
) -> Result<Repaired, DemoError> {
    let app = services::repaired_payment_app(kafka, world, publisher, joining)
        .map_err(|error| DemoError::Cluster(error.to_string()))?;
    let replay = Replay::new()
        .filter(|letter| letter.event_type() == "ride.completed")
        .by("demo")
        .why("the handler now takes rides that have nothing to charge");
    let report =
        app.replay(replay).await.map_err(|error| DemoError::Cluster(format!("the replay ended: {error}")))?;
    let failed = report.failed.len() + report.not_reached.len();
    Ok(Repaired { replayed: report.replayed, failed: failed as u64 })
}

/// Counts the letters of each group.
pub(crate) async fn letters(
    kafka: &Kafka,
    groups: &[String; 3],
    topics: &[Vec<String>; 3],
) -> Result<[Letters; 3], DemoError> {
    let mut all = topics.concat();
    all.sort();
    all.dedup();
    let entries = kafka
        .dead_letters(all)
        .await
        .map_err(|error| DemoError::Cluster(format!("the dead letters cannot be read: {error}")))?;
    let mut letters = [Letters::default(); 3];
    for entry in &entries {
        let group = entry.letter.as_ref().ok().and_then(|letter| letter.consumer_group.as_ref());
        if let Some(at) = groups.iter().position(|ours| Some(ours) == group) {
            letters[at].written += 1;
            letters[at].open += u64::from(entry.is_open());
        }
    }
    Ok(letters)
}
