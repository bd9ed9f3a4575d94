//! The three services: their handlers, their groups, and the apps they run in.

mod notification;
mod payment;
mod ride;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use txova_kafka::publisher::Publisher;
use txova_kafka::{App, AppBuilder, AppHandle, BuildError, Kafka, Meta, StartAt};

pub(crate) use self::notification::Chains;
pub(crate) use self::payment::Gateway;

use super::ledger::{Ledger, Service};
use super::life::{Lives, Step};
use super::tag::{self, Kind};

/// What every handler has at hand.
#[derive(Debug)]
pub(crate) struct World {
    pub lives: Lives,
    pub ledger: Ledger,
    pub gateway: Gateway,
    pub chains: Chains,
}

impl World {
    /// Which trip and step an event of this run is; `None` for one of another run.
    fn place(&self, meta: &Meta) -> Option<(u32, Step)> {
        let payment = match meta.event_type.as_str() {
            "payment.initiated" => Step::PaymentInitiated,
            "payment.completed" => Step::PaymentCompleted,
            "payment.failed" => Step::PaymentFailed,
            "payment.refunded" => Step::PaymentRefunded,
            _ => {
                let (trip, step) = tag::read(self.lives.run, Kind::Event, &meta.event_id)?;
                return Some((trip, *Step::RIDE.get(usize::from(step))?)).filter(|_| self.has(trip));
            }
        };
        let (trip, _) = tag::read(self.lives.run, Kind::Payment, meta.key_text()?)?;
        self.has(trip).then_some((trip, payment))
    }

    fn has(&self, trip: u32) -> bool {
        trip < self.lives.count()
    }
}

/// A service that runs.
pub(crate) struct Running {
    pub group: String,
    pub topics: Vec<String>,
    pub handle: AppHandle,
    task: JoinHandle<()>,
}

impl Running {
    /// Runs the app; should it end by itself, `failures` says why.
    pub(crate) fn start(app: App, failures: mpsc::UnboundedSender<String>) -> Self {
        let (group, topics, handle) = (app.group().to_owned(), app.topics().to_vec(), app.handle());
        let task = tokio::spawn(async move {
            if let Err(error) = app.run().await {
                let _ = failures.send(error.to_string()); // nobody listens once the demo is over
            }
        });
        Self { group, topics, handle, task }
    }

    /// Closes the app within `deadline` and a little.
    pub(crate) async fn close(self, deadline: std::time::Duration) {
        if !self.handle.close(deadline).await {
            self.task.abort();
        }
    }
}

/// How the services join: the names of their groups and where they start.
#[derive(Clone, Debug)]
pub(crate) struct Joining {
    /// Before each group's name; empty on a cluster of one's own.
    pub prefix: String,
    pub start: StartAt,
}

/// The app of a service. The payment service publishes by `publisher`.
pub(crate) fn app(
    service: Service,
    kafka: &Kafka,
    world: &Arc<World>,
    publisher: &Publisher,
    joining: &Joining,
) -> Result<App, BuildError> {
    let builder = match service {
        Service::Ride => ride::app(kafka.app(service.name()), world),
        Service::Payment => payment::app(kafka.app(service.name()), world, publisher),
        Service::Notification => notification::app(kafka.app(service.name()), world),
    };
    settings(builder, service, joining).build()
}

/// The payment app as it is after the repair of its code: the one that the dead letters are replayed through.
pub(crate) fn repaired_payment_app(
    kafka: &Kafka,
    world: &Arc<World>,
    publisher: &Publisher,
    joining: &Joining,
) -> Result<App, BuildError> {
    let builder = payment::repaired_app(kafka.app(Service::Payment.name()), world, publisher);
    settings(builder, Service::Payment, joining).build()
}

fn settings(builder: AppBuilder, service: Service, joining: &Joining) -> AppBuilder {
    builder.consumer(|consumer| {
        consumer.group = Some(format!("{}{}-group", joining.prefix, service.name()));
        consumer.auto_offset_reset = joining.start;
        // An outage of seconds is to be seen healing, not to fill the dead letters.
        consumer.max_retries = 100;
        consumer.retry_backoff_ms = 100;
        consumer.retry_backoff_max_ms = 800;
        consumer.breaker_probe_max_ms = 200;
        consumer.concurrency = 200;
        // The verdict on the lag is about what is committed.
        consumer.commit_interval_ms = 50;
    })
}
