//! Writes dead letters so that Go reads them.

use std::fmt::Display;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::DeadLetter;
use crate::envelope::write_unknown;
use crate::json::write_text;

pub(super) fn encode(letter: &DeadLetter) -> Vec<u8> {
    let mut object = Object::default();
    object.text("original_topic", &letter.original_topic);
    object.bare("original_partition", letter.original_partition);
    object.bare("original_offset", letter.original_offset);
    object.text("error_message", &letter.error_message);
    object.bare("attempt_count", letter.attempt_count);
    object.text("first_failure", &letter.first_failure.to_string());
    object.text("last_failure", &letter.last_failure.to_string());
    object.name("envelope");
    match &letter.envelope {
        Some(envelope) => object.out.extend_from_slice(&envelope.encode()),
        None => object.out.extend_from_slice(b"null"),
    }
    if let Some(key) = &letter.original_key {
        object.bytes("original_key", "original_key_base64", key);
    }
    if let Some(body) = &letter.raw_body {
        object.text("raw_body", &STANDARD.encode(body));
    }
    object.optional("error_class", letter.error_class.as_deref());
    if !letter.error_chain.is_empty() {
        object.name("error_chain");
        object.list(&letter.error_chain, |out, cause| write_text(out, cause));
    }
    object.optional("backtrace", letter.backtrace.as_deref());
    object.optional("handler", letter.handler.as_deref());
    object.optional("consumer_group", letter.consumer_group.as_deref());
    object.optional("original_timestamp", letter.original_timestamp.map(|time| time.to_string()).as_deref());
    if !letter.original_headers.is_empty() {
        object.name("original_headers");
        object.list(&letter.original_headers, |out, (key, value)| {
            let mut header = Object::default();
            header.text("key", key);
            if let Some(value) = value {
                header.bytes("value", "value_base64", value);
            }
            out.extend_from_slice(&header.end());
        });
    }
    object.optional("service", letter.service.as_deref());
    object.optional("instance", letter.instance.as_deref());
    object.optional("library_version", letter.library_version.as_deref());
    if letter.redrive_count > 0 {
        object.bare("redrive_count", letter.redrive_count);
    }
    if let Some(cut) = &letter.cut {
        object.name("cut");
        let mut written = Object::default();
        written.name("fields");
        written.list(&cut.fields, |out, field| write_text(out, field));
        written.bare("body_bytes", cut.body_bytes);
        written.text("body_sha256", &cut.body_sha256);
        written.text("event_id", &cut.event_id);
        written.text("event_type", &cut.event_type);
        object.out.extend_from_slice(&written.end());
    }
    object.optional("fingerprint", letter.fingerprint.as_deref());
    write_unknown(&mut object.out, &letter.unknown);
    object.end()
}

/// An object being written; its first member's comma is the opening brace.
#[derive(Default)]
struct Object {
    out: Vec<u8>,
}

impl Object {
    fn name(&mut self, name: &str) {
        self.out.push(if self.out.is_empty() { b'{' } else { b',' });
        write_text(&mut self.out, name);
        self.out.push(b':');
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        write_text(&mut self.out, text);
    }

    fn optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    fn bare(&mut self, name: &str, number: impl Display) {
        self.name(name);
        self.out.extend_from_slice(number.to_string().as_bytes());
    }

    /// Bytes as text where they are text, else under another name in base64.
    fn bytes(&mut self, name: &str, name_base64: &str, bytes: &[u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.text(name, text),
            Err(_) => self.text(name_base64, &STANDARD.encode(bytes)),
        }
    }

    fn list<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Vec<u8>, &T)) {
        for (at, each) in items.iter().enumerate() {
            self.out.push(if at == 0 { b'[' } else { b',' });
            item(&mut self.out, each);
        }
        self.out.push(b']');
    }

    fn end(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }
}
