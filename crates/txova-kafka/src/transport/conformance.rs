//! One suite for every transport: what `transport.rs` promises, a test for each sentence. It must never know which
//! transport it runs on; what a transport or its cluster cannot do is said by its [`Bench`].

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::memory::Cluster;
use super::{Commit, Transport};
use crate::record::TopicPartition;

mod admin;
mod closing;
mod commits;
mod groups;
mod membership;
mod on_librdkafka;
mod on_memory;
mod probe;
mod producing;
mod reading;
mod records;
mod scripts;
mod storm;
mod transactions;

/// The longest any event may take. Nothing sleeps: a test that hangs this long is broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a sentence is proved: a transport, and names nobody else uses.
trait Bench {
    fn transport(&self) -> &dyn Transport;

    /// A topic of its own.
    fn topic(&self, partitions: i32) -> BoxFuture<'_, String>;

    /// A group of its own.
    fn group(&self) -> String;

    /// A transport of the same kind that finds no broker.
    fn unreachable(&self) -> Box<dyn Transport>;

    /// Writes `count` records, each in a transaction of its own whose marker takes the next offset, and behind them one that
    /// was aborted. Answers the end of the log; `None` where the brokers know no transactions.
    fn write_in_transactions(&self, partition: &TopicPartition, count: i64) -> BoxFuture<'_, Option<i64>>;

    /// Begins a transaction of a producer of that transactional id, which writes the records and commits the entries for a
    /// group that has no members yet, and leaves it open.
    fn leave_open(&self, producer: &str, group: &str, commit: Commit) -> BoxFuture<'_, Box<dyn LeftOpen>>;

    /// Whether the brokers refuse metadata that is too long.
    fn limits_metadata(&self) -> bool {
        true
    }

    /// Whether the brokers find offsets by time.
    fn finds_by_time(&self) -> bool {
        true
    }

    /// Whether the brokers answer what tools ask: creating topics, changing them, listing groups.
    fn answers_tools(&self) -> bool {
        true
    }

    /// The cluster, where it is the in-memory one: some sentences need a script.
    fn cluster(&self) -> Option<&Cluster> {
        None
    }
}

