//! What a test expects to have been published, and how what was published differs from it. It must never know how it was
//! published.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use txova_events::Event;

use super::event_store::{EventStore, StoredEvent};
use super::fail;

type Check = Arc<dyn Fn(&StoredEvent) -> Result<(), String> + Send + Sync>;

/// An event that a test expects: its type, and as much more as the test is about.
///
/// ```
/// use txova_events::example::{Example, Ride};
/// use txova_events::PaymentInitiated;
/// use txova_kafka::testing::{EventStore, expect};
///
/// # fn main() -> Result<(), txova_events::InvalidEvent> {
/// let ride = Ride::seeded(1);
/// let mut published = EventStore::new();
/// published.append(&PaymentInitiated::example(&ride))?;
/// published.assert_exactly([expect::<PaymentInitiated>()
///     .key(ride.payment_id)
///     .payload("the whole fare", move |payment: &PaymentInitiated| payment.amount == ride.fare)]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "nothing is expected until it is asserted"]
pub struct Expected {
    event_type: String,
    /// In words, for a failure.
    words: Vec<String>,
    checks: Vec<Check>,
}

/// Expects an event of this type.
pub fn expect<E: Event>() -> Expected {
    Expected { event_type: E::TYPE.to_owned(), words: Vec::new(), checks: Vec::new() }
}

impl Expected {
    /// Under this key.
    pub fn key(self, key: impl fmt::Display) -> Self {
        let key = key.to_string();
        self.text("key", key, |event| Some(event.key_text().into_owned()))
    }

    /// With this correlation id.
    pub fn correlation(self, correlation_id: impl fmt::Display) -> Self {
        let of = |event: &StoredEvent| Some(event.envelope.as_ref()?.correlation_id.to_string());
        self.text("correlation", correlation_id.to_string(), of)
    }

    /// Because of the event with this id.
    pub fn caused_by(self, event_id: impl fmt::Display) -> Self {
        let of = |event: &StoredEvent| Some(event.envelope.as_ref()?.causation_id.as_ref()?.to_string());
        self.text("caused by", event_id.to_string(), of)
    }

    /// By this service.
    pub fn source(self, service: &str) -> Self {
        let of = |event: &StoredEvent| Some(event.envelope.as_ref()?.source.to_string());
        self.text("source", service.to_owned(), of)
    }

    /// On this topic.
    pub fn topic(self, topic: &str) -> Self {
        self.text("topic", topic.to_owned(), |event| Some(event.topic.to_string()))
    }

    /// With this record header.
    pub fn header(self, name: &str, value: &str) -> Self {
        let header = name.to_owned();
        self.text(name, value.to_owned(), move |event| event.header(&header).map(str::to_owned))
    }

    /// With a payload for which `holds`; `what` says in a few words what that is, for a failure.
    pub fn payload<E: Event>(self, what: &str, holds: impl Fn(&E) -> bool + Send + Sync + 'static) -> Self {
        let not = format!("not {what}");
        self.check(what.to_owned(), move |event| {
            let payload = &event.read::<E>()?.payload;
            if holds(payload) { Ok(()) } else { Err(format!("{not}: {}", json(payload))) }
        })
    }

    /// With exactly this payload.
    pub fn payload_is<E: Event + Serialize>(self, expected: &E) -> Self {
        let expected = json(expected);
        self.check(format!("payload {expected}"), move |event| {
            let found = json(&event.read::<E>()?.payload);
            if found == expected { Ok(()) } else { Err(format!("payload is {found}, expected {expected}")) }
        })
    }

    fn text(
        self,
        name: &str,
        expected: String,
        of: impl Fn(&StoredEvent) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let (words, name) = (format!("{name} {expected}"), name.to_owned());
        self.check(words, move |event| match of(event) {
            Some(found) if found == expected => Ok(()),
            Some(found) => Err(format!("{name} is {found}, expected {expected}")),
            None => Err(format!("{name} is absent, expected {expected}")),
        })
    }

    fn check(
        mut self,
        words: String,
        check: impl Fn(&StoredEvent) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.words.push(words);
        self.checks.push(Arc::new(check));
        self
    }

    fn matches(&self, event: &StoredEvent) -> bool {
        event.event_type() == self.event_type && self.checks.iter().all(|check| check(event).is_ok())
    }

