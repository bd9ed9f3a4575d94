//! The contract as tables: what every value type can do, which rule names which field, how topics are laid out.
#![allow(clippy::panic)] // a test says what it expects by failing

mod envelope;
mod topics;
mod values;
