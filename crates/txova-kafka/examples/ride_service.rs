//! A small ride service with its tests: it knows which drivers are online, and finds one for each ride.
//!
//! `cargo test -p txova-kafka --example ride_service`

use std::sync::{Arc, Mutex};
use std::time::Duration;

use txova_events::{DriverWentOnline, RideDriverAssigned, RideRequested};
use txova_kafka::publisher::Publisher;
use txova_kafka::{App, BuildError, Event, HandlerError, Kafka, State, shutdown_signal};

/// The drivers who wait for a ride.
#[derive(Clone, Default)]
struct Drivers(Arc<Mutex<Vec<DriverWentOnline>>>);

async fn online(Event(driver): Event<DriverWentOnline>, State(Drivers(free)): State<Drivers>) {
    free.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(driver);
}

async fn assign(
    Event(RideRequested { ride_id, pickup, dropoff, .. }): Event<RideRequested>,
    State(Drivers(free)): State<Drivers>,
    State(events): State<Publisher>,
) -> Result<(), HandlerError> {
    if pickup == dropoff {
        return Err(HandlerError::permanent(format!("a ride from {pickup} to where it began")));
    }
    let driver = free.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
    let DriverWentOnline { driver_id, vehicle_id, .. } = driver.ok_or("nobody is free")?; // tried again
    events.publish(&RideDriverAssigned { ride_id, driver_id, vehicle_id, eta_minutes: 4 }).await?;
    Ok(())
}

fn service(kafka: &Kafka, events: Publisher) -> Result<App, BuildError> {
    let app = kafka.app("ride-service").state(events).state(Drivers::default());
    app.handle(online).handle(assign).build()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let kafka = Kafka::from_env()?;
    let events = kafka.publisher("ride-service")?;
    let report = service(&kafka, events.clone())?.run_until(shutdown_signal()).await?;
    eprintln!("consumer: {report}\npublisher: {}", events.close(Duration::from_secs(10)).await);
    Ok(())
}

#[cfg(test)]
mod tests {
    use txova_events::example::{Example, Ride};
    use txova_kafka::testing::{Harness, RunningApp, expect};

    use super::*;

    async fn started() -> (Harness, RunningApp) {
        let kit = Harness::new();
        let app = service(&kit.kafka(), kit.publisher("ride-service")).unwrap();
        let app = kit.start(app).await;
        (kit, app)
    }

    #[tokio::test(start_paused = true)]
    async fn a_ride_gets_the_driver_who_is_online() {
        let ((kit, _app), ride) = (started().await, Ride::seeded(1));
        kit.publish(&DriverWentOnline::example(&ride));
        kit.settle().await;
        let request = kit.publish(&RideRequested::example(&ride));
        let done = kit.settle().await;
        assert_eq!((done.handled(), done.retried()), (2, 0), "{done}");
        kit.published().assert_exactly([expect::<RideDriverAssigned>()
            .key(ride.ride_id)
            .caused_by(request.event_id())
            .payload("the driver who is online", move |it: &RideDriverAssigned| {
                it.driver_id == ride.driver_id
            })]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_ride_waits_until_somebody_is_online() {
        let ((kit, _app), ride) = (started().await, Ride::seeded(2));
        kit.publish(&RideRequested::example(&ride));
        kit.wait_until(|runs| runs.iter().any(|run| run.attempt == 2)).await;
        kit.publish(&DriverWentOnline::example(&ride));
        let done = kit.settle().await;
        assert_eq!((done.retried(), done.published.len()), (2, 1), "{done}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_ride_to_where_it_began_is_kept_for_repair_through_an_outage() {
        let ((kit, app), ride) = (started().await, Ride::seeded(3));
        app.dead_letters_down();
        kit.publish(&RideRequested::example(&ride).with(|it| it.dropoff = it.pickup));
        let stuck = kit.try_settle().await.unwrap_err();
        assert!(stuck.to_string().contains("its dead letter is not taken"), "{stuck}");
        app.dead_letters_up();
        assert_eq!(kit.settle().await.dead_lettered(), 1);
        kit.published().assert_exactly([]);
    }
}
