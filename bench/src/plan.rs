//! What is measured: each workload, its data, and the systems that can do it.

use crate::data::{Keys, Shape, Work};
use crate::failure::{Failure, Result};

/// A system that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// The client beneath the library, in a bare loop with the same decode: the limit.
    Raw,
    /// The same with a future for each record, as `enqueue` gives one: rdkafka's `FutureProducer`.
    RawFuture,
    /// The same sleeps without Kafka: the bound of a workload that waits.
    PlainLoop,
    /// The library, ordered by key, by partition, and not at all.
    Key,
    Partition,
    Unordered,
    /// The library's `publish_batch`.
    Batch,
    Sarama,
    FranzGo,
    ParallelConsumer,
    Spring,
}

impl System {
    pub(crate) const ALL: [Self; 11] = [
        Self::Raw,
        Self::RawFuture,
        Self::PlainLoop,
        Self::Key,
        Self::Partition,
        Self::Unordered,
        Self::Batch,
        Self::Sarama,
        Self::FranzGo,
        Self::ParallelConsumer,
        Self::Spring,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::RawFuture => "raw-future",
            Self::PlainLoop => "plain-loop",
            Self::Key => "txova-kafka",
            Self::Partition => "txova-kafka/partition",
            Self::Unordered => "txova-kafka/none",
            Self::Batch => "txova-kafka/batch",
            Self::Sarama => "sarama",
            Self::FranzGo => "franz-go",
            Self::ParallelConsumer => "parallel-consumer",
            Self::Spring => "spring",
        }
    }

    pub(crate) fn named(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|system| system.name() == name).ok_or_else(|| {
            let all = Self::ALL.map(Self::name).join(", ");
            Failure::new(format!("no system `{name}`; there are {all}"))
        })
    }
}

/// What a system is asked to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Job {
    /// Build, encode and publish as fast as it goes.
    Publish { compression: &'static str },
    /// Publish at a fixed rate, whatever the answers take.
    Latency { linger_ms: u32 },
    /// Publish one at a time, each when the one before is acknowledged.
    Lone,
    /// Handle what a topic holds.
    Consume { concurrency: usize },
    /// Publish at a fixed rate and handle at the other end.
    EndToEnd,
    /// A first record that never ends, a SIGKILL when half is done, and a count of what comes again.
    Stuck,
}

/// One workload.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub name: &'static str,
    pub about: &'static str,
    pub job: Job,
    pub shape: Shape,
    pub systems: &'static [System],
}

impl Workload {
    /// What a system does once, uncounted, before its runs are measured, for a broker's first clients find it cold. Less
    /// than the whole where that is enough; `None` where what counts is what comes again after a kill.
    pub(crate) fn warm_up(&self) -> Option<Self> {
        let records = self.shape.records;
        let records = match self.job {
            Job::Publish { .. } => records,
            Job::Consume { .. } if self.shape.work == Work::None => records.min(WARM_RECORDS),
            Job::Consume { .. } | Job::Latency { .. } | Job::EndToEnd | Job::Lone => records.div_ceil(10),
            Job::Stuck => return None,
        };
        Some(Self { shape: Shape { records, ..self.shape }, ..self.clone() })
    }
}

/// Records of a warm-up that reads.
const WARM_RECORDS: u32 = 300_000;

/// Records a second of what is paced.
pub(crate) const RATE: u32 = 1_000;

const PUBLISHERS: &[System] = &[
    System::Raw,
    System::RawFuture,
    System::Key,
    System::Batch,
    System::Sarama,
    System::FranzGo,
    System::Spring,
];
const PACED: &[System] = &[System::Raw, System::Key, System::Sarama, System::FranzGo, System::Spring];
const CONSUMERS: &[System] = &[
    System::Raw,
    System::Key,
    System::Partition,
    System::Unordered,
    System::Sarama,
    System::FranzGo,
    System::Spring,
    System::ParallelConsumer,
];
const OURS: &[System] = &[System::Raw, System::Key];
const KEYED: &[System] = &[System::PlainLoop, System::Key, System::ParallelConsumer];
const SKEWED: &[System] = &[System::PlainLoop, System::Key, System::ParallelConsumer, System::Spring];

