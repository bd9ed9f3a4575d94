//! From a dead letter back to the attempt it is about. It must never know resolutions or handlers.

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use txova_events::dlq::Cut;
use txova_events::{DeadLetter, Time, topics};

use crate::attempt::Attempt;
use crate::dead_letter::EntryPlace;
use crate::record::{Record, TopicPartition};

/// A letter that was picked, with its place.
pub(super) struct Picked {
    pub place: EntryPlace,
    pub letter: DeadLetter,
}

impl Picked {
    /// Replay goes by origin, whatever order the dead-letter topic has: its key is the event's id.
    pub(super) fn sort(picked: &mut [Self]) {
        picked.sort_by(|a, b| {
            let origin = |letter: &DeadLetter| (letter.original_partition, letter.original_offset);
            let topics = a.letter.original_topic.cmp(&b.letter.original_topic);
            topics.then_with(|| origin(&a.letter).cmp(&origin(&b.letter))).then_with(|| a.place.cmp(&b.place))
        });
    }

    /// The number of the attempt that a replay is.
    pub(super) fn number(&self) -> u32 {
        u32::try_from(self.letter.attempt_count.max(0)).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// The record as it was, on its way to `group`'s handlers; why not, where the letter does not hold it.
    pub(super) fn attempt(&self, group: Arc<str>) -> Result<Attempt, String> {
        let letter = &self.letter;
        if let Some(cut) = letter.cut.as_ref().filter(|cut| letter.lacks_body() || is_cut_otherwise(cut)) {
            let Cut { fields, body_bytes, .. } = cut;
            return Err(format!(
                "the letter is not whole: {} did not fit; the record, with a value of {body_bytes} bytes, is at \
                 {}/{}/{} as long as its topic keeps it",
                fields.join(", "),
                letter.original_topic,
                letter.original_partition,
                letter.original_offset,
            ));
        }
        let body = letter.body();
        if body.is_none() && letter.consumer_group.is_none() {
            return Err("the letter holds no record: its envelope is null and it has no raw body".to_owned());
        }
        // Go services do not keep the key; the platform's rule tells it.
        let key = match (&letter.original_key, &letter.envelope) {
            (Some(key), _) => Some(key.clone()),
            (None, Some(envelope)) if letter.consumer_group.is_none() => {
                envelope.key().map(String::into_bytes)
            }
            (None, _) => None,
        };
        let headers = letter.original_headers.iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_deref()));
        let record = Record {
            offset: letter.original_offset,
            timestamp_ms: letter.original_timestamp.map(Time::unix_ms),
            key: key.map(Bytes::from),
            value: body.map(Bytes::from),
            headers: headers.collect(),
        };
        let topic = match letter.original_topic.as_str() {
            "" => self.place.topic.strip_suffix(topics::DLQ_SUFFIX).unwrap_or(&self.place.topic),
            topic => topic,
        };
        Ok(Attempt {
            partition: TopicPartition::new(topic, letter.original_partition),
            record,
            group,
            number: self.number(),
            first_failure: (!letter.first_failure.is_zero()).then(|| letter.first_failure.datetime()),
            cancelled: CancellationToken::new(),
        })
    }
}

/// A record without its key or some of its headers is another record.
fn is_cut_otherwise(cut: &Cut) -> bool {
    cut.fields.iter().any(|field| field == "original_key" || field == "original_headers")
}
