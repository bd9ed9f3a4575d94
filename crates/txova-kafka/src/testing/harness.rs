//! Runs apps on an in-memory cluster and knows when there is nothing left to do. It must never decide what they do.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};
use txova_events::{DeadLetter, Origin, Time, ToRecord, topics};

use super::event_store::{EventStore, SOURCE, StoredEvent};
use super::journal::{HandlerRun, Journal};
use super::running::{Ended, RunningApp};
use super::settled::{Committed, Settled};
use super::unsettled::Unsettled;
use super::{Cluster, fail};
use crate::app::App;
use crate::kafka::Kafka;
use crate::publisher::Publisher;
use crate::record::{OutgoingRecord, TopicPartition};

/// Services under test: their apps, on a cluster in memory, until everything has settled.
///
/// ```
/// use txova_events::example::{Example, Ride};
/// use txova_events::{PaymentInitiated, RideCompleted};
/// use txova_kafka::publisher::Publisher;
/// use txova_kafka::testing::{Harness, expect};
/// use txova_kafka::{Event, HandlerError, State};
///
/// async fn charge(Event(ride): Event<RideCompleted>, State(events): State<Publisher>) -> Result<(), HandlerError> {
///     let amount = ride.fare;
///     let (payment_id, method) = (Ride::seeded(1).payment_id, Ride::seeded(1).method);
///     events.publish(&PaymentInitiated { payment_id, ride_id: ride.ride_id, amount, method }).await?;
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let kit = Harness::new();
/// let events = kit.publisher("payment-service");
/// let app = kit.start(kit.kafka().app("payment-service").state(events).handle(charge).build().unwrap()).await;
///
/// let ride = kit.publish(&RideCompleted::example(&Ride::seeded(1)));
/// let done = kit.settle().await;
///
/// assert_eq!((done.handled(), done.retried(), done.dead_lettered()), (1, 0, 0), "{done}");
/// kit.published().assert_exactly([expect::<PaymentInitiated>().caused_by(ride.event_id())]);
/// # app.close().await;
/// # }
/// ```
///
/// A test that uses one begins with `#[tokio::test(start_paused = true)]` (tokio's feature `test-util`): then hours of
/// back-off and timeouts pass at once, and a run repeats exactly.
pub struct Harness {
    cluster: Cluster,
    journal: Journal,
    limit: Duration,
    apps: Mutex<Vec<Started>>,
    /// Where what the test itself published lies.
    own: Mutex<Vec<(TopicPartition, i64)>>,
}

/// An app that was started here.
#[derive(Clone)]
pub(super) struct Started {
    pub app: crate::app::AppHandle,
    pub service: Arc<str>,
    pub group: Arc<str>,
    pub topics: Arc<[String]>,
    pub ended: Ended,
}

/// How long all that waits may take on the virtual clock, at first.
const LIMIT: Duration = Duration::from_secs(60 * 60);

impl Harness {
    /// On an empty cluster that makes topics of 3 partitions on demand.
    pub fn new() -> Self {
        Self::over(Cluster::new())
    }

    /// On a cluster of one's own: other partitions, a [seed](Cluster::with_seed), topics that are there already.
    pub fn over(cluster: Cluster) -> Self {
        let (apps, own) = (Mutex::default(), Mutex::default());
        Self { journal: Journal::new(cluster.clone()), cluster, limit: LIMIT, apps, own }
    }

    /// Waits at most so long for what has to settle, in place of an hour. It is time on tokio's clock: nothing, where
    /// that is paused.
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// The cluster, to look at it and to script faults of one's own.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The cluster as services see it, with default settings; [`Kafka::with`] has others.
    pub fn kafka(&self) -> Kafka {
        self.cluster.kafka()
    }

    /// A publisher for a service under test, which is a real one: what it publishes is in [`Self::published`].
    ///
    /// # Panics
    /// Where the name is empty.
    #[track_caller]
    pub fn publisher(&self, service: &str) -> Publisher {
        self.kafka().publisher(service).unwrap_or_else(|error| fail(&error.to_string()))
    }

