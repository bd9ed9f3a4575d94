//! What a publisher counts. A topic's handles are made at its first record and kept.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use super::breaker::BreakerState;
use super::error::{PublishErrorKind, Written};
use crate::metrics::{
    BUFFER_BYTES, BUFFER_RECORDS, Namespace, PRODUCE_ERRORS, PRODUCED, PUBLISH_DEAD_LETTERS,
    PUBLISH_FAILURES, PUBLISH_SECONDS, PUBLISHER_BREAKER, PUBLISHER_BREAKER_OPENED, WAITING_CALLS,
};

/// A service publishes to a few topics. One that makes up names must not make as many metrics.
const MOST_TOPICS: usize = 200;

pub(super) struct Metrics {
    namespace: Namespace,
    records: Gauge,
    bytes: Gauge,
    waiting: Gauge,
    breaker: Gauge,
    opened: Counter,
    topics: Vec<Topic>,
    /// Where a topic is in `topics`.
    places: HashMap<Arc<str>, usize>,
    /// The place of the topic asked for last: mostly it is the next one, too.
    last: usize,
    other: Arc<str>,
}

struct Topic {
    label: Arc<str>,
    produced: Counter,
    errors: Counter,
    seconds: Histogram,
}

impl Metrics {
    pub(super) fn new(namespace: Namespace, source: &str) -> Self {
        Self {
            records: namespace.gauge(&BUFFER_RECORDS, &[source]),
            bytes: namespace.gauge(&BUFFER_BYTES, &[source]),
            waiting: namespace.gauge(&WAITING_CALLS, &[source]),
            breaker: namespace.gauge(&PUBLISHER_BREAKER, &[source]),
            opened: namespace.counter(&PUBLISHER_BREAKER_OPENED, &[source]),
            topics: Vec::new(),
            places: HashMap::new(),
            last: 0,
            other: Arc::from("other"),
            namespace,
        }
    }

    pub(super) fn buffer(&self, records: usize, bytes: usize, waiting: usize) {
        self.records.set(records as f64);
        self.bytes.set(bytes as f64);
        self.waiting.set(waiting as f64);
    }

    pub(super) fn breaker(&self, state: BreakerState, times_opened: u64) {
        self.breaker.set(match state {
            BreakerState::Closed => 0.0,
            BreakerState::Open => 1.0,
            BreakerState::HalfOpen => 2.0,
        });
        self.opened.absolute(times_opened);
    }

    pub(super) fn published(&mut self, topic: &Arc<str>, latency: Duration) {
        let topic = self.topic(topic);
        topic.produced.increment(1);
        topic.seconds.record(latency);
    }

    /// `topic` is empty where an event never became a record.
    pub(super) fn failed(&mut self, topic: &Arc<str>, kind: PublishErrorKind, written: Written) {
        let written = match written {
            Written::No => "no",
            Written::Maybe => "maybe",
        };
        let topic = self.topic(topic);
        topic.errors.increment(1);
        let label = topic.label.clone();
        self.namespace.counter(&PUBLISH_FAILURES, &[&label, kind.as_str(), written]).increment(1);
    }

    pub(super) fn dead_letter(&mut self, topic: &Arc<str>) {
        let label = self.topic(topic).label.clone();
        self.namespace.counter(&PUBLISH_DEAD_LETTERS, &[&label]).increment(1);
    }

    fn topic(&mut self, name: &Arc<str>) -> &Topic {
        if self.topics.get(self.last).is_none_or(|topic| topic.label != *name) {
            self.last = self.place(name);
        }
        &self.topics[self.last]
    }

    fn place(&mut self, name: &Arc<str>) -> usize {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let name = if self.topics.len() < MOST_TOPICS { name } else { &self.other };
        *self.places.entry(name.clone()).or_insert_with(|| {
            self.topics.push(Topic {
                label: name.clone(),
                produced: self.namespace.counter(&PRODUCED, &[name]),
                errors: self.namespace.counter(&PRODUCE_ERRORS, &[name]),
                seconds: self.namespace.histogram(&PUBLISH_SECONDS, &[name]),
            });
            self.topics.len() - 1
        })
    }
}
