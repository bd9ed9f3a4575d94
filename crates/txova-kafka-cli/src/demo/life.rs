//! A trip's life as events: what happens, when, and under which ids. It must never know Kafka.

use txova_events::{
    DistanceKm, DriverId, DriverLocationUpdated, Envelope, Event, Heading, InvalidEvent, Location, Money,
    PaymentId, RatedBy, Rating, RideCompleted, RideDriverArrived, RideDriverAssigned, RideId, RideRated,
    RideRequested, RideStarted, ServiceType, Speed, Time, ToRecord, UserId, VehicleId,
};

use super::tag::{self, Kind, Run};
use super::trips::Trip;

/// Drivers that share the trips.
pub(crate) const DRIVERS: u32 = 300;

const MINUTE_MS: i64 = 60_000;

/// What happens in a life, in its order. The first nine are published from outside, the payment's by a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Step {
    Requested,
    Assigned,
    Arrived,
    Started,
    Quarter,
    Half,
    ThreeQuarters,
    Completed,
    Rated,
    PaymentInitiated,
    PaymentCompleted,
    PaymentFailed,
    PaymentRefunded,
}

impl Step {
    pub(crate) const ALL: [Self; 13] = [
        Self::Requested,
        Self::Assigned,
        Self::Arrived,
        Self::Started,
        Self::Quarter,
        Self::Half,
        Self::ThreeQuarters,
        Self::Completed,
        Self::Rated,
        Self::PaymentInitiated,
        Self::PaymentCompleted,
        Self::PaymentFailed,
        Self::PaymentRefunded,
    ];
    pub(crate) const RIDE: [Self; 9] = [
        Self::Requested,
        Self::Assigned,
        Self::Arrived,
        Self::Started,
        Self::Quarter,
        Self::Half,
        Self::ThreeQuarters,
        Self::Completed,
        Self::Rated,
    ];

    /// Its bit in a set of steps.
    pub(crate) const fn bit(self) -> u32 {
        1 << self as u8
    }

    pub(crate) fn is_location(self) -> bool {
        matches!(self, Self::Quarter | Self::Half | Self::ThreeQuarters)
    }

    pub(crate) fn is_payment(self) -> bool {
        self >= Self::PaymentInitiated
    }
}

/// All lives of a run.
#[derive(Debug)]
pub(crate) struct Lives {
    pub run: Run,
    pub trips: Vec<Trip>,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    pub unix_ms: i64,
    pub trip: u32,
    pub step: Step,
}