    /// Starts an app, and comes back when it has joined its group, or has ended. It must be built on
    /// [this cluster](Self::kafka).
    ///
    /// # Cancellation
    /// The app runs on.
    pub fn start(&self, app: App) -> impl Future<Output = RunningApp> + Send + '_ {
        let started = Started {
            app: app.handle(),
            service: app.service.clone(),
            group: app.group().into(),
            topics: app.topics().into(),
            ended: Ended::default(),
        };
        RunningApp::start(self.cluster.clone(), self.journal.clone(), app, started.clone(), || {
            self.apps.lock().unwrap_or_else(PoisonError::into_inner).push(started);
        })
    }

    /// Puts an event on its topic, past every scripted fault. One that is not in an envelope yet gets one from the source
    /// `test`. Answers it as it was written.
    ///
    /// # Panics
    /// Where a publisher would refuse the event: [`publish_record`](Self::publish_record) takes anything.
    #[track_caller]
    pub fn publish<E: ToRecord + ?Sized>(&self, event: &E) -> StoredEvent {
        let origin = Origin { source: SOURCE, context: None, now: Time::now() };
        let mut store = EventStore::new();
        if let Err(error) = event.to_record(&origin).and_then(|_| store.append(event).map(|_| ())) {
            fail(&error.to_string());
        }
        self.replay(&store).first().cloned().expect("invariant: one was appended")
    }

    /// Puts a record on its topic, past every scripted fault: bytes that are no event, an event no publisher would
    /// take. Answers it as it was written.
    ///
    /// # Panics
    /// Where there is no such topic and none is made on demand, or the record is too large.
    #[track_caller]
    pub fn publish_record(&self, record: OutgoingRecord) -> StoredEvent {
        let topic = record.topic.clone();
        let written = self.cluster.produce(record).unwrap_or_else(|error| fail(&error.to_string()));
        let place = TopicPartition::new(topic, written.partition);
        let stored = self.cluster.record(&place, written.offset).expect("invariant: it was just written");
        self.own.lock().unwrap_or_else(PoisonError::into_inner).push((place.clone(), written.offset));
        StoredEvent::published(&place, &stored)
    }

    /// Puts all that a store holds on its topics, in order, as it is: keys, headers and ids stay.
    ///
    /// # Panics
    /// As [`publish_record`](Self::publish_record).
    #[track_caller]
    pub fn replay(&self, store: &EventStore) -> EventStore {
        store.iter().map(|event| self.publish_record(event.outgoing())).collect()
    }

    /// Waits until everything has settled, and tells what happened since the harness was made. Settled means: every
    /// record of the apps' topics is handled, skipped or dead-lettered, those that handlers published in turn among
    /// them; all of that is committed; every published record is answered.
    ///
    /// Records count, tasks do not: what a handler leaves behind in a spawned task that sleeps is nobody's business here.
    ///
    /// # Panics
    /// Where it does not come to that within [the limit](Self::with_limit), or an app ends by itself: with what is stuck
    /// and why. [`try_settle`](Self::try_settle) answers that as an error.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    #[track_caller]
    pub fn settle(&self) -> impl Future<Output = Settled> + Send + '_ {
        let caller = Location::caller();
        async move {
            match self.try_settle().await {
                Ok(settled) => settled,
                Err(unsettled) => fail(&format!("settle() at {caller}: {unsettled}")),
            }
        }
    }

    /// As [`settle`](Self::settle), for tests of what does not settle.
    ///
    /// # Errors
    /// What is stuck and why.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub async fn try_settle(&self) -> Result<Settled, Unsettled> {
        let deadline = Instant::now() + self.limit;
        let mut pause = Duration::from_millis(1);
        loop {
            let calm = self.cluster.wait_until(|_| self.broken().is_some() || self.is_calm());
            let late = timeout_at(deadline, calm).await.is_err();
            // A paused clock moves only when nobody has anything to do at this moment: who still goes on does it now.
            sleep(pause).await;
            let answered = self.cluster.unanswered() == 0;
            if self.broken().is_none() && self.is_calm() && answered {
                return Ok(self.settled());
            }
            if late || self.broken().is_some() || Instant::now() >= deadline {
                return Err(self.unsettled().await);
            }
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// Waits until the handlers' runs so far are as a test wants them, before it makes something else happen: a handler
    /// that has begun, one that has failed once.
    ///
    /// # Panics
    /// Where they never are within [the limit](Self::with_limit), with what is stuck.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    #[track_caller]
    pub fn wait_until<'a>(
        &'a self,
        mut holds: impl FnMut(&[HandlerRun]) -> bool + Send + 'a,
    ) -> impl Future<Output = ()> + Send + 'a {
        let caller = Location::caller();
        async move {
            let seen = self.cluster.wait_until(|_| self.journal.with(&mut holds));
            if timeout(self.limit, seen).await.is_err() {
                fail(&format!("wait_until() at {caller}: {}", self.unsettled().await));
            }
        }
    }

    /// What services published so far, in order: all but dead letters and what the test itself put in with
    /// [`publish`](Self::publish) and its sisters.
    pub fn published(&self) -> EventStore {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let own: std::collections::HashSet<_> = own.iter().collect();
        let all = self.cluster.written().into_iter();
        all.filter(|(place, record)| {
            !place.topic.ends_with(topics::DLQ_SUFFIX) && !own.contains(&(place.clone(), record.offset))
        })
        .map(|(place, record)| StoredEvent::published(&place, &record))
        .collect()
    }

    /// The dead letters so far, in order.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        let all = self.cluster.written().into_iter();
        all.filter(|(place, _)| place.topic.ends_with(topics::DLQ_SUFFIX))
            .filter_map(|(_, record)| DeadLetter::decode(record.value.as_deref()?).ok())
            .collect()
    }

    fn settled(&self) -> Settled {
        Settled {
            runs: self.journal.runs(),
            dead_letters: self.dead_letters(),
            committed: self.committed(),
            published: self.published(),
            took: self.journal.elapsed(),
        }
    }

    fn committed(&self) -> Vec<Committed> {
        let mut committed: Vec<Committed> = Vec::new();
        for commit in self.cluster.commits() {
            let new = Committed { group: commit.group, partition: commit.partition, offset: commit.offset };
            let same = |old: &&mut Committed| old.group == new.group && old.partition == new.partition;
            match committed.iter_mut().find(same) {
                Some(old) => *old = new,
                None => committed.push(new),
            }
        }
        committed.sort();
        committed
    }

    async fn unsettled(&self) -> Unsettled {
        Unsettled::of(&self.cluster, self.limit, &self.running(), self.broken(), self.settled()).await
    }

    /// Whether no app has anything left to do.
    fn is_calm(&self) -> bool {
        let open = |app: &Started| !self.cluster.open_partitions(&app.group, &app.topics).is_empty();
        !self.running().iter().any(open)
    }

    fn running(&self) -> Vec<Started> {
        self.all().into_iter().filter(|app| !app.ended.is_over()).collect()
    }

    /// An app that has ended by itself, and nobody has taken note: where it is, why.
    fn broken(&self) -> Option<String> {
        self.all().iter().find_map(|app| app.ended.failure())
    }

    fn all(&self) -> Vec<Started> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Default for Harness {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let services: Vec<_> = self.all().iter().map(|app| app.service.clone()).collect();
        f.debug_struct("Harness")
            .field("cluster", &self.cluster)
            .field("apps", &services)
            .finish_non_exhaustive()
    }
}
