//! How parts say how they are. It must never know who asks.

use std::future::Future;
use std::pin::Pin;

use tokio::time::Instant;

use super::Named;

/// A check, ready to be awaited.
pub type Checking<'a> = Pin<Box<dyn Future<Output = Checked> + Send + 'a>>;

/// Something that can say how it is.
pub trait HealthChecker: Named {
    /// Whether it can do its work, by `deadline`. Where not, whoever sends work here should not.
    ///
    /// # Cancellation
    /// The future may be dropped at any time.
    fn check(&self, deadline: Instant) -> Checking<'_>;

    /// Whether it is alive at all. Where not, only a restart helps; what is away elsewhere is no reason.
    ///
    /// # Cancellation
    /// As [`check`](Self::check).
    fn check_live(&self, deadline: Instant) -> Checking<'_> {
        let _ = deadline;
        Box::pin(std::future::ready(Checked::well()))
    }
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Checked {
    /// What is wrong, where something is.
    pub problem: Option<String>,
    /// What is no problem and good to know, such as an operator's pause.
    pub notice: Option<String>,
    /// More for whoever reads it.
    pub details: Option<serde_json::Value>,
}

impl Checked {
    /// Nothing is wrong.
    pub fn well() -> Self {
        Self::default()
    }

    /// This is wrong.
    pub fn failed(problem: impl Into<String>) -> Self {
        Self { problem: Some(problem.into()), ..Self::default() }
    }

    /// With a notice.
    pub fn noting(mut self, notice: impl Into<Option<String>>) -> Self {
        self.notice = notice.into();
        self
    }

    /// With details. What cannot be written as JSON is left out.
    pub fn with(mut self, details: impl serde::Serialize) -> Self {
        self.details = serde_json::to_value(details).ok();
        self
    }

    /// Whether nothing is wrong.
    pub fn is_well(&self) -> bool {
        self.problem.is_none()
    }
}
