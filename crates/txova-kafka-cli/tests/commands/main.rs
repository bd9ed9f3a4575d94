//! Goal: every command does what its help says, as a person or a script finds it: what it prints, where, and its exit code.
//! Method: the binary itself, without a Kafka, on the mock cluster that `dev` keeps up, and on the Kafka that
//! TXOVA_KAFKA_BROKERS names.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

mod clusters;
mod connection;
mod dev;
mod dlq;
mod doctor;
mod events;
mod groups;
mod help;
mod lag;
mod pages;
mod publish;
mod run;
mod screen;
mod soak;
mod tail;
mod topics;
