//! A service that takes events in batches: completed rides go to a search index, hundreds in one request.
//!
//! `TXOVA_KAFKA_BROKERS=localhost:9092 cargo run -p txova-kafka --example ride_index`

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use txova_events::{Money, RideCompleted, RideId};
use txova_kafka::{
    App, BatchError, Batching, BuildError, Event, HandlerError, Kafka, Meta, State, shutdown_signal,
};

/// Stands in for the index: one request for many rows, answered row by row. Rows have the event's id, so that one that
/// comes again changes nothing.
#[derive(Clone, Default)]
struct Index(Arc<Mutex<BTreeMap<String, (RideId, Money)>>>);

impl Index {
    /// The places of rows it refuses.
    async fn store(&self, rides: &[(Event<RideCompleted>, Meta)]) -> std::io::Result<Vec<usize>> {
        let mut rows = self.0.lock().map_err(|_| std::io::Error::other("the index is away"))?;
        let mut refused = Vec::new();
        for (place, (ride, meta)) in rides.iter().enumerate() {
            match ride.fare.centavos() {
                ..0 => refused.push(place),
                _ => drop(rows.insert(meta.event_id.clone(), (ride.ride_id, ride.fare))),
            }
        }
        Ok(refused)
    }
}

async fn index(
    rides: Vec<(Event<RideCompleted>, Meta)>,
    State(index): State<Index>,
) -> Result<(), HandlerError> {
    let mut failed = BatchError::new();
    for place in index.store(&rides).await? {
        failed.add(place, HandlerError::permanent("the index refuses a negative fare")); // a dead letter
    }
    Ok(failed.into_result()?) // all others are settled
}

fn service(kafka: &Kafka, rides: Index) -> Result<App, BuildError> {
    let bulk = Batching { max_size: 500, max_wait_ms: 250, ..Batching::default() };
    kafka.app("ride-index").handle(index).batch(bulk).state(rides).build()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let report = service(&Kafka::from_env()?, Index::default())?.run_until(shutdown_signal()).await?;
    eprintln!("{report}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use txova_events::{DistanceKm, Time};
    use txova_kafka::testing::Cluster;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rides_are_indexed_in_bulk_and_one_that_is_refused_is_kept_for_repair() {
        let (cluster, rides) = (Cluster::new(), Index::default());
        let events = cluster.kafka().publisher("ride-service").unwrap();
        for n in 0..300 {
            let (ride_id, end_time) = (RideId::new(), Time::now());
            let fare = Money::from_centavos(if n == 140 { -300 } else { 12_500 });
            let distance_km = DistanceKm::new(4.2).unwrap();
            let ride = RideCompleted { ride_id, end_time, distance_km, duration_mins: 11, fare };
            events.publish(&ride).await.unwrap();
        }
        let app = service(&cluster.kafka(), rides.clone()).unwrap();
        let handle = app.handle();
        let run = tokio::spawn(app.run());
        cluster.wait_until(|cluster| cluster.lag("ride-index-group", "txova.rides.v1") == 0).await;
        let runs = handle.status().await.unwrap().engine.counts.started;
        assert!(runs <= 30, "300 rides in {runs} requests");
        assert!(handle.close(std::time::Duration::from_secs(1)).await);
        run.await.unwrap().unwrap();
        assert_eq!(rides.0.lock().unwrap().len(), 299);
        assert_eq!(cluster.records("txova.rides.v1.dlq").len(), 1);
    }
}
