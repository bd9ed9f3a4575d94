//! What drivers do. Keyed by the driver.

use crate::{DocumentType, DriverId, Heading, List, Location, OfflineReason, Speed, UserId, VehicleId};

events! {
    /// A user applied to be a driver.
    DriverApplicationSubmitted = "driver.application_submitted" on DRIVERS by driver_id {
        /// The driver to be.
        driver_id: DriverId,
        /// The user who applied.
        user_id: UserId,
    }
    /// A driver handed in documents.
    DriverDocumentsSubmitted = "driver.documents_submitted" on DRIVERS by driver_id {
        /// The driver.
        driver_id: DriverId,
        /// Which documents.
        document_types: List<DocumentType>,
    }
    /// A driver may drive.
    DriverApproved = "driver.approved" on DRIVERS by driver_id {
        /// The driver.
        driver_id: DriverId,
        /// Who approved.
        approved_by: UserId,
    }
    /// A driver may not drive.
    DriverRejected = "driver.rejected" on DRIVERS by driver_id {
        /// The driver.
        driver_id: DriverId,
        /// Why, in words.
        reason: String,
        /// Who rejected.
        rejected_by: UserId,
    }
    /// A driver is ready for rides.
    DriverWentOnline = "driver.went_online" on DRIVERS by driver_id {
        /// The driver.
        driver_id: DriverId,
        /// Where.
        location: Location,
        /// With which vehicle.
        vehicle_id: VehicleId,
    }
    /// A driver takes no more rides.
    DriverWentOffline = "driver.went_offline" on DRIVERS by driver_id {
        /// The driver.
        driver_id: DriverId,
        /// Why.
        reason: OfflineReason,
    }
    /// A driver has moved.
    ///
    /// Go services publish it to the drivers' topic; see [`accepted_topics`](crate::topics::accepted_topics).
    DriverLocationUpdated = "driver.location_updated" on LOCATIONS by driver_id {
        /// The driver.
        driver_id: DriverId,
        /// Where.
        location: Location,
        /// In which direction, in degrees.
        heading: Heading,
        /// How fast, in km/h.
        speed: Speed,
    }
}
