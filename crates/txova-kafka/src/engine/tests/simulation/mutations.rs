//! The simulation is worth something only if it sees a broken engine: each mutation is caught within so many seeds.

use std::panic::catch_unwind;

use super::run;
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

/// The first seed whose world shows the fault, and how.
fn caught(mutation: Mutation) -> Option<(u64, String)> {
    (0..SEEDS).find_map(|seed| {
        let story = catch_unwind(|| {
            break_engine(Some(mutation));
            run(seed)
        });
        break_engine(None);
        match story {
            Ok(Ok(_)) => None,
            Ok(Err(violation)) => Some((seed, violation)),
            Err(_) => Some((seed, "the engine panicked".into())),
        }
    })
}

#[test]
fn every_fault_put_into_the_engine_is_seen() {
    let stories: Vec<_> = ALL.into_iter().map(|mutation| (mutation, caught(mutation))).collect();
    for (mutation, story) in &stories {
        match story {
            Some((seed, violation)) => eprintln!("{mutation:?}: seed {seed}: {violation}"),
            None => eprintln!("{mutation:?}: not seen"),
        }
    }
    let unseen: Vec<_> =
        stories.iter().filter(|(_, story)| story.is_none()).map(|(mutation, _)| mutation).collect();
    assert_eq!(unseen.len(), 0, "not seen within {SEEDS} seeds: {unseen:?}");
}
