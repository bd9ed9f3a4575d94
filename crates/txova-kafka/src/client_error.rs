//! What a Kafka client or broker answers when something goes wrong, as data. It must never name the client underneath.

use std::fmt;

/// An error of the client or a broker: what kind, where, what was said, and whether trying again can help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientError {
    /// What went wrong.
    pub kind: ClientErrorKind,
    /// What the client or the broker said, with the place (broker address, topic, partition) where there is one.
    /// Never a secret.
    pub message: String,
}

/// The kinds of [`ClientError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientErrorKind {
    /// A setting the client refuses.
    Config,
    /// No broker answers at the addresses given, or the connection broke.
    Unreachable,
    /// User name, password, mechanism or certificate refused.
    Authentication,
    /// TLS could not be agreed: wrong CA, wrong host name, or plain text on a TLS port.
    Tls,
    /// The user may not do this.
    Authorization,
    /// The topic or partition does not exist.
    UnknownTopic,
    /// The record is larger than the client, the topic or the broker takes.
    TooLarge,
    /// The broker refuses the record for good (corrupt, no key on a compacted topic, a timestamp out of range).
    InvalidRecord,
    /// No answer in time, and the record was certainly not written.
    TimedOutNotWritten,
    /// No answer in time; the record may have been written.
    TimedOutMaybeWritten,
    /// A call that writes no record had no answer in time.
    TimedOut,
    /// The client's buffer is full.
    QueueFull,
    /// Too few replicas in sync.
    NotEnoughReplicas,
    /// The group has moved on: this member's generation is over, or it is no longer a member.
    StaleMember,
    /// The commit's metadata is longer than the broker takes.
    OffsetMetadataTooLarge,
    /// A committed offset is not in the log.
    OffsetOutOfRange,
    /// Another producer or member took this one's place.
    Fenced,
    /// The client is closed.
    Closed,
    /// The broker, or the client, does not know how to do this.
    Unsupported,
    /// Anything else.
    Other,
}

impl ClientErrorKind {
    /// Whether the same call can succeed later without anybody changing anything.
    pub fn is_retriable(self) -> bool {
        matches!(
            self,
            Self::Unreachable
                | Self::TimedOut
                | Self::TimedOutNotWritten
                | Self::TimedOutMaybeWritten
                | Self::QueueFull
                | Self::NotEnoughReplicas
                | Self::StaleMember
                | Self::UnknownTopic
                | Self::Other
        )
    }
}

impl ClientError {
    /// An error of `kind` with `message`.
    pub fn new(kind: ClientErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// See [`ClientErrorKind::is_retriable`].
    pub fn is_retriable(&self) -> bool {
        self.kind.is_retriable()
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ClientError {}