    /// What speaks against an event of the right type.
    fn reasons(&self, event: &StoredEvent) -> Vec<String> {
        self.checks.iter().filter_map(|check| check(event).err()).collect()
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.event_type)?;
        self.words.iter().try_for_each(|words| write!(f, ", {words}"))
    }
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expected({self})")
    }
}

/// What was published against what was expected. Each panics with both as one list, as a diff shows it: `-` was expected
/// and is not there, `+` is there and was not expected, and why it is not what was.
impl EventStore {
    /// These events were published, in this order, and no others.
    #[track_caller]
    pub fn assert_exactly(&self, expected: impl IntoIterator<Item = Expected>) {
        let diff = Diff::between(expected, self);
        if !diff.is_empty() {
            fail(&format!("the events are not those expected:\n{diff}"));
        }
    }

    /// These events were published, in this order, whatever others there are.
    #[track_caller]
    pub fn assert_in_order(&self, expected: impl IntoIterator<Item = Expected>) {
        let diff = Diff::between(expected, self);
        if diff.misses_some() {
            fail(&format!("the events do not have those expected among them, in this order:\n{diff}"));
        }
    }

    /// No such event was published.
    #[track_caller]
    pub fn assert_none(&self, unwanted: Expected) {
        let found: EventStore = self.iter().filter(|event| unwanted.matches(event)).cloned().collect();
        if !found.is_empty() {
            fail(&format!("expected no event like this: {unwanted}\nbut found\n{found}"));
        }
    }
}

/// The shortest way from what was expected to what was published.
struct Diff<'a> {
    lines: Vec<Line<'a>>,
}

enum Line<'a> {
    Both(&'a StoredEvent),
    Missing(Expected),
    Extra(&'a StoredEvent),
}

impl<'a> Diff<'a> {
    /// By the longest common subsequence.
    fn between(expected: impl IntoIterator<Item = Expected>, events: &'a [StoredEvent]) -> Self {
        let expected: Vec<Expected> = expected.into_iter().collect();
        let matches: Vec<Vec<bool>> =
            expected.iter().map(|one| events.iter().map(|event| one.matches(event)).collect()).collect();
        // longest[i][j]: how many of expected[i..] are among events[j..]
        let mut longest = vec![vec![0usize; events.len() + 1]; expected.len() + 1];
        for i in (0..expected.len()).rev() {
            for j in (0..events.len()).rev() {
                longest[i][j] = match matches[i][j] {
                    true => longest[i + 1][j + 1] + 1,
                    false => longest[i + 1][j].max(longest[i][j + 1]),
                };
            }
        }
        let (mut i, mut j, mut lines) = (0, 0, Vec::new());
        while i < expected.len() || j < events.len() {
            if i < expected.len() && j < events.len() && matches[i][j] {
                lines.push(Line::Both(&events[j]));
                (i, j) = (i + 1, j + 1);
            } else if j == events.len() || (i < expected.len() && longest[i + 1][j] >= longest[i][j + 1]) {
                lines.push(Line::Missing(expected[i].clone()));
                i += 1;
            } else {
                lines.push(Line::Extra(&events[j]));
                j += 1;
            }
        }
        Self { lines }
    }

    fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| matches!(line, Line::Both(_)))
    }

    fn misses_some(&self) -> bool {
        self.missing().next().is_some()
    }

    fn missing(&self) -> impl Iterator<Item = &Expected> {
        self.lines.iter().filter_map(|line| match line {
            Line::Missing(expected) => Some(expected),
            _ => None,
        })
    }
}

impl fmt::Display for Diff<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            match line {
                Line::Both(event) => write!(f, "    {event}")?,
                Line::Missing(expected) => write!(f, "  - {expected}")?,
                Line::Extra(event) => {
                    write!(f, "  + {event}")?;
                    let meant = self.missing().find(|expected| expected.event_type == event.event_type());
                    for reason in meant.map(|expected| expected.reasons(event)).unwrap_or_default() {
                        write!(f, "\n      {reason}")?;
                    }
                }
            }
        }
        if self.lines.is_empty() {
            f.write_str("    (nothing)")?;
        }
        Ok(())
    }
}

fn json(payload: &impl Serialize) -> String {
    serde_json::to_string(payload).unwrap_or_else(|error| format!("(no JSON: {error})"))
}
