//! Subscribed topics that are not there. librdkafka says once that a topic is unknown and never that it has come: here it is
//! asked for until it has. Asks on the thread that may wait; never on the caller's.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;

use super::metadata_calls;
use super::rebalance::answer;
use super::worker::{Consumer, Worker};
use crate::client_error::ClientErrorKind;

/// The pause between two questions.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long one topic's question may take: commits wait behind it.
const ASK: Duration = Duration::from_secs(1);

/// Which topics are missing, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Missing {
    told: Vec<String>,
    ask_at: Option<Instant>,
    asked: Option<Receiver<Option<Vec<String>>>>,
}

impl Missing {
    /// A topic was said to be unknown.
    pub(super) fn look(&mut self) {
        if self.asked.is_none() {
            self.ask_at = Some(Instant::now());
        }
    }

    /// Asks when it is time; the topics that are missing, where that has changed.
    pub(super) fn news(&mut self, topics: &[String], worker: &Worker) -> Option<Vec<String>> {
        if self.ask_at.is_some_and(|at| at <= Instant::now()) {
            self.ask_at = None;
            let topics = topics.to_vec();
            self.asked = Some(worker.ask(move |consumer| missing(consumer, &topics)));
        }
        let answered = self.asked.as_ref().and_then(|asked| answer(asked, || None))?;
        self.asked = None;
        let missing = answered.unwrap_or_else(|| self.told.clone());
        if !missing.is_empty() {
            self.ask_at = Some(Instant::now() + AGAIN_AFTER);
        }
        (missing != self.told).then(|| {
            self.told.clone_from(&missing);
            missing
        })
    }
}

/// Those of the topics that the brokers do not know; `None` where no broker answers.
fn missing(consumer: &Consumer, topics: &[String]) -> Option<Vec<String>> {
    let mut missing = Vec::new();
    for name in topics {
        let metadata = consumer.fetch_metadata(Some(name), ASK).ok()?;
        let is_unknown =
            |error: &crate::client_error::ClientError| error.kind == ClientErrorKind::UnknownTopic;
        let found = metadata.topics().iter().find(|topic| topic.name() == name);
        if found.is_none_or(|topic| metadata_calls::check(topic).is_err_and(|error| is_unknown(&error))) {
            missing.push(name.clone());
        }
    }
    Some(missing)
}
