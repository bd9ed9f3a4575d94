//! Dead letters: records that could not be handled, with all that is known about why. They must never lose what they
//! are about: raw bytes are kept where the record is no envelope.
//!
//! The first eight fields and four headers are the Go library's, which reads all that is written here; what comes after
//! them is this library's and optional for a reader. A Go replayer passes over a letter without an envelope.

mod fingerprint;
mod read;
mod write;

use std::borrow::Cow;

use crate::envelope::RawEnvelope;
use crate::error::DecodeError;
use crate::topics;
use crate::values::Time;

/// The headers of a record that was sent back to its topic.
pub mod redrive {
    /// The consumer group that failed: the one the record is for. Other groups of this library pass it over.
    pub const GROUP: &str = "redrive_group";
    /// How often the event was sent back, this time included.
    pub const COUNT: &str = "redrive_count";
    /// The entry it was made from, `topic/partition/offset` of the dead letter.
    pub const ENTRY: &str = "redrive_entry";
    /// Where the event was first, `topic/partition/offset`.
    pub const ORIGIN: &str = "redrive_origin";
    /// Where the payload was changed: the SHA-256 of the value as it was, in lower-case hexadecimal.
    pub const ORIGINAL_SHA256: &str = "redrive_original_sha256";
    /// Where the payload was changed: the SHA-256 of the value as it is now.
    pub const CHANGED_SHA256: &str = "redrive_changed_sha256";
    /// All of them.
    pub const ALL: [&str; 6] = [GROUP, COUNT, ENTRY, ORIGIN, ORIGINAL_SHA256, CHANGED_SHA256];
}

/// A record that could not be handled.
///
/// ```
/// use txova_events::{DeadLetter, RawEnvelope, Time};
///
/// let mut letter = DeadLetter::new("txova.rides.v1", 3, 42, "no such ride", Time::now());
/// letter.attempt_count = 4;
/// letter.envelope = Some(RawEnvelope::decode(br#"{"id":"e1","type":"ride.rated","payload":{}}"#)?);
///
/// let record = letter.to_record();
/// assert_eq!((record.topic.as_str(), record.key.as_str()), ("txova.rides.v1.dlq", "e1"));
/// assert_eq!(DeadLetter::decode(&record.value)?, letter);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// The topic the record came from.
    pub original_topic: String,
    /// Its partition. Go services often write 0: they are not told.
    pub original_partition: i32,
    /// Its offset. Go services often write 0.
    pub original_offset: i64,
    /// What went wrong, in words.
    pub error_message: String,
    /// How often it was tried. Go services often write 0.
    pub attempt_count: i64,
    /// When it first failed; a Go service writes the moment of writing.
    pub first_failure: Time,
    /// When it last failed.
    pub last_failure: Time,
    /// The event; `None` where the record is no envelope.
    pub envelope: Option<RawEnvelope>,
    /// The record's key: `None` for a null key. On the wire `original_key`, or `original_key_base64` where it is no
    /// UTF-8.
    pub original_key: Option<Vec<u8>>,
    /// The record's value where it is no envelope, or one that is spelt otherwise than `envelope` is written; in base64
    /// on the wire.
    pub raw_body: Option<Vec<u8>>,
    /// The error's class, by its name.
    pub error_class: Option<String>,
    /// The causes beneath the error, outermost first.
    pub error_chain: Vec<String>,
    /// Where the error was made, frame by frame; only where the service takes backtraces (`RUST_BACKTRACE=1`).
    pub backtrace: Option<String>,
    /// The handler that failed.
    pub handler: Option<String>,
    /// The consumer group it failed in.
    pub consumer_group: Option<String>,
    /// When the record was written to its topic.
    pub original_timestamp: Option<Time>,
    /// The record's headers, in order. On the wire objects with `key` and `value`, or `value_base64` where that is no
    /// UTF-8; neither for a header without a value.
    pub original_headers: Vec<(String, Option<Vec<u8>>)>,
    /// The service that gave it up.
    pub service: Option<String>,
    /// Which of its processes: `host/process id`.
    pub instance: Option<String>,
    /// The version of this library there.
    pub library_version: Option<String>,
    /// How often it was sent back to its topic already.
    pub redrive_count: u32,
    /// What was left out because the letter did not fit its topic; `None` where it is whole.
    pub cut: Option<Cut>,
    /// As it was written; `None` where it is still to be told from the letter.
    pub(crate) fingerprint: Option<String>,
    pub(crate) unknown: crate::envelope::Unknown<'static>,
}

/// What was left out of a letter because it did not fit its topic. The record itself is where it came from, as long as
/// its topic keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// The letter's fields that are shorter than they were, or gone.
    pub fields: Vec<String>,
    /// The length of the record's value.
    pub body_bytes: u64,
    /// The SHA-256 of the record's value, in lower-case hexadecimal; empty for a record without a value.
    pub body_sha256: String,
    /// The id of the event, where there was one.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
}

/// A dead letter as the record it is published as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterRecord {
    /// The dead-letter topic.
    pub topic: String,
    /// The key: see [`DeadLetter::key`].
    pub key: String,
    /// The headers, in order: the contract's four, then this library's.
    pub headers: Vec<(&'static str, Vec<u8>)>,
    /// The value.
    pub value: Vec<u8>,
}

impl DeadLetter {
    /// A letter about the record at a place, with nothing known yet but its error.
    pub fn new(
        topic: &str,
        partition: i32,
        offset: i64,
        error_message: impl Into<String>,
        failed: Time,
    ) -> Self {
        Self {
            original_topic: topic.to_owned(),
            original_partition: partition,
            original_offset: offset,
            error_message: error_message.into(),
            attempt_count: 0,
            first_failure: failed,
            last_failure: failed,
            envelope: None,
            original_key: None,
            raw_body: None,
            error_class: None,
            error_chain: Vec::new(),
            backtrace: None,
            handler: None,
            consumer_group: None,
            original_timestamp: None,
            original_headers: Vec::new(),
            service: None,
            instance: None,
            library_version: None,
            redrive_count: 0,
            cut: None,
            fingerprint: None,
            unknown: Vec::new(),
        }
    }

