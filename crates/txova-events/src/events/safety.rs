//! What makes rides safe. Keyed by the incident, or by the ride where there is none.

use crate::{EmergencyType, IncidentId, IncidentSeverity, Location, Phone, RideId, UserId};

events! {
    /// Somebody needs help now.
    SafetyEmergencyTriggered = "safety.emergency_triggered" on SAFETY by ride_id {
        /// On which ride.
        ride_id: RideId,
        /// Who needs it.
        user_id: UserId,
        /// Where.
        location: Location,
        /// What happened.
        emergency_type: EmergencyType,
    }
    /// Somebody told of an incident.
    SafetyIncidentReported = "safety.incident_reported" on SAFETY by incident_id {
        /// The incident.
        incident_id: IncidentId,
        /// Who told.
        reporter_id: UserId,
        /// On which ride.
        ride_id: RideId,
        /// How bad it is.
        severity: IncidentSeverity,
    }
    /// Somebody lets another follow the ride.
    SafetyTripShared = "safety.trip_shared" on SAFETY by ride_id {
        /// The ride.
        ride_id: RideId,
        /// With whom; `None` is written as `""`.
        shared_with_phone: Option<Phone>,
    }
}
