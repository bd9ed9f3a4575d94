//! From what was said about an app to one that can run, or to all that is wrong with it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tower_layer::Layer;
use tower_service::Service;

use crate::batch::Batching;
use crate::config::ConsumerConfig;
use crate::driver::DriverSettings;
use crate::engine::{BatchLimits, Retry, Settings};
use crate::handler::Handler;
use crate::kafka::{Kafka, KafkaError};
use crate::outcome::{ErrorClass, HandlerError};
use crate::pulse::Pulse;
use crate::retry_policy::RetryPolicy;
use crate::router::{HandlerRequest, HandlerService, Policy, Router, RouterError, Unexpected};
use crate::transport::JoinOptions;

use super::{App, AppHandle};

/// Says what an app handles and how. [`build`](Self::build) checks everything at once.
#[derive(Debug)]
pub struct AppBuilder {
    kafka: Kafka,
    consumer: ConsumerConfig,
    service: String,
    router: Router,
}

/// All that is wrong with an app.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BuildError {
    /// The service it was for.
    pub service: String,
    /// What is wrong with its handlers.
    pub router: Option<RouterError>,
    /// What is wrong with its settings, or what the client refuses.
    pub kafka: Option<KafkaError>,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the app `{}` cannot be built", self.service)?;
        if let Some(router) = &self.router {
            write!(f, "\n{router}")?;
        }
        if let Some(kafka) = &self.kafka {
            write!(f, "\n{kafka}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BuildError {}

impl AppBuilder {
    pub(crate) fn new(kafka: Kafka, service: String) -> Self {
        Self { consumer: kafka.config.consumer.clone(), kafka, service, router: Router::new() }
    }

    /// See [`Router::handle`].
    pub fn handle<H, Args>(mut self, handler: H) -> Self
    where
        H: Handler<Args>,
    {
        self.router = self.router.handle(handler);
        self
    }

    /// See [`Router::on`].
    pub fn on<H, Args>(mut self, pattern: impl Into<String>, handler: H) -> Self
    where
        H: Handler<Args>,
    {
        self.router = self.router.on(pattern, handler);
        self
    }

    /// See [`Router::named`].
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.router = self.router.named(name);
        self
    }

    /// See [`Router::topics`].
    pub fn topics<T: Into<String>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        self.router = self.router.topics(topics);
        self
    }

    /// See [`Router::batch`].
    pub fn batch(mut self, batching: Batching) -> Self {
        self.router = self.router.batch(batching);
        self
    }

    /// See [`Router::retry`].
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.router = self.router.retry(policy);
        self
    }

    /// See [`Router::classify`].
    pub fn classify(
        mut self,
        class_of: impl Fn(&HandlerError) -> ErrorClass + Send + Sync + 'static,
    ) -> Self {
        self.router = self.router.classify(class_of);
        self
    }

    /// See [`Router::classify_all`].
    pub fn classify_all(
        mut self,
        class_of: impl Fn(&HandlerError) -> ErrorClass + Send + Sync + 'static,
    ) -> Self {
        self.router = self.router.classify_all(class_of);
        self
    }

    /// See [`Router::layer`].
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<HandlerService> + Send + Sync + 'static,
        L::Service: Service<HandlerRequest, Response = ()> + Clone + Send + Sync + 'static,
        <L::Service as Service<HandlerRequest>>::Error: Into<HandlerError>,
        <L::Service as Service<HandlerRequest>>::Future: Send,
    {
        self.router = self.router.layer(layer);
        self
    }

    /// See [`Router::layer_all`].
    pub fn layer_all<L>(mut self, layer: L) -> Self
    where
        L: Layer<HandlerService> + Send + Sync + 'static,
        L::Service: Service<HandlerRequest, Response = ()> + Clone + Send + Sync + 'static,
        <L::Service as Service<HandlerRequest>>::Error: Into<HandlerError>,
        <L::Service as Service<HandlerRequest>>::Future: Send,
    {
        self.router = self.router.layer_all(layer);
        self
    }

    /// See [`Router::state`].
    pub fn state<S: Clone + Send + Sync + 'static>(mut self, state: S) -> Self {
        self.router = self.router.state(state);
        self
    }

    /// See [`Router::catalogue`].
    pub fn catalogue<E, T, Topics>(mut self, types: impl IntoIterator<Item = (E, Topics)>) -> Self
    where
        E: Into<String>,
        T: Into<String>,
        Topics: IntoIterator<Item = T>,
    {
        self.router = self.router.catalogue(types);
        self
    }

    /// See [`Router::unexpected`].
    pub fn unexpected(mut self, kind: Unexpected, policy: Policy) -> Self {
        self.router = self.router.unexpected(kind, policy);
        self
    }

    /// Changes the consumer's settings for this app.
    pub fn consumer(mut self, edit: impl FnOnce(&mut ConsumerConfig)) -> Self {
        edit(&mut self.consumer);
        self
    }

    /// Checks handlers and settings.
    ///
    /// # Errors
    /// All that is wrong, at once, each with the setting it is about.
    pub fn build(self) -> Result<App, BuildError> {
        let Self { kafka, mut consumer, service, router } = self;
        consumer.group.get_or_insert_with(|| format!("{service}-group"));
        let kafka = kafka.with(|config| config.consumer = consumer).and_then(|kafka| {
            kafka.config.validate_consumer()?;
            Ok(kafka)
        });
        let (routes, kafka) = match (router.build(), kafka) {
            (Ok(routes), Ok(kafka)) => (routes, kafka),
            (routes, kafka) => {
                return Err(BuildError { service, router: routes.err(), kafka: kafka.err() });
            }
        };
        let consumer = &kafka.config.consumer;
        let group: Arc<str> = consumer.group.clone().unwrap_or_default().into();
        let mut settings = driver_settings(consumer, group.clone());
        settings.engine.batches = routes.batches().iter().map(limits).collect();
        let retry = &settings.engine.retry;
        settings.engine.retry_of = routes.retries().map(|(by, policy)| (by, policy.over(retry))).collect();
        let pulse = Pulse::default();
        let join = JoinOptions {
            group: group.to_string(),
            topics: routes.topics().to_vec(),
            start: consumer.auto_offset_reset,
            out_of_range: consumer.out_of_range,
            max_poll_records: consumer.max_poll_records,
            // The engine answers before the client gives the partitions up alone.
            revoke_timeout: settings.revoke_timeout + Duration::from_secs(5),
            transactions: None,
            pulse: pulse.clone(),
        };
        let (sender, control) = mpsc::unbounded_channel();
        let (ended, ends) = watch::channel(false);
        let handle = AppHandle::new(settings.group.clone(), sender, ends, pulse);
        Ok(App { service: service.into(), routes, settings, join, handle, control, ended, kafka })
    }
}

