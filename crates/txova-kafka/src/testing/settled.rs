//! What happened until everything had settled. It must never know how it was found out.

use std::fmt;
use std::time::Duration;

use txova_events::DeadLetter;

use super::event_store::EventStore;
use super::journal::{HandlerEnd, HandlerRun};
use crate::outcome::ErrorClass;
use crate::record::TopicPartition;

/// What happened on a [`Harness`](super::Harness) since it was made. Printed, it tells the whole story.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settled {
    /// Every time a handler was given a record, in order.
    pub runs: Vec<HandlerRun>,
    /// The dead letters, in order.
    pub dead_letters: Vec<DeadLetter>,
    /// What is committed, by group and partition.
    pub committed: Vec<Committed>,
    /// What services published, in order.
    pub published: EventStore,
    /// The time it took, on tokio's clock.
    pub took: Duration,
}

/// Where a group goes on after a restart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Committed {
    /// The group.
    pub group: String,
    /// The partition.
    pub partition: TopicPartition,
    /// The next offset to read.
    pub offset: i64,
}

impl Settled {
    /// Times a handler said ok. A record handled twice counts twice.
    pub fn handled(&self) -> usize {
        self.runs.iter().filter(|run| run.end == HandlerEnd::Ok).count()
    }

    /// Records settled by `skip`.
    pub fn skipped(&self) -> usize {
        let is_skip = |end: &HandlerEnd| matches!(end, HandlerEnd::Failed { class: ErrorClass::Skip, .. });
        self.runs.iter().filter(|run| is_skip(&run.end)).count()
    }

    /// Times a record was tried again.
    pub fn retried(&self) -> usize {
        self.runs.iter().filter(|run| run.attempt > 1).count()
    }

    /// Records whose dead letter is written. A letter written twice counts twice.
    pub fn dead_lettered(&self) -> usize {
        self.dead_letters.len()
    }

    /// The part of one group. What was published stays whole: events name services, not groups.
    pub fn of_group(&self, group: &str) -> Self {
        let mut part = self.clone();
        part.runs.retain(|run| &*run.group == group);
        part.dead_letters.retain(|letter| letter.consumer_group.as_deref() == Some(group));
        part.committed.retain(|committed| committed.group == group);
        part
    }
}

impl fmt::Display for Settled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} handled, {} tried again, {} skipped, {} dead-lettered, {} published in {:.3} s",
            self.handled(),
            self.retried(),
            self.skipped(),
            self.dead_lettered(),
            self.published.len(),
            self.took.as_secs_f64(),
        )?;
        self.runs.iter().try_for_each(|run| writeln!(f, "    {run}"))?;
        for letter in &self.dead_letters {
            let DeadLetter { original_topic, original_partition, original_offset, error_message, .. } =
                letter;
            writeln!(
                f,
                "  dead letter of {original_topic}-{original_partition}@{original_offset}: {error_message}"
            )?;
        }
        for Committed { group, partition, offset } in &self.committed {
            writeln!(f, "  {group} goes on at {partition}@{offset}")?;
        }
        write!(f, "  published:\n{}", self.published)
    }
}
