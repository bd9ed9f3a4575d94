//! Why an event was not published, and whether it may have been written all the same. It must never name the client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::Published;
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::OutgoingRecord;
pub use crate::transport::Written;

/// Why an event was not published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishError {
    kind: PublishErrorKind,
    written: Written,
    told: Box<Told>,
}

/// Apart, so that the answer of a record that is written is small: every record under way has room for one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Told {
    place: Option<Place>,
    message: String,
    maybe_twice: bool,
    size_bytes: Option<usize>,
    limit_bytes: Option<usize>,
    retry_after: Option<Duration>,
    dead_letter: Option<Published>,
}

/// The kinds of [`PublishError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PublishErrorKind {
    /// The event breaks the contract: it must be changed.
    InvalidEvent,
    /// The record is larger than `max_message_bytes`, the topic or the broker allows. See
    /// [`size_bytes`](PublishError::size_bytes) and [`limit_bytes`](PublishError::limit_bytes).
    TooLarge,
    /// The broker refuses it: not allowed, no such topic, or a record it never takes.
    Refused,
    /// No answer within `delivery_timeout_ms`.
    TimedOut,
    /// No place in the buffer within `max_block_ms`.
    BufferFull,
    /// Nothing gets through any more, and the publisher no longer waits to find out. See
    /// [`retry_after`](PublishError::retry_after).
    CircuitOpen,
    /// Another event of the same batch was not sent, and this one stands behind it.
    NotSent,
    /// The publisher is closed.
    Closed,
    /// Anything else that the client or the broker says.
    Failed,
}

impl PublishErrorKind {
    /// The name in metrics and spans.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidEvent => "invalid_event",
            Self::TooLarge => "too_large",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::BufferFull => "buffer_full",
            Self::CircuitOpen => "circuit_open",
            Self::NotSent => "not_sent",
            Self::Closed => "closed",
            Self::Failed => "failed",
        }
    }
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
        let told = Told { place, message: message.into(), ..Told::default() };
        Self { kind, written: Written::No, told: Box::new(told) }
    }

    pub(super) fn too_large(place: Place, size_bytes: usize, limit_bytes: usize) -> Self {
        let message =
            format!("the record has {size_bytes} bytes, publisher.max_message_bytes is {limit_bytes}");
        Self::unwritten(PublishErrorKind::TooLarge, Some(place), message)
            .of_size(size_bytes, Some(limit_bytes))
    }

    pub(super) fn circuit_open(place: Place, retry_after: Duration) -> Self {
        let message = format!(
            "the circuit is open, for no record gets through; again in {} ms",
            retry_after.as_millis()
        );
        let mut error = Self::unwritten(PublishErrorKind::CircuitOpen, Some(place), message);
        error.told.retry_after = Some(retry_after);
        error
    }

    /// One attempt publishes more than an attempt may.
    pub(crate) fn too_much(record: &OutgoingRecord, published_bytes: usize, limit_bytes: usize) -> Self {
        let place = Place { topic: record.topic.clone(), key: record.key.clone() };
        let size_bytes = record.size_bytes();
        let message = format!(
            "the record has {size_bytes} bytes, the attempt has published {published_bytes} before it, and \
             publisher.buffer_bytes is {limit_bytes}"
        );
        Self::unwritten(PublishErrorKind::TooLarge, Some(place), message)
            .of_size(size_bytes, Some(limit_bytes))
    }

    /// The attempt that published it has ended.
    pub(crate) fn ended(record: &OutgoingRecord) -> Self {
        let place = Place { topic: record.topic.clone(), key: record.key.clone() };
        let message = "the attempt it belongs to has ended: publish before the handler returns";
        Self::unwritten(PublishErrorKind::Closed, Some(place), message)
    }

    pub(super) fn closed(place: Option<Place>) -> Self {
        Self::unwritten(PublishErrorKind::Closed, place, "the publisher is closed")
    }

    /// The client took the record and then let it go without a word.
    pub(super) fn unanswered(place: Place) -> Self {
        let message = "the client ended without an answer for the record";
        Self { written: Written::Maybe, ..Self::unwritten(PublishErrorKind::Closed, Some(place), message) }
    }

    /// The answer the client or the broker gave in the end.
    pub(super) fn answered(place: Place, size_bytes: usize, error: ClientError, written: Written) -> Self {
        use ClientErrorKind as Client;
        use PublishErrorKind as Kind;
        let kind = match error.kind {
            Client::TooLarge => Kind::TooLarge,
            Client::Authorization | Client::UnknownTopic | Client::InvalidRecord => Kind::Refused,
            Client::TimedOutNotWritten | Client::TimedOutMaybeWritten | Client::TimedOut => Kind::TimedOut,
            Client::QueueFull => Kind::BufferFull,
            Client::Closed => Kind::Closed,
            _ => Kind::Failed,
        };
        let answered = Self { written, ..Self::unwritten(kind, Some(place), error.message) };
        if kind != Kind::TooLarge {
            return answered;
        }
        let mut too_large = answered.of_size(size_bytes, None);
        too_large.told.message += &format!(
            "; the record has {size_bytes} bytes, and the batch it was in is more than the topic's max.message.bytes"
        );
        too_large
    }

    pub(super) fn with_twice(mut self, maybe_twice: bool) -> Self {
        self.told.maybe_twice = maybe_twice;
        self
    }

    fn of_size(mut self, size_bytes: usize, limit_bytes: Option<usize>) -> Self {
        (self.told.size_bytes, self.told.limit_bytes) = (Some(size_bytes), limit_bytes);
        self
    }

    /// What became of the dead letter of a refused record.
    pub(super) fn with_dead_letter(mut self, letter: Result<Published, ClientError>) -> Self {
        match letter {
            Ok(place) => {
                let Published { topic, partition, offset, .. } = &place;
                self.told.message += &format!("; it is kept as dead letter {topic}/{partition}/{offset}");
                self.told.dead_letter = Some(place);
            }
            Err(error) => self.told.message += &format!("; nor was its dead letter written: {error}"),
        }
        self
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

    /// Whether a record that may be in the log may also be there twice, as
    /// [`Published::maybe_twice`](super::Published::maybe_twice) says of one that is.
    pub fn maybe_twice(&self) -> bool {
        self.told.maybe_twice
    }

    /// Whether the same call can succeed later without anybody changing anything.
    pub fn is_retriable(&self) -> bool {
        matches!(
            self.kind,
            PublishErrorKind::TimedOut
                | PublishErrorKind::BufferFull
                | PublishErrorKind::CircuitOpen
                | PublishErrorKind::NotSent
                | PublishErrorKind::Failed
        )
    }

    /// When to try again, where the publisher knows: with [`CircuitOpen`](PublishErrorKind::CircuitOpen).
    pub fn retry_after(&self) -> Option<Duration> {
        self.told.retry_after
    }

    /// The record's size, with [`TooLarge`](PublishErrorKind::TooLarge): key, value and headers.
    pub fn size_bytes(&self) -> Option<usize> {
        self.told.size_bytes
    }

    /// The limit it is over, with [`TooLarge`](PublishErrorKind::TooLarge); `None` where it is the topic's own, which a
    /// broker does not tell.
    pub fn limit_bytes(&self) -> Option<usize> {
        self.told.limit_bytes
    }

    /// Where the record is kept instead: on the dead-letter topic, because it was refused for good.
    pub fn dead_letter(&self) -> Option<&Published> {
        self.told.dead_letter.as_ref()
    }

    /// The record's key, which its text leaves out; `None` where there is none: the event never became a record, or the
    /// client ended without an answer.
    pub fn key(&self) -> Option<&[u8]> {
        self.told.place.as_ref()?.key.as_deref()
    }

    /// Empty where the event never became a record.
    pub(super) fn topic_name(&self) -> Arc<str> {
        self.told.place.as_ref().map_or_else(|| "".into(), |place| place.topic.clone())
    }

    /// The topic the record was bound for; `None` where the event never became a record.
    pub fn topic(&self) -> Option<&str> {
        self.told.place.as_ref().map(|place| &*place.topic)
    }
}

