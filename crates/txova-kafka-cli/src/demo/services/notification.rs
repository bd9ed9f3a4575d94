//! The notification service: tells riders how it stands, and checks that each payment names its cause.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use txova_kafka::{AppBuilder, Meta, State};

use super::super::ledger::Service;
use super::super::life::Step;
use super::World;

/// What was found about the chains from ride to payment.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    /// Payment events looked at.
    pub checked: AtomicU64,
    /// Those that do not name the event that caused them, or belong to another chain.
    pub broken: AtomicU64,
    /// The event that began each payment.
    initiated: Mutex<HashMap<u32, String>>,
}

pub(super) fn app(builder: AppBuilder, world: &Arc<World>) -> AppBuilder {
    builder.state(world.clone()).on("ride.*", tell).on("payment.*", tell_payer)
}

async fn tell(State(world): State<Arc<World>>, meta: Meta) {
    if let Some((trip, step)) = world.place(&meta) {
        world.ledger.handled(Service::Notification, trip, step);
    }
}

async fn tell_payer(State(world): State<Arc<World>>, meta: Meta) {
    let Some((trip, step)) = world.place(&meta) else { return };
    world.ledger.handled(Service::Notification, trip, step);
    let cause = match step {
        Step::PaymentInitiated => {
            let mut initiated = world.chains.initiated.lock().unwrap_or_else(PoisonError::into_inner);
            initiated.insert(trip, meta.event_id.clone());
            Some(world.lives.event_id(trip, Step::Completed))
        }
        Step::PaymentRefunded => Some(world.lives.event_id(trip, Step::Completed)),
        _ => {
            let initiated = world.chains.initiated.lock().unwrap_or_else(PoisonError::into_inner);
            initiated.get(&trip).cloned()
        }
    };
    let is_whole =
        cause.is_some() && meta.causation_id == cause && meta.correlation_id == world.lives.chain(trip);
    world.chains.checked.fetch_add(1, Relaxed);
    world.chains.broken.fetch_add(u64::from(!is_whole), Relaxed);
}
