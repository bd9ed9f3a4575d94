//! When everything that was published has found its end, or does not any more.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::ledger::Service;
use super::services::World;
use super::watch::Watch;

/// So long without any progress is the end: what is open then is lost.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Events and dead letters that are still to come: 0 when everything has its end.
pub(crate) fn open(world: &World, dead_lettered: [u64; 3], poison: u64) -> u64 {
    let missing: u64 =
        Service::ALL.map(|service| missing(world, service, dead_lettered, poison)).iter().sum();
    missing + world.ledger.unpaid()
}

/// Of one service: events published and neither handled nor refused, and refusals and poison without an acknowledged
/// dead letter.
pub(crate) fn missing(world: &World, service: Service, dead_lettered: [u64; 3], poison: u64) -> u64 {
    let due = world.ledger.refusals(service) + poison;
    world.ledger.missing(service) + due.saturating_sub(dead_lettered[service as usize])
}

/// Waits until nothing is open, or until nothing has moved for a while.
pub(crate) async fn settle(watch: &Watch, poison: u64) {
    let (mut moved, mut before) = (Instant::now(), 0);
    while moved.elapsed() < PATIENCE {
        let services = watch.services().await;
        let dead_lettered = services.map(|service| service.counts.dead_lettered);
        if open(&watch.world, dead_lettered, poison) == 0 {
            return;
        }
        let now: u64 =
            services.iter().map(|it| it.counts.handled + it.counts.retried + it.counts.dead_lettered).sum();
        if now != before {
            (moved, before) = (Instant::now(), now);
        }
        sleep(LOOK_EVERY).await;
    }
}