/// Without the key, which may be personal: errors end in logs.
impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot publish")?;
        if let Some(place) = &self.told.place {
            write!(f, " to {}", place.topic)?;
        }
        write!(f, ": {}", self.told.message)?;
        match self.written {
            Written::No => Ok(()),
            Written::Maybe if self.told.maybe_twice => {
                f.write_str(" (the record may have been written, also twice)")
            }
            Written::Maybe => f.write_str(" (the record may have been written)"),
        }
    }
}

impl std::error::Error for PublishError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { topic: "rides".into(), key: Some(Bytes::from_static(b"ride-1")) }
    }

    #[test]
    fn an_error_says_where_what_and_whether_it_may_have_been_written() {
        let timeout = ClientError::new(ClientErrorKind::TimedOutMaybeWritten, "no answer in 120000 ms");
        let error = PublishError::answered(place(), 10, timeout, Written::Maybe);
        assert_eq!(
            error.to_string(),
            "cannot publish to rides: no answer in 120000 ms (the record may have been written)"
        );
        assert_eq!((error.kind(), error.is_retriable()), (PublishErrorKind::TimedOut, true));
    }

    #[test]
    fn whether_it_was_written_is_what_the_client_says_and_not_a_guess_from_the_kind() {
        use ClientErrorKind::*;
        for kind in
            [TooLarge, Authorization, TimedOutNotWritten, Unreachable, NotEnoughReplicas, Fenced, Other]
        {
            for written in [Written::No, Written::Maybe] {
                let error = PublishError::answered(place(), 10, ClientError::new(kind, ""), written);
                assert_eq!(error.written(), written, "{kind:?}");
            }
        }
    }

    #[test]
    fn a_record_too_large_for_its_topic_is_told_with_its_size() {
        let refused = ClientError::new(ClientErrorKind::TooLarge, "rides-0: refused");
        let error = PublishError::answered(place(), 1_234, refused, Written::No);
        assert_eq!((error.size_bytes(), error.limit_bytes()), (Some(1_234), None));
        assert!(error.to_string().contains("the record has 1234 bytes"), "{error}");
        let error = PublishError::too_large(place(), 1_234, 1_000);
        assert_eq!((error.size_bytes(), error.limit_bytes()), (Some(1_234), Some(1_000)));
    }
}
