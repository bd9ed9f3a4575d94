//! librdkafka's and the broker's error codes as kinds. The only place that knows both.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::super::{Undelivered, Written};
use crate::client_error::{ClientError, ClientErrorKind as Kind};

/// The kind of a code outside of deliveries.
pub(super) fn kind_of(code: Code) -> Kind {
    use Code::*;
    match code {
        BrokerTransportFailure
        | AllBrokersDown
        | Resolve
        | BrokerNotAvailable
        | NetworkException
        | BrokerDestroy
        | DestroyBroker
        | UnknownBroker
        | CoordinatorNotAvailable
        | LeaderNotAvailable
        | NotLeaderForPartition
        | ReplicaNotAvailable
        | RebootstrapRequired => Kind::Unreachable,
        Authentication
        | SaslAuthenticationFailed
        | UnsupportedSASLMechanism
        | IllegalSASLState
        | DelegationTokenExpired
        | DelegationTokenNotFound
        | DelegationTokenOwnerMismatch
        | UnacceptableCredential => Kind::Authentication,
        SSL => Kind::Tls,
        TopicAuthorizationFailed
        | GroupAuthorizationFailed
        | ClusterAuthorizationFailed
        | TransactionalIdAuthorizationFailed
        | DelegationTokenAuthorizationFailed
        | SecurityDisabled => Kind::Authorization,
        UnknownTopic | UnknownTopicOrPartition | UnknownPartition | UnknownTopicId => Kind::UnknownTopic,
        MessageSizeTooLarge | MessageBatchTooLarge | InvalidMessageSize => Kind::TooLarge,
        InvalidMessage
        | InvalidTimestamp
        | InvalidRecord
        | PolicyViolation
        | UnsupportedForMessageFormat
        | BadMessage
        | BadCompression
        | UnsupportedCompressionType
        | InvalidDifferentRecord => Kind::InvalidRecord,
        OperationTimedOut
        | RequestTimedOut
        | TimedOutQueue
        | MessageTimedOut
        | WaitingForCoordinator
        | CoordinatorLoadInProgress
        | InProgress
        | UnstableOffsetCommit => Kind::TimedOut,
        QueueFull => Kind::QueueFull,
        NotEnoughReplicas | NotEnoughReplicasAfterAppend | ISRInsufficient => Kind::NotEnoughReplicas,
        IllegalGeneration | UnknownMemberId | RebalanceInProgress | AssignmentLost | StaleMemberEpoch
        | FencedMemberEpoch | PollExceeded | MemberIdRequired => Kind::StaleMember,
        OffsetMetadataTooLarge | InvalidCommitOffsetSize => Kind::OffsetMetadataTooLarge,
        OffsetOutOfRange | AutoOffsetReset | LogTruncation => Kind::OffsetOutOfRange,
        Fenced | ProducerFenced | InvalidProducerEpoch | FencedInstanceId | TransactionCoordinatorFenced => {
            Kind::Fenced
        }
        InvalidConfig
        | InvalidArgument
        | Conflict
        | InvalidTopic
        | InvalidSessionTimeout
        | InvalidGroupId
        | InconsistentGroupProtocol
        | InvalidRequiredAcks
        | InvalidPartitions
        | InvalidReplicationFactor
        | InvalidReplicaAssignment
        | UnsupportedAssignor => Kind::Config,
        UnsupportedFeature | UnsupportedVersion => Kind::Unsupported,
        PurgeQueue | PurgeInflight => Kind::Closed,
        _ => Kind::Other,
    }
}

/// The error of a call, with `place` (a topic, a partition, the brokers' addresses) in front.
pub(super) fn at(place: impl std::fmt::Display, error: &KafkaError) -> ClientError {
    match code_of(error) {
        Some(code) => ClientError::new(kind_of(code), format!("{place}: {code}")),
        None => ClientError::new(Kind::Other, format!("{place}: {error}")),
    }
}

/// An error event: a code and librdkafka's own words, which name the broker.
pub(super) fn event(code: Code, reason: &str) -> ClientError {
    let kind = match kind_of(code) {
        // librdkafka sees only a closed connection, and guesses the cause in words.
        Kind::Unreachable if reason.contains("SSL listener") || reason.contains("SSL_HANDSHAKE") => Kind::Tls,
        kind => kind,
    };
    ClientError::new(kind, reason)
}

/// A line of librdkafka's log about a connection that ended, which it does not tell as an event.
///
/// A TLS listener closes a connection that is not encrypted at the first request; a broker that is going down may do so
/// too, but not three times in a row.
pub(super) fn failed(message: &str, is_encrypted: bool) -> ClientError {
    let message = message.split_once("]: ").map_or(message, |(_, message)| message);
    let is_closed_at_once = message.contains("Disconnected") && message.contains("in state APIVERSION_QUERY");
    match is_closed_at_once && !is_encrypted {
        true if message.contains("identical error") => {
            ClientError::new(Kind::Tls, format!("{message}; does this listener expect TLS?"))
        }
        _ => ClientError::new(Kind::Unreachable, message),
    }
}

/// A record's failed delivery. `written` is the client's own account of the record, not a guess from the code.
///
/// No answer in time, a broken connection and a purged record become one of the two timeouts by `written`. A broker's
/// plain refusal keeps its kind, also where an earlier try may have been written.
pub(super) fn delivery(topic: &str, partition: i32, code: Code, written: Written) -> Undelivered {
    let (timed_out, certainty) = match written {
        Written::No => (Kind::TimedOutNotWritten, "it was not written"),
        Written::Maybe => (Kind::TimedOutMaybeWritten, "it may have been written"),
    };
    let kind = match (code, kind_of(code)) {
        (Code::NotEnoughReplicasAfterAppend, _) => timed_out,
        (Code::InvalidTopic, _) => Kind::InvalidRecord,
        (_, Kind::TimedOut | Kind::Unreachable | Kind::Closed) => timed_out,
        (_, Kind::Other) if written == Written::Maybe => timed_out,
        (_, kind) => kind,
    };
    let place = if partition < 0 { topic.to_owned() } else { format!("{topic}-{partition}") };
    let text = format!("{place}: the record was not acknowledged ({code}); {certainty}");
    Undelivered {
        error: ClientError::new(kind, text),
        written,
        is_taken: true,
        maybe_twice: false,
        key: None,
        record: None,
    }
}

/// Whether sending the same record again gets the same answer until somebody changes something.
pub(super) fn is_refusal(kind: Kind) -> bool {
    matches!(kind, Kind::TooLarge | Kind::UnknownTopic | Kind::InvalidRecord | Kind::Authorization)
}

pub(super) fn code_of(error: &KafkaError) -> Option<Code> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}
