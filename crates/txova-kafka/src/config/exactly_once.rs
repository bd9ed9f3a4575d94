//! What an app that commits in transactions asks of its settings. It must never change them.

use super::problem::{ConfigError, Origin, Problem};
use super::{Isolation, KafkaConfig};

impl KafkaConfig {
    /// Checks what [`AppBuilder::exactly_once`](crate::AppBuilder::exactly_once) depends on, beside what every consumer does.
    pub(crate) fn validate_exactly_once(&self, id: &str) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        let mut refuse_if = |wrong: bool, setting: &str, value: &dyn ToString, expected: &str| {
            if wrong {
                let (setting, value) = (setting.to_owned(), Some(value.to_string()));
                problems.push(Problem {
                    setting,
                    value,
                    expected: expected.to_owned(),
                    origin: Origin::Code,
                });
            }
        };
        refuse_if(
            id.trim().is_empty() || id.contains('\0'),
            ".exactly_once(id)",
            &id,
            "expected a name, the same for every instance of the service",
        );
        let consumer = &self.consumer;
        refuse_if(
            consumer.isolation != Isolation::ReadCommitted,
            "consumer.isolation",
            &consumer.isolation,
            "expected read_committed: exactly once begins with reading only what will stay",
        );
        refuse_if(
            consumer.transaction_timeout_ms <= consumer.commit_interval_ms,
            "consumer.transaction_timeout_ms",
            &consumer.transaction_timeout_ms,
            "expected more than commit_interval_ms: a transaction is to be committed before it is aborted",
        );
        refuse_if(
            consumer.follow_dead_letters,
            "consumer.follow_dead_letters",
            &consumer.follow_dead_letters,
            "expected false: what another member's open transaction hides could not be followed",
        );
        ConfigError::unless_empty(problems)
    }
}
