//! Tells of which keys newer events were handled before a letter is taken up: replaying is late by nature. It must never
//! hold anything up for long: it looks at a limited stretch of the log, and says so where that was not all.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::client_error::ClientError;
use crate::dead_letter::EntryPlace;
use crate::dead_letter::list::{ANSWER_TIMEOUT, Topics};
use crate::kafka::Kafka;
use crate::record::TopicPartition;
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
    let (mut found, mut left) = (Vec::new(), MOST_OFFSETS);
    for (((group, partition), letters), (committed, ends)) in
        partitions.into_iter().zip(committed.into_iter().zip(ends))
    {
        let Some(committed) = committed else { continue };
        let first = letters.oldest.values().map(|(offset, _)| offset + 1).min().unwrap_or(i64::MAX);
        let (start, whole_end) = (first.max(ends.low), committed.offset.min(ends.high));
        let end = whole_end.min(start.saturating_add(left));
        if start >= whole_end {
            continue;
        }
        left -= end.saturating_sub(start).max(0);
        let not_handled = unhandled.of(&group, &partition);
        let mut newest: HashMap<Vec<u8>, i64> = HashMap::new();
        if start < end {
            let range = ReadRange { partition: partition.clone(), start, end };
            let mut records = kafka.transport.read(vec![range])?;
            while let Some(item) = records.recv().await {
                let (_, record) = item?;
                let key = record.key.as_deref().unwrap_or_default();
                let is_newer = letters.oldest.get(key).is_some_and(|(offset, _)| *offset < record.offset);
                if is_newer && not_handled.is_none_or(|offsets| !offsets.contains(&record.offset)) {
                    newest.insert(key.to_vec(), record.offset);
                }
            }
        }
        let mut of_partition: Vec<Overtaken> = newest
            .into_iter()
            .filter_map(|(key, newest_offset)| {
                let (_, entry) = letters.oldest.get(&key)?;
                let (entry, group) = (entry.clone(), group.to_string());
                Some(Overtaken {
                    entry,
                    key: String::from_utf8_lossy(&key).into_owned(),
                    group,
                    newest_offset,
                })
            })
            .collect();
        if end < whole_end
            && let Some((_, entry)) = letters.oldest.values().min_by_key(|(offset, _)| *offset)
        {
            debug!(%partition, from = end, to = whole_end, "newer events of the letters' keys are not all looked at");
            let (entry, group) = (entry.clone(), group.to_string());
            of_partition.push(Overtaken { entry, key: String::new(), group, newest_offset: whole_end - 1 });
        }
        of_partition.sort_by(|a, b| a.key.cmp(&b.key));
        found.extend(of_partition);
    }
    Ok(found)
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
