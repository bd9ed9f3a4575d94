//! Why an event was not published, and whether it may have been written all the same. It must never name the client.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::client_error::{ClientError, ClientErrorKind};

/// Why an event was not published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishError {
    kind: PublishErrorKind,
    written: Written,
    place: Option<Place>,
    message: String,
}

/// The kinds of [`PublishError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PublishErrorKind {
    /// The event breaks the contract: it must be changed.
    InvalidEvent,
    /// The record is larger than `max_message_bytes`, the topic or the broker allows.
    TooLarge,
    /// The broker refuses it: not allowed, no such topic, or a record it never takes.
    Refused,
    /// No answer within `delivery_timeout_ms`.
    TimedOut,
    /// No place in the buffer within `max_block_ms`.
    BufferFull,
    /// Another event of the same batch was not sent, and this one stands behind it.
    NotSent,
    /// The publisher is closed.
    Closed,
    /// Anything else that the client or the broker says.
    Failed,
}

/// Whether a record that was not acknowledged is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Written {
    /// Certainly not.
    No,
    /// Nobody knows.
    Maybe,
}

/// Where a record was bound for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub topic: Arc<str>,
    pub key: Option<Bytes>,
}

impl PublishError {
    /// An error of a record that was certainly not written.
    pub(super) fn unwritten(
        kind: PublishErrorKind,
        place: Option<Place>,
        message: impl Into<String>,
    ) -> Self {
        Self { kind, written: Written::No, place, message: message.into() }
    }

    pub(super) fn too_large(place: Place, size_bytes: usize, limit_bytes: usize) -> Self {
        let message =
            format!("the record has {size_bytes} bytes, publisher.max_message_bytes is {limit_bytes}");
        Self::unwritten(PublishErrorKind::TooLarge, Some(place), message)
    }

    pub(super) fn closed(place: Option<Place>) -> Self {
        Self::unwritten(PublishErrorKind::Closed, place, "the publisher is closed")
    }

    /// The client took the record and then let it go without a word.
    pub(super) fn unanswered(place: Place) -> Self {
        Self {
            kind: PublishErrorKind::Closed,
            written: Written::Maybe,
            place: Some(place),
            message: "the client ended without an answer for the record".to_owned(),
        }
    }

    /// The client did not take the record.
    pub(super) fn not_taken(place: Place, error: ClientError) -> Self {
        Self { written: Written::No, ..Self::answered(place, error) }
    }

    /// The answer the client or the broker gave in the end.
    pub(super) fn answered(place: Place, error: ClientError) -> Self {
        use ClientErrorKind as Client;
        use PublishErrorKind as Kind;
        let (kind, written) = match error.kind {
            Client::TooLarge => (Kind::TooLarge, Written::No),
            Client::Authorization | Client::UnknownTopic | Client::InvalidRecord => {
                (Kind::Refused, Written::No)
            }
            Client::Authentication | Client::Tls | Client::Config => (Kind::Failed, Written::No),
            Client::TimedOutNotWritten => (Kind::TimedOut, Written::No),
            Client::TimedOutMaybeWritten | Client::TimedOut => (Kind::TimedOut, Written::Maybe),
            Client::QueueFull => (Kind::BufferFull, Written::No),
            Client::Closed => (Kind::Closed, Written::Maybe),
            _ => (Kind::Failed, Written::Maybe),
        };
        Self { kind, written, place: Some(place), message: error.message }
    }

    /// What went wrong.
    pub fn kind(&self) -> PublishErrorKind {
        self.kind
    }

    /// Whether the record is in the log. Publishing again after `Maybe` can write it twice; readers tell by the
    /// event's id.
    pub fn written(&self) -> Written {
        self.written
    }

    /// Whether the same call can succeed later without anybody changing anything.
    pub fn is_retriable(&self) -> bool {
        matches!(
            self.kind,
            PublishErrorKind::TimedOut
                | PublishErrorKind::BufferFull
                | PublishErrorKind::NotSent
                | PublishErrorKind::Failed
        )
    }

    /// The topic the record was bound for; `None` where the event never became a record.
    pub fn topic(&self) -> Option<&str> {
        self.place.as_ref().map(|place| &*place.topic)
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot publish")?;
        if let Some(place) = &self.place {
            write!(f, " to {}", place.topic)?;
            if let Some(key) = &place.key {
                write!(f, " (key {})", shorten(&String::from_utf8_lossy(key)))?;
            }
        }
        write!(f, ": {}", self.message)?;
        match self.written {
            Written::No => Ok(()),
            Written::Maybe => f.write_str(" (the record may have been written)"),
        }
    }
}

impl std::error::Error for PublishError {}

fn shorten(key: &str) -> &str {
    match key.char_indices().nth(64) {
        Some((end, _)) => &key[..end],
        None => key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { topic: "rides".into(), key: Some(Bytes::from_static(b"ride-1")) }
    }

    #[test]
    fn an_error_says_where_what_and_whether_it_may_have_been_written() {
        let timeout = ClientError::new(ClientErrorKind::TimedOutMaybeWritten, "no answer in 120000 ms");
        let error = PublishError::answered(place(), timeout);
        assert_eq!(
            error.to_string(),
            "cannot publish to rides (key ride-1): no answer in 120000 ms (the record may have been written)"
        );
        assert_eq!((error.kind(), error.is_retriable()), (PublishErrorKind::TimedOut, true));
    }

    #[test]
    fn what_the_client_never_took_was_never_written() {
        let error = ClientError::new(ClientErrorKind::Other, "a fatal error");
        assert_eq!(PublishError::answered(place(), error.clone()).written(), Written::Maybe);
        assert_eq!(PublishError::not_taken(place(), error).written(), Written::No);
    }

    #[test]
    fn only_what_the_broker_has_looked_at_or_never_got_is_certainly_not_written() {
        use ClientErrorKind::*;
        for kind in [TooLarge, Authorization, UnknownTopic, InvalidRecord, TimedOutNotWritten] {
            let error = PublishError::answered(place(), ClientError::new(kind, ""));
            assert_eq!(error.written(), Written::No, "{kind:?}");
        }
        for kind in [Unreachable, TimedOut, TimedOutMaybeWritten, NotEnoughReplicas, Fenced, Closed, Other] {
            let error = PublishError::answered(place(), ClientError::new(kind, ""));
            assert_eq!(error.written(), Written::Maybe, "{kind:?}");
        }
    }
}
