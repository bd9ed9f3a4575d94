//! One imagined ride: who, where, when, how far, for how much. It must never know which events tell of it.

use super::maputo;
use super::seed::Numbers;
use crate::{
    DistanceKm, DriverId, Email, IncidentId, Location, Money, PaymentId, PaymentMethod, PayoutId, Phone,
    RideId, ServiceType, Time, UserId, VehicleId,
};

/// A ride in Maputo that never was. The same seed gives the same ride; another seed gives other people, other ids,
/// another way.
///
/// Every event drawn from it ([`Example::example`](super::Example::example), [`life`](Self::life)) tells of this ride.
/// Change a field before drawing where a test needs another ride:
///
/// ```
/// use txova_events::example::{Example, Ride};
/// use txova_events::{PaymentInitiated, PaymentMethod};
///
/// let ride = Ride { method: PaymentMethod::Cash, ..Ride::seeded(3) };
/// assert_eq!(PaymentInitiated::example(&ride).method, PaymentMethod::Cash);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Ride {
    /// What it was made from; ids of events come from it, too.
    pub seed: u64,
    /// The ride.
    pub ride_id: RideId,
    /// Who rides.
    pub rider_id: UserId,
    /// The rider's name.
    pub rider_name: String,
    /// The rider's number.
    pub rider_phone: Phone,
    /// The rider's address.
    pub rider_email: Email,
    /// Who drives.
    pub driver_id: DriverId,
    /// The same person, as a user.
    pub driver_user_id: UserId,
    /// In what.
    pub vehicle_id: VehicleId,
    /// Who runs the platform that day.
    pub admin_id: UserId,
    /// How the ride is paid for.
    pub payment_id: PaymentId,
    /// What the driver gets for it.
    pub payout_id: PayoutId,
    /// What goes wrong on it, where something does.
    pub incident_id: IncidentId,
    /// Where it begins.
    pub pickup: Location,
    /// Where it ends.
    pub dropoff: Location,
    /// The way by road.
    pub distance: DistanceKm,
    /// What kind of vehicle.
    pub service_type: ServiceType,
    /// Minutes until the driver was there.
    pub eta_minutes: i64,
    /// Minutes from start to end.
    pub duration_mins: i64,
    /// What it costs, by kind, distance and minutes.
    pub fare: Money,
    /// How it is paid.
    pub method: PaymentMethod,
    /// When the rider asked for it.
    pub requested_at: Time,
}

/// 2026-01-05T04:00:00Z, a Monday, six in the morning in Maputo.
const FIRST_MONDAY_MS: i64 = 1_767_585_600_000;
const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: i64 = 24 * 60;

impl Ride {
    /// The ride of a seed.
    pub fn seeded(seed: u64) -> Self {
        let mut numbers = Numbers::new(seed, "ride");
        let minutes = numbers.within(0, 28) * DAY_MINUTES + numbers.within(0, 17 * 60);
        let requested_ms = FIRST_MONDAY_MS + minutes * MINUTE_MS + numbers.within(0, MINUTE_MS);
        let (pickup, dropoff, km) = maputo::way(&mut numbers);
        let service_type = numbers.pick(ServiceType::ALL);
        let km_per_hour = numbers.between(18.0, if service_type == ServiceType::Moto { 36.0 } else { 28.0 });
        let duration_mins = (km / km_per_hour * 60.0).ceil() as i64;
        let rider_name = numbers.pick(&maputo::NAMES).to_owned();
        // People and vehicles are older than the ride, and ids of version 7 tell their age.
        let mut older = |days: i64| numbers.uuid(requested_ms - days * DAY_MINUTES * MINUTE_MS);
        Self {
            seed,
            rider_id: older(90).into(),
            driver_user_id: older(200).into(),
            driver_id: older(199).into(),
            vehicle_id: older(198).into(),
            admin_id: older(400).into(),
            ride_id: numbers.uuid(requested_ms).into(),
            payment_id: numbers.uuid(requested_ms + 1).into(),
            payout_id: numbers.uuid(requested_ms + 2).into(),
            incident_id: numbers.uuid(requested_ms + 3).into(),
            rider_email: email(&rider_name),
            rider_name,
            rider_phone: maputo::phone(&mut numbers),
            pickup,
            dropoff,
            distance: DistanceKm::new(km).expect("invariant: distances in Maputo are finite"),
            service_type,
            eta_minutes: numbers.within(2, 13),
            duration_mins,
            fare: maputo::fare(service_type, km, duration_mins),
            method: numbers.pick(PaymentMethod::ALL),
            requested_at: at(requested_ms),
        }
    }

    /// When the driver took it: 40 seconds later.
    pub fn assigned_at(&self) -> Time {
        self.after(40_000)
    }

    /// When the driver was there.
    pub fn arrived_at(&self) -> Time {
        self.after(40_000 + self.eta_minutes * MINUTE_MS)
    }

    /// When it began: two minutes after the driver was there.
    pub fn started_at(&self) -> Time {
        at(self.arrived_at().unix_ms() + 2 * MINUTE_MS)
    }

    /// When it was over.
    pub fn completed_at(&self) -> Time {
        at(self.started_at().unix_ms() + self.duration_mins * MINUTE_MS)
    }

    /// So many milliseconds after it was asked for, or before.
    pub(super) fn after(&self, ms: i64) -> Time {
        at(self.requested_at.unix_ms() + ms)
    }
}

fn at(unix_ms: i64) -> Time {
    Time::from_unix_ms(unix_ms).unwrap_or(Time::ZERO)
}

/// `Dércio Langa` is `dercio.langa@exemplo.co.mz`.
fn email(name: &str) -> Email {
    let plain = |c: char| match c.to_ascii_lowercase() {
        'á' => 'a',
        'é' => 'e',
        ' ' => '.',
        c => c,
    };
    let local: String = name.chars().map(plain).collect();
    format!("{local}@exemplo.co.mz").parse().expect("invariant: names have no other letters")
}
