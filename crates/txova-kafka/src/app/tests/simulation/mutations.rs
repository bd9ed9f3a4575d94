//! The simulation is worth something only if it sees a broken driver: each mutation is caught within so many seeds.

use std::panic::catch_unwind;

use super::run;
use crate::driver::mutation::{Mutation, break_driver};

const SEEDS: u64 = 60;

const ALL: [Mutation; 23] = [
    Mutation::DropsFailures,
    Mutation::PanicsAreFine,
    Mutation::NeverTimesOut,
    Mutation::StartsTwice,
    Mutation::DropsHeldRecords,
    Mutation::IgnoresLost,
    Mutation::IgnoresRevoked,
    Mutation::ReleasesAtOnce,
    Mutation::NeverCancels,
    Mutation::NeverTells,
    Mutation::BelievesRefusedCommits,
    Mutation::ForgetsCommitAnswers,
    Mutation::BelievesUnwrittenDeadLetters,
    Mutation::ForgetsRefusedDeadLetters,
    Mutation::ClosesWithoutCommit,
    Mutation::NeverWakes,
    Mutation::ForgetsResumes,
    Mutation::MixesEpochs,
    Mutation::RunsTheHeld,
    Mutation::IgnoresPauses,
    Mutation::ForgetsPartialFailures,
    Mutation::FollowsNothing,
    Mutation::StartsUnread,
];

/// The first seed whose world shows the fault, and how.
fn caught(mutation: Mutation) -> Option<(u64, String)> {
    (0..SEEDS).find_map(|seed| {
        let story = catch_unwind(|| {
            break_driver(Some(mutation));
            run(seed)
        });
        break_driver(None);
        match story {
            Ok(Ok(_)) => None,
            Ok(Err(violation)) => Some((seed, violation)),
            Err(_) => Some((seed, "something panicked".into())),
        }
    })
}

#[test]
fn every_fault_put_into_the_driver_is_seen() {
    let stories: Vec<_> = ALL.into_iter().map(|mutation| (mutation, caught(mutation))).collect();
    for (mutation, story) in &stories {
        match story {
            Some((seed, violation)) => {
                let first = violation.lines().next().unwrap_or_default();
                eprintln!("{mutation:?}: seed {seed}: {first}");
            }
            None => eprintln!("{mutation:?}: not seen"),
        }
    }
    let unseen: Vec<_> =
        stories.iter().filter(|(_, story)| story.is_none()).map(|(mutation, _)| mutation).collect();
    assert_eq!(unseen.len(), 0, "not seen within {SEEDS} seeds: {unseen:?}");
}
