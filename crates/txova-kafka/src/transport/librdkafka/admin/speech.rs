//! Which requests a broker understands. librdkafka asks each broker when it connects and tells it nowhere but in its
//! debug log, which is read here.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;

use crate::transport::admin::RequestVersions;
use crate::transport::librdkafka::context;

/// What was heard, by broker as the log names it.
#[derive(Debug, Default)]
pub(super) struct Speech(Mutex<BTreeMap<String, Vec<RequestVersions>>>);

/// Makes the client say what is heard here.
pub(super) fn listen(config: &mut ClientConfig) {
    let debug = config.get("debug").map(|debug| format!("{debug},")).unwrap_or_default();
    config.set("debug", format!("{debug}feature")).set_log_level(RDKafkaLogLevel::Debug);
}

impl Speech {
    /// What that broker understands; empty where nothing was heard of it.
    pub(super) fn of_broker(&self, id: i32) -> Vec<RequestVersions> {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = format!("/{id}");
        heard
            .iter()
            .find(|(name, _)| name.ends_with(&ends))
            .map(|(_, heard)| heard.clone())
            .unwrap_or_default()
    }
}

impl ClientContext for Speech {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match heard(message) {
            Some((broker, versions)) if facility == "APIVERSION" => {
                let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                heard.entry(broker.to_owned()).or_default().push(versions);
            }
            _ => context::log(level, facility, message),
        }
    }
}

/// `[thrd:HOST:PORT/ID]: HOST:PORT/ID:   ApiKey Produce (0) Versions 0..13`.
fn heard(message: &str) -> Option<(&str, RequestVersions)> {
    let (before, said) = message.split_once("ApiKey ")?;
    let broker = before.trim_end().trim_end_matches(':').rsplit(' ').next()?;
    let (_, key) = said.split_once(" (")?;
    let (key, versions) = key.split_once(") Versions ")?;
    let (lowest, highest) = versions.split_once("..")?;
    let number = |text: &str| text.trim().parse::<i16>().ok();
    Some((broker, RequestVersions { key: number(key)?, lowest: number(lowest)?, highest: number(highest)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_broker_understands_is_read_from_the_log_and_other_lines_are_not() {
        let line = "[thrd:kafka-1:9092/1]: kafka-1:9092/1:   ApiKey Fetch (1) Versions 4..18";
        let versions = RequestVersions { key: 1, lowest: 4, highest: 18 };
        assert_eq!(heard(line), Some(("kafka-1:9092/1", versions)));
        assert_eq!(heard("[thrd:kafka-1:9092/1]: kafka-1:9092/1: Feature Idempotence"), None);
        assert_eq!(heard("ApiKey ? (x) Versions"), None);
    }
}
