//! Tells of which keys newer events were handled before a letter is taken up: replaying is late by nature. It must never
//! hold anything up for long: it looks at a limited stretch of the log, and says so where that was not all.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::client_error::ClientError;
use crate::dead_letter::EntryPlace;
use crate::dead_letter::list::{ANSWER_TIMEOUT, Topics, read_ranges};
use crate::kafka::Kafka;
use crate::record::{Record, TopicPartition};
use crate::transport::ReadRange;

use super::pick::{Pick, Unhandled};

/// Offsets that are looked at for all letters together.
const MOST_OFFSETS: i64 = 500_000;

/// A key whose letter is about an event that newer ones have overtaken: the group has handled them already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Overtaken {
    /// The oldest letter of the key.
    pub entry: EntryPlace,
    /// The key, in text; empty where it could not be looked at because the log behind the letter is too long.
    pub key: String,
    /// The consumer group.
    pub group: String,
    /// The offset of the newest event of that key before the group's committed offset.
    pub newest_offset: i64,
}

/// Of a group's letters about one partition.
#[derive(Default)]
struct Letters {
    /// By key, the oldest letter: its offset and place.
    oldest: HashMap<Vec<u8>, (i64, EntryPlace)>,
}

/// What was overtaken, by topic, partition and offset. What is no longer in the log cannot be told.
pub(super) async fn find(
    kafka: &Kafka,
    there: &Topics,
    picks: &[Pick],
    unhandled: &Unhandled,
) -> Result<Vec<Overtaken>, ClientError> {
    let mut letters: HashMap<(Arc<str>, TopicPartition), Letters> = HashMap::new();
    for pick in picks {
        let origin = &pick.origin;
        let is_known = |partitions: i32| (0..partitions).contains(&origin.partition);
        let Some(key) = pick.key.as_deref().filter(|_| there.partitions(&origin.topic).is_some_and(is_known))
        else {
            continue; // a Go service's letter does not say where it is from
        };
        let of = (Arc::clone(&pick.group), TopicPartition::new(Arc::clone(&origin.topic), origin.partition));
        let letters = letters.entry(of).or_default();
        letters.oldest.entry(key.to_vec()).or_insert_with(|| (origin.offset, pick.place.clone())); // picks are in order
    }
    let mut partitions: Vec<_> = letters.into_iter().collect();
    partitions.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (mut committed, mut ends) = (Vec::new(), Vec::new());
    for of_group in partitions.chunk_by(|((a, _), _), ((b, _), _)| a == b) {
        let Some(((group, _), _)) = of_group.first() else { continue };
        let asked: Vec<_> = of_group.iter().map(|((_, partition), _)| partition.clone()).collect();
        committed.extend(kafka.transport.committed(group.to_string(), asked.clone(), ANSWER_TIMEOUT).await?);
        ends.extend(kafka.transport.watermarks(asked, ANSWER_TIMEOUT).await?);
    }
    let mut left = MOST_OFFSETS;
    let mut searches = Vec::new();
    for (((group, partition), letters), (committed, ends)) in
        partitions.into_iter().zip(committed.into_iter().zip(ends))
    {
        let Some(committed) = committed else { continue };
        let first = letters.oldest.values().map(|(offset, _)| offset + 1).min().unwrap_or(i64::MAX);
        let (start, whole_end) = (first.max(ends.low), committed.offset.min(ends.high));
        if start >= whole_end {
            continue;
        }
        let end = whole_end.min(start.saturating_add(left));
        left -= end - start;
        let newest = HashMap::new();
        searches.push(Search { group, partition, letters, range: start..end, whole_end, newest });
    }
    let mut of_partition: BTreeMap<TopicPartition, Vec<&mut Search>> = BTreeMap::new();
    for search in searches.iter_mut().filter(|search| !search.range.is_empty()) {
        of_partition.entry(search.partition.clone()).or_default().push(search);
    }
    let ranges = of_partition.iter().flat_map(|(partition, searches)| {
        let stretches = stretches(searches.iter().map(|search| search.range.clone()).collect());
        let partition = partition.clone();
        stretches.into_iter().map(move |Range { start, end }| ReadRange {
            partition: partition.clone(),
            start,
            end,
        })
    });
    read_ranges(kafka, ranges.collect(), |at, record| {
        for search in of_partition.get_mut(at).into_iter().flatten() {
            search.look(&record, unhandled);
        }
    })
    .await?;
    Ok(searches.into_iter().flat_map(Search::found).collect())
}

