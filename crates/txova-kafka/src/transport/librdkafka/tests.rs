//! The client against librdkafka's mock cluster, and against a real one where `TXOVA_KAFKA_BROKERS` names it.

mod harness;
mod members;
mod producing;
mod questions;
mod reading;
mod real;
mod speed;
