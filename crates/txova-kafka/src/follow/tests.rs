//! Goal: what a record must do is right at every place of the log, whenever it is heard of. Method: letters, decisions and
//! records by hand, and every order in which they can be heard.

use txova_events::dlq::redrive;

use super::*;

const GROUP: &str = "depot-group";

fn at() -> TopicPartition {
    TopicPartition::new("parcels.v1", 2)
}

fn record(key: &str, offset: i64) -> Record {
    Record::copy_from(offset, Some(offset * 10), Some(key.as_bytes()), Some(b"{}"), [])
}

/// What is sent back for the letter whose event first stood at `first`.
fn sent_back(key: &str, offset: i64, first: i64, group: &str) -> Record {
    let origin = format!("parcels.v1/2/{first}");
    let headers = [(redrive::GROUP, group), (redrive::ORIGIN, origin.as_str())];
    let headers = headers.map(|(name, value)| (name, Some(value.as_bytes())));
    Record::copy_from(offset, Some(offset * 10), Some(key.as_bytes()), Some(b"{}"), headers)
}

struct Group(Followed);

impl Group {
    fn new() -> Self {
        let mut followed = Followed::default();
        followed.assigned(&at());
        Self(followed)
    }

    /// Letters about these records of one key.
    fn with_letters(offsets: &[i64]) -> Self {
        let mut group = Self::new();
        offsets.iter().for_each(|offset| group.fails(&record("k", *offset)));
        group
    }

    fn look(&mut self, record: &Record) -> Verdict {
        self.0.look(&at(), record, GROUP)
    }

    fn fails(&mut self, record: &Record) {
        self.0.written(&at(), Letter::about(&at(), record, GROUP));
    }

    fn decided(&mut self, offset: i64, state: ResolutionState, sent_to: Option<i64>) -> bool {
        self.0.decided(Decision { partition: at(), offset, state, sent_to })
    }

    fn is_empty(&self) -> bool {
        (self.0.keys(), self.0.letters()) == (0, 0)
    }
}

use ResolutionState::{Discarded, Open, Quarantined, Replayed};
use Verdict::{Follows, Handle, IsLetter};

#[test]
fn later_records_of_a_key_follow_its_letter_and_other_keys_do_not() {
    let mut group = Group::with_letters(&[10]);
    assert_eq!(group.look(&record("k", 11)), Follows(10));
    assert_eq!(group.look(&record("other", 12)), Handle);
    let elsewhere = TopicPartition::new("parcels.v1", 3);
    assert_eq!(group.0.look(&elsewhere, &record("k", 11), GROUP), Handle);
    let keyless = Record::copy_from(13, None, None, None, []);
    assert_eq!(group.look(&keyless), Handle);
    group.fails(&keyless);
    assert_eq!(group.look(&Record::copy_from(14, None, None, None, [])), Follows(13), "they are of one key");
}

/// The news of a decision may come at any moment; what a record must do is the same.
#[test]
fn what_arrives_between_the_replay_and_its_news_follows_and_what_comes_behind_it_is_handled() {
    for heard_before in [49, 50, 51, 52, 53, 99] {
        let mut group = Group::with_letters(&[10, 11]);
        let log = [
            (record("k", 49), Follows(10)), // before what was sent back
            (sent_back("k", 50, 10, GROUP), Handle),
            (sent_back("k", 51, 11, GROUP), Handle),
            (record("k", 52), Follows(49)),
        ];
        for (record, expected) in log {
            if record.offset == heard_before {
                group.decided(10, Replayed, Some(50));
                group.decided(11, Replayed, Some(51));
            }
            assert_eq!(group.look(&record), expected, "at {}, heard before {heard_before}", record.offset);
            if let Follows(_) = expected {
                group.fails(&record);
            }
        }
        group.decided(49, Replayed, Some(60));
        group.decided(52, Replayed, Some(61));
        assert_eq!(group.look(&sent_back("k", 60, 49, GROUP)), Handle);
        assert_eq!(group.look(&sent_back("k", 61, 52, GROUP)), Handle);
        assert_eq!(group.look(&record("k", 62)), Handle);
        group.decided(10, Replayed, Some(50)); // heard late
        assert!(group.is_empty(), "nothing is left behind: {:?}", group.0);
    }
}

