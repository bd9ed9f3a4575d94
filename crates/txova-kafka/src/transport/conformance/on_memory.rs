//! The suite on the in-memory cluster, on a paused clock.

use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::probe::{Probe, numbered, options, until_all, write};
use super::{
    Bench, LeftOpen, PATIENCE, sentences_about_membership, sentences_about_transactions,
    sentences_for_one_member, sentences_for_several_members, sentences_with_a_script,
};
use crate::client_error::ClientErrorKind;
use crate::record::{OutgoingRecord, Record, TopicPartition};
use crate::transport::memory::{Cluster, TransactionId};
use crate::transport::{Commit, Transport};

struct OnMemory {
    cluster: Cluster,
    names: AtomicU32,
}

impl Bench for OnMemory {
    fn transport(&self) -> &dyn Transport {
        &self.cluster
    }

    fn topic(&self, partitions: i32) -> BoxFuture<'_, String> {
        let name = format!("topic-{}", self.names.fetch_add(1, Ordering::Relaxed));
        self.cluster.create_topic(&name, partitions);
        std::future::ready(name).boxed()
    }

    fn group(&self) -> String {
        format!("group-{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    fn unreachable(&self) -> Box<dyn Transport> {
        let cluster = Cluster::new();
        cluster.broker_away();
        Box::new(cluster)
    }

    fn write_in_transactions(&self, partition: &TopicPartition, count: i64) -> BoxFuture<'_, Option<i64>> {
        for record in numbered(partition, 0, count) {
            self.cluster.produce(record).expect("the topic is there");
            self.cluster.skip_offsets(partition, 1).expect("the topic is there");
        }
        // An aborted record is invisible to a reader: it and its marker are two offsets that hold nothing.
        let end = self.cluster.skip_offsets(partition, 2).expect("the topic is there");
        std::future::ready(Some(end)).boxed()
    }

    fn leave_open(&self, producer: &str, group: &str, commit: Commit) -> BoxFuture<'_, Box<dyn LeftOpen>> {
        let id = self.cluster.leave_open(producer, group, &commit).expect("the records are good");
        let left: Box<dyn LeftOpen> = Box::new(Open { cluster: self.cluster.clone(), id });
        std::future::ready(left).boxed()
    }

    fn cluster(&self) -> Option<&Cluster> {
        Some(&self.cluster)
    }
}

struct Open {
    cluster: Cluster,
    id: TransactionId,
}

impl LeftOpen for Open {
    fn commit(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.cluster.end(self.id, true);
        std::future::ready(()).boxed()
    }
}

/// Runs a sentence on a cluster as it comes, on one that varies what may vary, and on one that holds little.
fn run(sentence: impl AsyncFn(&dyn Bench)) {
    let little = Cluster::new().with_seed(7).with_fetch_limits(3, 1);
    for cluster in [Cluster::new(), Cluster::new().with_seed(1), little] {
        // A session shorter than a test's patience.
        let cluster = cluster.without_auto_create().with_session_timeout(PATIENCE / 3);
        let bench = OnMemory { cluster, names: AtomicU32::new(1) };
        paused_runtime().block_on(sentence(&bench));
    }
}

fn paused_runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().expect("a runtime")
}

macro_rules! on_memory {
    ($module:ident, $sentence:ident) => {
        #[test]
        fn $sentence() {
            run(super::$module::$sentence);
        }
    };
}

sentences_for_one_member!(on_memory);
sentences_for_several_members!(on_memory);
sentences_about_transactions!(on_memory);
sentences_about_membership!(on_memory);
sentences_with_a_script!(on_memory);

