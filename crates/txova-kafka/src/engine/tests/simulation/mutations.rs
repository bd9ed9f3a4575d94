//! The simulation is worth something only if it sees a broken engine: each mutation is caught within so many seeds.

use super::run;
use super::worlds::all_are_seen;
use crate::engine::mutation::{Mutation, break_engine};

const SEEDS: u64 = 200;

const ALL: [Mutation; 40] = [
    Mutation::CommitsPastUnsettled,
    Mutation::CommitsUnrunWhenLeaving,
    Mutation::FreesKeyInBackOff,
    Mutation::ForgetsMapAtAssignment,
    Mutation::ForgetsMapNotRefetched,
    Mutation::TakesRecordsOfOldEpochs,
    Mutation::TakesLateOutcomes,
    Mutation::SettlesUnwrittenDeadLetters,
    Mutation::StartsWhilePinned,
    Mutation::HandlesAgainWhenDeadLetterFails,
    Mutation::ForgetsAttemptsAtAssignment,
    Mutation::NeighbourResetsAttempts,
    Mutation::IgnoresLimits,
    Mutation::WaitsAtGaps,
    Mutation::TakesDuplicates,
    Mutation::StartsWhileLeaving,
    Mutation::CloseIgnoresDeadline,
    Mutation::NeverResumes,
    Mutation::ForgetsRefusedCommits,
    Mutation::KeepsLostPartitions,
    Mutation::BatchesWaitToBeFull,
    Mutation::BatchesHaveNoEnd,
    Mutation::BatchesOvertake,
    Mutation::BatchSettlesFailed,
    Mutation::BatchFreesKey,
    Mutation::BatchSpoilsAll,
    Mutation::GivesBackDuringTransaction,
    Mutation::OverfillsTransactions,
    Mutation::NeverHoldsBack,
    Mutation::DeadLettersTheOutage,
    Mutation::StartsTheHeld,
    Mutation::ForgetsTheHeld,
    Mutation::NeverProbes,
    Mutation::ProbesTheSameAgain,
    Mutation::HealsByAnySuccess,
    Mutation::StartsWhilePaused,
    Mutation::ForgetsPausesAtAssignment,
    Mutation::ForgetsWhatWasPaused,
    Mutation::IgnoresRate,
    Mutation::SleepsOnWhenThrottled,
];

#[test]
fn every_fault_put_into_the_engine_is_seen() {
    all_are_seen(&ALL, SEEDS, break_engine, run);
}
