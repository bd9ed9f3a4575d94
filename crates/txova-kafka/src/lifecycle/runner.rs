//! Starts parts in order, waits, and stops them in reverse. What has not started is not stopped, what fails to stop does
//! not keep the others from it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

use super::report::{Cause, Ended, LifecycleReport, StepKind, StepReport};
use super::signals::Signals;
use super::step::{self, within};
use super::{Closer, Component, Initializer};

const INIT_TIMEOUT: Duration = Duration::from_secs(30);
/// Beyond the consumer's default `shutdown_timeout_ms`, so that handlers have theirs.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(40);

/// What a service is made of, in the order it starts. See the [module](super).
#[must_use = "nothing starts until it is run"]
pub struct Lifecycle {
    parts: Vec<Part>,
    init_timeout: Duration,
    close_timeout: Duration,
}

#[derive(Clone)]
enum Part {
    Component(Arc<dyn Component>),
    Initializer(Arc<dyn Initializer>),
    Closer(Arc<dyn Closer>),
}

impl Lifecycle {
    /// A service of no parts. Each start may take 30 s, each close 40 s.
    pub fn new() -> Self {
        Self { parts: Vec::new(), init_timeout: INIT_TIMEOUT, close_timeout: CLOSE_TIMEOUT }
    }

    /// Adds what is started, works, and is closed. What it needs goes before it.
    pub fn with(mut self, component: impl Component + 'static) -> Self {
        self.parts.push(Part::Component(Arc::new(component)));
        self
    }

    /// Adds what is only started.
    pub fn with_initializer(mut self, initializer: impl Initializer + 'static) -> Self {
        self.parts.push(Part::Initializer(Arc::new(initializer)));
        self
    }

    /// Adds what is only closed.
    pub fn with_closer(mut self, closer: impl Closer + 'static) -> Self {
        self.parts.push(Part::Closer(Arc::new(closer)));
        self
    }

    /// How long each start may take.
    pub fn init_timeout(mut self, timeout: Duration) -> Self {
        self.init_timeout = timeout;
        self
    }

    /// How long each close may take.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Runs until SIGTERM, SIGINT, or until a part ends by itself; then closes everything. A second signal ends the
    /// closing at once.
    ///
    /// # Cancellation
    /// Dropping the future closes nothing.
    pub async fn run(self) -> LifecycleReport {
        let (asks, asked) = unbounded_channel();
        let _signals = Signals::listen(move |signal| asks.send(signal).is_ok());
        self.drive(asked).await
    }

    /// As [`run`](Self::run), until `stop` comes instead of signals.
    ///
    /// # Cancellation
    /// As [`run`](Self::run).
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> LifecycleReport {
        let (asks, asked) = unbounded_channel();
        let drive = self.drive(asked);
        tokio::pin!(drive);
        tokio::select! {
            report = &mut drive => return report,
            () = stop => {
                let _ = asks.send("the caller"); // it listens as long as it runs
            }
        }
        drive.await
    }

    /// Each ask is a signal: the first to stop, the second to stop at once.
    pub(super) async fn drive(self, mut asked: UnboundedReceiver<&'static str>) -> LifecycleReport {
        let mut life = Life { asked: &mut asked, asks: 0, steps: Vec::new() };
        let (started, failed) = life.start(&self.parts, self.init_timeout).await;
        let cause = match failed {
            Some(cause) => cause,
            None => life.work(&started).await,
        };
        info!(?cause, "closing");
        life.stop(started, self.close_timeout).await;
        let report = LifecycleReport { cause, steps: life.steps };
        match report.is_clean() {
            true => info!(%report, "ended"),
            false => warn!(%report, "ended"),
        }
        report
    }
}

struct Life<'a> {
    asked: &'a mut UnboundedReceiver<&'static str>,
    asks: u32,
    steps: Vec<StepReport>,
}

