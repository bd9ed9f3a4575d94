//! The engine by script and by seed. A script reads as given, when, then; `simulation` runs whole worlds from a seed.

#![allow(clippy::single_range_in_vec_init, reason = "a list of one run is what is meant")]

mod attempts;
mod batches;
mod breaker;
mod commits;
mod invariants;
mod known_bugs;
mod leaving;
mod log_changes;
mod order;
mod pause;
mod rate;
mod rig;
mod room;
pub(crate) mod simulation;
mod stuck;