/// Several groups may have failed on one partition: what they have in common is read once, and what lies between is not
/// read, however long it is.
fn stretches(mut ranges: Vec<Range<i64>>) -> Vec<Range<i64>> {
    ranges.sort_by_key(|range| range.start);
    let mut stretches: Vec<Range<i64>> = Vec::new();
    for range in ranges {
        match stretches.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => stretches.push(range),
        }
    }
    stretches
}

/// For newer events of the keys of a group's letters about one partition.
struct Search {
    group: Arc<str>,
    partition: TopicPartition,
    letters: Letters,
    /// What is looked at.
    range: Range<i64>,
    /// What would have to be looked at.
    whole_end: i64,
    /// By key, the offset.
    newest: HashMap<Vec<u8>, i64>,
}

impl Search {
    fn look(&mut self, record: &Record, unhandled: &Unhandled) {
        let key = record.key.as_deref().unwrap_or_default();
        let is_newer = self.letters.oldest.get(key).is_some_and(|(offset, _)| *offset < record.offset);
        let is_handled = || {
            let not_handled = unhandled.of(&self.group, &self.partition);
            not_handled.is_none_or(|offsets| !offsets.contains(&record.offset))
        };
        if self.range.contains(&record.offset) && is_newer && is_handled() {
            self.newest.insert(key.to_vec(), record.offset);
        }
    }

    fn found(self) -> Vec<Overtaken> {
        let Self { group, partition, letters, range, whole_end, newest } = self;
        let overtaken = |entry: &EntryPlace, key: &[u8], newest_offset: i64| Overtaken {
            entry: entry.clone(),
            key: String::from_utf8_lossy(key).into_owned(),
            group: group.to_string(),
            newest_offset,
        };
        let mut found: Vec<Overtaken> = newest
            .iter()
            .filter_map(|(key, offset)| Some(overtaken(&letters.oldest.get(key)?.1, key, *offset)))
            .collect();
        if range.end < whole_end
            && let Some((_, entry)) = letters.oldest.values().min_by_key(|(offset, _)| *offset)
        {
            debug!(%partition, from = range.end, to = whole_end, "newer events of the letters' keys are not all looked at");
            found.push(overtaken(entry, &[], whole_end - 1));
        }
        found.sort_by(|a, b| a.key.cmp(&b.key));
        found
    }
}

/// Of longer lists so many are printed.
const LISTED: usize = 20;

pub(super) fn show(f: &mut fmt::Formatter<'_>, overtaken: &[Overtaken]) -> fmt::Result {
    for Overtaken { entry, key, group, newest_offset } in overtaken.iter().take(LISTED) {
        match key.is_empty() {
            true => write!(f, "\nnewer events behind {entry} were not all looked at: the log is too long")?,
            false => write!(
                f,
                "\novertaken: {group} has handled newer events of the key {key} up to offset {newest_offset}; {entry} is late"
            )?,
        }
    }
    match overtaken.len().checked_sub(LISTED) {
        None | Some(0) => Ok(()),
        Some(more) => write!(f, "\n… and {more} more keys were overtaken"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_groups_have_in_common_is_read_once_and_never_what_lies_between() {
        let of_groups = vec![50_000_001..50_000_100, 11..500, 400..600, 600..700, 450..460];
        let looked_at: i64 = of_groups.iter().map(|range| range.end - range.start).sum();
        let read = stretches(of_groups);
        assert_eq!(read, [11..700, 50_000_001..50_000_100]);
        assert!(read.iter().map(|range| range.end - range.start).sum::<i64>() <= looked_at);
        assert_eq!(stretches(Vec::new()), []);
    }
}