impl Life<'_> {
    /// What has started, and why not all of it.
    async fn start(&mut self, parts: &[Part], timeout: Duration) -> (Vec<Part>, Option<Cause>) {
        let mut started = Vec::with_capacity(parts.len());
        for part in parts {
            if let Some(initializer) = part.initializer() {
                let (began, name) = (Instant::now(), Arc::from(part.name()));
                let deadline = began + timeout;
                let step = within(deadline, async move { initializer.init(deadline).await });
                let (ended, by) = tokio::select! {
                    biased; // what has started is not called cut short
                    ended = step => (ended, None),
                    Some(by) = self.asked.recv() => (Ended::CutShort, Some(by)),
                };
                self.note(&name, StepKind::Init, ended.clone(), began);
                if let Some(by) = by {
                    self.asks += 1;
                    return (started, Some(Cause::Asked(by)));
                }
                if ended != Ended::Well {
                    return (started, Some(Cause::NotStarted(name)));
                }
            }
            started.push(part.clone());
        }
        (started, None)
    }

    /// Waits for a reason to end.
    async fn work(&mut self, parts: &[Part]) -> Cause {
        let mut working = JoinSet::new();
        let mut names = Vec::new();
        for part in parts {
            if let Part::Component(component) = part.clone() {
                let name: Arc<str> = component.name().into();
                let task = working.spawn(async move { component.ended().await });
                names.push((task.id(), name));
            }
        }
        let name_of = |id| {
            let found = names.iter().find(|(task, _)| *task == id);
            found.map_or_else(|| Arc::from("-"), |(_, name)| Arc::clone(name))
        };
        tokio::select! {
            biased;
            Some(by) = self.asked.recv() => {
                self.asks += 1;
                Cause::Asked(by)
            }
            Some(ended) = working.join_next_with_id() => match ended {
                Ok((id, result)) => Cause::PartEnded(name_of(id), step::ended(result)),
                Err(error) => Cause::PartEnded(name_of(error.id()), step::panicked(error)),
            },
            else => Cause::Asked("nobody who could"),
        }
    }

    async fn stop(&mut self, started: Vec<Part>, timeout: Duration) {
        for part in started.into_iter().rev() {
            let Some(closer) = part.closer() else { continue };
            let (began, name) = (Instant::now(), Arc::<str>::from(part.name()));
            let deadline = began + timeout;
            let step = within(deadline, async move { closer.close(deadline).await });
            tokio::pin!(step);
            let ended = loop {
                if self.asks > 1 {
                    break Ended::CutShort;
                }
                tokio::select! {
                    ended = &mut step => break ended,
                    Some(_) = self.asked.recv() => self.asks += 1,
                }
            };
            self.note(&name, StepKind::Close, ended, began);
        }
    }

    fn note(&mut self, name: &Arc<str>, kind: StepKind, ended: Ended, began: Instant) {
        let took = began.elapsed();
        match &ended {
            Ended::Well => info!(%name, %kind, took_ms = took.as_millis() as u64, "done"),
            ended => warn!(%name, %kind, took_ms = took.as_millis() as u64, %ended, "not done"),
        }
        self.steps.push(StepReport { name: Arc::clone(name), kind, ended, took });
    }
}

impl Part {
    fn name(&self) -> &str {
        match self {
            Self::Component(part) => part.name(),
            Self::Initializer(part) => part.name(),
            Self::Closer(part) => part.name(),
        }
    }

    fn initializer(&self) -> Option<Arc<dyn Initializer>> {
        match self {
            Self::Component(part) => Some(part.clone()),
            Self::Initializer(part) => Some(part.clone()),
            Self::Closer(_) => None,
        }
    }

    fn closer(&self) -> Option<Arc<dyn Closer>> {
        match self {
            Self::Component(part) => Some(part.clone()),
            Self::Closer(part) => Some(part.clone()),
            Self::Initializer(_) => None,
        }
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.parts.iter().map(Part::name)).finish()
    }
}
