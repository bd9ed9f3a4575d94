//! An app that runs on a harness, and the faults that can befall it. It must never know how it is waited for.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use txova_events::topics;

use super::harness::Started;
use super::journal::Journal;
use super::{Cluster, CommitFault, MemberId, fail};
use crate::app::{App, AppHandle, RunError};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::engine::CloseReport;

/// How long closing may take for handlers that run.
const CLOSE: Duration = Duration::from_secs(30);

/// An app under test. Dropping it leaves the app running, until the test's runtime ends.
///
/// # Faults
/// Each call makes one thing go wrong, as a real cluster could, and comes back at once; what the library does about it is
/// seen after the next [`settle`](super::Harness::settle).
///
/// | call | what goes wrong | what the library does |
/// |---|---|---|
/// | [`fail_next_commit`](Self::fail_next_commit) | the next commit is refused | commits again |
/// | [`lose_next_commit_answer`](Self::lose_next_commit_answer) | it is kept, the answer does not come | commits again |
/// | [`revoke`](Self::revoke) | the group takes all partitions back, as in a rebalance | lets handlers end, commits, gives back |
/// | [`lose_partitions`](Self::lose_partitions) | they are somebody else's already | ends handlers, commits nothing |
/// | [`expel`](Self::expel) | its session is over, and it is told | joins anew |
/// | [`dead_letters_down`](Self::dead_letters_down) | no dead letter is taken | holds the partition, writes again |
/// | [`crash`](Self::crash) | the process dies | who comes next goes on behind the last commit |
///
/// The brokers' faults are the [cluster's](Cluster): `slow_down`, `broker_away`, `produce_down` of a topic,
/// `fail_produces`, and finer ones.
pub struct RunningApp {
    cluster: Cluster,
    started: Started,
    member: Option<MemberId>,
    task: JoinHandle<()>,
}

/// How an app's run ended, shared with the harness.
#[derive(Clone, Default)]
pub(super) struct Ended(Arc<Mutex<EndedInner>>);

#[derive(Default)]
struct EndedInner {
    result: Option<Result<CloseReport, RunError>>,
    /// It crashed by script: nothing is to be said of it.
    crashed: bool,
    /// The test has asked how it ended.
    seen: bool,
}

impl Ended {
    fn lock(&self) -> MutexGuard<'_, EndedInner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_over(&self) -> bool {
        let inner = self.lock();
        inner.result.is_some() || inner.crashed
    }

    /// Why it ended, where nobody asked it to and the test does not know yet.
    pub(super) fn failure(&self) -> Option<String> {
        let inner = self.lock();
        match &inner.result {
            Some(Err(error)) if !inner.seen => Some(error.to_string()),
            _ => None,
        }
    }
}

impl RunningApp {
    pub(super) fn start(
        cluster: Cluster,
        journal: Journal,
        app: App,
        started: Started,
        note: impl FnOnce(),
    ) -> impl Future<Output = Self> + Send {
        note();
        let members = cluster.members(&started.group);
        let before = members.iter().map(|member| member.id).max();
        let (ended, nudged) = (started.ended.clone(), cluster.clone());
        let task = tokio::spawn(async move {
            let result = app.run_through(|handlers| journal.around(handlers)).await;
            ended.lock().result = Some(result);
            nudged.nudge();
        });
        async move {
            // Ids rise, so the first behind those that were there is its own.
            let own = |cluster: &Cluster| {
                let members = cluster.members(&started.group);
                members.iter().map(|member| member.id).find(|id| Some(*id) > before)
            };
            cluster.wait_until(|cluster| own(cluster).is_some() || started.ended.is_over()).await;
            Self { member: own(&cluster), cluster, started, task }
        }
    }

    /// The consumer group.
    pub fn group(&self) -> &str {
        &self.started.group
    }

    /// To ask how it is, or to close it without waiting.
    pub fn handle(&self) -> &AppHandle {
        &self.started.app
    }

    /// Its place in the group, for scripts of one's own on the [`Cluster`].
    ///
    /// # Panics
    /// Where it never joined.
    #[track_caller]
    pub fn member(&self) -> MemberId {
        self.member.unwrap_or_else(|| fail(&format!("{self:?} never joined its group")))
    }