impl Lives {
    /// Everything that is published from outside, in the order of time; each trip's in the order of its life.
    pub(crate) fn schedule(&self) -> Vec<Moment> {
        let mut moments: Vec<Moment> = (0..self.count())
            .flat_map(|trip| Step::RIDE.map(|step| Moment { unix_ms: self.when(trip, step), trip, step }))
            .collect();
        moments.sort_unstable();
        moments
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.trips.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn trip(&self, trip: u32) -> &Trip {
        &self.trips[trip as usize]
    }

    pub(crate) fn driver(trip: u32) -> u32 {
        trip % DRIVERS
    }

    pub(crate) fn ride_id(&self, trip: u32) -> RideId {
        RideId::from_uuid(tag::id(self.run, Kind::Ride, trip, 0))
    }

    pub(crate) fn payment_id(&self, trip: u32) -> PaymentId {
        PaymentId::from_uuid(tag::id(self.run, Kind::Payment, trip, 0))
    }

    pub(crate) fn event_id(&self, trip: u32, step: Step) -> String {
        tag::id(self.run, Kind::Event, trip, step as u8).to_string()
    }

    /// What the whole life has in common: the id of its first event.
    pub(crate) fn chain(&self, trip: u32) -> String {
        self.event_id(trip, Step::Requested)
    }

    fn when(&self, trip: u32, step: Step) -> i64 {
        let trip = self.trip(trip);
        let begin = trip.pickup_time.unix_ms();
        // The one trip that ends before it begins must still be told in order.
        let length = (trip.dropoff_time.unix_ms() - begin).max(0);
        match step {
            Step::Requested => begin - 6 * MINUTE_MS,
            Step::Assigned => begin - 5 * MINUTE_MS,
            Step::Arrived => begin - MINUTE_MS,
            Step::Started => begin,
            Step::Quarter => begin + length / 4,
            Step::Half => begin + length / 2,
            Step::ThreeQuarters => begin + length * 3 / 4,
            Step::Completed => begin + length,
            _ => begin + length + 2 * MINUTE_MS,
        }
    }

    /// The event of a step of the ride; those of payments are not made here but by the payment service.
    pub(crate) fn event(&self, moment: Moment) -> Result<Box<dyn ToRecord + Send + Sync>, Unmade> {
        let Moment { trip: number, step, unix_ms } = moment;
        let trip = self.trip(number);
        let ride_id = self.ride_id(number);
        let driver_id = DriverId::from_uuid(tag::id(self.run, Kind::Driver, Self::driver(number), 0));
        let vehicle_id = VehicleId::from_uuid(tag::id(self.run, Kind::Vehicle, Self::driver(number), 0));
        let at = Time::from_unix_ms(unix_ms).unwrap_or(trip.pickup_time);
        match step {
            Step::Requested => {
                let rider_id = UserId::from_uuid(tag::id(self.run, Kind::Rider, number, 0));
                let (pickup, dropoff) = (trip.pickup, trip.dropoff);
                let service_type = ServiceType::Standard;
                self.enclose(moment, RideRequested { ride_id, rider_id, pickup, dropoff, service_type })
            }
            Step::Assigned => {
                self.enclose(moment, RideDriverAssigned { ride_id, driver_id, vehicle_id, eta_minutes: 4 })
            }
            Step::Arrived => self.enclose(moment, RideDriverArrived { ride_id, arrival_time: at }),
            Step::Started => {
                let (start_time, start_location) = (trip.pickup_time, trip.pickup);
                self.enclose(moment, RideStarted { ride_id, start_time, start_location })
            }
            Step::Quarter | Step::Half | Step::ThreeQuarters => {
                self.enclose(moment, along(trip, step, driver_id)?)
            }
            Step::Completed => {
                let distance_km = DistanceKm::new(trip.distance_km)?;
                let (end_time, duration_mins) = (trip.dropoff_time, trip.duration_mins());
                let fare = Money::from_centavos(trip.fare_centavos);
                self.enclose(moment, RideCompleted { ride_id, end_time, distance_km, duration_mins, fare })
            }
            Step::Rated => {
                let rating = Rating::new(5 - i64::from(number % 7 == 0) - i64::from(number % 11 == 0))?;
                self.enclose(moment, RideRated { ride_id, rating, rated_by: RatedBy::Rider, review: None })
            }
            _ => Err(Unmade(format!("{step:?} is published by the payment service"))),
        }
    }

    /// In an envelope that names the step before as its cause.
    fn enclose<P: Event>(
        &self,
        Moment { unix_ms, trip, step }: Moment,
        payload: P,
    ) -> Result<Box<dyn ToRecord + Send + Sync>, Unmade> {
        let source = if step.is_location() { "driver-service" } else { "ride-service" };
        let mut envelope = Envelope::builder(source, payload)
            .id(self.event_id(trip, step))
            .correlation_id(self.chain(trip))
            .timestamp(Time::from_unix_ms(unix_ms).unwrap_or(self.trip(trip).pickup_time));
        if let Some(before) = (step as usize).checked_sub(1) {
            envelope = envelope.causation_id(self.event_id(trip, Step::RIDE[before]));
        }
        Ok(Box::new(envelope.build()?))
    }
}

/// Where the driver is on the way, on the straight line.
fn along(trip: &Trip, step: Step, driver_id: DriverId) -> Result<DriverLocationUpdated, Unmade> {
    let share = f64::from(step as u8 - Step::Started as u8) / 4.0;
    let (from, to) = (trip.pickup, trip.dropoff);
    let north = to.latitude() - from.latitude();
    let east = to.longitude() - from.longitude();
    let location = Location::new(from.latitude() + north * share, from.longitude() + east * share)?;
    let degrees = (east * from.latitude().to_radians().cos()).atan2(north).to_degrees();
    let hours = trip.duration_mins().max(1) as f64 / 60.0;
    let speed = Speed::new((trip.distance_km.max(0.0) / hours).min(120.0))?;
    Ok(DriverLocationUpdated { driver_id, location, heading: Heading::new(degrees)?.normalised(), speed })
}

/// Why a trip cannot be told as events.
#[derive(Debug)]
pub(crate) struct Unmade(pub String);

impl From<txova_events::OutOfRange> for Unmade {
    fn from(error: txova_events::OutOfRange) -> Self {
        Self(error.to_string())
    }
}

impl From<InvalidEvent> for Unmade {
    fn from(error: InvalidEvent) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use txova_events::{EnvelopeRef, Origin};

    use super::super::trips::Trips;
    use super::*;

    fn lives() -> Lives {
        Lives { run: Run::ALONE, trips: Trips::load(None, None).unwrap().trips }
    }

    #[test]
    fn every_life_is_told_in_its_order_also_where_a_trip_ends_before_it_begins() {
        let mut lives = lives();
        lives.trips.truncate(300);
        lives.trips[7].dropoff_time = Time::from_unix_ms(0).unwrap();
        let mut told = vec![0; 300];
        for moment in lives.schedule() {
            assert_eq!(moment.step as u8, told[moment.trip as usize], "{moment:?}");
            told[moment.trip as usize] += 1;
        }
        assert!(told.iter().all(|steps| *steps == 9));
    }

    #[test]
    fn the_same_trip_gives_the_same_bytes_in_every_run_of_the_demo() {
        let (one, other) = (lives(), lives());
        for moment in one.schedule().into_iter().step_by(97) {
            let [one, other] = [&one, &other].map(|lives| {
                let event = lives.event(moment).unwrap_or_else(|error| panic!("{moment:?}: {}", error.0));
                event.to_record(&Origin::now("anything")).unwrap()
            });
            assert_eq!(one, other);
        }
    }

    #[test]
    fn every_real_trip_can_be_told_and_each_event_names_the_one_before() {
        let lives = lives();
        for moment in lives.schedule() {
            let event = lives.event(moment).unwrap_or_else(|error| panic!("{moment:?}: {}", error.0));
            let record = event.to_record(&Origin::now("x")).unwrap();
            let envelope = EnvelopeRef::decode(&record.value).unwrap();
            assert_eq!(
                tag::read(lives.run, Kind::Event, &envelope.id),
                Some((moment.trip, moment.step as u8))
            );
            assert_eq!(envelope.correlation_id, lives.chain(moment.trip));
            let before = (moment.step as usize).checked_sub(1);
            let cause = before.map(|at| lives.event_id(moment.trip, Step::RIDE[at]));
            assert_eq!(envelope.causation_id.as_deref(), cause.as_deref());
        }
    }
}
