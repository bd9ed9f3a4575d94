//! Repairs dead letters: picks them, tries the app's own handlers on them or sends them back to their topic for those who
//! failed, or says that nothing is to be done. It must never change a dead-letter topic, join a group or commit an offset:
//! what was done is said on topics of its own, so that nothing that is passed over is lost.

mod bodies;
mod decide;
mod error;
mod handlers;
mod letter;
mod origin;
mod overtaken;
mod pace;
mod pick;
mod plan;
mod redrive;
mod report;
mod run;
#[cfg(test)]
mod tests;

use std::fmt;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use txova_events::DeadLetter;

use crate::app::App;
use crate::dead_letter::{ResolutionState, Selection};
use crate::kafka::Kafka;

pub use self::error::ReplayError;
pub use self::overtaken::Overtaken;
pub use self::plan::{Plan, PlannedEntry, Reason};
pub use self::report::{FailedReplay, ReplayReport, UnreadableEntry};

/// How often a record is sent back to its topic before its letter is set aside, unless something else is said.
const MAX_REDRIVES: u32 = 5;

/// Which dead letters to take up, how, and what is to be noted about it.
///
/// Without further ado: every open letter of the app's own consumer group, of the topics it subscribes to; given to
/// [`Kafka`], every open letter of every topic that names a group.
#[must_use = "it does nothing until it is given to an app or a cluster"]
pub struct Replay {
    filter: Option<Filter>,
    selection: Selection,
    plan: Option<Plan>,
    topics: Vec<String>,
    unnamed_as: Option<String>,
    by: Option<String>,
    why: String,
    max_letters: usize,
    max_failures: usize,
    max_redrives: u32,
    /// In one transaction.
    letters_at_once: usize,
    per_second: Option<u32>,
    key_order: bool,
    takes_over: bool,
    transform: Option<Transform>,
    until: Option<Shared<BoxFuture<'static, ()>>>,
    progress: Option<Progress>,
}

type Filter = Box<dyn Fn(&DeadLetter) -> bool + Send + Sync>;
type Transform = Box<dyn Fn(&DeadLetter, &[u8]) -> Result<Vec<u8>, String> + Send + Sync>;
type Progress = Box<dyn Fn(&ReplayReport, usize) + Send + Sync>;

impl Default for Replay {
    fn default() -> Self {
        Self {
            filter: None,
            selection: Selection::default(),
            plan: None,
            topics: Vec::new(),
            unnamed_as: None,
            by: None,
            why: String::new(),
            max_letters: usize::MAX,
            max_failures: usize::MAX,
            max_redrives: MAX_REDRIVES,
            letters_at_once: redrive::MOST_LETTERS,
            per_second: None,
            key_order: false,
            takes_over: false,
            transform: None,
            until: None,
            progress: None,
        }
    }
}

impl Replay {
    /// Every open letter.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only letters for which `filter` says true; the others stay as they are. A second filter replaces the first.
    pub fn filter(mut self, filter: impl Fn(&DeadLetter) -> bool + Send + Sync + 'static) -> Self {
        self.filter = Some(Box::new(filter));
        self
    }

    /// Only letters that are meant by this.
    pub fn select(mut self, selection: Selection) -> Self {
        self.selection = selection;
        self
    }

    /// Exactly what the plan holds and nothing that came later; what is no longer open is passed over.
    pub fn plan(mut self, plan: Plan) -> Self {
        self.plan = Some(plan);
        self
    }

