//! Goal: what this library writes and reads is what the Go library writes and reads, on every golden vector.
//! Method: each line of each file of the folder that `TXOVA_GOLDEN_DIR` names (by default the project's own copy) is
//! put through this library and compared with what Go made of it. A difference passes only where its class is one of
//! the crate's table of deliberate differences, and a class that covers no line any more fails the test.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // a test says what it expects by failing

mod differences;
mod dlq;
mod events;
mod lines;
mod reader;
mod small;
mod typed;
