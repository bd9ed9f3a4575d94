//! The simulation is worth something only if it sees a broken driver: each mutation is caught within so many seeds.

use super::run;
use crate::driver::mutation::{Mutation, break_driver};
use crate::engine::tests::simulation::worlds::all_are_seen;

const SEEDS: u64 = 60;

const ALL: [Mutation; 8] = [
    Mutation::PublishesFailedAttempts,
    Mutation::ForgetsLetters,
    Mutation::OutputsOutliveTheirAssignment,
    Mutation::CommitsUncovered,
    Mutation::ReversesOutputs,
    Mutation::ForgetsAborted,
    Mutation::CommitsTwice,
    Mutation::BelievesRefusedCommits,
];

#[test]
fn every_fault_put_into_what_is_published_is_seen() {
    all_are_seen(&ALL, SEEDS, break_driver, run);
}
