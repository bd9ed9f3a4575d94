//! From a metric of the table to a handle on it: the namespace in front of its name, its labels in their order. It must
//! never know what is measured.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Unit, with_recorder};

use super::table::{Kind, Metric, TABLE};
use crate::config::MetricsConfig;

static METADATA: Metadata<'static> = Metadata::new("txova_kafka", Level::INFO, Some(module_path!()));

/// What all names of a service begin with. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Namespace {
    prefix: Arc<str>,
}

impl Namespace {
    /// The namespace of a configuration, with every metric of it described to the recorder.
    pub(crate) fn new(config: &MetricsConfig) -> Self {
        let subsystem = config.subsystem.iter().map(|subsystem| format!("{subsystem}_"));
        let prefix: String = std::iter::once(format!("{}_", config.namespace)).chain(subsystem).collect();
        let namespace = Self { prefix: prefix.into() };
        TABLE.iter().for_each(|metric| namespace.describe(metric));
        namespace
    }

    /// Whether anybody listens. A recorder without any state of its own counts as nobody: the facade's own for "none" is
    /// such a one, and cannot be told otherwise.
    pub(crate) fn is_heard() -> bool {
        with_recorder(|recorder| size_of_val(recorder) > 0)
    }

    pub(crate) fn counter(&self, metric: &'static Metric, labels: &[&str]) -> Counter {
        with_recorder(|recorder| recorder.register_counter(&self.key(metric, labels), &METADATA))
    }

    pub(crate) fn gauge(&self, metric: &'static Metric, labels: &[&str]) -> Gauge {
        with_recorder(|recorder| recorder.register_gauge(&self.key(metric, labels), &METADATA))
    }

    pub(crate) fn histogram(&self, metric: &'static Metric, labels: &[&str]) -> Histogram {
        with_recorder(|recorder| recorder.register_histogram(&self.key(metric, labels), &METADATA))
    }

    fn key(&self, metric: &'static Metric, values: &[&str]) -> Key {
        debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
        let labels = metric.labels.iter().zip(values);
        let labels = labels.map(|(label, value)| Label::new(*label, (*value).to_owned())).collect::<Vec<_>>();
        Key::from_parts(format!("{}{}", self.prefix, metric.name), labels)
    }

    fn describe(&self, metric: &Metric) {
        let unit = match metric.unit {
            "seconds" => Some(Unit::Seconds),
            "bytes" => Some(Unit::Bytes),
            _ => None,
        };
        let name = KeyName::from(format!("{}{}", self.prefix, metric.name));
        let (text, question) = (metric.question.into(), metric.kind);
        with_recorder(|recorder| match question {
            Kind::Counter => recorder.describe_counter(name, unit, text),
            Kind::Gauge => recorder.describe_gauge(name, unit, text),
            Kind::Histogram => recorder.describe_histogram(name, unit, text),
        });
    }
}