    /// Only letters about records of these topics (`txova.rides.v1`, not its dead-letter topic).
    pub fn topics<T: Into<String>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        self.topics = topics.into_iter().map(Into::into).collect();
        self
    }

    /// Also letters that name no consumer group, such as those of the platform's Go services, as failures of this one.
    /// They are passed over by default: they may be about anybody's failure.
    pub fn unnamed_as(mut self, group: impl Into<String>) -> Self {
        self.unnamed_as = Some(group.into());
        self
    }

    /// Who does it, for resolutions and audit. By default the service, or the process.
    pub fn by(mut self, name: impl Into<String>) -> Self {
        self.by = Some(name.into());
        self
    }

    /// Why, for resolutions and audit.
    pub fn why(mut self, text: impl Into<String>) -> Self {
        self.why = text.into();
        self
    }

    /// Tries no more than so many letters.
    pub fn max_letters(mut self, letters: usize) -> Self {
        self.max_letters = letters;
        self
    }

    /// Ends after so many letters failed.
    pub fn max_failures(mut self, letters: usize) -> Self {
        self.max_failures = letters;
        self
    }

    /// A letter about a record that was sent back so often already is set aside (`quarantined`) in place of being sent
    /// back once more. 5 by default.
    pub fn max_redrives(mut self, times: u32) -> Self {
        self.max_redrives = times;
        self
    }

    /// No faster than this.
    pub fn per_second(mut self, letters: u32) -> Self {
        self.per_second = Some(letters.max(1));
        self
    }

    /// Where a letter fails, later ones of the same key and topic are not tried. A key's letters are tried oldest first in
    /// any case, as their events first came. An app that follows dead letters keeps to it when it replays.
    pub fn key_order(mut self, key_order: bool) -> Self {
        self.key_order = key_order;
        self
    }

    /// Ends another's claim to the same dead-letter topic: for when its holder is known to be dead.
    pub fn take_over(mut self, takes_over: bool) -> Self {
        self.takes_over = takes_over;
        self
    }

    /// Changes payloads (their JSON as it is in the envelope) before they are tried. The event keeps its id, the letter
    /// stays what it is, and headers hold the hash of the original and of the changed value. An error leaves the letter
    /// open.
    pub fn transform(
        mut self,
        transform: impl Fn(&DeadLetter, &[u8]) -> Result<Vec<u8>, String> + Send + Sync + 'static,
    ) -> Self {
        self.transform = Some(Box::new(transform));
        self
    }

    /// Ends, between two letters, as soon as this is over, and reports what was done.
    pub fn until(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.until = Some(signal.boxed().shared());
        self
    }

    /// Is told how it goes, with the number of letters picked.
    pub fn on_progress(mut self, progress: impl Fn(&ReplayReport, usize) + Send + Sync + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("selection", &self.selection)
            .field("filter", &self.filter.is_some())
            .field("plan", &self.plan.as_ref().map(|plan| plan.entries.len()))
            .field("topics", &self.topics)
            .field("by", &self.by)
            .field("why", &self.why)
            .finish_non_exhaustive()
    }
}

impl App {
    /// Gives open dead letters to the app's handlers, one at a time, in the order of their origin: topic, partition,
    /// offset. The app need not be running, and may be.
    ///
    /// A letter comes as the record it is about: the same key, bytes, headers, timestamp and place, with the attempt
    /// number counting on; where the letter had no room for all of it, it is read from its topic once more. It is tried
    /// once, after the audit topic has acknowledged that it will be. Where the handler handles or skips it, that is
    /// written to `txova.dlq.resolutions` and `txova.dlq.audit` (made where they are missing), in one transaction, and
    /// acknowledged before the next letter is tried; where the handler fails, the letter stays open and is in the report.
    /// A handler's `stop` ends the replay.
    ///
    /// Letters of other consumer groups, letters that are not wanted and letters of a type that no handler here takes stay
    /// as they are. No offset is committed, and the dead-letter topics are only read, up to the ends they have at the
    /// start. Two replays of a topic at once are not possible: the second is told who is at it.
    ///
    /// Replaying is late by nature: the report names the keys of which newer events were handled before.
    ///
    /// ```no_run
    /// use txova_kafka::{App, Replay};
    ///
    /// # async fn example(app: App) -> Result<(), txova_kafka::ReplayError> {
    /// let outage = Replay::new()
    ///     .filter(|letter| letter.error_message.contains("the gateway is away"))
    ///     .by("ana")
    ///     .why("the gateway is back");
    /// let report = app.replay(outage).await?;
    /// println!("{report}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// An app built with [`exactly_once`](crate::AppBuilder::exactly_once) (its letters go back by [`Kafka::replay`]), a
    /// topic that does not exist, a cluster that cannot be read, somebody else's claim, an audit topic that takes
    /// nothing (no handler runs then), and a letter that was handled while that was not acknowledged: the error names it,
    /// for it will be handled again by the next replay.
    ///
    /// # Cancellation
    /// Dropping the future ends the handler that runs at its next await; its letter stays open. A letter whose
    /// resolution was under way may be handled again by the next replay; all before it are done with. Nothing is lost.
    /// The claim ends by itself after a minute and the handlers' time limit, or with [`Replay::take_over`].
    pub async fn replay(&self, replay: Replay) -> Result<ReplayReport, ReplayError> {
        if self.settings.publishing.is_some() {
            return Err(ReplayError::ExactlyOnce { service: self.service.to_string() });
        }
        run::Run::in_process(self, replay).run().await
    }

