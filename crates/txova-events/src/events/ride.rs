//! The life of a ride. Keyed by the ride.

use crate::{
    CancellationReason, CancelledBy, DistanceKm, DriverId, Location, Money, RatedBy, Rating, RideId,
    ServiceType, Time, UserId, VehicleId,
};

events! {
    /// A rider wants a ride.
    RideRequested = "ride.requested" on RIDES by ride_id {
        /// The ride.
        ride_id: RideId,
        /// Who wants it.
        rider_id: UserId,
        /// From where.
        pickup: Location,
        /// To where.
        dropoff: Location,
        /// In what kind of vehicle.
        service_type: ServiceType,
    }
    /// A driver takes the ride.
    RideDriverAssigned = "ride.driver_assigned" on RIDES by ride_id {
        /// The ride.
        ride_id: RideId,
        /// The driver.
        driver_id: DriverId,
        /// The vehicle.
        vehicle_id: VehicleId,
        /// Minutes until the driver is there.
        eta_minutes: i64,
    }
    /// The driver is where the ride begins.
    RideDriverArrived = "ride.driver_arrived" on RIDES by ride_id {
        /// The ride.
        ride_id: RideId,
        /// When.
        arrival_time: Time,
    }
    /// The ride has begun.
    RideStarted = "ride.started" on RIDES by ride_id {
        /// The ride.
        ride_id: RideId,
        /// When.
        start_time: Time,
        /// Where.
        start_location: Location,
    }
    /// The ride is over.
    RideCompleted = "ride.completed" on RIDES by ride_id {
        /// The ride.
        ride_id: RideId,
        /// When.
        end_time: Time,
        /// How far, in kilometres.
        distance_km: DistanceKm,
        /// How long, in minutes.
        duration_mins: i64,
        /// What it costs.
        fare: Money,
    }
    /// The ride does not take place.
    RideCancelled = "ride.cancelled" on RIDES by ride_id {
        /// The ride.
        ride_id: RideId,
        /// Who cancelled.
        cancelled_by: CancelledBy,
        /// Why.
        reason: CancellationReason,
        /// What that costs.
        cancellation_fee: Money,
    }
    /// One side rated the other.
    RideRated = "ride.rated" on RIDES by ride_id {
        /// The ride.
        ride_id: RideId,
        /// From 1 to 5.
        rating: Rating,
        /// Who rated.
        rated_by: RatedBy,
        /// In words, left out when absent or empty.
        review: Option<String>,
    }
}
