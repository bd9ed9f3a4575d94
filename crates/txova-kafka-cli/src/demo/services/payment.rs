//! The payment service: begins a payment for each completed ride and has it carried out by a gateway. Its first version
//! refuses rides that cannot be charged; the repaired one knows what to do with them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};

use txova_events::{
    Money, PaymentCompleted, PaymentFailed, PaymentInitiated, PaymentRefunded, RideCompleted,
};
use txova_kafka::publisher::Publisher;
use txova_kafka::{AppBuilder, Event, HandlerError, Meta, State};

use super::super::flaw::Flaw;
use super::super::ledger::Service;
use super::super::life::Step;
use super::World;

/// One payment in so many does not come off.
const FAILS_ONE_IN: u32 = 50;

/// The provider behind the payment service.
#[derive(Debug, Default)]
pub(crate) struct Gateway {
    down: AtomicBool,
    /// Calls it did not answer.
    pub unanswered: AtomicU64,
}

impl Gateway {
    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Relaxed);
    }

    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Relaxed)
    }

    /// Charges, or says that it cannot be reached.
    fn charge(&self) -> Result<(), GatewayDown> {
        if self.is_down() {
            self.unanswered.fetch_add(1, Relaxed);
            return Err(GatewayDown);
        }
        Ok(())
    }
}

/// The gateway does not answer. A plain error: transient.
#[derive(Debug)]
struct GatewayDown;

impl fmt::Display for GatewayDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the payment gateway does not answer: connection refused")
    }
}

impl std::error::Error for GatewayDown {}

pub(super) fn app(builder: AppBuilder, world: &Arc<World>, publisher: &Publisher) -> AppBuilder {
    builder.state(world.clone()).state(publisher.clone()).handle(charge).handle(settle)
}

pub(super) fn repaired_app(builder: AppBuilder, world: &Arc<World>, publisher: &Publisher) -> AppBuilder {
    builder.state(world.clone()).state(publisher.clone()).handle(charge_whatever_comes).handle(settle)
}

/// Begins the payment. What it publishes names the completed ride as its cause without a word here.
async fn charge(
    State(world): State<Arc<World>>,
    State(publisher): State<Publisher>,
    Event(ride): Event<RideCompleted>,
    meta: Meta,
) -> Result<(), HandlerError> {
    let Some((trip, step)) = world.place(&meta) else { return Ok(()) };
    if let Some(flaw) = Flaw::of(&ride) {
        world.ledger.refused(Service::Payment, trip, step);
        let ride_id = ride.ride_id;
        return Err(HandlerError::permanent(format!(
            "ride {ride_id} has {}: {} km for {}, expected more than nothing",
            flaw.as_str(),
            ride.distance_km,
            ride.fare
        )));
    }
    initiate(&world, &publisher, trip, &ride).await?;
    world.ledger.handled(Service::Payment, trip, step);
    Ok(())
}

/// As `charge`, with an answer for rides that have nothing to charge: money is given back where the fare is negative,
/// and the others are waived.
async fn charge_whatever_comes(
    State(world): State<Arc<World>>,
    State(publisher): State<Publisher>,
    Event(ride): Event<RideCompleted>,
    meta: Meta,
) -> Result<(), HandlerError> {
    let Some((trip, step)) = world.place(&meta) else { return Ok(()) };
    match Flaw::of(&ride) {
        None => {
            initiate(&world, &publisher, trip, &ride).await?;
            world.ledger.handled(Service::Payment, trip, step);
        }
        Some(flaw) if ride.fare < Money::ZERO => {
            let refund = PaymentRefunded {
                payment_id: world.lives.payment_id(trip),
                refund_amount: Money::ZERO.checked_sub(ride.fare).unwrap_or(Money::ZERO),
                reason: format!("the ride has {}", flaw.as_str()),
            };
            publisher.publish(&refund).await?;
            world.ledger.published(trip, Step::PaymentRefunded);
        }
        Some(_waived) => {}
    }
    Ok(())
}

async fn initiate(
    world: &World,
    publisher: &Publisher,
    trip: u32,
    ride: &RideCompleted,
) -> Result<(), HandlerError> {
    let payment = PaymentInitiated {
        payment_id: world.lives.payment_id(trip),
        ride_id: ride.ride_id,
        amount: ride.fare,
        method: world.lives.trip(trip).method,
    };
    publisher.publish(&payment).await?;
    world.ledger.published(trip, Step::PaymentInitiated);
    Ok(())
}

/// Has the payment carried out.
async fn settle(
    State(world): State<Arc<World>>,
    State(publisher): State<Publisher>,
    Event(payment): Event<PaymentInitiated>,
    meta: Meta,
) -> Result<(), HandlerError> {
    let Some((trip, step)) = world.place(&meta) else { return Ok(()) };
    world.gateway.charge()?;
    let payment_id = payment.payment_id;
    let ended = if trip % FAILS_ONE_IN == FAILS_ONE_IN - 1 {
        let (error_code, error_message) =
            ("insufficient_funds".to_owned(), "the account is empty".to_owned());
        publisher.publish(&PaymentFailed { payment_id, error_code, error_message }).await?;
        Step::PaymentFailed
    } else {
        let transaction_ref = format!("demo-{trip}");
        publisher.publish(&PaymentCompleted { payment_id, transaction_ref }).await?;
        Step::PaymentCompleted
    };
    world.ledger.published(trip, ended);
    world.ledger.handled(Service::Payment, trip, step);
    Ok(())
}