    /// What [`replay`](Self::replay) would do at this moment. Writes nothing, and makes no topic.
    ///
    /// # Errors
    /// A topic that does not exist, and a cluster that cannot be read.
    pub async fn plan_replay(&self, replay: Replay) -> Result<Plan, ReplayError> {
        run::Run::in_process(self, replay).plan().await
    }
}

impl Kafka {
    /// Sends open dead letters back to their topics, for the consumer group that failed: headers name it
    /// ([`redrive`](txova_events::dlq::redrive)), and other groups of this library pass the record over. In the order of
    /// their origin, to the partition they came from, behind what is there.
    ///
    /// The record, the letter's resolution and the audit record are written in one transaction: however this ends, and as
    /// often as it is begun again, each letter is sent back once. Two at once are not possible: the second is told who
    /// is at it.
    ///
    /// Consumers that know nothing of the headers, such as those of the platform's Go services, see the event once more,
    /// and those that read uncommitted records may see one whose transaction was given up.
    ///
    /// # Errors
    /// A topic that does not exist, a cluster that cannot be read or written, somebody else's claim.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing: a transaction under way is kept as a whole or not at all. The claim ends by
    /// itself after half a minute, or with [`Replay::take_over`].
    pub async fn replay(&self, replay: Replay) -> Result<ReplayReport, ReplayError> {
        run::Run::redrive(self, replay).run().await
    }

    /// What [`replay`](Self::replay) would do at this moment, as an exact set. Writes nothing, and makes no topic.
    ///
    /// ```no_run
    /// use txova_kafka::{Kafka, Plan, Replay, Selection};
    ///
    /// # async fn example(kafka: Kafka) -> Result<(), Box<dyn std::error::Error>> {
    /// let selection = Selection { fingerprints: vec!["3e00ee44".into()], ..Selection::default() };
    /// let plan = kafka.plan_replay(Replay::new().select(selection)).await?;
    /// println!("{plan}"); // what failed how often, and which keys have moved on
    /// std::fs::write("plan.json", serde_json::to_vec(&plan)?)?;
    ///
    /// let plan: Plan = serde_json::from_slice(&std::fs::read("plan.json")?)?;
    /// let report = kafka.replay(Replay::new().plan(plan).by("ana").why("the gateway is back").per_second(200)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A topic that does not exist, and a cluster that cannot be read.
    pub async fn plan_replay(&self, replay: Replay) -> Result<Plan, ReplayError> {
        run::Run::redrive(self, replay).plan().await
    }

    /// Says of open letters that nothing is to be done about them. They stay on their topic, and can be opened again.
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    pub async fn discard(&self, replay: Replay) -> Result<ReplayReport, ReplayError> {
        run::Run::decide(self, replay, ResolutionState::Discarded).run().await
    }

    /// Sets open letters aside: nobody replays them until they are opened again.
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    pub async fn quarantine(&self, replay: Replay) -> Result<ReplayReport, ReplayError> {
        run::Run::decide(self, replay, ResolutionState::Quarantined).run().await
    }

    /// Puts letters onto their dead-letter topics as new entries, such as those of another cluster. Of `replay` only who,
    /// why and taking over count. Whether they are there already is the caller's to know.
    ///
    /// # Errors
    /// As [`replay`](Self::replay); a letter that does not fit its topic.
    pub async fn import_dead_letters(
        &self,
        letters: Vec<DeadLetter>,
        replay: Replay,
    ) -> Result<(), ReplayError> {
        decide::import(self, letters, replay).await
    }

    /// Opens letters again that were discarded or set aside. One that was replayed is done with.
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    pub async fn reopen(&self, replay: Replay) -> Result<ReplayReport, ReplayError> {
        run::Run::decide(self, replay, ResolutionState::Open).run().await
    }
}
