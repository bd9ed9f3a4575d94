//! Cuts a dead letter down to what its topic takes. A letter that is refused holds its partition, and one that is too
//! large would hold it for ever. It must never cut what fits.

use sha2::{Digest, Sha256};
use txova_events::DeadLetter;
use txova_events::dlq::Cut;

use super::outgoing;
use crate::record::OutgoingRecord;

/// A budget is not halved below this: the least a letter can be.
pub(crate) const SMALLEST_BYTES: usize = 1_000;
/// Texts, key and headers that must be cut keep this share of the budget each; a byte may take six on the wire.
const SHARE: usize = 64;

/// The record of a letter, of no more bytes than this.
pub(crate) fn record_within(letter: &DeadLetter, budget_bytes: usize) -> OutgoingRecord {
    let whole = outgoing(letter);
    match whole.size_bytes() <= budget_bytes {
        true => whole,
        false => outgoing(&cut(letter, budget_bytes)),
    }
}

fn cut(letter: &DeadLetter, budget_bytes: usize) -> DeadLetter {
    let share = budget_bytes / SHARE;
    let body = letter.body();
    let mut knife = Knife { letter: letter.clone(), cut: noted(letter, body.as_deref(), share) };
    let fits = |knife: &Knife| outgoing(&knife.letter).size_bytes() <= budget_bytes;
    // First what is said twice or at length: it is hardly ever missed.
    knife.words(share);
    if !fits(&knife) && letter.envelope.is_some() && letter.raw_body.is_some() {
        knife.drop_raw_body();
    }
    if !fits(&knife) && body.is_some() {
        knife.keep_of_body(&[]);
        if !fits(&knife) {
            knife.key_and_headers(share);
        }
        let taken = outgoing(&knife.letter).size_bytes();
        let room = budget_bytes.saturating_sub(taken) / 4 * 3; // in base64
        let body = body.unwrap_or_default();
        knife.keep_of_body(body.get(..room).unwrap_or(&body));
    } else if !fits(&knife) {
        knife.key_and_headers(share);
    }
    knife.letter
}

fn noted(letter: &DeadLetter, body: Option<&[u8]>, share: usize) -> Cut {
    Cut {
        fields: Vec::new(),
        body_bytes: body.map_or(0, <[u8]>::len) as u64,
        body_sha256: body.map(sha256).unwrap_or_default(),
        event_id: beginning(letter.event_id(), share).to_owned(),
        event_type: beginning(letter.event_type(), share).to_owned(),
    }
}

/// In lower-case hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Knife {
    letter: DeadLetter,
    cut: Cut,
}

impl Knife {
    fn note(&mut self, field: &str) {
        if self.cut.fields.iter().all(|known| known != field) {
            self.cut.fields.push(field.to_owned());
        }
        self.letter.cut = Some(self.cut.clone());
    }

    fn words(&mut self, most_bytes: usize) {
        if self.letter.backtrace.as_ref().is_some_and(|frames| frames.len() > most_bytes) {
            self.letter.backtrace = None;
            self.note("backtrace");
        }
        if self.letter.error_message.len() > most_bytes {
            self.letter.error_message = shortened(&self.letter.error_message, most_bytes);
            self.note("error_message");
        }
        let mut left = most_bytes;
        let mut kept = Vec::new();
        for cause in &self.letter.error_chain {
            kept.push(shortened(cause, left));
            left = left.saturating_sub(cause.len());
            if left == 0 {
                break;
            }
        }
        if kept != self.letter.error_chain {
            self.letter.error_chain = kept;
            self.note("error_chain");
        }
    }

    fn drop_raw_body(&mut self) {
        self.letter.raw_body = None;
        self.note("raw_body");
    }

    /// A beginning of the body in place of the envelope: half an event must not be taken for one.
    fn keep_of_body(&mut self, kept: &[u8]) {
        if self.letter.envelope.take().is_some() {
            self.note("envelope");
        }
        self.letter.raw_body = Some(kept.to_vec());
        self.note("raw_body");
    }

    fn key_and_headers(&mut self, most_bytes: usize) {
        if let Some(key) = self.letter.original_key.as_mut().filter(|key| key.len() > most_bytes) {
            key.truncate(most_bytes);
            self.note("original_key");
        }
        let mut left = most_bytes;
        let mut cut = false;
        self.letter.original_headers.retain_mut(|(name, value)| {
            let bytes = name.len() + value.as_ref().map_or(0, Vec::len) + 32; // around them on the wire
            let fits = bytes <= left;
            left -= if fits { bytes } else { 0 };
            cut |= !fits;
            fits
        });
        if cut {
            self.note("original_headers");
        }
    }
}

fn shortened(text: &str, most_bytes: usize) -> String {
    match beginning(text, most_bytes) {
        whole if whole.len() == text.len() => whole.to_owned(),
        beginning => format!("{beginning}… (of {} bytes)", text.len()),
    }
}

fn beginning(text: &str, most_bytes: usize) -> &str {
    let mut end = most_bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
