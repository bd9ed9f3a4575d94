//! A service's life: what it is made of starts in order, runs until a signal or until one of it fails, and stops in
//! reverse, each step within its time. It must never know what a part is.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use txova_kafka::lifecycle::Lifecycle;
//! # use txova_kafka::{HandlerError, Kafka, Meta};
//! # async fn charge(meta: Meta) -> Result<(), HandlerError> { Ok(()) }
//!
//! #[tokio::main]
//! async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
//!     let kafka = Kafka::from_env()?;
//!     let events = kafka.publisher("payment-service")?;
//!     let app = kafka.app("payment-service").state(events.clone()).on("ride.*", charge).build()?;
//!     let report = Lifecycle::new().with(events).with(app.into_service()).run().await;
//!     eprintln!("{report}"); // why it ended, and who did not make it
//!     Ok(report.exit_code())
//! }
//! ```
//!
//! A part of one's own says its name and what it has to do, by a deadline:
//!
//! ```
//! use tokio::time::Instant;
//! use txova_kafka::lifecycle::{Closer, Doing, Named};
//!
//! struct Sessions;
//!
//! impl Named for Sessions {
//!     fn name(&self) -> &str {
//!         "sessions"
//!     }
//! }
//!
//! impl Closer for Sessions {
//!     fn close(&self, deadline: Instant) -> Doing<'_> {
//!         Box::pin(async move { Ok(()) })
//!     }
//! }
//! ```

mod app;
mod health;
mod publisher;
mod report;
mod runner;
mod signals;
mod step;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::future::Future;
use std::pin::Pin;

use tokio::time::Instant;

pub use self::app::AppService;
pub use self::health::{Checked, Checking, HealthChecker};
pub use self::report::{Cause, Ended, LifecycleReport, StepKind, StepReport};
pub use self::runner::Lifecycle;

/// Whatever went wrong in a part.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A step of a part, ready to be awaited.
pub type Doing<'a> = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send + 'a>>;

/// Something with a name, for reports and logs.
pub trait Named: Send + Sync {
    /// The name: short, the same each time, no two alike.
    fn name(&self) -> &str;
}

/// Something that has to be made ready before a service can work.
pub trait Initializer: Named {
    /// Makes it ready, by `deadline`.
    ///
    /// # Cancellation
    /// The future is dropped shortly after the deadline, or where the service is asked to stop; then nothing must be left
    /// that has to be closed.
    fn init(&self, deadline: Instant) -> Doing<'_>;
}

/// Something that has to be closed before a service may end.
pub trait Closer: Named {
    /// Closes it, by `deadline`. A second call must do no harm.
    ///
    /// # Cancellation
    /// The future is dropped shortly after the deadline, or at a second signal.
    fn close(&self, deadline: Instant) -> Doing<'_>;
}

/// Something that is made ready, works, and is closed.
pub trait Component: Initializer + Closer {
    /// Comes back when the work has ended without being asked to; an error says why. Most things never do.
    fn ended(&self) -> Doing<'_> {
        Box::pin(std::future::pending())
    }
}
