//! The ride service: follows each ride and each driver.

use std::sync::Arc;

use txova_events::DriverLocationUpdated;
use txova_kafka::{AppBuilder, Event, Meta, State};

use super::super::ledger::Service;
use super::World;

pub(super) fn app(builder: AppBuilder, world: &Arc<World>) -> AppBuilder {
    builder.state(world.clone()).on("ride.*", follow).handle(locate)
}

async fn follow(State(world): State<Arc<World>>, meta: Meta) {
    note(&world, &meta);
}

async fn locate(State(world): State<Arc<World>>, Event(_place): Event<DriverLocationUpdated>, meta: Meta) {
    note(&world, &meta);
}

fn note(world: &World, meta: &Meta) {
    if let Some((trip, step)) = world.place(meta) {
        world.ledger.handled(Service::Ride, trip, step);
    }
}
