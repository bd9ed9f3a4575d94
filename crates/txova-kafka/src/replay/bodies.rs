//! The letters' bytes: so many are kept in memory while letters are picked, and what is not is read again, a stretch at a
//! time, when its turn comes. It must never hold more than its bound, however many letters were picked.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::client_error::ClientError;
use crate::dead_letter::list::read_ranges;
use crate::kafka::Kafka;
use crate::record::TopicPartition;
use crate::transport::ReadRange;

use super::pick::Pick;

/// Bytes of letters that are kept while letters are picked.
const MOST_KEPT_BYTES: usize = 96 * 1024 * 1024;
/// Bytes of letters that are read once more at a time.
const MOST_FILLED_BYTES: usize = 32 * 1024 * 1024;
/// What lies between two letters is read over where it is no more than this: asking anew costs as much.
const GAP: i64 = 500;

#[derive(Default)]
pub(super) struct Bodies {
    kept_bytes: usize,
}

impl Bodies {
    /// Keeps the body of a letter that was just picked, or lets go of it.
    pub(super) fn keep(&mut self, pick: &mut Pick) {
        match &mut pick.value {
            Some(value) if self.kept_bytes + pick.bytes <= MOST_KEPT_BYTES => {
                self.kept_bytes += pick.bytes;
                *value = alone(value);
            }
            value => *value = None,
        }
    }
}

/// A record's value shares one buffer with its key and headers, which would stay as long as it does.
fn alone(value: &[u8]) -> Bytes {
    Bytes::copy_from_slice(value)
}

/// Reads what is not in memory, for as many of the first of `picks` as the bound allows; one at least. How many of them
/// are complete now: what is no longer on its topic stays without a body.
pub(super) async fn fill(kafka: &Kafka, picks: &mut [Pick]) -> Result<usize, ClientError> {
    let (mut bytes, mut count) = (0, 0);
    for pick in picks.iter() {
        bytes += if pick.value.is_none() { pick.bytes } else { 0 };
        if bytes > MOST_FILLED_BYTES && count > 0 {
            break;
        }
        count += 1;
    }
    let picks = picks.get_mut(..count).unwrap_or_default();
    let mut missing: BTreeMap<(Arc<str>, i32), BTreeMap<i64, &mut Pick>> = BTreeMap::new();
    for pick in picks.iter_mut().filter(|pick| pick.value.is_none()) {
        let of = (Arc::clone(&pick.place.topic), pick.place.partition);
        missing.entry(of).or_default().insert(pick.place.offset, pick);
    }
    let ranges = missing.iter().flat_map(|((topic, partition), offsets)| {
        stretches(offsets.keys().copied()).into_iter().map(|(start, end)| ReadRange {
            partition: TopicPartition::new(Arc::clone(topic), *partition),
            start,
            end,
        })
    });
    let ranges: Vec<ReadRange> = ranges.collect();
    read_ranges(kafka, ranges, |at, record| {
        let of = missing.get_mut(&(Arc::clone(&at.topic), at.partition));
        if let Some(pick) = of.and_then(|offsets| offsets.get_mut(&record.offset)) {
            pick.value = Some(alone(record.value.as_deref().unwrap_or_default()));
        }
    })
    .await?;
    Ok(count)
}

/// Offsets in rising order as ranges.
fn stretches(offsets: impl Iterator<Item = i64>) -> Vec<(i64, i64)> {
    let mut stretches: Vec<(i64, i64)> = Vec::new();
    for offset in offsets {
        match stretches.last_mut() {
            Some((_, end)) if offset - *end <= GAP => *end = offset + 1,
            _ => stretches.push((offset, offset + 1)),
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_close_together_is_read_in_one_go() {
        assert_eq!(stretches([0, 1, 5, 505, 2_000].into_iter()), [(0, 506), (2_000, 2_001)]);
        assert_eq!(stretches(std::iter::empty()), []);
    }
}
