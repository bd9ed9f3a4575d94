//! A service's consumer: its handlers, its group, its run from start to close. It puts router, engine and client
//! together and must never decide about a record itself.

mod build;
mod handle;
mod measure;
mod range;
mod run;
mod signal;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::driver::{Control, DriverSettings};
use crate::kafka::Kafka;
use crate::router::Routes;
use crate::transport::JoinOptions;

pub use self::build::{AppBuilder, BuildError};
pub use self::handle::{AppHandle, AppStatus, UnknownTopic};
pub use self::range::{FailedRecord, RangeEnd, RangePart, RangeReport, RangeStart, RunRange};
pub use self::run::RunError;
pub use self::signal::shutdown_signal;

/// A consumer app, checked and ready to run.
///
/// ```no_run
/// use txova_events::events::RideCompleted;
/// use txova_kafka::{Event, HandlerError, Kafka};
///
/// async fn charge(Event(ride): Event<RideCompleted>) -> Result<(), HandlerError> {
///     println!("{} costs {}", ride.ride_id, ride.fare);
///     Ok(())
/// }
///
/// # async fn main_() -> Result<(), Box<dyn std::error::Error>> {
/// let app = Kafka::from_env()?.app("payment-service").handle(charge).build()?;
/// let report = app.run_until(txova_kafka::shutdown_signal()).await?;
/// println!("{} handlers ended in time, {} did not", report.drained, report.abandoned.len());
/// # Ok(())
/// # }
/// ```
pub struct App {
    pub(crate) service: Arc<str>,
    pub(crate) kafka: Kafka,
    pub(crate) routes: Routes,
    pub(crate) settings: DriverSettings,
    join: JoinOptions,
    handle: AppHandle,
    control: mpsc::UnboundedReceiver<Control>,
    ended: watch::Sender<bool>,
}

impl App {
    /// For closing the app and asking how it is, from elsewhere.
    pub fn handle(&self) -> AppHandle {
        self.handle.clone()
    }

    /// The consumer group.
    pub fn group(&self) -> &str {
        &self.join.group
    }

    /// The topics it subscribes to.
    pub fn topics(&self) -> &[String] {
        &self.join.topics
    }

    /// Its handlers.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("service", &self.service)
            .field("group", &self.join.group)
            .field("topics", &self.join.topics)
            .finish_non_exhaustive()
    }
}
