//! Which requests a broker understands, and what goes wrong on the way to it. librdkafka asks each broker when it connects
//! and tells it nowhere but in its debug log; rdkafka's admin client lets that log, and errors, lie in a queue that is
//! emptied here.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::ptr;

use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::bindings::{
    RD_KAFKA_EVENT_ERROR, RD_KAFKA_EVENT_LOG, rd_kafka_event_destroy, rd_kafka_event_error,
    rd_kafka_event_error_string, rd_kafka_event_log, rd_kafka_event_t, rd_kafka_event_type,
    rd_kafka_queue_destroy, rd_kafka_queue_get_main, rd_kafka_queue_poll,
};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::RDKafkaErrorCode;

use crate::client_error::ClientError;
use crate::transport::admin::RequestVersions;
use crate::transport::librdkafka::context::{Context, log};
use crate::transport::librdkafka::errors;

/// What was heard.
#[derive(Debug, Default)]
pub(super) struct Speech {
    /// By broker as the log names it.
    requests: BTreeMap<String, Vec<RequestVersions>>,
    /// What went wrong last.
    pub(super) trouble: Option<ClientError>,
}

/// Makes the client say what is heard here.
pub(super) fn listen(config: &mut ClientConfig) {
    let debug = config.get("debug").map(|debug| format!("{debug},")).unwrap_or_default();
    config.set("debug", format!("{debug}feature")).set_log_level(RDKafkaLogLevel::Debug);
}

/// What the client has said until now.
pub(super) fn heard(client: &AdminClient<Context>) -> Speech {
    let mut speech = Speech::default();
    // SAFETY: the client is alive as long as its borrow, and its main queue with it; the reference to the queue is given
    // back at the end, and each event once it was looked at.
    unsafe {
        let queue = rd_kafka_queue_get_main(client.inner().native_ptr());
        loop {
            let event = rd_kafka_queue_poll(queue, 0);
            if event.is_null() {
                break;
            }
            speech.hear(event);
            rd_kafka_event_destroy(event);
        }
        rd_kafka_queue_destroy(queue);
    }
    speech
}

impl Speech {
    /// What that broker understands; empty where nothing was heard of it. A connection made before the brokers were known
    /// has no number, but the address.
    pub(super) fn of_broker(&self, id: i32, address: Option<&str>) -> Vec<RequestVersions> {
        let ends = format!("/{id}");
        let first = address.map(|address| format!("{address}/bootstrap"));
        let is_it = |name: &str| name.ends_with(&ends) || first.as_deref() == Some(name);
        self.requests.iter().find(|(name, _)| is_it(name)).map(|(_, heard)| heard.clone()).unwrap_or_default()
    }

    /// # Safety
    /// `event` must be an event of librdkafka's that is not let go of yet.
    unsafe fn hear(&mut self, event: *mut rd_kafka_event_t) {
        // SAFETY: as promised by the caller; the texts belong to the event.
        unsafe {
            match rd_kafka_event_type(event) {
                RD_KAFKA_EVENT_LOG => {
                    let (mut facility, mut message, mut level) = (ptr::null(), ptr::null(), 0);
                    if rd_kafka_event_log(event, &mut facility, &mut message, &mut level) == 0 {
                        self.line(level, &words(facility), &words(message));
                    }
                }
                RD_KAFKA_EVENT_ERROR => {
                    let code = RDKafkaErrorCode::from(rd_kafka_event_error(event));
                    self.trouble = Some(errors::event(code, &words(rd_kafka_event_error_string(event))));
                }
                _ => {}
            }
        }
    }

    fn line(&mut self, level: i32, facility: &str, message: &str) {
        match versions(message).filter(|_| facility == "APIVERSION") {
            Some((broker, versions)) => {
                self.requests.entry(broker.to_owned()).or_default().push(versions);
            }
            // syslog's numbers: 4 is a warning, more is less.
            None if level <= 4 => log(RDKafkaLogLevel::Warning, facility, message),
            None => log(RDKafkaLogLevel::Debug, facility, message),
        }
    }
}

/// # Safety
/// `text` must be null or end with a zero byte, and live through the call.
unsafe fn words(text: *const std::ffi::c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as promised by the caller.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().trim().to_owned()
}

/// `[thrd:HOST:PORT/ID]: HOST:PORT/ID:   ApiKey Produce (0) Versions 0..13`.
fn versions(message: &str) -> Option<(&str, RequestVersions)> {
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
        let fetch = RequestVersions { key: 1, lowest: 4, highest: 18 };
        assert_eq!(versions(line), Some(("kafka-1:9092/1", fetch)));
        assert_eq!(versions("[thrd:kafka-1:9092/1]: kafka-1:9092/1: Feature Idempotence"), None);
        assert_eq!(versions("ApiKey ? (x) Versions"), None);
    }
}