    /// The group's next commit is refused with a timeout, and nothing of it is kept.
    pub fn fail_next_commit(&self) {
        self.cluster.fail_commits(self.group(), 1, CommitFault::Refused(ClientErrorKind::TimedOut));
    }

    /// The group's next commit is kept, and its answer is a timeout.
    pub fn lose_next_commit_answer(&self) {
        self.cluster.fail_commits(self.group(), 1, CommitFault::WrittenButTimedOut);
    }

    /// Asks the app to give all its partitions back now, as a rebalance does. The group gives them out again: to this app
    /// where it is the only member.
    ///
    /// # Panics
    /// Where it is no member any more.
    #[track_caller]
    pub fn revoke(&self) {
        self.scripted(self.cluster.revoke_all(self.group(), self.member()));
    }

    /// Takes all its partitions without asking: the app is told that they are lost, and what it had in hand there comes
    /// again.
    ///
    /// # Panics
    /// Where it has none.
    #[track_caller]
    pub fn lose_partitions(&self) {
        let member = self.member();
        let members = self.cluster.members(self.group());
        let own = members.into_iter().find(|view| view.id == member).map(|view| view.partitions);
        let own = own.unwrap_or_default();
        if own.is_empty() {
            fail(&format!("{self:?} has no partitions to lose"));
        }
        own.iter().for_each(|partition| self.scripted(self.cluster.lose(self.group(), partition)));
    }

    /// Its session ends, as after a long stop: it is told that all is lost, and joins anew.
    ///
    /// # Panics
    /// Where it is no member any more.
    #[track_caller]
    pub fn expel(&self) {
        self.scripted(self.cluster.expel(self.group(), self.member()));
    }

    /// No dead letter of its topics is taken, until [`dead_letters_up`](Self::dead_letters_up).
    pub fn dead_letters_down(&self) {
        self.dead_letter_topics().for_each(|topic| self.cluster.produce_down(&topic));
    }

    /// Dead letters are taken again.
    pub fn dead_letters_up(&self) {
        self.dead_letter_topics().for_each(|topic| self.cluster.produce_up(&topic));
    }

    fn dead_letter_topics(&self) -> impl Iterator<Item = String> {
        self.started.topics.iter().map(|topic| topics::dlq_topic(topic))
    }

    /// Dies at once: handlers end at their next await, nothing is committed, and the group notices. Start the service
    /// again to see what comes again.
    ///
    /// # Cancellation
    /// It is dead all the same.
    pub async fn crash(self) {
        self.started.ended.lock().crashed = true;
        self.task.abort();
        let left = self.member;
        let gone = |cluster: &Cluster| {
            let members = cluster.members(&self.started.group);
            members.iter().all(|member| Some(member.id) != left)
        };
        self.cluster.wait_until(gone).await;
    }

    /// Closes it, with half a minute for handlers that run. Answers its report.
    ///
    /// # Panics
    /// Where it ended by itself: see [`ended`](Self::ended).
    ///
    /// # Cancellation
    /// It closes all the same.
    pub async fn close(self) -> CloseReport {
        self.started.app.begin_close(CLOSE);
        self.ended().await.unwrap_or_else(|error| fail(&error.to_string()))
    }

    /// Waits for its end, for tests of what ends an app: a handler's `stop`, an offset that is gone.
    ///
    /// # Errors
    /// Why it ended, where nobody closed it.
    ///
    /// # Cancellation
    /// It runs on.
    pub async fn ended(self) -> Result<CloseReport, RunError> {
        let ended = self.started.ended;
        ended.lock().seen = true;
        self.cluster.wait_until(|_| ended.is_over()).await;
        ended.lock().result.clone().unwrap_or(Ok(CloseReport::default()))
    }

    #[track_caller]
    fn scripted(&self, script: Result<(), ClientError>) {
        script.unwrap_or_else(|missed| fail(&format!("{self:?}: {missed}")));
    }
}

impl fmt::Debug for RunningApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningApp")
            .field("service", &self.started.service)
            .field("group", &self.started.group)
            .finish_non_exhaustive()
    }
}
