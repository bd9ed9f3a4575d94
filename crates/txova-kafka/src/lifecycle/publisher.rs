//! A publisher as a part of a service.

use tokio::time::Instant;
use tracing::warn;

use super::{Checked, Checking, Closer, Component, Doing, HealthChecker, Initializer, Named};
use crate::publisher::{BreakerState, BufferFill, Publisher, PublisherHealth};

impl Named for Publisher {
    fn name(&self) -> &str {
        "publisher"
    }
}

impl Initializer for Publisher {
    /// Connects beforehand, and fetches the producer's id and the places of the topics it
    /// [expects](Publisher::expect_topics). A cluster that is away is no reason not to start: events wait in the buffer, and health says
    /// why; one that refuses us is.
    fn init(&self, deadline: Instant) -> Doing<'_> {
        Box::pin(async move {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.warm_up(self.expected_topics(), left / 2).await {
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

impl HealthChecker for Publisher {
    /// It is ready while new events can be expected to get through.
    fn check(&self, deadline: Instant) -> Checking<'_> {
        Box::pin(async move {
            let left = deadline.saturating_duration_since(Instant::now());
            let health = self.check_health(left / 2).await;
            let checked = match health.is_ready() {
                true => Checked::well(),
                false => Checked::failed(problem(&health)),
            };
            checked.with(health)
        })
    }
}

fn problem(health: &PublisherHealth) -> String {
    let trouble = health.last_trouble.as_ref().or(health.last_error.as_ref());
    let trouble = trouble.map(|trouble| format!(": {}", trouble.message)).unwrap_or_default();
    if health.is_closed {
        "it is closed".to_owned()
    } else if health.breaker == BreakerState::Open {
        format!("the circuit is open{trouble}")
    } else if health.is_reachable == Some(false) {
        format!("no broker answers{trouble}")
    } else {
        let BufferFill { records, records_limit, waiting, .. } = health.buffer;
        format!(
            "the buffer is full: {records} of {records_limit} records, and {waiting} calls wait for a place"
        )
    }
}