#[test]
fn where_the_first_fails_again_those_behind_it_follow_it_again_in_the_old_order() {
    let mut group = Group::with_letters(&[10, 11]);
    let first = sent_back("k", 50, 10, GROUP);
    assert_eq!(group.look(&first), Handle);
    group.fails(&first);
    let second = sent_back("k", 51, 11, GROUP);
    assert_eq!(group.look(&second), Follows(10));
    group.fails(&second);
    assert_eq!(group.look(&record("k", 52)), Follows(10));
    // Somebody sends the second back alone.
    assert_eq!(group.look(&sent_back("k", 60, 11, GROUP)), Follows(10));
}

#[test]
fn a_letter_that_was_discarded_or_handled_elsewhere_holds_its_key_no_more_and_those_behind_it_do() {
    for state in [Discarded, Replayed] {
        let mut group = Group::with_letters(&[10, 11]);
        group.decided(10, state.clone(), None);
        assert_eq!(group.look(&record("k", 12)), Follows(11));
        group.decided(11, state, None);
        assert_eq!(group.look(&record("k", 13)), Handle);
        assert!(group.is_empty());
    }
}

#[test]
fn what_is_set_aside_holds_its_key_and_what_is_opened_again_is_to_be_read_again() {
    let mut group = Group::with_letters(&[10]);
    assert!(!group.decided(10, Quarantined, None));
    assert_eq!(group.look(&record("k", 11)), Follows(10));
    assert!(!group.decided(10, Open, None), "it is known");
    group.decided(10, Discarded, None);
    assert!(group.decided(10, Open, None));
    let letter = Letter::about(&at(), &record("k", 10), GROUP);
    group.0.found(&at(), vec![letter]);
    assert_eq!(group.look(&record("k", 12)), Follows(10));
}

#[test]
fn what_is_decided_while_letters_are_read_counts_for_them() {
    let mut group = Group::new();
    group.0.reads(&at());
    group.decided(10, Discarded, None);
    group.decided(20, Replayed, Some(50));
    let letters = [10, 20].map(|offset| Letter::about(&at(), &record("k", offset), GROUP));
    group.0.found(&at(), letters.to_vec());
    assert_eq!(group.look(&record("k", 21)), Follows(20));
    assert_eq!(group.look(&sent_back("k", 50, 20, GROUP)), Handle);
    assert_eq!(group.look(&record("k", 51)), Handle);
}

#[test]
fn a_record_that_comes_again_is_settled_by_its_letter_and_another_at_its_place_is_not() {
    let mut group = Group::with_letters(&[10]);
    assert_eq!(group.look(&record("k", 10)), IsLetter);
    let of_a_new_log = Record::copy_from(10, Some(7), Some(b"k"), Some(b"{}"), []);
    assert_eq!(group.look(&of_a_new_log), Handle);
    group.decided(10, Replayed, Some(50));
    assert_eq!(group.look(&record("k", 10)), IsLetter, "it stands at 50 now");
    let again = sent_back("k", 50, 10, GROUP);
    assert_eq!(group.look(&again), Handle);
    group.fails(&again);
    assert_eq!(group.look(&again), IsLetter);
}

#[test]
fn what_was_sent_back_for_another_group_is_passed_over_and_changes_nothing() {
    let mut group = Group::with_letters(&[10]);
    assert_eq!(
        group.look(&sent_back("k", 50, 10, "others")),
        Handle,
        "it is passed over before the handlers"
    );
    assert_eq!(group.look(&record("k", 51)), Follows(10));
}

#[test]
fn a_partition_that_comes_back_begins_anew() {
    let mut group = Group::with_letters(&[10]);
    group.0.over(&at());
    assert_eq!(group.look(&record("k", 11)), Handle);
    group.fails(&record("k", 11));
    group.0.assigned(&at());
    assert!(group.is_empty());
}