/// Every workload, in the order of the table.
pub(crate) fn all() -> Vec<Workload> {
    let trips = |records, partitions| Shape {
        records,
        partitions,
        keys: Keys::Trips,
        work: Work::None,
        poison_every: 0,
    };
    let waiting =
        |records, partitions, keys, work| Shape { records, partitions, keys, work, poison_every: 0 };
    let consume = |name, about, shape, systems| Workload {
        name,
        about,
        job: Job::Consume { concurrency: 100 },
        shape,
        systems,
    };
    let keyed = |name, about, keys| {
        consume(name, about, waiting(10_000, 1, Keys::Even(keys), Work::UpTo { us: 5_000 }), KEYED)
    };
    let scale_partitions = |name, about, partitions| consume(name, about, trips(400_000, partitions), OURS);
    // Handlers that wait the longer the more of them there are: 25,000 records a second is the bound of each.
    let scale_keys = |name, about, keys: u32| Workload {
        name,
        about,
        job: Job::Consume { concurrency: keys as usize },
        shape: waiting(100_000, 12, Keys::Even(keys), Work::Each { us: u64::from(keys) * 40 }),
        systems: &[System::PlainLoop, System::Key],
    };
    vec![
        Workload {
            name: "publish",
            about: "300,000 events built, encoded and acknowledged",
            job: Job::Publish { compression: "none" },
            shape: trips(300_000, 12),
            systems: PUBLISHERS,
        },
        Workload {
            name: "publish-snappy",
            about: "the same, compressed with snappy",
            job: Job::Publish { compression: "snappy" },
            shape: trips(300_000, 12),
            systems: PUBLISHERS,
        },
        Workload {
            name: "latency-linger-5",
            about: "1,000 events a second, open loop, linger 5 ms",
            job: Job::Latency { linger_ms: 5 },
            shape: trips(10_000, 12),
            systems: PACED,
        },
        Workload {
            name: "latency-linger-0",
            about: "1,000 events a second, open loop, linger 0",
            job: Job::Latency { linger_ms: 0 },
            shape: trips(10_000, 12),
            systems: PACED,
        },
        Workload {
            name: "lone",
            about: "1,000 events, each published when the one before is acknowledged, linger 5 ms",
            job: Job::Lone,
            shape: trips(1_000, 12),
            systems: OURS,
        },
        consume(
            "consume",
            "1,000,000 events decoded to their type, no work, safe commits",
            trips(1_000_000, 12),
            CONSUMERS,
        ),
        keyed("keys-1", "10,000 records of 0 to 5 ms, 1 partition, concurrency 100, 1 key", 1),
        keyed("keys-20", "the same with 20 keys", 20),
        keyed("keys-1000", "the same with 1,000 keys", 1_000),
        Workload {
            name: "zipf",
            about: "12,000 records of 10 ms, 24 partitions, concurrency 24, 1,000 keys skewed by Zipf (s = 1.1)",
            job: Job::Consume { concurrency: 24 },
            shape: waiting(12_000, 24, Keys::Zipf { keys: 1_000 }, Work::Each { us: 10_000 }),
            systems: SKEWED,
        },
        consume(
            "clean",
            "50,000 events, none of them poison",
            trips(50_000, 12),
            &[System::Key, System::Spring],
        ),
        consume(
            "poison",
            "50,000 records, 1 % of them poison",
            Shape { poison_every: 100, ..trips(50_000, 12) },
            &[System::Key, System::Spring],
        ),
        Workload {
            name: "stuck",
            about: "200,000 records of 2 ms, 1 partition; the first never ends; SIGKILL at 100,000 done",
            job: Job::Stuck,
            shape: waiting(200_000, 1, Keys::Even(200_000), Work::Each { us: 2_000 }),
            systems: &[System::Key, System::ParallelConsumer],
        },
        Workload {
            name: "end-to-end",
            about: "1,000 events a second from publish to handled, linger 0",
            job: Job::EndToEnd,
            shape: trips(10_000, 12),
            systems: OURS,
        },
        scale_keys("in-flight-100", "100,000 records of 4 ms, 100 keys at once", 100),
        scale_keys("in-flight-10000", "100,000 records of 400 ms, 10,000 keys at once", 10_000),
        scale_partitions("partitions-1", "400,000 events on 1 partition", 1),
        scale_partitions("partitions-12", "400,000 events on 12 partitions", 12),
        scale_partitions("partitions-200", "400,000 events on 200 partitions", 200),
        consume("backlog", "3,600,000 events: an hour at 1,000 a second", trips(3_600_000, 12), OURS),
    ]
}

pub(crate) fn named(name: &str) -> Result<Workload> {
    let all = all();
    let names: Vec<_> = all.iter().map(|workload| workload.name).collect();
    let unknown = Failure::new(format!("no workload `{name}`; there are {}", names.join(", ")));
    all.into_iter().find(|workload| workload.name == name).ok_or(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_the_workloads_there_are() {
        let page = include_str!("../README.md");
        let table = page.split_once("| workload | what is measured |\n|---|---|\n").expect("its table").1;
        let told: Vec<_> = table.lines().take_while(|line| !line.is_empty()).collect();
        let are: Vec<_> = all().iter().map(|it| format!("| `{}` | {} |", it.name, it.about)).collect();
        assert_eq!(told, are);
    }

    #[test]
    fn every_workload_but_the_drill_warms_up_and_none_by_more_than_it_measures() {
        for workload in all() {
            let warm_up = workload.warm_up().map(|it| it.shape.records);
            assert_eq!(warm_up.is_none(), workload.job == Job::Stuck, "{}", workload.name);
            assert!(warm_up.unwrap_or(1) <= workload.shape.records, "{}", workload.name);
        }
    }
}
