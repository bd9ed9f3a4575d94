//! The dead letters as they come in, each with its moment. Must be shown the cluster after each change of it.

use std::collections::BTreeMap;

use tokio::time::Instant;
use txova_events::DeadLetter;

use super::super::DLQ;
use super::story::At;
use crate::record::TopicPartition;
use crate::testing::Cluster;

#[derive(Default)]
pub(super) struct Letters {
    read: Vec<i64>,
    pub by_origin: BTreeMap<At, Vec<(Instant, DeadLetter)>>,
    pub unreadable: Vec<String>,
}

impl Letters {
    pub(super) fn new(partitions: usize) -> Self {
        Self { read: vec![0; partitions], ..Self::default() }
    }

    pub(super) fn first_at(&self, at: At) -> Option<Instant> {
        Some(self.by_origin.get(&at)?.first()?.0)
    }

    /// Whether this member wrote a letter of the record.
    pub(super) fn has_one_by(&self, m: usize, at: At) -> bool {
        let by = service(m);
        let letters = self.by_origin.get(&at).into_iter().flatten();
        letters.into_iter().any(|(_, letter)| letter.service.as_ref() == Some(&by))
    }

    /// Reads what is new.
    pub(super) fn look(&mut self, cluster: &Cluster) {
        let end = |p: usize| cluster.ends(&TopicPartition::new(DLQ, p as i32)).map_or(0, |(_, end)| end);
        let before = self.read.clone();
        for (p, read) in self.read.iter_mut().enumerate() {
            *read = end(p);
        }
        if self.read == before {
            return;
        }
        let records = cluster.records(DLQ).into_iter();
        for (_, record) in records.filter(|(place, record)| record.offset >= before[place.partition as usize])
        {
            match DeadLetter::decode(record.value.as_deref().unwrap_or_default()) {
                Ok(letter) => {
                    let at = (letter.original_partition, letter.original_offset);
                    self.by_origin.entry(at).or_default().push((Instant::now(), letter));
                }
                Err(error) => self.unreadable.push(error.to_string()),
            }
        }
    }
}

/// What a member is called in its letters.
pub(super) fn service(m: usize) -> String {
    format!("depot {m}")
}

/// The offset of what the record of a letter follows.
pub(super) fn follows(letter: &DeadLetter) -> Option<i64> {
    letter.error_message.strip_prefix("follows ")?.rsplit('/').next()?.parse().ok()
}
