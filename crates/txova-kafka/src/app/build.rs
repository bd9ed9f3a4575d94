//! From what was said about an app to one that can run, or to all that is wrong with it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tower_layer::Layer;
use tower_service::Service;
use uuid::Uuid;

use crate::batch::Batching;
use crate::config::ConsumerConfig;
use crate::driver::DriverSettings;
use crate::engine::{BatchLimits, BreakerSettings, Retry, Settings};
use crate::extract::Publishing;
use crate::handler::Handler;
use crate::kafka::{Kafka, KafkaError};
use crate::outcome::{ErrorClass, HandlerError};
use crate::pulse::Pulse;
use crate::retry_policy::RetryPolicy;
use crate::router::{HandlerRequest, HandlerService, Policy, Router, RouterError, Unexpected};
use crate::transport::{JoinOptions, Transactions};

use super::{App, AppHandle};

/// Says what an app handles and how. [`build`](Self::build) checks everything at once.
#[derive(Debug)]
pub struct AppBuilder {
    kafka: Kafka,
    consumer: ConsumerConfig,
    service: String,
    router: Router,
    exactly_once: Option<String>,
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
        Self {
            consumer: kafka.config.consumer.clone(),
            kafka,
            service,
            router: Router::new(),
            exactly_once: None,
        }
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

    /// Commits in transactions: what handlers publish through [`Tx`](crate::Tx), the dead letters of this app and the
    /// offsets of what it has read are written together or not at all. So each record read leaves what it causes once,
    /// through failures, crashes, rebalances, and brokers that do not answer, for whoever reads it with
    /// `isolation.level=read_committed`, which is the default here.
    ///
    /// `id` is the same for every instance of the service, and no other service's: with the instance behind it, it becomes
    /// Kafka's `transactional.id`. The instance is `consumer.group_instance_id` where it is set, else a random one for each
    /// process. Instances need not know each other, since the group fences those that are thrown out. A process that dies
    /// can leave a transaction open; `consumer.transaction_timeout_ms` later the brokers abort it, and a restart under the
    /// same `group_instance_id` does so at once.
    ///
    /// A transaction has at most `commit_every_records` records, twice that behind one that was aborted, and begins at most
    /// `commit_interval_ms` after the first of them is done. Handlers go on meanwhile, for one transaction more.
    ///
    /// What it does not cover:
    /// - What a handler does elsewhere: a database, a call to another service. A handler still runs more than once for a
    ///   record where something fails, and what it does there must bear that (by the event's id, for instance).
    /// - What a handler publishes with a [`Publisher`](crate::publisher::Publisher): that is sent at once, whatever becomes
    ///   of the attempt, and again with the next one. It stays right for what should be told in any case.
    /// - [`run_range`](App::run_range), which has no offset to commit with: it writes at least once. [`App::replay`] is
    ///   refused for the same reason; letters that are sent back to their topics are handled exactly once.
    /// - A layer that calls the handler several times in one attempt: all of its calls count.
    ///
    /// A topic that is not there, or may not be written to, holds the whole app up until it can be written, dead-letter
    /// topics among them: its transactions have no parts. [`AppHandle::status`] says why. An event that is too large for
    /// its topic holds nothing up: the record that caused it becomes a dead letter.
    pub fn exactly_once(mut self, id: impl Into<String>) -> Self {
        self.exactly_once = Some(id.into());
        self.router = self.router.in_transactions();
        self
    }

    /// Checks handlers and settings.
    ///
    /// # Errors
    /// All that is wrong, at once, each with the setting it is about.
    pub fn build(self) -> Result<App, BuildError> {
        let Self { kafka, mut consumer, service, router, exactly_once } = self;
        consumer.group.get_or_insert_with(|| format!("{service}-group"));
        let kafka = kafka.with(|config| config.consumer = consumer).and_then(|kafka| {
            kafka.config.validate_consumer()?;
            if let Some(id) = &exactly_once {
                kafka.config.validate_exactly_once(id)?;
            }
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
        let transactions = exactly_once.map(|id| transactions(&id, consumer));
        if transactions.is_some() {
            settings.engine.transactions = true;
            let publisher = &kafka.config.publisher;
            settings.publishing = Some(Arc::new(Publishing {
                source: service.as_str().into(),
                max_message_bytes: publisher.max_message_bytes,
                max_attempt_bytes: publisher.buffer_bytes,
            }));
        }
        let join = JoinOptions {
            group: group.to_string(),
            topics: routes.topics().to_vec(),
            instance: consumer.group_instance_id.clone(),
            start: consumer.auto_offset_reset,
            out_of_range: consumer.out_of_range,
            max_poll_records: consumer.max_poll_records,
            // The engine answers before the client gives the partitions up alone.
            revoke_timeout: settings.revoke_timeout + Duration::from_secs(5),
            pulse: pulse.clone(),
            transactions,
        };
        let (sender, control) = mpsc::unbounded_channel();
        let (ended, ends) = watch::channel(false);
        let topics = routes.topics().iter().map(|topic| Arc::from(topic.as_str())).collect();
        let handle = AppHandle::new(settings.group.clone(), topics, sender, ends, pulse);
        Ok(App { service: service.into(), routes, settings, join, handle, control, ended, kafka })
    }
}

/// Two instances must not have the same id while they live; one that lives again should.
fn transactions(id: &str, consumer: &ConsumerConfig) -> Transactions {
    let instance = consumer.group_instance_id.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
    let timeout = Duration::from_millis(consumer.transaction_timeout_ms);
    Transactions { id: format!("{id}-{instance}"), timeout }
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
            rate_limit_per_second: consumer.rate_limit_per_second,
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
            breaker: consumer.breaker_enabled.then_some(BreakerSettings {
                failures: consumer.breaker_failures,
                keys: consumer.breaker_keys,
                share: consumer.breaker_share,
                probe_max: ms(consumer.breaker_probe_max_ms),
            }),
            // What a handler is given is not too long for it.
            stuck_after: ms(consumer.stuck_after_ms.max(consumer.processing_timeout_ms)),
            commit_every_records: consumer.commit_every_records,
            commit_interval: ms(consumer.commit_interval_ms),
            ..Settings::default()
        },
        group,
        processing_timeout: ms(consumer.processing_timeout_ms),
        revoke_timeout: ms(consumer.revoke_timeout_ms),
        shutdown_timeout: ms(consumer.shutdown_timeout_ms),
        publishing: None,
    }
}
