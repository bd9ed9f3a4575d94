//! Sets single settings of a topic and leaves the others alone. rdkafka only has the older call, which puts every setting
//! that is not named back to its default; the newer one is librdkafka's own, so it is called here.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::ptr;
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::bindings::{
    rd_kafka_AdminOptions_destroy, rd_kafka_AdminOptions_new, rd_kafka_AdminOptions_set_request_timeout,
    rd_kafka_AlterConfigOpType_t, rd_kafka_ConfigResource_add_incremental_config,
    rd_kafka_ConfigResource_destroy, rd_kafka_ConfigResource_error, rd_kafka_ConfigResource_error_string,
    rd_kafka_ConfigResource_new, rd_kafka_IncrementalAlterConfigs,
    rd_kafka_IncrementalAlterConfigs_result_resources, rd_kafka_ResourceType_t, rd_kafka_admin_op_t,
    rd_kafka_error_destroy, rd_kafka_error_string, rd_kafka_event_IncrementalAlterConfigs_result,
    rd_kafka_event_destroy, rd_kafka_event_error, rd_kafka_event_error_string, rd_kafka_event_t,
    rd_kafka_queue_destroy, rd_kafka_queue_new, rd_kafka_queue_poll, rd_kafka_resp_err_t,
};
use rdkafka::error::RDKafkaErrorCode;

use crate::client_error::{ClientError, ClientErrorKind};
use crate::transport::librdkafka::config::{Settings, check_name, refused};
use crate::transport::librdkafka::context::Context;
use crate::transport::librdkafka::errors::kind_of;

/// How much longer than the request's own time its answer is waited for.
const GRACE: Duration = Duration::from_secs(1);

/// Blocks until the broker has answered.
pub(super) fn change_topic(
    settings: &Settings,
    topic: &str,
    changes: &[(String, String)],
    timeout: Duration,
) -> Result<(), ClientError> {
    check_name("the topic", topic)?;
    if changes.is_empty() {
        return Ok(());
    }
    let client: AdminClient<Context> =
        settings.admin().create_with_context(Context::default()).map_err(refused)?;
    let text = |text: &str| {
        CString::new(text).map_err(|_| {
            ClientError::new(ClientErrorKind::Config, format!("topic {topic}: a setting holds a zero byte"))
        })
    };
    let name = text(topic)?;
    let changes = changes
        .iter()
        .map(|(name, value)| Ok((text(name)?, text(value)?)))
        .collect::<Result<Vec<_>, ClientError>>()?;
    let failed = |code: rd_kafka_resp_err_t, words: String| match code {
        rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        code => {
            let kind = kind_of(RDKafkaErrorCode::from(code));
            Err(ClientError::new(kind, format!("changing topic {topic} at {}: {words}", settings.bootstrap)))
        }
    };
    let timeout_ms = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
    let native = client.inner().native_ptr();

    // SAFETY: `native` lives as long as `client`, which outlives this block. Everything that is made here is let go of at
    // its end, in the order librdkafka asks for: what belongs to the event before it, the queue last. The texts are
    // copied by librdkafka in the call that is given them.
    unsafe {
        let resource =
            rd_kafka_ConfigResource_new(rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC, name.as_ptr());
        for (name, value) in &changes {
            let set = rd_kafka_AlterConfigOpType_t::RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET;
            let error =
                rd_kafka_ConfigResource_add_incremental_config(resource, name.as_ptr(), set, value.as_ptr());
            if !error.is_null() {
                let words = words(rd_kafka_error_string(error));
                rd_kafka_error_destroy(error);
                rd_kafka_ConfigResource_destroy(resource);
                return Err(ClientError::new(ClientErrorKind::Config, format!("topic {topic}: {words}")));
            }
        }
        let options =
            rd_kafka_AdminOptions_new(native, rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS);
        // One that is out of range is refused, and librdkafka's own default stays.
        rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms(timeout), ptr::null_mut(), 0);
        let queue = rd_kafka_queue_new(native);
        let mut resources = [resource];
        rd_kafka_IncrementalAlterConfigs(native, resources.as_mut_ptr(), resources.len(), options, queue);
        rd_kafka_ConfigResource_destroy(resource);
        rd_kafka_AdminOptions_destroy(options);

        let event = rd_kafka_queue_poll(queue, timeout_ms(timeout + GRACE));
        let answer = match event.is_null() {
            true => Err(ClientError::new(
                ClientErrorKind::TimedOut,
                format!("changing topic {topic} at {}: no answer within {timeout:?}", settings.bootstrap),
            )),
            false => answer(event).and_then(|(code, words)| failed(code, words)),
        };
        if !event.is_null() {
            rd_kafka_event_destroy(event);
        }
        rd_kafka_queue_destroy(queue);
        answer
    }
}

/// What the broker says of the one topic that was changed.
///
/// # Safety
/// `event` must be an event of librdkafka's that is not let go of yet.
unsafe fn answer(event: *mut rd_kafka_event_t) -> Result<(rd_kafka_resp_err_t, String), ClientError> {
    // SAFETY: as promised by the caller; the result and its resources belong to the event.
    unsafe {
        let code = rd_kafka_event_error(event);
        if code != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Ok((code, words(rd_kafka_event_error_string(event))));
        }
        let result = rd_kafka_event_IncrementalAlterConfigs_result(event);
        let mut count = 0;
        let resources = match result.is_null() {
            true => ptr::null_mut(),
            false => rd_kafka_IncrementalAlterConfigs_result_resources(result, &mut count),
        };
        if count == 0 || resources.is_null() {
            return Err(ClientError::new(
                ClientErrorKind::Other,
                "changing a topic: the broker said nothing of it",
            ));
        }
        let resource = *resources;
        Ok((rd_kafka_ConfigResource_error(resource), words(rd_kafka_ConfigResource_error_string(resource))))
    }
}

/// # Safety
/// `text` must be null or end with a zero byte, and live through the call.
unsafe fn words(text: *const std::ffi::c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as promised by the caller.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
