//! Which partitions' records went out and came back to be sent again, and when: what tells a record that surely never
//! was in a request from one that may have been. Knows only librdkafka's words for it.
//!
//! librdkafka counts a record as not written when the broker answered its request with "not the leader", and tries
//! again. But a leader that steps down says so also of records that it has appended and its followers have copied: where
//! such a record then runs out of time it may be in the log. librdkafka says in its log, and nowhere else, that a
//! partition's requests failed and their records go back into the queue; nothing is sent from that partition until all of
//! them are back. So "certainly not written" is said of a record that ran out of time only where its partition had no
//! such moment since the record was handed over.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What librdkafka must be asked to log: little is, but where something goes wrong.
pub(super) const DEBUG: &str = "eos";

#[derive(Debug, Default)]
pub(super) struct SentAgain {
    last: Mutex<HashMap<(String, i32), Instant>>,
}

impl SentAgain {
    /// A line of librdkafka's log.
    pub(super) fn hear(&self, facility: &str, message: &str) {
        if facility != "DRAIN" {
            return;
        }
        if let Some((topic, partition)) = drained(message) {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.insert((topic.to_owned(), partition), Instant::now());
        }
    }

    pub(super) fn is_since(&self, moment: Instant, topic: &str, partition: i32) -> bool {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(&(topic.to_owned(), partition)).is_some_and(|at| *at >= moment)
    }
}

/// The partition in `[thrd:kafka:9092/1]: rides [3] beginning partition drain: drain before retrying`.
fn drained(message: &str) -> Option<(&str, i32)> {
    let (place, _) = message.split_once(" beginning partition drain")?;
    let (topic, partition) = place.strip_suffix(']')?.rsplit_once(" [")?;
    let topic = topic.rsplit_once(' ').map_or(topic, |(_, topic)| topic); // no topic's name holds a blank
    Some((topic, partition.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_found_in_what_the_client_says() {
        let said =
            "[thrd:127.0.0.1:9092/1]: txova.rides.v1 [3] beginning partition drain: drain before retrying";
        assert_eq!(drained(said), Some(("txova.rides.v1", 3)));
        assert_eq!(drained("rides [0] beginning partition drain: x"), Some(("rides", 0)));
        assert_eq!(drained("[thrd:main]: All partitions drained"), None);
    }

    #[test]
    fn it_counts_for_what_was_handed_over_before_and_for_that_partition_alone() {
        let again = SentAgain::default();
        let before = Instant::now();
        again.hear("DRAIN", "rides [0] beginning partition drain: x");
        assert!(again.is_since(before, "rides", 0));
        assert!(!again.is_since(before, "rides", 1) && !again.is_since(before, "users", 0));
        let heard = *again.last.lock().unwrap().values().next().unwrap();
        assert!(!again.is_since(heard + std::time::Duration::from_nanos(1), "rides", 0));
    }
}
