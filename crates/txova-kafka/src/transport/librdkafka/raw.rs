//! What rdkafka hides or panics on, by librdkafka itself. Small, and the only place besides the mock cluster with unsafe
//! code: without it a foreign client's bytes could panic the polling thread, and a member that has been thrown out could
//! commit in a transaction.
#![allow(unsafe_code)]

use std::borrow::Cow;
use std::ffi::CStr;
use std::ptr;
use std::slice;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::bindings::{
    rd_kafka_consumer_group_metadata, rd_kafka_consumer_group_metadata_destroy,
    rd_kafka_consumer_group_metadata_generation_id, rd_kafka_consumer_group_metadata_member_id,
    rd_kafka_consumer_group_metadata_t, rd_kafka_error_code, rd_kafka_error_destroy, rd_kafka_error_is_fatal,
    rd_kafka_error_is_retriable, rd_kafka_error_string, rd_kafka_error_txn_requires_abort, rd_kafka_flush,
    rd_kafka_header_get_all, rd_kafka_message_headers, rd_kafka_message_status, rd_kafka_msg_status_t,
    rd_kafka_resp_err_t, rd_kafka_send_offsets_to_transaction,
};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::Producer as _;

use super::super::Written;
use super::producer::Client;
use super::worker::Consumer;

type Header<'a> = (Cow<'a, str>, Option<&'a [u8]>);

/// A message's headers, in order. A name that is no UTF-8, on which rdkafka panics, is read with U+FFFD for what is no text.
pub(super) fn headers<'a>(message: &'a BorrowedMessage<'_>) -> impl Iterator<Item = Header<'a>> {
    let mut list = ptr::null_mut();
    // SAFETY: the message is alive as long as its borrow; librdkafka parses the headers into it and keeps them there.
    let parsed = unsafe { rd_kafka_message_headers(message.ptr(), &mut list) };
    let places = if parsed == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR { 0..usize::MAX } else { 0..0 };
    places.map_while(move |place| {
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: `list` belongs to the message; an index past the end is answered with an error, not read.
        let found = unsafe { rd_kafka_header_get_all(list, place, &mut name, &mut value, &mut size) };
        if found != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
            return None;
        }
        // SAFETY: librdkafka ends every name with a zero byte, and both live as long as the message.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
        let value = (!value.is_null()).then(|| {
            // SAFETY: librdkafka gave the pointer together with its size.
            unsafe { slice::from_raw_parts(value.cast::<u8>(), size) }
        });
        Some((name, value))
    })
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

/// Who a consumer is in its group, at a moment.
pub(super) struct Membership(ptr::NonNull<rd_kafka_consumer_group_metadata_t>);

impl Membership {
    /// `None` where the group does not know it, or not any more. librdkafka would say so by a generation of -1 and an
    /// empty name, which a broker takes for a producer that has nothing to do with a group, and does not fence.
    pub(super) fn of(consumer: &Consumer) -> Option<Self> {
        // SAFETY: the client is alive; the answer is ours to destroy.
        let native = unsafe { rd_kafka_consumer_group_metadata(consumer.client().native_ptr()) };
        let membership = Self(ptr::NonNull::new(native)?);
        // SAFETY: it is alive until it is dropped, and so is the name in it, which ends with a zero byte.
        let (generation, name) = unsafe {
            let native = membership.0.as_ptr();
            let name = rd_kafka_consumer_group_metadata_member_id(native);
            (
                rd_kafka_consumer_group_metadata_generation_id(native),
                (!name.is_null()).then(|| CStr::from_ptr(name)),
            )
        };
        (generation >= 0 && name.is_some_and(|name| !name.is_empty())).then_some(membership)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        // SAFETY: it is ours, and nobody has it afterwards.
        unsafe { rd_kafka_consumer_group_metadata_destroy(self.0.as_ptr()) }
    }
}

/// Why a call of a transaction failed, in librdkafka's own words.
#[derive(Clone, Debug)]
pub(super) struct CallFailed {
    pub(super) code: RDKafkaErrorCode,
    pub(super) words: String,
    /// The client is of no use any more.
    pub(super) is_fatal: bool,
    /// The same call can be made again.
    pub(super) is_retriable: bool,
    /// The transaction must be aborted.
    pub(super) must_abort: bool,
}

/// Puts offsets into the transaction under way, in the name of a member. rdkafka has this call too, and gives no way to
/// look at the member first.
pub(super) fn send_offsets(
    producer: &Client,
    offsets: &TopicPartitionList,
    membership: &Membership,
    timeout: Duration,
) -> Result<(), CallFailed> {
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: client, list and membership are alive for the whole call, which copies what it keeps.
    let error = unsafe {
        let native = producer.client().native_ptr();
        rd_kafka_send_offsets_to_transaction(native, offsets.ptr(), membership.0.as_ptr(), timeout_ms)
    };
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the error is ours until it is destroyed, its words are copied before.
    unsafe {
        let failed = CallFailed {
            code: rd_kafka_error_code(error).into(),
            words: CStr::from_ptr(rd_kafka_error_string(error)).to_string_lossy().into_owned(),
            is_fatal: rd_kafka_error_is_fatal(error) != 0,
            is_retriable: rd_kafka_error_is_retriable(error) != 0,
            must_abort: rd_kafka_error_txn_requires_abort(error) != 0,
        };
        rd_kafka_error_destroy(error);
        Err(failed)
    }
}

/// Waits until every record is answered, and sends at once what waits for others. False where that takes too long.
/// Another thread must be polling; rdkafka's own flush polls, and would wait for events that thread has taken.
pub(super) fn flush(producer: &Client, timeout: Duration) -> bool {
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client is alive.
    let result = unsafe { rd_kafka_flush(producer.client().native_ptr(), timeout_ms) };
    result == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
}
