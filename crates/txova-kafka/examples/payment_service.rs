//! A whole service: handles completed rides, asks for their payment, ends when it is told to.
//!
//! `TXOVA_KAFKA_BROKERS=localhost:9092 cargo run -p txova-kafka --example payment_service`

use std::time::Duration;

use txova_events::{PaymentId, PaymentInitiated, PaymentMethod, RideCompleted};
use txova_kafka::publisher::Publisher;
use txova_kafka::{App, BuildError, Event, HandlerError, Kafka, State, shutdown_signal};

async fn charge(
    Event(ride): Event<RideCompleted>,
    State(events): State<Publisher>,
) -> Result<(), HandlerError> {
    if ride.fare.centavos() < 0 {
        return Err(HandlerError::permanent(format!("a fare of {} cannot be charged", ride.fare)));
    }
    let (payment_id, ride_id, amount) = (PaymentId::new(), ride.ride_id, ride.fare);
    let payment = PaymentInitiated { payment_id, ride_id, amount, method: PaymentMethod::Mpesa };
    events.publish(&payment).await?; // carries the ride's correlation id, and the ride as its cause
    Ok(())
}

fn service(kafka: &Kafka, events: Publisher) -> Result<App, BuildError> {
    kafka.app("payment-service").state(events).handle(charge).build()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let kafka = Kafka::from_env()?;
    let events = kafka.publisher("payment-service")?;
    let report = service(&kafka, events.clone())?.run_until(shutdown_signal()).await?;
    eprintln!("consumer: {report}\npublisher: {}", events.close(Duration::from_secs(10)).await);
    Ok(())
}

#[cfg(test)]
mod tests {
    use txova_events::Money;
    use txova_events::example::{Example, Ride};
    use txova_kafka::testing::{Harness, expect};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_completed_ride_is_charged_and_one_with_a_negative_fare_is_kept_for_repair() {
        let kit = Harness::new();
        kit.start(service(&kit.kafka(), kit.publisher("payment-service")).unwrap()).await;
        let ride = RideCompleted::example(&Ride::seeded(1));
        let charged = kit.publish(&ride);
        kit.publish(&ride.clone().with(|ride| ride.fare = Money::from_centavos(-300)));
        let done = kit.settle().await;

        assert_eq!((done.handled(), done.dead_lettered()), (1, 1), "{done}");
        kit.published().assert_exactly([expect::<PaymentInitiated>()
            .caused_by(charged.event_id())
            .payload("the fare of the ride", move |payment: &PaymentInitiated| payment.amount == ride.fare)]);
    }
}
