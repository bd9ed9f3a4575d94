//! Faults put into the engine on purpose, one line each, to show that the simulation sees them. Outside tests there are
//! none, and the compiler leaves the lines out.

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutation {
    /// Commits one past the last record taken instead of the first unsettled one.
    CommitsPastUnsettled,
    /// The same, only when partitions are given back or the app closes.
    CommitsUnrunWhenLeaving,
    /// The next record of a key starts while the one before backs off.
    FreesKeyInBackOff,
    /// The map that came with the committed offset is not used.
    ForgetsMapAtAssignment,
    /// What the map told of records that have not come again is left out of the next commit.
    ForgetsMapNotRefetched,
    /// Records fetched for an earlier assignment are taken.
    TakesRecordsOfOldEpochs,
    /// An outcome counts for whatever has the place of the record it was meant for.
    TakesLateOutcomes,
    /// A dead letter settles its record whatever the broker answered.
    SettlesUnwrittenDeadLetters,
    /// A partition starts records while its dead letters are not taken.
    StartsWhilePinned,
    /// The handler runs again when the dead letter is not taken.
    HandlesAgainWhenDeadLetterFails,
    /// Attempts before this assignment do not count.
    ForgetsAttemptsAtAssignment,
    /// A settled record resets the attempts of all others.
    NeighbourResetsAttempts,
    /// There is always room.
    IgnoresLimits,
    /// The watermark waits for offsets that no record has.
    WaitsAtGaps,
    /// Records that come again are taken again.
    TakesDuplicates,
    /// Records start while their partition is being given back.
    StartsWhileLeaving,
    /// A close waits for its handlers past its deadline.
    CloseIgnoresDeadline,
    /// A paused partition stays paused.
    NeverResumes,
    /// What a refused commit said is not said again.
    ForgetsRefusedCommits,
    /// A lost partition is kept.
    KeepsLostPartitions,
    /// A batch starts only when it is full.
    BatchesWaitToBeFull,
    /// A batch takes in whatever comes, however much it is.
    BatchesHaveNoEnd,
    /// A record whose key is in a batch under way goes into the next one.
    BatchesOvertake,
    /// A record that failed in a batch is settled with the others.
    BatchSettlesFailed,
    /// A record behind a failed one of its key in a batch is settled.
    BatchFreesKey,
    /// A failure of a batch as a whole counts as the last of each of its records.
    BatchSpoilsAll,
    /// A partition is given back, and committed for, while the answer to its transaction is out.
    GivesBackDuringTransaction,
    /// Records start although a transaction's worth of them waits.
    OverfillsTransactions,
    /// A handler that always fails is never held back.
    NeverHoldsBack,
    /// What fails while its handler is held back spends its attempts and is dead-lettered.
    DeadLettersTheOutage,
    /// Records of a handler that is held back start.
    StartsTheHeld,
    /// What waited for a handler is forgotten when it heals.
    ForgetsTheHeld,
    /// A handler that is held back is never probed.
    NeverProbes,
    /// A probe that failed is the next one again, whatever else waits.
    ProbesTheSameAgain,
    /// Any success heals, also one that began before.
    HealsByAnySuccess,
    /// What an operator has paused starts.
    StartsWhilePaused,
    /// A partition that comes while it is paused starts.
    ForgetsPausesAtAssignment,
    /// What is resumed does not start again.
    ForgetsWhatWasPaused,
    /// More starts than the rate allows.
    IgnoresRate,
    /// Nobody asks to be woken when there is a token again.
    SleepsOnWhenThrottled,
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

/// Breaks, or mends, the engines of this thread.
#[cfg(test)]
pub(super) fn break_engine(mutation: Option<Mutation>) {
    BROKEN.set(mutation);
}