/// A transaction that was left open.
trait LeftOpen: Send {
    /// Commits it.
    fn commit(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// Calls `$test!(module sentence)` for each sentence a group of one member can prove.
macro_rules! sentences_for_one_member {
    ($test:ident) => {
        $test!(records, records_arrive_in_offset_order_in_each_partition);
        $test!(records, assigned_comes_before_its_first_batch);
        $test!(records, odd_records_arrive_as_they_were_sent);
        $test!(records, pause_stops_and_resume_goes_on_without_loss);
        $test!(records, pausing_what_is_not_assigned_or_was_in_another_epoch_does_nothing);
        $test!(commits, a_member_starts_at_the_committed_offset_with_its_metadata);
        $test!(commits, a_commit_of_another_epoch_is_refused);
        $test!(commits, metadata_of_4096_bytes_is_kept_and_5000_are_refused);
        $test!(commits, with_nothing_committed_earliest_starts_at_the_first_record);
        $test!(commits, with_nothing_committed_latest_starts_behind_the_last_record);
        $test!(commits, with_nothing_committed_a_timestamp_starts_at_its_first_record_or_behind_the_last);
        $test!(commits, an_offset_out_of_range_is_fatal_under_fail_and_named);
        $test!(commits, an_offset_out_of_range_goes_on_at_the_first_record_under_earliest);
        $test!(commits, an_offset_out_of_range_goes_on_behind_the_last_record_under_latest);
        $test!(commits, committed_answers_in_the_order_asked);
        $test!(closing, close_commits_its_entries_and_ends_with_closed);
        $test!(closing, commands_after_close_are_answered_with_errors);
        $test!(closing, close_is_bounded_while_nobody_takes_the_records);
        $test!(closing, close_is_bounded_with_no_broker_there);
        $test!(closing, dropping_a_member_commits_nothing_and_lets_the_group_go_on);
        $test!(producing, records_of_a_partition_are_written_in_the_order_sent);
        $test!(producing, a_record_too_large_is_refused_as_too_large);
        $test!(producing, a_partition_that_is_not_there_is_unknown);
        $test!(producing, flush_waits_until_everything_is_answered);
        $test!(producing, done_is_called_exactly_once);
        $test!(producing, flush_is_bounded_with_no_broker_there);
        $test!(reading, a_range_is_read_to_its_end_and_no_further);
        $test!(reading, markers_of_transactions_are_passed_over_by_readers_and_members);
        $test!(reading, ranges_of_several_partitions_are_all_read);
        $test!(reading, an_empty_range_ends_at_once);
        $test!(reading, watermarks_are_the_ends_of_the_log_in_the_order_asked);
        $test!(reading, offsets_at_a_time_are_the_first_at_or_behind_it_or_the_end_in_the_order_asked);
        $test!(reading, topics_are_listed_with_their_partitions);
        $test!(reading, creating_a_topic_that_exists_is_no_error);
        $test!(reading, following_goes_on_as_records_come_in_every_partition);
        $test!(admin, the_cluster_is_told_with_its_brokers_and_where_each_partition_is);
        $test!(admin, a_setting_that_is_changed_leaves_the_others_as_they_are);
        $test!(admin, a_value_that_is_refused_changes_nothing_and_says_why);
        $test!(admin, partitions_are_added_and_never_taken);
        $test!(admin, what_is_not_there_has_no_settings);
        $test!(admin, a_group_is_listed_with_its_member_and_what_that_has);
        $test!(admin, offsets_are_set_for_a_group_without_members_and_refused_while_it_has_one);
        $test!(admin, every_call_is_bounded_with_no_broker_there);
    };
}

/// Calls `$test!(module sentence)` for each sentence that takes a group of several members.
macro_rules! sentences_for_several_members {
    ($test:ident) => {
        $test!(groups, two_members_split_the_partitions_and_together_see_everything);
        $test!(groups, a_revoked_partition_waits_for_release_and_goes_on_right_behind_it);
        $test!(groups, a_revocation_nobody_answers_ends_by_itself);
        $test!(groups, a_third_member_joins_and_leaves_and_nothing_is_lost);
        $test!(groups, a_partition_that_was_paused_when_it_went_is_read_when_it_comes_back);
        $test!(groups, what_a_closed_member_committed_is_where_the_next_one_starts);
    };
}

/// Calls `$test!(module sentence)` for each sentence about topics that change and members that have a name. librdkafka's
/// mock brokers know neither.
macro_rules! sentences_about_membership {
    ($test:ident) => {
        $test!(membership, a_topic_that_comes_late_is_told_missing_and_read_once_it_is_there);
        $test!(membership, partitions_that_are_added_are_given_out_and_what_is_there_stays);
        $test!(membership, who_joins_under_a_name_that_is_taken_throws_its_holder_out);
        $test!(membership, who_comes_back_under_its_name_has_its_partitions_and_nobody_elses_move);
        $test!(membership, a_name_whose_session_is_over_keeps_nothing_from_others);
    };
}

/// Calls `$test!(module sentence)` for each sentence about members that commit in transactions. librdkafka's mock brokers
/// have transactions in name only: what is aborted there is seen.
macro_rules! sentences_about_transactions {
    ($test:ident) => {
        $test!(transactions, the_records_of_a_commit_are_seen_with_its_offsets_and_in_its_order);
        $test!(transactions, a_commit_that_is_refused_leaves_no_record_and_can_be_made_again);
        $test!(transactions, a_commit_of_another_epoch_is_refused_with_its_records);
        $test!(transactions, a_record_too_large_is_named_and_the_rest_can_be_committed_without_it);
        $test!(transactions, records_without_offsets_or_without_transactions_are_refused);
        $test!(transactions, a_close_commits_its_records);
        $test!(transactions, a_partition_comes_only_when_no_open_transaction_commits_for_it);
        $test!(transactions, nothing_behind_an_open_transaction_is_seen);
        $test!(transactions, who_joins_under_an_id_ends_what_its_last_owner_left_open);
        $test!(transactions, a_release_commits_its_records_before_the_partition_moves);
        $test!(transactions, a_member_that_was_thrown_out_by_its_id_goes_on);
    };
}

/// Calls `$test!(module sentence)` for each sentence that takes a script.
macro_rules! sentences_with_a_script {
    ($test:ident) => {
        $test!(scripts, a_lost_partition_cannot_be_committed);
        $test!(scripts, a_commit_of_before_a_loss_is_refused_when_the_partition_came_back);
        $test!(scripts, a_late_release_answers_its_own_revocation_and_not_the_next);
        $test!(scripts, a_revocation_that_ends_during_its_commit_gives_nothing_of_the_next_back);
        $test!(scripts, an_expelled_member_loses_everything_and_joins_anew);
        $test!(scripts, a_member_that_was_expelled_unnoticed_finds_out_by_its_commit);
        $test!(scripts, batches_of_an_ended_epoch_never_carry_the_new_number);
        $test!(scripts, a_batch_that_travels_through_a_revocation_is_told_by_its_epoch);
        $test!(scripts, a_range_can_be_delivered_again);
        $test!(scripts, retention_that_overtakes_a_reader_is_an_offset_out_of_range);
        $test!(scripts, holes_in_the_log_are_passed_over);
        $test!(scripts, reading_what_retention_took_is_an_error_that_names_it);
        $test!(scripts, a_member_asked_for_all_it_has_gets_it_again_in_a_new_epoch);
        $test!(scripts, a_release_hands_over_at_once_and_the_old_owner_reads_no_more);
        $test!(scripts, commits_fail_as_scripted_and_then_work_again);
        $test!(scripts, produces_fail_as_scripted_and_say_whether_the_record_was_written);
        $test!(scripts, a_topic_that_is_down_holds_records_in_order_or_times_them_out);
        $test!(scripts, an_outage_is_trouble_and_passes);
        $test!(scripts, a_dropped_producer_answers_what_it_did_not_write);
        $test!(scripts, a_script_that_misses_its_target_says_so);
    };
}

use {
    sentences_about_membership, sentences_about_transactions, sentences_for_one_member,
    sentences_for_several_members, sentences_with_a_script,
};
