//! What librdkafka says by callback, kept until the polling thread looks. It must never call back into librdkafka,
//! but for handing partitions back when the member is closing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;

use super::errors;

/// Something librdkafka said.
#[derive(Debug)]
pub(super) enum Notice {
    /// The group gives these partitions.
    Assign(TopicPartitionList),
    /// The group takes these partitions.
    Revoke(TopicPartitionList),
    /// An error, with the words that name the broker or topic.
    Error(RDKafkaErrorCode, String),
    /// A position was moved because its offset is not in the log; told only in librdkafka's log.
    OffsetReset(String),
}

/// The context of every client here: errors and log lines are kept or passed on to `tracing`.
#[derive(Debug, Default)]
pub(super) struct Context {
    notices: Mutex<Vec<Notice>>,
    /// Set when the member is leaving: rebalances are answered here and announced to nobody.
    closing: AtomicBool,
    /// A position was moved because its offset was not in the log.
    has_reset: AtomicBool,
}

impl Context {
    /// What was said since the last call.
    pub(super) fn take(&self) -> Vec<Notice> {
        std::mem::take(&mut *self.lock())
    }

    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    /// Whether a position was ever moved; true before the first record from the new one comes.
    pub(super) fn has_reset(&self) -> bool {
        self.has_reset.load(Ordering::SeqCst)
    }

    fn say(&self, notice: Notice) {
        self.lock().push(notice);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Notice>> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
        if facility == "OFFSET"
            && matches!(level, RDKafkaLogLevel::Warning)
            && message.contains("offset reset")
        {
            self.has_reset.store(true, Ordering::SeqCst);
            self.say(Notice::OffsetReset(message.to_owned()));
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = errors::code_of(&error) {
            self.say(Notice::Error(code, reason.to_owned()));
        }
    }
}

impl ConsumerContext for Context {
    /// The answer is given later, from the polling thread: librdkafka waits for it, and polling goes on meanwhile.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        kind: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        if self.closing.load(Ordering::SeqCst) {
            if kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
                let _ = take_on(consumer, partitions); // taken back in the next callback
            } else {
                let _ = give_back(consumer, partitions); // an error here ends the member just the same
            }
        } else if kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.say(Notice::Assign(partitions.clone()));
        } else {
            self.say(Notice::Revoke(partitions.clone()));
        }
    }
}

/// Starts fetching `partitions` at their offsets: all there is under the eager protocol, what is new under the
/// cooperative one.
pub(super) fn take_on(
    consumer: &BaseConsumer<Context>,
    partitions: &TopicPartitionList,
) -> Result<(), KafkaError> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_assign(partitions),
        _ => consumer.assign(partitions),
    }
}

/// Stops fetching `partitions`; under the eager protocol everything is taken at once.
pub(super) fn give_back(
    consumer: &BaseConsumer<Context>,
    partitions: &TopicPartitionList,
) -> Result<(), KafkaError> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(partitions),
        _ => consumer.unassign(),
    }
}

pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => tracing::error!(target: "txova_kafka::client", facility, "{message}"),
        RDKafkaLogLevel::Warning => tracing::warn!(target: "txova_kafka::client", facility, "{message}"),
        RDKafkaLogLevel::Notice => tracing::info!(target: "txova_kafka::client", facility, "{message}"),
        _ => tracing::debug!(target: "txova_kafka::client", facility, "{message}"),
    }
}
