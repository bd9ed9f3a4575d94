//! The simulation is worth something only if it sees a broken driver: each mutation is caught within so many seeds.

use super::run;
use crate::driver::mutation::{Mutation, break_driver};
use crate::engine::tests::simulation::worlds::all_are_seen;

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

#[test]
fn every_fault_put_into_the_driver_is_seen() {
    all_are_seen(&ALL, SEEDS, break_driver, run);
}
