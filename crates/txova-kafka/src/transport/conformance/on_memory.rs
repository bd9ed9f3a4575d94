//! The suite on the in-memory cluster, on a paused clock.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Bench, sentences_for_one_member, sentences_for_several_members};
use crate::transport::Transport;
use crate::transport::memory::Cluster;

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

    fn cluster(&self) -> Option<&Cluster> {
        Some(&self.cluster)
    }
}

/// Runs a sentence on a cluster as it comes, on one that varies what may vary, and on one that holds little.
fn run<'a, F: Future<Output = ()>>(sentence: impl Fn(&'a dyn Bench) -> F) {
    let little = Cluster::new().with_seed(7).with_fetch_limits(3, 1);
    for cluster in [Cluster::new(), Cluster::new().with_seed(1), little] {
        // Leaked so that a sentence can borrow it for as long as it likes; a test's process is short.
        let bench: &'static OnMemory = Box::leak(Box::new(OnMemory { cluster, names: AtomicU32::new(1) }));
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
        runtime.block_on(sentence(bench));
    }
}

macro_rules! on_memory {
    ($module:ident, $sentence:ident) => {
        #[test]
        fn $sentence() {
            run(|bench| super::$module::$sentence(bench));
        }
    };
}

sentences_for_one_member!(on_memory);
sentences_for_several_members!(on_memory);
