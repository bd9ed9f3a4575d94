//! The records of a workload, the same in every run: real trips' events, multiplied, or numbered records with a wait.

use std::path::Path;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};
use txova_events::{
    DistanceKm, Event, Location, Money, Origin, RideCompleted, RideId, RideRequested, RideStarted,
    ServiceType, Time, ToRecord, UserId,
};
use uuid::Uuid;

use crate::failure::{Context, Failure, Result};

/// The header that says how long a handler waits, in microseconds.
pub(crate) const WORK_HEADER: &str = "work_us";
/// What is in the place of an event where there is poison.
const POISON: &[u8] = b"{ this is no event";

/// What a topic is filled with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    pub records: u32,
    pub partitions: i32,
    pub keys: Keys,
    pub work: Work,
    /// Every nth record is poison; 0 for none.
    pub poison_every: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Keys {
    /// Rides of the real trips, three events each.
    Trips,
    /// So many, in turn.
    Even(u32),
    /// So many, the nth as likely as 1/n^1.1.
    Zipf { keys: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Work {
    None,
    UpTo { us: u64 },
    Each { us: u64 },
}

/// A record to be written.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub key: Bytes,
    pub value: Bytes,
    pub work_us: Option<u64>,
}

impl Shape {
    /// Key and wait of each record of a workload that waits.
    pub(crate) fn waits(&self) -> Vec<(u32, u64)> {
        let mut dice = SmallRng::seed_from_u64(1);
        let zipf = match self.keys {
            Keys::Zipf { keys } => cumulative(keys),
            _ => Vec::new(),
        };
        (0..self.records)
            .map(|n| {
                let key = match self.keys {
                    Keys::Trips => n,
                    Keys::Even(keys) => n % keys,
                    Keys::Zipf { .. } => {
                        let total = zipf.last().copied().unwrap_or(1.0);
                        let at = dice.random_range(0.0..total);
                        zipf.partition_point(|until| *until <= at) as u32
                    }
                };
                let work = match self.work {
                    Work::None => 0,
                    Work::UpTo { us } => dice.random_range(0..=us),
                    Work::Each { us } => us,
                };
                (key, work)
            })
            .collect()
    }

    /// All records, in order.
    pub(crate) fn rows(&self, trips: &Path) -> Result<Box<dyn Iterator<Item = Result<Row>>>> {
        let poison_every = self.poison_every;
        let records = self.records as usize;
        let rows: Box<dyn Iterator<Item = Result<Row>>> = match self.keys {
            Keys::Trips => {
                let trips = read_trips(trips)?;
                Box::new((0..).flat_map(move |round| {
                    trips
                        .iter()
                        .enumerate()
                        .flat_map(|(line, trip)| trip.events(round, line))
                        .collect::<Vec<_>>()
                }))
            }
            _ => Box::new(self.waits().into_iter().enumerate().map(|(n, (key, work_us))| {
                let ride = RideId::from(id(1, key));
                let record = encode(&completed(n, ride), n)?;
                Ok(Row { work_us: Some(work_us), ..record })
            })),
        };
        Ok(Box::new(rows.take(records).enumerate().map(move |(n, row)| {
            let mut row = row?;
            if poison_every > 0 && n as u32 % poison_every == poison_every - 1 {
                row.value = Bytes::from_static(POISON);
            }
            Ok(row)
        })))
    }
}

fn cumulative(keys: u32) -> Vec<f64> {
    let mut total = 0.0;
    (1..=keys)
        .map(|n| {
            total += 1.0 / f64::from(n).powf(1.1);
            total
        })
        .collect()
}

fn id(kind: u32, number: u32) -> Uuid {
    Uuid::from_u128(0x0190_f3a4_0000_7000_8000_0000_0000_0000 | u128::from(kind) << 80 | u128::from(number))
}

/// A completed ride on the bench's own topic: a real cluster's must not see it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct BenchRide(pub(crate) RideCompleted);

impl Event for BenchRide {
    const TYPE: &'static str = RideCompleted::TYPE;
    const TOPIC: &'static str = PUBLISH_TOPIC;

    fn key(&self) -> String {
        self.0.key()
    }
}

/// Where the publish workloads of this program write.
pub(crate) const PUBLISH_TOPIC: &str = "bench.rides";

/// The nth event of the publish workloads; the other systems build the same.
pub(crate) fn event(n: usize) -> BenchRide {
    BenchRide(completed(n, RideId::from(id(0, n as u32 % 10_000))))
}

fn completed(n: usize, ride_id: RideId) -> RideCompleted {
    RideCompleted {
        ride_id,
        end_time: Time::now(),
        distance_km: DistanceKm::new((n % 400) as f64 / 10.0).unwrap_or_default(),
        duration_mins: (n % 90) as i64,
        fare: Money::from_centavos(5_000 + n as i64 % 100_000),
    }
}

/// As a service writes it.
pub(crate) fn encode<E: Event>(event: &E, n: usize) -> Result<Row> {
    let record = event.to_record(&Origin::now("ride-service")).context(|| format!("event {n}"))?;
    Ok(Row { key: record.key.into(), value: record.value.into(), work_us: None })
}

struct Trip {
    pickup: Location,
    dropoff: Location,
    distance_km: f64,
    fare: i64,
}

impl Trip {
    fn events(&self, round: u32, line: usize) -> [Result<Row>; 3] {
        let ride_id = RideId::from(id(2 + round, line as u32));
        let now = Time::now();
        let (pickup, dropoff) = (self.pickup, self.dropoff);
        let rider_id = UserId::from(id(1, line as u32));
        let service_type = ServiceType::Standard;
        let requested = RideRequested { ride_id, rider_id, pickup, dropoff, service_type };
        let started = RideStarted { ride_id, start_time: now, start_location: pickup };
        let completed = RideCompleted {
            ride_id,
            end_time: now,
            distance_km: DistanceKm::new(self.distance_km).unwrap_or_default(),
            duration_mins: 12,
            fare: Money::from_centavos(self.fare),
        };
        [encode(&requested, line), encode(&started, line), encode(&completed, line)]
    }
}

/// The lines that are clean: the bench is about speed.
fn read_trips(path: &Path) -> Result<Vec<Trip>> {
    let shown = path.display().to_string();
    let mut reader = csv::Reader::from_path(path).context(|| format!("cannot read {shown}"))?;
    let mut trips = Vec::new();
    for line in reader.records() {
        let line = line.context(|| format!("cannot read {shown}"))?;
        let number = |column: usize| line.get(column).and_then(|text| text.parse::<f64>().ok());
        let place = |at: usize| Location::new(number(at)?, number(at + 1)?).ok();
        let trip = (|| {
            Some(Trip {
                pickup: place(2)?,
                dropoff: place(4)?,
                distance_km: number(8)?,
                fare: number(9)? as i64,
            })
        })();
        trips.extend(trip.filter(|trip| trip.fare >= 0));
    }
    if trips.is_empty() { Err(Failure::new(format!("{shown} has no trips"))) } else { Ok(trips) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_the_same_in_every_run() {
        let shape = Shape {
            records: 1_000,
            partitions: 1,
            keys: Keys::Zipf { keys: 50 },
            work: Work::UpTo { us: 5_000 },
            poison_every: 0,
        };
        let waits = shape.waits();
        assert_eq!(waits, shape.waits());
        assert!(waits.iter().all(|(key, us)| *key < 50 && *us <= 5_000));
        let of = |wanted: u32| waits.iter().filter(|(key, _)| *key == wanted).count();
        assert!(of(0) > of(10) && of(10) > 0, "the first key is the hottest");
    }
}
