//! Goal: the kit waits for all there is to wait for, says what happened, and says what is stuck.
//! Method: small services, each with one thing that goes its own way, on a paused clock.

use std::time::{Duration, Instant};

use txova_events::example::{Example, Ride};
use txova_events::{PaymentCompleted, PaymentInitiated, RideCompleted, RideRated, RideRequested, topics};

use super::*;
use crate::app::{App, AppBuilder};
use crate::batch::BatchError;
use crate::extract::{Attempt, Event, State};
use crate::outcome::{ErrorClass, HandlerError};
use crate::publisher::Publisher;
use crate::record::{OutgoingRecord, TopicPartition};
use crate::transport::StartAt;

mod expecting;
mod faults;
mod settling;
mod store;

/// Asks for the payment of a completed ride.
async fn charge(
    Event(ride): Event<RideCompleted>,
    State(events): State<Publisher>,
) -> Result<(), HandlerError> {
    let Ride { payment_id, method, .. } = Ride::seeded(1);
    events
        .publish(&PaymentInitiated { payment_id, ride_id: ride.ride_id, amount: ride.fare, method })
        .await?;
    Ok(())
}

/// Says that a payment is done, a minute later.
async fn pay(
    Event(payment): Event<PaymentInitiated>,
    State(events): State<Publisher>,
) -> Result<(), HandlerError> {
    tokio::time::sleep(Duration::from_secs(20)).await;
    let transaction_ref = "8FK3M2".to_owned();
    events.publish(&PaymentCompleted { payment_id: payment.payment_id, transaction_ref }).await?;
    Ok(())
}

fn payment_app(kit: &Harness) -> AppBuilder {
    kit.kafka().app("payment-service").state(kit.publisher("payment-service"))
}

fn completed(seed: u64) -> RideCompleted {
    RideCompleted::example(&Ride::seeded(seed))
}

#[tokio::test(start_paused = true)]
async fn two_hundred_services_are_tested_in_the_time_that_is_printed() {
    let began = Instant::now();
    for seed in 0..200 {
        let kit = Harness::new();
        let app = kit.start(payment_app(&kit).handle(charge).handle(pay).build().unwrap()).await;
        kit.publish(&completed(seed));
        let done = kit.settle().await;
        assert_eq!((done.handled(), done.published.len()), (2, 2), "{done}");
        app.close().await;
    }
    eprintln!("200 runs of a harness in {:.3} s", began.elapsed().as_secs_f64());
}
