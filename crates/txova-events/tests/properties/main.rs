//! Goal: any value survives being written and read, and no bytes make a reader panic.
//! Method: values and bytes are drawn by proptest, which prints the smallest failing case and its seed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // a test says what it expects by failing

mod bytes;
mod strategies;
mod values;