fn limits(batching: &Batching) -> BatchLimits {
    let Batching { max_size: max_records, max_wait_ms, max_bytes } = *batching;
    BatchLimits { max_records, max_bytes, max_wait: Duration::from_millis(max_wait_ms) }
}

fn driver_settings(consumer: &ConsumerConfig, group: Arc<str>) -> DriverSettings {
    let ms = Duration::from_millis;
    DriverSettings {
        engine: Settings {
            order: consumer.order,
            concurrency: consumer.concurrency,
            max_in_flight_records: consumer.max_in_flight_records,
            max_in_flight_bytes: consumer.max_in_flight_bytes,
            retry: Retry {
                max_retries: consumer.max_retries,
                backoff: ms(consumer.retry_backoff_ms),
                max_backoff: ms(consumer.retry_backoff_max_ms),
                jitter: consumer.retry_backoff_jitter,
                max_elapsed: consumer.retry_max_elapsed_ms.map(ms),
                seed: u64::from(std::process::id()),
            },
            commit_every_records: consumer.commit_every_records,
            commit_interval: ms(consumer.commit_interval_ms),
            ..Settings::default()
        },
        group,
        processing_timeout: ms(consumer.processing_timeout_ms),
        revoke_timeout: ms(consumer.revoke_timeout_ms),
        shutdown_timeout: ms(consumer.shutdown_timeout_ms),
    }
}
