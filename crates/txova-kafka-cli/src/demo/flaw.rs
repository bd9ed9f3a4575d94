//! What is wrong with a trip that can be read and makes no sense: what the first payment handler refuses, and why.

use txova_events::RideCompleted;

use super::trips::Trip;

/// Why a ride cannot be charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flaw {
    NoDistance,
    NegativeFare,
    NoFare,
    NoDuration,
}

impl Flaw {
    /// The first thing that is wrong with a completed ride.
    pub(crate) fn of(ride: &RideCompleted) -> Option<Self> {
        Self::find(ride.distance_km.get(), ride.fare.centavos(), ride.duration_mins)
    }

    /// The same, for the trip the ride is made of.
    pub(crate) fn of_trip(trip: &Trip) -> Option<Self> {
        Self::find(trip.distance_km, trip.fare_centavos, trip.duration_mins())
    }

    fn find(distance_km: f64, fare_centavos: i64, duration_mins: i64) -> Option<Self> {
        if distance_km <= 0.0 {
            Some(Self::NoDistance)
        } else if fare_centavos < 0 {
            Some(Self::NegativeFare)
        } else if fare_centavos == 0 {
            Some(Self::NoFare)
        } else if duration_mins <= 0 {
            Some(Self::NoDuration)
        } else {
            None
        }
    }

    /// For people and for the report.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NoDistance => "no distance",
            Self::NegativeFare => "a negative fare",
            Self::NoFare => "no fare",
            Self::NoDuration => "no duration",
        }
    }
}

impl Trip {
    /// Minutes, each one begun; none or fewer where the trip ends before it begins.
    pub(crate) fn duration_mins(&self) -> i64 {
        let ms = self.dropoff_time.unix_ms() - self.pickup_time.unix_ms();
        if ms <= 0 { 0 } else { (ms + 59_999) / 60_000 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trips::Trips;
    use super::*;

    #[test]
    fn of_the_real_trips_45_are_not_clean() {
        let trips = Trips::load(None, None).unwrap().trips;
        let flaws = [Flaw::NoDistance, Flaw::NegativeFare, Flaw::NoFare, Flaw::NoDuration];
        let count = |flaw| trips.iter().filter(|trip| Flaw::of_trip(trip) == Some(flaw)).count();
        assert_eq!(flaws.map(count), [33, 7, 5, 0]);
    }
}