    /// Reads a letter from a record on a dead-letter topic. As for Go, a missing field is empty; another type than the
    /// field has is an error that names it (`envelope.timestamp`). It never panics.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        read::decode(bytes)
    }

    /// The letter's bytes: Go's fields in Go's order, this library's behind them, then fields it does not know.
    pub fn encode(&self) -> Vec<u8> {
        write::encode(self)
    }

    /// What letters that failed alike have in common: a text of 16 hexadecimal digits.
    ///
    /// It is the beginning of the SHA-256 of the error's class, the handler and the message, in which whatever differs
    /// from record to record is replaced: UUIDs, numbers, hexadecimal and quoted text. A letter of this library holds
    /// its own, made before anything was cut; it is told from the letter where it does not, such as from a Go service's.
    ///
    /// The rule is part of the contract: the same failure has the same fingerprint in every version of this library.
    ///
    /// ```
    /// use txova_events::{DeadLetter, Time};
    ///
    /// let letter = |error: &str| DeadLetter::new("txova.rides.v1", 0, 7, error, Time::now()).fingerprint().into_owned();
    /// assert_eq!(letter("ride 7: no answer after 30 s"), letter("ride 4711: no answer after 5 s"));
    /// assert_ne!(letter("ride 7: no answer after 30 s"), letter("ride 7: refused after 30 s"));
    /// ```
    pub fn fingerprint(&self) -> Cow<'_, str> {
        match &self.fingerprint {
            Some(fingerprint) => Cow::Borrowed(fingerprint),
            None => Cow::Owned(fingerprint::of(self)),
        }
    }

    /// Notes the fingerprint in the letter, where it stays whatever is cut later.
    pub fn note_fingerprint(&mut self) {
        self.fingerprint = Some(fingerprint::of(self));
    }

    /// The record to publish.
    pub fn to_record(&self) -> DeadLetterRecord {
        let mut headers = vec![
            ("original_topic", self.original_topic.clone().into_bytes()),
            ("event_type", self.event_type().as_bytes().to_vec()),
            ("event_id", self.event_id().as_bytes().to_vec()),
            ("error_message", self.error_message.clone().into_bytes()),
        ];
        for (name, text) in [
            ("error_class", &self.error_class),
            ("handler", &self.handler),
            ("consumer_group", &self.consumer_group),
            ("service", &self.service),
            ("fingerprint", &self.fingerprint),
        ] {
            headers.extend(text.as_ref().map(|text| (name, text.clone().into_bytes())));
        }
        if self.library_version.is_some() {
            headers.extend([
                ("original_partition", self.original_partition.to_string().into_bytes()),
                ("original_offset", self.original_offset.to_string().into_bytes()),
                ("attempt_count", self.attempt_count.to_string().into_bytes()),
            ]);
        }
        if self.redrive_count > 0 {
            headers.push(("redrive_count", self.redrive_count.to_string().into_bytes()));
        }
        DeadLetterRecord { topic: self.topic(), key: self.key(), headers, value: self.encode() }
    }

    /// The dead-letter topic: the original one's name and `.dlq`.
    pub fn topic(&self) -> String {
        topics::dlq_topic(&self.original_topic)
    }

    /// The record's key: the event's id. Where the record was no envelope it is the record's place,
    /// `topic/partition/offset`, so that every letter about it has the same key.
    pub fn key(&self) -> String {
        match &self.envelope {
            Some(envelope) => envelope.id.clone().into_owned(),
            None => format!("{}/{}/{}", self.original_topic, self.original_partition, self.original_offset),
        }
    }

    /// The event's type: the envelope's, else what was noted when the letter was cut, else what the original headers
    /// say; empty where nobody knows.
    pub fn event_type(&self) -> &str {
        match (&self.envelope, &self.cut) {
            (Some(envelope), _) => &envelope.event_type,
            (None, Some(cut)) if !cut.event_type.is_empty() => &cut.event_type,
            (None, _) => self.original_header("event_type"),
        }
    }

    /// The event's id, from where [`event_type`](Self::event_type) comes.
    pub fn event_id(&self) -> &str {
        match (&self.envelope, &self.cut) {
            (Some(envelope), _) => &envelope.id,
            (None, Some(cut)) if !cut.event_id.is_empty() => &cut.event_id,
            (None, _) => self.original_header("event_id"),
        }
    }

    /// What to send back to the original topic: the raw body, else the envelope's bytes; `None` where the letter holds
    /// neither (the record had no value, or a service wrote a letter about nothing), or not the whole of it.
    pub fn body(&self) -> Option<Vec<u8>> {
        if self.lacks_body() {
            return None;
        }
        self.raw_body.clone().or_else(|| self.envelope.as_ref().map(|envelope| envelope.encode()))
    }

    /// Whether the record's value was too large for the letter, so that only its beginning is in `raw_body`.
    pub fn lacks_body(&self) -> bool {
        let kept = self.raw_body.as_ref().map_or(0, Vec::len) as u64;
        self.envelope.is_none() && self.cut.as_ref().is_some_and(|cut| cut.body_bytes > kept)
    }

    /// The last original header of that name, as text; empty where there is none.
    fn original_header(&self, name: &str) -> &str {
        let value = self
            .original_headers
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .and_then(|(_, value)| value.as_ref());
        value.and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default()
    }
}
