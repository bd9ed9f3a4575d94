//! A recorder that keeps everything, and what it has heard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, LocalRecorderGuard, Metadata, Recorder, SharedString, Unit,
};
use metrics_util::registry::{AtomicStorage, Registry};

/// What this thread measures while it lives.
pub(crate) struct Heard {
    kept: &'static Kept,
    _guard: LocalRecorderGuard<'static>,
}

struct Kept(Registry<Key, AtomicStorage>);

impl Heard {
    pub(crate) fn listen() -> Self {
        let kept: &Kept = Box::leak(Box::new(Kept(Registry::new(AtomicStorage))));
        Self { kept, _guard: metrics::set_default_local_recorder(kept) }
    }

    /// Every series with its value, as `name{label=value,…}`; of a histogram the number of values.
    pub(crate) fn all(&self) -> BTreeMap<String, f64> {
        let mut all = BTreeMap::new();
        let registry = &self.kept.0;
        registry.visit_counters(|key, value| {
            all.insert(series(key), value.load(SeqCst) as f64);
        });
        registry.visit_gauges(|key, value| {
            all.insert(series(key), f64::from_bits(value.load(SeqCst)));
        });
        registry.visit_histograms(|key, values| {
            all.insert(series(key), values.data().len() as f64);
        });
        all
    }

    pub(crate) fn of(&self, series: &str) -> f64 {
        let all = self.all();
        *all.get(series).unwrap_or_else(|| panic!("{series} is not among {:#?}", all.keys()))
    }

    /// The names, each once.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let all = self.all();
        all.keys().filter_map(|series| Some(series.split_once('{')?.0.to_owned())).collect()
    }
}

fn series(key: &Key) -> String {
    let labels: Vec<String> =
        key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
    format!("{}{{{}}}", key.name(), labels.join(","))
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.0.get_or_create_counter(key, |counter| Counter::from_arc(Arc::clone(counter)))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.0.get_or_create_gauge(key, |gauge| Gauge::from_arc(Arc::clone(gauge)))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.0.get_or_create_histogram(key, |histogram| Histogram::from_arc(Arc::clone(histogram)))
    }
}
