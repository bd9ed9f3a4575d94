//! How far behind a partition is, in records and in time, from one look to the next. It must never ask anybody.

use crate::engine::PartitionStatus;

/// What is remembered of a partition between two looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched {
    committed: Option<i64>,
    /// When the committed offset last moved, or had nothing to move for.
    moved_ms: i64,
}

/// What a look tells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Behind {
    pub records: i64,
    /// Age of the oldest record that is taken and not settled.
    pub seconds: f64,
    pub commit_age_seconds: f64,
}

impl Watched {
    pub(super) fn new(now_ms: i64) -> Self {
        Self { committed: None, moved_ms: now_ms }
    }

    /// `oldest_ms` is the timestamp of the record that holds the position, `end` the log's end when it was last asked for.
    pub(super) fn look(
        &mut self,
        partition: &PartitionStatus,
        oldest_ms: Option<i64>,
        end: Option<i64>,
        now_ms: i64,
    ) -> Behind {
        let Some(position) = partition.position else { return Behind::default() };
        if partition.committed == Some(position) || partition.committed != self.committed {
            self.committed = partition.committed;
            self.moved_ms = now_ms;
        }
        let end = end.into_iter().chain(partition.next_offset).max().unwrap_or(position);
        Behind {
            records: (end - position).max(0),
            seconds: oldest_ms.map_or(0.0, |since_ms| seconds(now_ms - since_ms)),
            commit_age_seconds: seconds(now_ms - self.moved_ms),
        }
    }
}

fn seconds(ms: i64) -> f64 {
    ms.max(0) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::TopicPartition;

    fn partition(committed: i64, position: i64, next_offset: i64) -> PartitionStatus {
        PartitionStatus {
            partition: TopicPartition::new("t", 0),
            position: Some(position),
            committed: Some(committed),
            map_share: 0.0,
            next_offset: Some(next_offset),
            in_flight_records: 0,
            running: 0,
            paused: false,
            paused_by_operator: false,
            pinned: None,
            oldest: None,
        }
    }

    #[test]
    fn the_lag_reaches_from_the_position_to_the_end_or_to_what_is_known_to_be_there() {
        let mut watched = Watched::new(0);
        let stuck = partition(10, 10, 300);
        assert_eq!(watched.look(&stuck, Some(1_000), Some(5_000), 61_000).records, 4_990);
        assert_eq!(watched.look(&stuck, Some(1_000), Some(5_000), 61_000).seconds, 60.0);
        assert_eq!(watched.look(&stuck, None, None, 0).records, 290, "no broker has answered");
        assert_eq!(watched.look(&partition(300, 300, 300), None, Some(200), 0).records, 0, "an old answer");
    }

    #[test]
    fn a_commit_ages_only_while_it_could_move_and_does_not() {
        let mut watched = Watched::new(0);
        let age = |watched: &mut Watched, committed, position, now_ms| {
            watched.look(&partition(committed, position, position), None, None, now_ms).commit_age_seconds
        };
        assert_eq!(age(&mut watched, 10, 10, 50_000), 0.0, "there is nothing to commit");
        assert_eq!(age(&mut watched, 10, 20, 60_000), 10.0);
        assert_eq!(age(&mut watched, 10, 90, 80_000), 30.0);
        assert_eq!(age(&mut watched, 20, 99, 90_000), 0.0, "it has moved");
    }
}
