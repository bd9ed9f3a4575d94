//! What a task says when it cannot do what it was asked: text for a person, never for a program.

use std::fmt;

/// A task's failure: what could not be done, where, and what to do about it.
#[derive(Debug)]
pub struct Failure(String);

/// What every task gives back.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// With what a person should know.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Puts what was being tried in front of what went wrong.
pub trait Context<T> {
    /// `trying` says what, as in «cannot read the file».
    fn context(self, trying: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, trying: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Failure(format!("{}: {error}", trying())))
    }
}
