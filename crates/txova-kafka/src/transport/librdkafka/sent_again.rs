//! Which partitions' records went out and came back to be sent again, and when: what tells a record that surely never
//! was in a request from one that may have been. Knows only librdkafka's words for it.
//!
//! librdkafka counts a record as not written when the broker answered its request with "not the leader", and tries
//! again. But a leader that steps down says so also of records that it has appended and its followers have copied: where
//! such a record then runs out of time it may be in the log. librdkafka says in its log, and nowhere else, that a
//! partition's requests failed and their records go back into the queue; nothing is sent from that partition until all of
//! them are back. So "certainly not written" is said of a record that ran out of time only where its partition had no
//! such moment since the record was handed over.
//!
//! A broker knows a repetition by the producer's epoch and the record's number in it. When any record runs out of time,
//! librdkafka takes a new epoch, for the numbers have a gap, and what waits to be sent again then goes out as new: where
//! its first request was written after all, it is in the log twice. So does Java's client. So "once" is said of a record
//! that is acknowledged only where its partition was not sent again under a newer epoch since it was handed over.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What librdkafka must be asked to log: little is, but where something goes wrong.
pub(super) const DEBUG: &str = "eos";

#[derive(Debug)]
pub(super) struct SentAgain {
    last: Mutex<HashMap<(String, i32), Last>>,
    began: Instant,
    /// In microseconds since `began`, the last of all partitions: a look at it is enough nearly always.
    renewed_us: AtomicU64,
}

/// Of a partition.
#[derive(Debug, Default)]
struct Last {
    sent_again: Option<Instant>,
    /// Under a new epoch.
    renewed: Option<Instant>,
}

impl Default for SentAgain {
    fn default() -> Self {
        Self { last: Mutex::default(), began: Instant::now(), renewed_us: AtomicU64::new(0) }
    }
}

impl SentAgain {
    /// A line of librdkafka's log.
    pub(super) fn hear(&self, facility: &str, message: &str) {
        let now = Instant::now();
        match facility {
            "DRAIN" => self.note(drained(message), |last| last.sent_again = Some(now)),
            "NEWPID" => {
                let partition = renewed(message);
                if let Some((topic, partition)) = partition {
                    tracing::warn!(
                        target: "txova_kafka::client",
                        topic,
                        partition,
                        "the producer has a new epoch, for a record ran out of time: what is being sent again may be written twice"
                    );
                    // Rounded up: a moment too many is asked about, never one too few.
                    self.renewed_us.fetch_max(self.since_began_us(now) + 1, Ordering::SeqCst);
                }
                self.note(partition, |last| last.renewed = Some(now));
            }
            _ => {}
        }
    }

    fn note(&self, partition: Option<(&str, i32)>, note: impl FnOnce(&mut Last)) {
        if let Some((topic, partition)) = partition {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            note(last.entry((topic.to_owned(), partition)).or_default());
        }
    }

    /// Whether records of the partition went out and came back since then.
    pub(super) fn is_since(&self, moment: Instant, topic: &str, partition: i32) -> bool {
        self.look(topic, partition, |last| last.sent_again >= Some(moment))
    }

    /// Whether what was sent again since then may be in the log twice.
    pub(super) fn is_renewed_since(&self, moment: Instant, topic: &str, partition: i32) -> bool {
        self.since_began_us(moment) <= self.renewed_us.load(Ordering::SeqCst)
            && self.look(topic, partition, |last| last.sent_again.min(last.renewed) >= Some(moment))
    }

    fn look(&self, topic: &str, partition: i32, look: impl FnOnce(&Last) -> bool) -> bool {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(&(topic.to_owned(), partition)).is_some_and(look)
    }

    fn since_began_us(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX)
    }
}

/// The partition in `[thrd:kafka:9092/1]: rides [3] beginning partition drain: drain before retrying`.
fn drained(message: &str) -> Option<(&str, i32)> {
    partition(message.split_once(" beginning partition drain")?.0)
}

/// The partition in `[thrd:kafka:9092/1]: rides [3] changed PID{Id:1,Epoch:0} -> PID{Id:1,Epoch:1} with base MsgId 7`; its
/// first epoch is no new one.
fn renewed(message: &str) -> Option<(&str, i32)> {
    let (place, epochs) = message.split_once(" changed PID{")?;
    (!epochs.starts_with("Invalid")).then_some(())?;
    partition(place)
}

fn partition(place: &str) -> Option<(&str, i32)> {
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
    fn what_was_sent_again_under_a_new_epoch_may_be_in_the_log_twice_and_nothing_else() {
        let again = SentAgain::default();
        let first =
            "[thrd:kafka:9092/1]: rides [3] changed PID{Invalid} -> PID{Id:7,Epoch:0} with base MsgId 1";
        let newer =
            "[thrd:kafka:9092/1]: rides [3] changed PID{Id:7,Epoch:0} -> PID{Id:7,Epoch:1} with base MsgId 9";
        let not_yet = "rides [3] will not change PID{Id:7,Epoch:0} -> PID{Id:7,Epoch:1} yet: 2 message(s) still in-flight";
        let before = Instant::now();
        again.hear("NEWPID", first);
        again.hear("NEWPID", not_yet);
        again.hear("DRAIN", "rides [3] beginning partition drain: x");
        assert!(!again.is_renewed_since(before, "rides", 3), "the broker knows it by its number");
        again.hear("NEWPID", newer);
        assert!(again.is_renewed_since(before, "rides", 3) && !again.is_renewed_since(before, "rides", 4));
        let after = Instant::now() + std::time::Duration::from_millis(1);
        assert!(!again.is_renewed_since(after, "rides", 3), "it was handed over later");
        again.hear("NEWPID", "rides [4] changed PID{Id:7,Epoch:0} -> PID{Id:7,Epoch:1} with base MsgId 9");
        assert!(!again.is_renewed_since(before, "rides", 4), "nothing of it was sent again");
    }

    #[test]
    fn it_counts_for_what_was_handed_over_before_and_for_that_partition_alone() {
        let again = SentAgain::default();
        let before = Instant::now();
        again.hear("DRAIN", "rides [0] beginning partition drain: x");
        assert!(again.is_since(before, "rides", 0));
        assert!(!again.is_since(before, "rides", 1) && !again.is_since(before, "users", 0));
        let heard = again.last.lock().unwrap().values().next().and_then(|last| last.sent_again).unwrap();
        assert!(!again.is_since(heard + std::time::Duration::from_nanos(1), "rides", 0));
    }
}
