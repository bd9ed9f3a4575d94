//! What orchestrators and Prometheus ask of a service, over HTTP (feature `http`). It must never know what is checked.
//!
//! | path | answers 200 while | for |
//! |---|---|---|
//! | `/health/live` | the service turns; else only a restart helps | liveness probe |
//! | `/health/ready` | it can do its work | readiness probe |
//! | `/health` | the same, with all details | people |
//! | `/metrics` | always, where a recorder is given | Prometheus |
//!
//! Otherwise 503. What is well and good to know is in a `notice`: an operator's pause, a handler held back. The bodies are
//! JSON:
//! `{"status":"failed","checks":[{"name":"ride-service-group","status":"failed","problem":"…","details":{…}}]}`. They hold
//! neither payloads nor secrets, but topics, offsets and what handlers said: they are for the platform, not for the world.
//!
//! ```no_run
//! use txova_kafka::http::Endpoints;
//! use txova_kafka::lifecycle::Lifecycle;
//! # use txova_kafka::{HandlerError, Kafka, Meta};
//! # async fn charge(meta: Meta) -> Result<(), HandlerError> { Ok(()) }
//!
//! # async fn main_() -> Result<(), Box<dyn std::error::Error>> {
//! let kafka = Kafka::from_env()?;
//! let events = kafka.publisher("payment-service")?;
//! let app = kafka.app("payment-service").state(events.clone()).on("ride.*", charge).build()?;
//! let endpoints = Endpoints::new().check(events.clone()).check(app.handle());
//! let server = endpoints.serve_on("0.0.0.0:9100".parse()?); // or `endpoints.router()` in an axum server of one's own
//! Lifecycle::new().with(server).with(events).with(app.into_service()).run().await;
//! # Ok(())
//! # }
//! ```

mod answer;
mod server;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use self::answer::{Question, answer};
pub use self::server::HttpServer;
use crate::lifecycle::HealthChecker;

/// How long a check may take before it counts as failed. Below the probes' own limits, which are seconds.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

type Render = Arc<dyn Fn() -> String + Send + Sync>;

/// The endpoints of a service. See the [module](self).
#[derive(Clone, Default)]
#[must_use = "nobody can ask until they are served"]
pub struct Endpoints {
    checks: Vec<Arc<dyn HealthChecker>>,
    render: Option<Render>,
}

impl Endpoints {
    /// Without checks a service is always live and ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks this, too.
    pub fn check(mut self, checker: impl HealthChecker + 'static) -> Self {
        self.checks.push(Arc::new(checker));
        self
    }

    /// Answers `/metrics` with this: `.metrics(move || prometheus.render())`.
    pub fn metrics(mut self, render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.render = Some(Arc::new(render));
        self
    }

    /// As routes of an [`axum`] server.
    pub fn router(self) -> Router {
        let checks: Arc<[_]> = self.checks.into();
        let health = |question| {
            let checks = Arc::clone(&checks);
            get(move || answer(Arc::clone(&checks), question))
        };
        let render = self.render;
        Router::new()
            .route("/health/live", health(Question::Live))
            .route("/health/ready", health(Question::Ready))
            .route("/health", health(Question::Everything))
            .route("/metrics", get(move || async move { metrics(render.as_ref()) }))
    }
}

fn metrics(render: Option<&Render>) -> Response {
    match render {
        // Prometheus' text format.
        Some(render) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], render()).into_response(),
        None => (StatusCode::NOT_FOUND, "no recorder was given to the endpoints\n").into_response(),
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.checks.iter().map(|check| check.name())).finish()
    }
}
