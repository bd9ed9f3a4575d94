//! How a life ended: why, and what became of each step. Knows nothing of how it went on.

use std::fmt;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// How a service's life went.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LifecycleReport {
    /// Why it ended.
    pub cause: Cause,
    /// Every step, in the order they were taken.
    pub steps: Vec<StepReport>,
}

/// Why a service's life ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// It was asked to: `SIGTERM`, `SIGINT`, or by the caller.
    Asked(&'static str),
    /// A part did not start.
    NotStarted(Arc<str>),
    /// A part ended without being asked to.
    PartEnded(Arc<str>, Ended),
}

/// One step of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepReport {
    /// The part's name.
    pub name: Arc<str>,
    /// Which step.
    pub kind: StepKind,
    /// What it came to.
    pub ended: Ended,
    /// How long it took.
    pub took: Duration,
}

/// The steps there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// Making ready.
    Init,
    /// Closing.
    Close,
}

/// What a step, or a part's work, came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// As it should.
    Well,
    /// With an error, as text with its causes.
    Failed(String),
    /// With a panic, as text.
    Panicked(String),
    /// Not by its deadline: it was left behind.
    TimedOut,
    /// Not at all: the service was asked to stop, or to stop at once, before it came to an end.
    CutShort,
}

impl LifecycleReport {
    /// Whether it ended because it was asked to, and every step went as it should.
    pub fn is_clean(&self) -> bool {
        let ended_well = matches!(self.cause, Cause::Asked(_) | Cause::PartEnded(_, Ended::Well));
        ended_well && self.failures().next().is_none()
    }

    /// The steps that did not go as they should.
    pub fn failures(&self) -> impl Iterator<Item = &StepReport> {
        self.steps.iter().filter(|step| step.ended != Ended::Well)
    }

    /// 0 where [`is_clean`](Self::is_clean), else 1.
    pub fn exit_code(&self) -> ExitCode {
        if self.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl fmt::Display for LifecycleReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Asked(by) => write!(f, "ended by {by}")?,
            Cause::NotStarted(name) => write!(f, "ended because {name} did not start")?,
            Cause::PartEnded(name, Ended::Well) => write!(f, "ended because {name} did")?,
            Cause::PartEnded(name, ended) => write!(f, "ended because {name} {ended}")?,
        }
        for step in self.failures() {
            write!(f, "; {} {} {}", step.kind, step.name, step.ended)?;
            if step.ended == Ended::TimedOut {
                write!(f, " ({:.1} s)", step.took.as_secs_f64())?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "starting",
            Self::Close => "closing",
        })
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Well => f.write_str("went well"),
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Panicked(text) => write!(f, "panicked: {text}"),
            Self::TimedOut => f.write_str("did not end in time"),
            Self::CutShort => f.write_str("was cut short"),
        }
    }
}
