//! Replays dead letters through an app's own handlers. It must never change a dead-letter topic, join a group or commit
//! an offset: what was replayed is said on a topic of its own, so that nothing that is passed over is lost.

mod error;
mod letter;
mod origin;
mod report;
mod run;
#[cfg(test)]
mod tests;

use std::fmt;

use txova_events::DeadLetter;

use crate::app::App;

pub use self::error::ReplayError;
pub use self::report::{FailedReplay, ReplayReport, UnreadableEntry};

/// Which dead letters to replay, and what is to be noted about it.
///
/// Without further ado: every open letter of the app's own consumer group, of the topics it subscribes to.
#[must_use = "it does nothing until it is given to `App::replay`"]
#[derive(Default)]
pub struct Replay {
    filter: Option<Filter>,
    topics: Vec<String>,
    include_unnamed: bool,
    dry_run: bool,
    by: Option<String>,
    why: String,
    max_letters: Option<usize>,
}

type Filter = Box<dyn Fn(&DeadLetter) -> bool + Send + Sync>;

impl Replay {
    /// Every open letter of the app's group.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only letters for which `filter` says true; the others stay as they are. A second filter replaces the first.
    pub fn filter(mut self, filter: impl Fn(&DeadLetter) -> bool + Send + Sync + 'static) -> Self {
        self.filter = Some(Box::new(filter));
        self
    }

    /// Only letters about records of these topics (`txova.rides.v1`, not its dead-letter topic). By default the topics
    /// the app subscribes to.
    pub fn topics<T: Into<String>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        self.topics = topics.into_iter().map(Into::into).collect();
        self
    }

    /// Also letters that name no consumer group, such as those of the platform's Go services: they may be about another
    /// service's failure. False by default.
    pub fn include_unnamed(mut self, include_unnamed: bool) -> Self {
        self.include_unnamed = include_unnamed;
        self
    }

    /// Only counts: runs no handler and writes nothing. What would be replayed is `not_reached` in the report.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Who replays, for the resolutions. The service by default.
    pub fn by(mut self, name: impl Into<String>) -> Self {
        self.by = Some(name.into());
        self
    }

    /// Why, for the resolutions.
    pub fn why(mut self, text: impl Into<String>) -> Self {
        self.why = text.into();
        self
    }

    /// Tries no more than so many letters.
    pub fn max_letters(mut self, letters: usize) -> Self {
        self.max_letters = Some(letters);
        self
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("filter", &self.filter.is_some())
            .field("topics", &self.topics)
            .field("include_unnamed", &self.include_unnamed)
            .field("dry_run", &self.dry_run)
            .field("by", &self.by)
            .field("why", &self.why)
            .field("max_letters", &self.max_letters)
            .finish()
    }
}

impl App {
    /// Gives open dead letters to the app's handlers, one at a time, in the order of their origin: topic, partition,
    /// offset. The app need not be running, and may be.
    ///
    /// A letter comes as the record it is about: the same key, bytes, headers, timestamp and place, with the attempt
    /// number counting on; where the letter had no room for all of it, it is read from its topic once more. It is tried
    /// once. Where the handler handles or skips it, that is written to
    /// `txova.dlq.resolutions` (made where it is missing) and acknowledged before the next letter is tried; where the
    /// handler fails, the letter stays open and is in the report. A handler's `stop` ends the replay.
    ///
    /// Letters of other consumer groups, letters the filter does not want and letters of a type that no handler here
    /// takes stay as they are. No offset is committed, and the dead-letter topics are only read, up to the ends they have
    /// at the start.
    ///
    /// Replaying is late by nature: newer events of the same key may have been handled before.
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
    /// A topic that does not exist, a cluster that cannot be read, and a letter that was handled while the resolution was
    /// not acknowledged: the error names it, for it will be handled again by the next replay.
    ///
    /// # Cancellation
    /// Dropping the future ends the handler that runs at its next await; its letter stays open. A letter whose
    /// resolution was under way may be handled again by the next replay; all before it are done with. Nothing is lost.
    pub async fn replay(&self, replay: Replay) -> Result<ReplayReport, ReplayError> {
        run::Run::new(self, replay).run().await
    }
}
