//! A publisher as a part of a service.

use tokio::time::Instant;
use tracing::warn;

use super::{Closer, Component, Doing, Initializer, Named};
use crate::publisher::Publisher;

impl Named for Publisher {
    fn name(&self) -> &str {
        "publisher"
    }
}

impl Initializer for Publisher {
    /// Connects beforehand. A cluster that is away is no reason not to start: events wait in the buffer, and health says
    /// why; one that refuses us is.
    fn init(&self, deadline: Instant) -> Doing<'_> {
        Box::pin(async move {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.warm_up(std::iter::empty::<String>(), left / 2).await {
                Err(error) if !error.is_retriable() => Err(error.into()),
                Err(error) => {
                    warn!(%error, "the publisher starts without a broker");
                    Ok(())
                }
                Ok(()) => Ok(()),
            }
        })
    }
}

impl Closer for Publisher {
    fn close(&self, deadline: Instant) -> Doing<'_> {
        Box::pin(async move {
            let left = deadline.saturating_duration_since(Instant::now());
            let report = Publisher::close(self, left).await;
            if report.is_clean() { Ok(()) } else { Err(report.to_string().into()) }
        })
    }
}

impl Component for Publisher {}
