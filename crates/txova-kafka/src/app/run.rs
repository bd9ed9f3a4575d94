//! An app's run, from joining the group to the report.

use std::future::Future;
use std::sync::Arc;

use crate::attempt::Dispatch;
use crate::client_error::ClientError;
use crate::dead_letter::DeadLetterWriter;
use crate::driver::{Driver, LetterPath};
use crate::engine::{CloseReport, StopReason};
use crate::follow::read::OpenLetters;
use crate::redriven::Redriven;

use super::App;
use super::measure::Measure;

/// Why a run ended that nobody asked to end.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the app `{service}` stopped: {reason}")]
#[non_exhaustive]
pub struct RunError {
    /// The service.
    pub service: String,
    /// What happened, with topic, partition and offset where it is about a record.
    pub reason: String,
    /// What became of the work under way.
    pub report: CloseReport,
    /// What the client said, where it was the client.
    pub client: Option<ClientError>,
}

impl RunError {
    pub(crate) fn panicked(service: String) -> Self {
        let reason = "a part of it panicked, which is a bug of this library".to_owned();
        Self { service, reason, report: CloseReport::default(), client: None }
    }
}

impl App {
    /// Runs until [`AppHandle::close`](super::AppHandle::close) or until it cannot go on. An absent broker is no reason
    /// to end: it is said and tried again.
    ///
    /// # Errors
    /// A handler's `stop`, a client that cannot go on, a committed offset that is no longer there.
    ///
    /// # Cancellation
    /// Dropping the future ends the handlers at their next await and leaves the group without a commit: records come
    /// again.
    pub async fn run(self) -> Result<CloseReport, RunError> {
        self.run_through(|handlers| handlers).await
    }

    /// Runs with something between the driver and the handlers.
    pub(crate) async fn run_through(
        self,
        between: impl FnOnce(Arc<dyn Dispatch>) -> Arc<dyn Dispatch>,
    ) -> Result<CloseReport, RunError> {
        let service = self.service.to_string();
        let failed = |error: ClientError, report| RunError {
            service: service.clone(),
            reason: error.to_string(),
            report,
            client: Some(error),
        };
        let group = self.settings.group.clone();
        let dead_letters = DeadLetterWriter::connect(&self.kafka, self.service.clone(), group)
            .map_err(|error| failed(error, CloseReport::default()))?;
        let consumer = &self.kafka.config.consumer;
        let follows = consumer.follow_dead_letters.then(|| {
            OpenLetters::new(self.kafka.clone(), self.settings.group.clone(), consumer.follow_max_letters)
        });
        let measure = Measure::new(&self, dead_letters.producer());
        let member =
            self.kafka.transport.join(self.join).map_err(|error| failed(error, CloseReport::default()))?;
        let dead_letters = Arc::new(dead_letters);
        let letters = match self.settings.publishing {
            None => LetterPath::Acknowledged(dead_letters),
            Some(_) => LetterPath::InTransaction(dead_letters),
        };
        let handlers = between(Arc::new(Redriven::new(self.routes, self.settings.group.clone())));
        let mut driver = Driver::new(self.settings, member, handlers, letters, self.control);
        if let Some(open) = follows {
            driver = driver.following(open);
        }
        let ended = match measure {
            None => driver.run().await,
            Some(measure) => measure.watch(driver).await,
        };
        self.ended.send_replace(true);
        match ended.reason {
            None => Ok(ended.report),
            Some(StopReason::Client(error)) => Err(failed(error, ended.report)),
            Some(reason) => {
                Err(RunError { service, reason: reason.to_string(), report: ended.report, client: None })
            }
        }
    }

    /// Runs until `signal` comes, then closes within the configured `shutdown_timeout_ms`.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Cancellation
    /// As [`run`](Self::run).
    pub async fn run_until(self, signal: impl Future<Output = ()>) -> Result<CloseReport, RunError> {
        let handle = self.handle();
        let limit = self.settings.shutdown_timeout;
        let run = self.run();
        tokio::pin!(run);
        tokio::select! {
            ended = &mut run => return ended,
            () = signal => handle.begin_close(limit),
        }
        run.await
    }
}
