//! Prometheus as the recorder (feature `prometheus`). The only place that knows an exporter.

use std::fmt;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::SECONDS_BUCKETS;

/// What histograms have collected is counted so often where nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Keeps what this process measures, for `/metrics`. Cheap to clone.
///
/// ```no_run
/// use txova_kafka::metrics::Prometheus;
///
/// # async fn main_() -> Result<(), Box<dyn std::error::Error>> {
/// let prometheus = Prometheus::install()?; // before publishers and apps are made
/// println!("{}", prometheus.render());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Prometheus {
    handle: PrometheusHandle,
}

/// Why there is no recorder: there is one already, or no tokio runtime to look after it.
#[derive(Debug, thiserror::Error)]
#[error("Prometheus cannot be this process's recorder: {0}")]
pub struct PrometheusError(String);

impl Prometheus {
    /// Makes it the recorder of this process, with [`SECONDS_BUCKETS`] for durations. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// A recorder that was installed before, no runtime.
    pub fn install() -> Result<Self, PrometheusError> {
        let runtime = tokio::runtime::Handle::try_current();
        let runtime = runtime.map_err(|error| PrometheusError(error.to_string()))?;
        let builder = builder().map_err(|error| PrometheusError(error.to_string()))?;
        let handle = builder.install_recorder().map_err(|error| PrometheusError(error.to_string()))?;
        let kept_up = handle.clone();
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                kept_up.run_upkeep();
            }
        });
        Ok(Self { handle })
    }

    /// Everything as Prometheus reads it.
    pub fn render(&self) -> String {
        self.handle.render()
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    let durations = Matcher::Suffix("_duration_seconds".to_owned());
    PrometheusBuilder::new().set_buckets_for_metric(durations, &SECONDS_BUCKETS)
}

impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prometheus")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MetricsConfig;
    use crate::metrics::{LAG, Namespace, PUBLISH_SECONDS};

    #[test]
    fn durations_are_histograms_with_the_target_among_their_bounds_and_everything_says_what_it_is() {
        let recorder = builder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let config =
                MetricsConfig { subsystem: Some("ride_service".to_owned()), ..MetricsConfig::default() };
            let namespace = Namespace::new(&config);
            namespace.histogram(&PUBLISH_SECONDS, &["rides.v1"]).record(0.03);
            namespace.gauge(&LAG, &["rides.v1", "0", "ride-service-group"]).set(7.0);
        });
        let text = recorder.handle().render();
        for line in [
            "# TYPE txova_ride_service_kafka_publish_duration_seconds histogram",
            "txova_ride_service_kafka_publish_duration_seconds_bucket{topic=\"rides.v1\",le=\"0.025\"} 0",
            "txova_ride_service_kafka_publish_duration_seconds_bucket{topic=\"rides.v1\",le=\"0.05\"} 1",
            "# HELP txova_ride_service_kafka_consumer_lag How far is the group behind the end of the log? \
             The target is under 1,000.",
            "txova_ride_service_kafka_consumer_lag{topic=\"rides.v1\",partition=\"0\",group=\"ride-service-group\"} 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
