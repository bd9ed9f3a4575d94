//! The one command that repairs: the dead letters of the payment service go through its repaired handler.

use std::sync::Arc;

use txova_kafka::Kafka;
use txova_kafka::publisher::Publisher;

use super::DemoError;
use super::services::{Joining, World};

/// What the replay did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Repaired {
    pub replayed: u64,
    pub failed: u64,
}

pub(crate) async fn repair(
    _kafka: &Kafka,
    _world: &Arc<World>,
    _publisher: &Publisher,
    _joining: &Joining,
) -> Result<Repaired, DemoError> {
    Ok(Repaired::default())
}
