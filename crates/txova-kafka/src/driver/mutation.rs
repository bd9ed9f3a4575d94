//! Faults put into the driver on purpose, one line each, to show that the simulation of whole apps sees them. Outside
//! tests there are none, and the compiler leaves the lines out.

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// What a failed handler said is not told to the engine.
    DropsFailures,
    /// A panic counts as ok.
    PanicsAreFine,
    /// A handler may take as long as it likes.
    NeverTimesOut,
    /// A handler runs twice for one start.
    StartsTwice,
    /// What found no room is dropped.
    DropsHeldRecords,
    /// The engine does not hear of a loss.
    IgnoresLost,
    /// The engine does not hear of a revocation.
    IgnoresRevoked,
    /// A revocation is answered before what runs has ended.
    ReleasesAtOnce,
    /// Handlers whose result is no longer wanted go on.
    NeverCancels,
    /// Handlers are ended without being told before.
    NeverTells,
    /// A refused commit counts as made.
    BelievesRefusedCommits,
    /// The answer to a commit is waited for and not passed on.
    ForgetsCommitAnswers,
    /// A dead letter counts as written when it is handed over.
    BelievesUnwrittenDeadLetters,
    /// A dead letter that is not taken is not heard of.
    ForgetsRefusedDeadLetters,
    /// The last commit of a close is left out.
    ClosesWithoutCommit,
    /// Timers do not ring by themselves.
    NeverWakes,
    /// A resumed partition stays paused.
    ForgetsResumes,
    /// Records go to the newest assignment, whichever they were fetched for.
    MixesEpochs,
    /// The records of a batch that its handler named as failed count as handled.
    ForgetsPartialFailures,
    /// What a failed attempt published is written.
    PublishesFailedAttempts,
    /// A dead letter is left out of its transaction.
    ForgetsLetters,
    /// What was published in an assignment is written in a later one.
    OutputsOutliveTheirAssignment,
    /// What was published is written although its record is not told as done.
    CommitsUncovered,
    /// What a transaction took is written in the order of the last first.
    ReversesOutputs,
    /// What an aborted transaction took is not written in the next.
    ForgetsAborted,
    /// What a transaction has committed is written in the next once more.
    CommitsTwice,
    /// Handlers that are held back run.
    RunsTheHeld,
    /// The engine does not hear of an operator's pause.
    IgnoresPauses,
    /// Records are handled in follow mode though an earlier one of their key is an open dead letter.
    FollowsNothing,
    /// Records start in follow mode before it is known what they follow.
    StartsUnread,
}

#[cfg(not(test))]
pub(super) const fn broken(_: Mutation) -> bool {
    false
}

#[cfg(test)]
thread_local! {
    static BROKEN: std::cell::Cell<Option<Mutation>> = const { std::cell::Cell::new(None) };
}

#[cfg(test)]
pub(super) fn broken(mutation: Mutation) -> bool {
    BROKEN.get() == Some(mutation)
}

/// Breaks, or mends, the drivers of this thread.
#[cfg(test)]
pub(crate) fn break_driver(mutation: Option<Mutation>) {
    BROKEN.set(mutation);
}
