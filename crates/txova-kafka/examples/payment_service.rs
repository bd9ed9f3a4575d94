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
    use txova_events::{DistanceKm, EnvelopeRef, Money, RideId, Time};
    use txova_kafka::testing::Cluster;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_completed_ride_is_charged_and_one_with_a_negative_fare_is_kept_for_repair() {
        let cluster = Cluster::new();
        let events = cluster.kafka().publisher("ride-service").unwrap();
        for fare in [12_500, -300] {
            let (ride_id, end_time, fare) = (RideId::new(), Time::now(), Money::from_centavos(fare));
            let distance_km = DistanceKm::new(4.2).unwrap();
            let ride = RideCompleted { ride_id, end_time, distance_km, duration_mins: 11, fare };
            events.publish(&ride).await.unwrap();
        }
        let app = service(&cluster.kafka(), events.clone()).unwrap();
        let handle = app.handle();
        let run = tokio::spawn(app.run());
        cluster.wait_until(|cluster| cluster.lag("payment-service-group", "txova.rides.v1") == 0).await;
        assert!(handle.close(Duration::from_secs(1)).await);
        run.await.unwrap().unwrap();

        let payments = cluster.records("txova.payments.v1");
        let payment = EnvelopeRef::decode(payments[0].1.value.as_deref().unwrap()).unwrap();
        assert_eq!(payment.decode_payload::<PaymentInitiated>().unwrap().amount.centavos(), 12_500);
        assert_eq!((payments.len(), cluster.records("txova.rides.v1.dlq").len()), (1, 1));
        assert!(payment.causation_id.is_some());
    }
}
