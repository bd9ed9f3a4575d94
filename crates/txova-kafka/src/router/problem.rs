//! What can be wrong with a router before it starts. It must never know how it is found out.

use std::fmt;

/// All that is wrong with a [`Router`](crate::Router), each naming the setting at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterError {
    pub(super) problems: Vec<RouterProblem>,
}

impl RouterError {
    /// Every problem, in the order of the settings.
    pub fn problems(&self) -> &[RouterProblem] {
        &self.problems
    }
}

impl fmt::Display for RouterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problems[..] {
            [problem] => write!(f, "the router cannot be built: {problem}"),
            problems => {
                write!(f, "the router cannot be built, {} problems:", problems.len())?;
                problems.iter().try_for_each(|problem| write!(f, "\n- {problem}"))
            }
        }
    }
}

impl std::error::Error for RouterError {}

/// One thing that is wrong with a router.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouterProblem {
    /// No handler at all.
    #[error("no handler is registered: expected `.handle(…)` or `.on(…, …)`")]
    NoHandlers,
    /// Two handlers for the same type or pattern.
    #[error("`{pattern}` has two handlers, `{first}` and `{second}`: expected one")]
    TwoHandlers {
        /// The type or pattern.
        pattern: String,
        /// The handler registered first.
        first: String,
        /// The one after it.
        second: String,
    },
    /// Retries that make no sense.
    #[error("`{setting}`: `.retry(…)`: {reason}")]
    Retry {
        /// The registration.
        setting: String,
        /// What is wrong, with the field's name.
        reason: String,
    },
    /// A pattern, or the type of an `Event`, that is none.
    #[error("`{setting}`: the pattern `{pattern}` is malformed: {reason}")]
    MalformedPattern {
        /// The registration.
        setting: String,
        /// As it was given.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A handler that `.handle` cannot register, because no argument tells its event type.
    #[error(
        "`{setting}`: the handler takes no `Event<T>`, so its type is unknown: register it with `.on(\"…\", {handler})`"
    )]
    NoEvent {
        /// The registration.
        setting: String,
        /// The handler.
        handler: String,
    },
    /// A handler that takes events of several types.
    #[error("`{setting}`: the handler takes several events ({}): expected one `Event<T>`", types.join(", "))]
    SeveralEvents {
        /// The registration.
        setting: String,
        /// The events' types.
        types: Vec<&'static str>,
    },
    /// A handler of one event type under a pattern that gives it others too, or never gives it that.
    #[error(
        "`{setting}`: the handler takes `Event<T>` of `{event_type}`, and the pattern `{pattern}` gives it other types: \
         use `.handle({handler})`, or take `Raw` or `Meta`"
    )]
    EventUnderPattern {
        /// The registration.
        setting: String,
        /// The handler.
        handler: String,
        /// The type its `Event<T>` reads.
        event_type: &'static str,
        /// The pattern.
        pattern: String,
    },
    /// A handler whose topics are not known.
    #[error(
        "`{setting}`: no topic is known for `{pattern}`: name them with `.topics([…])` behind it, or list its types \
         with `.catalogue(…)`"
    )]
    NoTopics {
        /// The registration.
        setting: String,
        /// The pattern.
        pattern: String,
    },
    /// A topic's name that Kafka refuses.
    #[error(
        "`{setting}`: `{topic}` is no topic name: expected 1 to 249 of ASCII letters, digits, `.`, `_` and `-`"
    )]
    MalformedTopic {
        /// The registration.
        setting: String,
        /// The name.
        topic: String,
    },
    /// A state that extractors ask for and nobody gave.
    #[error("`{setting}`: the handler takes `State<{state}>`: expected `.state(…)` of that type")]
    MissingState {
        /// The registration.
        setting: String,
        /// The state's type.
        state: &'static str,
    },
    /// A handler that publishes in a transaction, in an app that has none.
    #[error("`{setting}`: the handler takes `Tx`: expected an app with `.exactly_once(id)`")]
    NoTransactions {
        /// The registration.
        setting: String,
    },
    /// Two states of one type: a handler could not say which it means.
    #[error(
        "`.state(…)` was given two values of type `{state}`: expected one; wrap one in a type of its own"
    )]
    TwoStates {
        /// The state's type.
        state: &'static str,
    },
    /// `.batch(…)` behind a handler that takes one event.
    #[error(
        "`{setting}`: `.batch(…)` is for handlers of batches, and `{handler}` takes one event: expected a `Vec` of \
         extractors as its first argument"
    )]
    NoBatches {
        /// The registration.
        setting: String,
        /// The handler.
        handler: String,
    },
    /// A batch that could hold nothing.
    #[error("`{setting}`: `.batch(…)`: {reason}")]
    Batching {
        /// The registration.
        setting: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A setting of the handler before it, with no handler before it.
    #[error("`{setting}` stands before any handler: expected `.handle(…)` or `.on(…, …)` first")]
    NothingBefore {
        /// The setting.
        setting: &'static str,
    },
}
