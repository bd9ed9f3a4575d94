//! Micro-benchmarks: what the library itself costs for each record in processor time, without client and broker.
//!
//! `cargo xtask bench micro` runs them, with `--against main` it compares them with another commit's.

mod cpu_time;

use std::hint::black_box;
use std::ops::Range;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use metrics_exporter_prometheus::PrometheusBuilder;
use txova_events::example::{Example, Ride};
use txova_events::{EnvelopeRef, EventId, Origin, RawEnvelope, RideCompleted, Time, ToRecord, topics};
use txova_kafka::bench::{Core, Dispatching, Measuring, Work, decode_map, encode_map};
use txova_kafka::metrics::SECONDS_BUCKETS;
use txova_kafka::{Event, Meta, Record, Router};

use self::cpu_time::CpuTime;

criterion_main!(micro);

criterion_group! {
    name = micro;
    config = Criterion::default()
        .with_measurement(CpuTime)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(30)
        .without_plots();
    targets = envelope, routing, metrics_of_a_record, core, offset_map
}

/// A ride's end, which has 436 bytes as a record: the size of the bench's other workloads.
fn envelope(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("envelope");
    let ride = Ride::seeded(7);
    let completed = RideCompleted::example(&ride);
    let origin = Origin { source: "ride-service", context: None, now: ride.requested_at };
    let bytes = ride.envelope::<RideCompleted>().encode().expect("an example can be written");
    group.throughput(Throughput::Elements(1));
    group.bench_function("encode", |bench| bench.iter(|| black_box(&completed).to_record(&origin)));
    group.bench_function("read head", |bench| {
        bench.iter(|| EnvelopeRef::decode(black_box(&bytes)).map(|it| it.id.len()))
    });
    group.bench_function("read head and payload", |bench| {
        bench.iter(|| EnvelopeRef::decode(black_box(&bytes)).ok()?.decode_payload::<RideCompleted>().ok());
    });
    group.bench_function("read raw", |bench| bench.iter(|| RawEnvelope::decode(black_box(&bytes))));
    group.bench_function("a new id", |bench| bench.iter(EventId::new));
    group.bench_function("read time", |bench| {
        let text = Time::now().to_string();
        bench.iter(|| black_box(&text).parse::<Time>());
    });
}

fn routing(criterion: &mut Criterion<CpuTime>) {
    async fn typed(Event(ride): Event<RideCompleted>) {
        black_box(ride.fare);
    }
    async fn with_meta(Event(ride): Event<RideCompleted>, meta: Meta) {
        black_box((ride.fare, meta.offset));
    }
    async fn nothing() {}
    let envelope = Ride::seeded(7).envelope::<RideCompleted>();
    let record = envelope.to_record(&Origin::now("ride-service")).expect("an example may be published");
    let headers = record.headers().map(|(name, value)| (name, Some(value)));
    let record = Record::copy_from(1, Some(0), Some(record.key.as_bytes()), Some(&record.value), headers);
    let of_each_type = topics::CATALOGUE
        .iter()
        .filter(|entry| entry.event_type != "ride.completed")
        .fold(Router::new(), |router, entry| router.on(entry.event_type, nothing));
    let mut group = criterion.benchmark_group("routing");
    group.throughput(Throughput::Elements(1));
    for (name, router) in [
        ("a payload", Router::new().handle(typed)),
        ("a payload and meta", Router::new().handle(with_meta)),
        ("nothing, by *", Router::new().on("*", nothing)),
        ("a payload, among 28", of_each_type.handle(typed)),
    ] {
        let dispatching = Dispatching::new(router.build().expect("these handlers fit together"));
        group
            .bench_function(name, |bench| bench.iter(|| assert!(dispatching.one_record(black_box(&record)))));
    }
}

/// What metrics add to each record.
fn metrics_of_a_record(criterion: &mut Criterion<CpuTime>) {
    /// Prometheus' exporter keeps every duration until somebody looks after it, which is a part of the price.
    const UPKEEP_EVERY: u32 = 1 << 16;
    let mut group = criterion.benchmark_group("metrics of a record");
    group.throughput(Throughput::Elements(1));
    let took = Duration::from_micros(250);
    let nobody = Measuring::new("typed");
    group.bench_function("nobody listens", |bench| bench.iter(|| nobody.one_record(black_box(took))));
    let recorder = PrometheusBuilder::new();
    let recorder = recorder.set_buckets(&SECONDS_BUCKETS).expect("there are buckets").build_recorder();
    let prometheus = metrics::with_local_recorder(&recorder, || Measuring::new("typed"));
    let (handle, mut records) = (recorder.handle(), 0u32);
    group.bench_function("prometheus", |bench| {
        bench.iter(|| {
            prometheus.one_record(black_box(took));
            records = records.wrapping_add(1);
            if records.is_multiple_of(UPKEEP_EVERY) {
                handle.run_upkeep();
            }
        });
    });
}

/// The core's cost of a record, which must not depend on how much is in flight.
fn core(criterion: &mut Criterion<CpuTime>) {
    let sizes = [10, 100, 1_000, 10_000, 100_000];
    let mut of = |name: &str, work: &dyn Fn(usize) -> Work| {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(1));
        for in_flight in sizes {
            group.bench_function(BenchmarkId::from_parameter(in_flight), |bench| {
                let mut core = Core::new(work(in_flight));
                bench.iter(|| core.one_record());
            });
        }
        group.finish();
    };
    of("core, 100 run, a key each", &|in_flight| Work {
        in_flight,
        concurrency: 100.min(in_flight),
        keys: u64::MAX,
        stuck_for: None,
    });
    of("core, 100 run, 1,000 keys", &|in_flight| Work {
        in_flight,
        concurrency: 100.min(in_flight),
        keys: 1_000,
        stuck_for: None,
    });
    of("core, all run", &|in_flight| Work {
        in_flight,
        concurrency: in_flight,
        keys: u64::MAX,
        stuck_for: None,
    });
    of("core, 100 run, one stuck for 100,000", &|in_flight| Work {
        in_flight,
        concurrency: 100.min(in_flight),
        keys: u64::MAX,
        stuck_for: Some(100_000),
    });
}

fn offset_map(criterion: &mut Criterion<CpuTime>) {
    let one_run: Vec<Range<i64>> = std::iter::once(1..100_000).collect();
    let every_other: Vec<Range<i64>> = (0..1_000).map(|n| n * 2 + 1..n * 2 + 2).collect();
    let full: Vec<Range<i64>> = (0..20_000).map(|n| n * 2 + 1..n * 2 + 2).collect();
    let mut group = criterion.benchmark_group("offset map");
    for (name, done) in [("one run of 100,000", one_run), ("1,000 runs", every_other), ("full", full)] {
        group.bench_function(BenchmarkId::new("encode", name), |bench| {
            bench.iter(|| encode_map(0, black_box(&done)))
        });
        let text = encode_map(0, &done);
        group.bench_function(BenchmarkId::new("decode", name), |bench| {
            bench.iter(|| decode_map(0, black_box(&text)))
        });
    }
}
