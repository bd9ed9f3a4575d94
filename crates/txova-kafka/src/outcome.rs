//! What a handler can answer, and what the engine is told of it. It must never know the client, offsets or topics.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What should happen to a record whose handler failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// May pass by itself: tried again with back-off, then dead-lettered. Any plain error is this.
    Transient,
    /// Never passes by itself: dead-lettered now.
    Permanent,
    /// Nothing to be done and nothing to be kept: the record counts as settled.
    Skip,
    /// The service must not go on: the app closes, and the record is neither settled nor dead-lettered.
    Stop,
}

impl ErrorClass {
    /// The name in dead letters, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::Skip => "skip",
            Self::Stop => "stop",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a handler failed, with its class as data.
///
/// Any error becomes one by `?` and is transient; the constructors say otherwise:
///
/// ```
/// use txova_kafka::{ErrorClass, HandlerError};
///
/// fn charge(centavos: i64) -> Result<(), HandlerError> {
///     if centavos < 0 {
///         return Err(HandlerError::permanent(format!("a fare of {centavos} centavos cannot be charged")));
///     }
///     std::fs::metadata("/")?; // a plain error: transient
///     Ok(())
/// }
/// assert_eq!(charge(-5).unwrap_err().class(), ErrorClass::Permanent);
/// ```
pub struct HandlerError {
    class: ErrorClass,
    retry_after: Option<Duration>,
    is_unlogged: bool,
    source: Box<dyn Error + Send + Sync>,
    /// Of where the error became this; empty unless `RUST_BACKTRACE` or `RUST_LIB_BACKTRACE` asks for it.
    backtrace: Backtrace,
}

impl HandlerError {
    /// An error of `class`.
    pub fn new(class: ErrorClass, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            class,
            retry_after: None,
            is_unlogged: false,
            source: error.into(),
            backtrace: Backtrace::capture(),
        }
    }

    /// May pass by itself.
    pub fn transient(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ErrorClass::Transient, error)
    }

    /// Never passes by itself.
    pub fn permanent(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ErrorClass::Permanent, error)
    }

    /// Settles the record without keeping it; the reason goes to the log.
    pub fn skip(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ErrorClass::Skip, reason)
    }

    /// Stops the app; the record stays unsettled.
    pub fn stop(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ErrorClass::Stop, reason)
    }

    /// Tries again no sooner than this; takes the place of the back-off where it is longer.
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// The `E` it is; itself, where it is another error.
    pub(crate) fn downcast<E: Error + 'static>(self) -> Result<E, Self> {
        let Self { class, retry_after, is_unlogged, source, backtrace } = self;
        let again = |source| Self { class, retry_after, is_unlogged, source, backtrace };
        source.downcast::<E>().map(|error| *error).map_err(again)
    }

    /// Keeps the text out of logs and health, because it may name a person or quote the event. The dead letter has it.
    pub fn unlogged(mut self) -> Self {
        self.is_unlogged = true;
        self
    }

    pub(crate) fn with_class(mut self, class: ErrorClass) -> Self {
        self.class = class;
        self
    }

    /// As a plain error that keeps class and delay for when it becomes a `HandlerError` again: for `tower` layers that
    /// want errors boxed.
    pub fn into_boxed(self) -> Box<dyn Error + Send + Sync> {
        Box::new(Carried(self))
    }

    /// The error's class.
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// The error itself.
    pub fn error(&self) -> &(dyn Error + Send + Sync + 'static) {
        self.source.as_ref()
    }

    /// As the engine and a dead letter see it: data, with the chain of causes as text.
    pub(crate) fn into_failure(self, by: Option<HandlerId>, handler: Arc<str>) -> Failure {
        let message = self.source.to_string();
        let mut chain = Vec::new();
        let mut cause = self.source.source();
        while let Some(error) = cause {
            chain.push(error.to_string());
            if chain.len() == 16 {
                break; // a chain that refers to itself must not hang the engine
            }
            cause = error.source();
        }
        let backtrace = Some(&self.backtrace).filter(|taken| taken.status() == BacktraceStatus::Captured);
        let backtrace = backtrace.map(|taken| taken.to_string().into());
        let (class, retry_after, is_unlogged) = (self.class, self.retry_after, self.is_unlogged);
        Failure { class, retry_after, by, handler, is_unlogged, message, chain, backtrace }
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        match error.into().downcast::<Carried>() {
            Ok(carried) => carried.0,
            Err(error) => Self::transient(error),
        }
    }
}

/// On its way through what knows only plain errors.
struct Carried(HandlerError);

impl Error for Carried {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.source()
    }
}

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.source, f)
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} error: {:?}", self.class, self.source)
    }
}

/// Which of an app's handlers. Names are for people; by this the engine tells handlers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct HandlerId(pub u32);

/// How one attempt at a record ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The handler said ok.
    Handled(HandlerId),
    /// It did not: an error, a panic, a timeout, bytes that are no event. The class says what comes next.
    Failed(Box<Failure>),
    /// The handler is held back and was not run.
    Held(HandlerId),
    /// No handler was run: the partition went before the record's turn came.
    NotRun,
}

/// How one run over a batch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BatchOutcome {
    /// All alike. A failure is that of no record in particular.
    Whole(Outcome),
    /// These failed, by their place in the batch, the lowest first; the others are handled.
    Parts { by: HandlerId, failed: Vec<(usize, Box<Failure>)> },
    /// The handler has not run. These, by their place, are no events it can be given, and are to be handled apart.
    NotRun(Vec<usize>),
}

/// A failed attempt, as data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub class: ErrorClass,
    pub retry_after: Option<Duration>,
    /// The handler whose verdict it is; `None` where the record did not get that far: no event, of an unknown type, or
    /// not what its type says.
    pub by: Option<HandlerId>,
    /// The handler's name; `"-"` where no handler was reached.
    pub handler: Arc<str>,
    /// The texts are for the dead letter alone.
    pub is_unlogged: bool,
    pub message: String,
    /// The causes beneath, outermost first.
    pub chain: Vec<String>,
    pub backtrace: Option<Box<str>>,
}

impl Failure {
    /// One that is this library's word and no error of a handler's: it has no causes beneath.
    pub(crate) fn of(
        class: ErrorClass,
        (by, handler): (Option<HandlerId>, Arc<str>),
        message: String,
    ) -> Self {
        let (retry_after, is_unlogged, chain, backtrace) = (None, false, Vec::new(), None);
        Self { class, retry_after, by, handler, is_unlogged, message, chain, backtrace }
    }

    /// The message, where it may be told.
    pub(crate) fn told(&self) -> &str {
        match self.is_unlogged {
            true => "the reason may quote the event, and is told in its dead letter only",
            false => &self.message,
        }
    }
}