#[test]
fn on_an_eager_cluster_everybody_gives_everything_back_before_anything_is_given_out() {
    let bench = OnMemory { cluster: Cluster::new().with_eager_rebalances(), names: AtomicU32::new(1) };
    paused_runtime().block_on(async {
        let (topic, group) = (bench.topic(4).await, bench.group());
        let mut members = vec![Probe::assigned(&bench, options(&group, &topic), 4).await];
        members.push(Probe::join(bench.transport(), options(&group, &topic)));
        let settled = |count: usize| {
            move |members: &[Probe]| members.iter().all(|member| member.owned.len() == 4 / count)
        };
        until_all("two each", &mut members, settled(2)).await;
        assert_eq!(members[0].assignments.len(), 2, "all four were taken, two came again");
        members.extend([0, 1].map(|_| Probe::join(bench.transport(), options(&group, &topic))));
        members[0].until("a revocation", |member| member.revoked.is_some()).await;
        members[1].until("a revocation", |member| member.revoked.is_some()).await;
        assert_eq!(members[0].revoked.as_ref().map(Vec::len), Some(2));
        members[0].release(Vec::new()).await.expect("nothing to commit");
        for member in &mut members {
            member.take_what_is_there().await;
        }
        assert!(
            members[2].assignments.is_empty() && members[3].assignments.is_empty(),
            "the second has two still"
        );
        until_all("one each", &mut members, settled(4)).await;
    });
}

#[test]
fn a_run_repeats_exactly_for_a_seed_and_differs_for_another() {
    let run = |seed| {
        let cluster = Cluster::new().with_seed(seed);
        let bench = OnMemory { cluster, names: AtomicU32::new(1) };
        paused_runtime().block_on(async {
            let (topic, group) = (bench.topic(3).await, bench.group());
            for number in 0..200 {
                let value = Some(number.to_string().into());
                let record = OutgoingRecord { topic: (&*topic).into(), value, ..OutgoingRecord::default() };
                bench.cluster.produce(record).expect("the topic is there");
            }
            let mut members = vec![Probe::join(bench.transport(), options(&group, &topic))];
            members.push(Probe::join(bench.transport(), options(&group, &topic)));
            let seen = |members: &[Probe]| members.iter().map(|member| member.seen.len()).sum::<usize>();
            until_all("200 records", &mut members, |members| seen(members) >= 200).await;
            members.into_iter().map(|member| member.seen).collect::<Vec<_>>()
        })
    };
    let without_time = |seen: Vec<Vec<(TopicPartition, Record)>>| {
        let plain = |(partition, record): (TopicPartition, Record)| (partition, record.offset, record.value);
        seen.into_iter().map(|of| of.into_iter().map(plain).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let (first, again, other) = (without_time(run(5)), without_time(run(5)), without_time(run(6)));
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[test]
fn without_auto_create_an_unknown_topic_is_an_error_and_a_later_one_is_picked_up() {
    let bench = OnMemory { cluster: Cluster::new().without_auto_create(), names: AtomicU32::new(1) };
    paused_runtime().block_on(async {
        let producer = bench.transport().producer().expect("a producer");
        let record = numbered(&TopicPartition::new("later", 0), 0, 1).remove(0);
        let refused = producer.send(&record, Box::new(|_| ())).expect_err("there is no such topic");
        assert_eq!(refused.error.kind, ClientErrorKind::UnknownTopic);
        let mut member = Probe::join(bench.transport(), options("group", "later"));
        member.until("Trouble", |member| !member.troubles.is_empty()).await;
        assert_eq!(member.troubles[0].kind, ClientErrorKind::UnknownTopic);
        bench.cluster.create_topic("later", 1);
        bench.cluster.produce(record).expect("the topic is there");
        member.until("its record", |member| member.seen.len() == 1).await;
    });
}

#[test]
fn a_full_channel_slows_fetching_down() {
    let bench = OnMemory { cluster: Cluster::new().with_fetch_limits(1, 2), names: AtomicU32::new(1) };
    paused_runtime().block_on(async {
        let (topic, group) = (bench.topic(1).await, bench.group());
        write(&bench, numbered(&TopicPartition::new(&*topic, 0), 0, 100)).await;
        let member = bench.transport().join(options(&group, &topic)).expect("the options are good");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert_eq!(member.batches.len(), 2);
    });
}

#[test]
fn outside_a_runtime_the_cluster_says_that_it_needs_one() {
    let refused = Transport::producer(&Cluster::new()).err().expect("there is no runtime here");
    assert_eq!(refused.kind, ClientErrorKind::Config);
}
