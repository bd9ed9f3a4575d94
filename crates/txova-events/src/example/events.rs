//! What each of the 28 events says of a ride. It must never know envelopes' fields.

use super::seed::Numbers;
use super::{Example, Ride, maputo};
use crate::events::*;
use crate::values::*;
use crate::{Envelope, Event, RawEnvelope};

/// Draws each event from `$ride`; what a ride does not say comes from `$numbers`, which are the event's own.
macro_rules! examples {
    ($ride:ident, $numbers:ident: $($name:ident { $($field:ident: $value:expr,)* })*) => {
        $(impl Example for $name {
            fn example($ride: &Ride) -> Self {
                #[allow(unused_mut, unused_variables, reason = "most events need no numbers of their own")]
                let mut $numbers = Numbers::new($ride.seed, concat!("payload of ", stringify!($name)));
                Self { $($field: $value,)* }
            }
        })*

        pub(super) fn all(ride: &Ride) -> Vec<RawEnvelope> {
            vec![$(raw(&ride.envelope::<$name>())),*]
        }
    };
}

fn raw<E: Event>(envelope: &Envelope<E>) -> RawEnvelope {
    let bytes = envelope.encode().expect("invariant: the contract's events can be written");
    RawEnvelope::decode(&bytes).expect("invariant: what is written can be read")
}

examples! { ride, numbers:
    UserRegistered {
        user_id: ride.rider_id,
        phone: Some(ride.rider_phone),
        user_type: UserType::Rider,
        email: Some(ride.rider_email.clone()),
        name: Some(ride.rider_name.clone()),
    }
    UserVerified {
        user_id: ride.rider_id,
        verification_type: numbers.pick(VerificationType::ALL),
    }
    UserProfileUpdated {
        user_id: ride.rider_id,
        changed_fields: vec![numbers.pick(&["name", "email", "phone"]).to_owned()].into(),
    }
    UserSuspended {
        user_id: ride.rider_id,
        reason: numbers.pick(&["three unpaid rides", "a complaint under review"]).to_owned(),
        suspended_by: Some(ride.admin_id),
    }
    UserDeleted {
        user_id: ride.rider_id,
        deletion_type: numbers.pick(DeletionType::ALL),
    }
    DriverApplicationSubmitted {
        driver_id: ride.driver_id,
        user_id: ride.driver_user_id,
    }
    DriverDocumentsSubmitted {
        driver_id: ride.driver_id,
        document_types: DocumentType::ALL.to_vec().into(),
    }
    DriverApproved {
        driver_id: ride.driver_id,
        approved_by: ride.admin_id,
    }
    DriverRejected {
        driver_id: ride.driver_id,
        reason: numbers.pick(&["the insurance has run out", "the photo cannot be read"]).to_owned(),
        rejected_by: ride.admin_id,
    }
    DriverWentOnline {
        driver_id: ride.driver_id,
        location: ride.pickup,
        vehicle_id: ride.vehicle_id,
    }
    DriverWentOffline {
        driver_id: ride.driver_id,
        reason: numbers.pick(OfflineReason::ALL),
    }
    DriverLocationUpdated {
        driver_id: ride.driver_id,
        location: ride.pickup,
        heading: heading(ride),
        speed: speed(ride),
    }
    RideRequested {
        ride_id: ride.ride_id,
        rider_id: ride.rider_id,
        pickup: ride.pickup,
        dropoff: ride.dropoff,
        service_type: ride.service_type,
    }
    RideDriverAssigned {
        ride_id: ride.ride_id,
        driver_id: ride.driver_id,
        vehicle_id: ride.vehicle_id,
        eta_minutes: ride.eta_minutes,
    }
    RideDriverArrived {
        ride_id: ride.ride_id,
        arrival_time: ride.arrived_at(),
    }
    RideStarted {
        ride_id: ride.ride_id,
        start_time: ride.started_at(),
        start_location: ride.pickup,
    }
    RideCompleted {
        ride_id: ride.ride_id,
        end_time: ride.completed_at(),
        distance_km: ride.distance,
        duration_mins: ride.duration_mins,
        fare: ride.fare,
    }
    RideCancelled {
        ride_id: ride.ride_id,
        cancelled_by: CancelledBy::Driver,
        reason: CancellationReason::RiderNoShow,
        cancellation_fee: Money::from_centavos(5_000),
    }
    RideRated {
        ride_id: ride.ride_id,
        rating: Rating::new(numbers.pick(&[3, 4, 4, 5, 5, 5, 5])).expect("invariant: between 1 and 5"),
        rated_by: RatedBy::Rider,
        review: numbers.pick(&[None, Some("Boa viagem, obrigado!".to_owned())]),
    }
    PaymentInitiated {
        payment_id: ride.payment_id,
        ride_id: ride.ride_id,
        amount: ride.fare,
        method: ride.method,
    }
    PaymentCompleted {
        payment_id: ride.payment_id,
        transaction_ref: reference(&mut numbers),
    }
    PaymentFailed {
        payment_id: ride.payment_id,
        error_code: "INS-2006".to_owned(),
        error_message: "insufficient balance".to_owned(),
    }
    PaymentRefunded {
        payment_id: ride.payment_id,
        refund_amount: part(ride.fare, 50),
        reason: "the driver took a longer way".to_owned(),
    }
    PayoutRequested {
        payout_id: ride.payout_id,
        driver_id: ride.driver_id,
        amount: part(ride.fare, 80),
    }
    PayoutCompleted {
        payout_id: ride.payout_id,
        transaction_ref: reference(&mut numbers),
    }
    SafetyEmergencyTriggered {
        ride_id: ride.ride_id,
        user_id: ride.rider_id,
        location: ride.pickup,
        emergency_type: numbers.pick(EmergencyType::ALL),
    }
    SafetyIncidentReported {
        incident_id: ride.incident_id,
        reporter_id: ride.rider_id,
        ride_id: ride.ride_id,
        severity: numbers.pick(IncidentSeverity::ALL),
    }
    SafetyTripShared {
        ride_id: ride.ride_id,
        shared_with_phone: Some(maputo::phone(&mut numbers)),
    }
}

/// From the pickup towards the dropoff, in whole degrees.
fn heading(ride: &Ride) -> Heading {
    let north = ride.dropoff.latitude() - ride.pickup.latitude();
    let east =
        (ride.dropoff.longitude() - ride.pickup.longitude()) * ride.pickup.latitude().to_radians().cos();
    let degrees = east.atan2(north).to_degrees().round();
    Heading::new(degrees).unwrap_or_default().normalised()
}

/// What the way and its minutes come to.
fn speed(ride: &Ride) -> Speed {
    let km_per_hour = ride.distance.get() * 60.0 / ride.duration_mins.max(1) as f64;
    Speed::new(km_per_hour.round()).unwrap_or_default()
}

/// So many hundredths of an amount.
fn part(amount: Money, percent: i64) -> Money {
    Money::from_centavos(amount.centavos() * percent / 100)
}

/// As M-Pesa spells them: ten letters and digits.
fn reference(numbers: &mut Numbers) -> String {
    let signs: Vec<char> = ('A'..='Z').chain('0'..='9').collect();
    (0..10).map(|_| numbers.pick(&signs)).collect()
}
