//! Tells the recorder how a running app is, once a second, and asks the brokers now and then how far their logs go. It
//! must never hold the app up.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::{BoxFuture, OptionFuture};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::debug;

use crate::client_error::ClientError;
use crate::driver::{Driver, Ended};
use crate::metrics::{ConsumerMetrics, HandlerMetrics, Namespace};
use crate::record::TopicPartition;
use crate::transport::Producer;

use super::{App, AppHandle};

const EVERY: Duration = Duration::from_secs(1);

pub(super) struct Measure {
    metrics: ConsumerMetrics,
    handlers: Arc<HandlerMetrics>,
    app: AppHandle,
    /// Whose connections the questions go over.
    producer: Arc<dyn Producer>,
    /// How often the logs' ends are asked for; `None` is never.
    lag_interval: Option<Duration>,
}

type Ends = BoxFuture<'static, (Vec<TopicPartition>, Result<Vec<i64>, ClientError>)>;

impl Measure {
    /// `None` where nobody listens.
    pub(super) fn new(app: &App, producer: Arc<dyn Producer>) -> Option<Self> {
        if !Namespace::is_heard() {
            return None;
        }
        let (config, group) = (&app.kafka.config.metrics, app.settings.group.clone());
        let namespace = Namespace::new(config);
        let names = app.routes.handlers().map(|(_, name)| name);
        let handlers = Arc::new(HandlerMetrics::new(&namespace, &group, names));
        let lag_interval = Duration::from_millis(config.lag_interval_ms);
        Some(Self {
            metrics: ConsumerMetrics::new(namespace, group),
            handlers,
            app: app.handle(),
            producer,
            lag_interval: Some(lag_interval).filter(|interval| !interval.is_zero()),
        })
    }

    /// Runs the driver, and looks at it meanwhile.
    pub(super) async fn watch(mut self, driver: Driver) -> Ended {
        let driver = driver.measured(self.handlers.clone());
        let ended = tokio::select! {
            biased;
            ended = driver.run() => ended,
            never = self.look() => match never {},
        };
        self.metrics.ended(&ended.last);
        ended
    }

    async fn look(&mut self) -> Infallible {
        let mut ends = BTreeMap::new();
        let mut asked: OptionFuture<Ends> = None.into();
        let mut ask_at = Instant::now();
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some((partitions, answer)) = &mut asked => {
                    asked = None.into();
                    match answer {
                        Ok(answer) => ends = partitions.into_iter().zip(answer).collect(),
                        Err(error) => debug!(%error, "how far the logs go is not known"),
                    }
                }
                _ = ticks.tick() => {
                    let Some(picture) = self.app.picture().await else { continue };
                    self.metrics.tell(&picture, &ends, unix_ms());
                    let partitions = picture.engine.partitions.into_iter().map(|status| status.partition);
                    let partitions: Vec<TopicPartition> = partitions.collect();
                    if let Some(interval) = self.lag_interval
                        && Instant::now() >= ask_at
                        && !partitions.is_empty()
                    {
                        ask_at = Instant::now() + interval;
                        let answer = self.producer.log_ends(partitions.clone(), interval);
                        asked = Some(Box::pin(async move { (partitions, answer.await) }) as Ends).into();
                    }
                }
            }
        }
    }
}

fn unix_ms() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}
