//! What rdkafka hides or panics on, read from librdkafka itself. Small, read-only, and the only place besides the
//! mock cluster with unsafe code: without it a foreign client's bytes could panic the polling thread.
#![allow(unsafe_code)]

use std::borrow::Cow;
use std::ffi::CStr;
use std::ptr;
use std::slice;

use rdkafka::TopicPartitionList;
use rdkafka::bindings::{
    rd_kafka_header_get_all, rd_kafka_message_headers, rd_kafka_message_status, rd_kafka_msg_status_t,
    rd_kafka_resp_err_t,
};
use rdkafka::message::BorrowedMessage;

use super::errors::Written;

type Header<'a> = (Cow<'a, str>, Option<&'a [u8]>);

/// A message's headers. A name that is no UTF-8, on which rdkafka panics, is read with U+FFFD for what is no text.
pub(super) fn headers<'a>(message: &'a BorrowedMessage<'_>) -> Vec<Header<'a>> {
    let mut list = ptr::null_mut();
    // SAFETY: the message is alive as long as its borrow; librdkafka parses the headers into it and keeps them there.
    let parsed = unsafe { rd_kafka_message_headers(message.ptr(), &mut list) };
    if parsed != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Vec::new();
    }
    let mut headers = Vec::new();
    loop {
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: `list` belongs to the message; an index past the end is answered with an error, not read.
        let found = unsafe { rd_kafka_header_get_all(list, headers.len(), &mut name, &mut value, &mut size) };
        if found != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
            return headers;
        }
        // SAFETY: librdkafka ends every name with a zero byte, and both live as long as the message.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
        let value = (!value.is_null()).then(|| {
            // SAFETY: librdkafka gave the pointer together with its size.
            unsafe { slice::from_raw_parts(value.cast::<u8>(), size) }
        });
        headers.push((name, value));
    }
}

/// The metadata of each element, in the list's order. rdkafka panics on metadata that is no UTF-8; a foreign client
/// may have committed any bytes.
pub(super) fn metadata(list: &TopicPartitionList) -> Vec<String> {
    if list.count() == 0 {
        return Vec::new();
    }
    // SAFETY: the list owns `cnt` elements at `elems`, and is borrowed for the whole function.
    let elements = unsafe {
        let native = &*list.ptr();
        slice::from_raw_parts(native.elems, list.count())
    };
    let text = |element: &rdkafka::bindings::rd_kafka_topic_partition_t| {
        if element.metadata.is_null() {
            return String::new();
        }
        // SAFETY: librdkafka gave the pointer together with its size.
        let bytes = unsafe { slice::from_raw_parts(element.metadata.cast::<u8>(), element.metadata_size) };
        String::from_utf8_lossy(bytes).into_owned()
    };
    elements.iter().map(text).collect()
}

/// Whether a record whose delivery failed may be in the log all the same.
pub(super) fn written(message: &BorrowedMessage<'_>) -> Written {
    // SAFETY: the message comes from a delivery report and is alive as long as its borrow.
    match unsafe { rd_kafka_message_status(message.ptr()) } {
        rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED => Written::No,
        _ => Written::Maybe,
    }
}
