//! Goal: every command does what its help says, as a person or a script finds it: what it prints, where, and its exit code.
//! Method: the binary itself, without a Kafka, on the mock cluster, and on the Kafka that TXOVA_KAFKA_BROKERS names.

#![allow(clippy::unwrap_used)] // a test says what it expects by failing

mod events;
mod run;
