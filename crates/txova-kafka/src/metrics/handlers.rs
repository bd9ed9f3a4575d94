//! How long handlers take and how their attempts end. The one thing that is measured for each record: the handles are made
//! beforehand, so it costs two additions.

use std::fmt;
use std::time::Duration;

use metrics::{Counter, Histogram};

use super::{HANDLER_OUTCOMES, HANDLER_SECONDS, Namespace};
use crate::outcome::{BatchOutcome, ErrorClass, HandlerId, Outcome};

/// The metrics of an app's handlers.
pub(crate) struct HandlerMetrics {
    /// By [`HandlerId`]; the last stands for records that reach none.
    handlers: Vec<One>,
}

struct One {
    seconds: Histogram,
    ok: Counter,
    skip: Counter,
    transient: Counter,
    permanent: Counter,
    stop: Counter,
}

impl HandlerMetrics {
    /// `names` in the order of the [`HandlerId`]s.
    pub(crate) fn new<'a>(namespace: &Namespace, group: &str, names: impl Iterator<Item = &'a str>) -> Self {
        let one = |name: &str| {
            let outcome = |outcome: &str| namespace.counter(&HANDLER_OUTCOMES, &[group, name, outcome]);
            One {
                seconds: namespace.histogram(&HANDLER_SECONDS, &[group, name]),
                ok: outcome("ok"),
                skip: outcome(ErrorClass::Skip.as_str()),
                transient: outcome(ErrorClass::Transient.as_str()),
                permanent: outcome(ErrorClass::Permanent.as_str()),
                stop: outcome(ErrorClass::Stop.as_str()),
            }
        };
        Self { handlers: names.chain(["-"]).map(one).collect() }
    }

    pub(crate) fn ran(&self, took: Duration, outcome: &Outcome) {
        if matches!(outcome, Outcome::Held(_) | Outcome::NotRun) {
            return; // it did not run
        }
        let Some(one) = self.of(by(outcome)) else { return };
        one.seconds.record(took);
        one.count(outcome, 1);
    }

    /// One run over a batch of so many records.
    pub(crate) fn ran_batch(&self, took: Duration, outcome: &BatchOutcome, records: usize) {
        let handler = match outcome {
            BatchOutcome::Whole(Outcome::Held(_) | Outcome::NotRun) => return,
            BatchOutcome::Whole(outcome) => by(outcome),
            BatchOutcome::Parts { by, .. } => Some(*by),
            BatchOutcome::NotRun(_) => return,
        };
        let Some(one) = self.of(handler) else { return };
        one.seconds.record(took);
        match outcome {
            BatchOutcome::Whole(outcome) => one.count(outcome, records),
            BatchOutcome::Parts { failed, .. } => {
                failed.iter().for_each(|(_, failure)| one.of_class(failure.class).increment(1));
                one.ok.increment(records.saturating_sub(failed.len()) as u64);
            }
            BatchOutcome::NotRun(_) => {}
        }
    }

    fn of(&self, handler: Option<HandlerId>) -> Option<&One> {
        let at = handler.map_or(self.handlers.len() - 1, |HandlerId(at)| at as usize);
        self.handlers.get(at)
    }
}

fn by(outcome: &Outcome) -> Option<HandlerId> {
    match outcome {
        Outcome::Handled(by) | Outcome::Held(by) => Some(*by),
        Outcome::Failed(failure) => failure.by,
        Outcome::NotRun => None,
    }
}

impl One {
    fn count(&self, outcome: &Outcome, records: usize) {
        let counter = match outcome {
            Outcome::Handled(_) => &self.ok,
            Outcome::Held(_) | Outcome::NotRun => return,
            Outcome::Failed(failure) => self.of_class(failure.class),
        };
        counter.increment(records as u64);
    }

    fn of_class(&self, class: ErrorClass) -> &Counter {
        match class {
            ErrorClass::Skip => &self.skip,
            ErrorClass::Transient => &self.transient,
            ErrorClass::Permanent => &self.permanent,
            ErrorClass::Stop => &self.stop,
        }
    }
}

impl fmt::Debug for HandlerMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "of {} handlers", self.handlers.len() - 1)
    }
}
