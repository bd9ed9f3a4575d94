//! Members come, go, are expelled and lose partitions while records are written, by seed.
//! Goal: in any such storm only owners commit, no commit goes back, and nothing is committed that nobody has seen.
//! Method: the in-memory cluster on a paused clock; the commit history is checked when the storm is over.

use std::collections::{BTreeMap, BTreeSet};

use super::probe::{Probe, numbered, options, until_all};
use crate::client_error::{ClientError, ClientErrorKind};
use crate::record::TopicPartition;
use crate::testing::Cluster;

const PARTITIONS: i32 = 5;
const STEPS: usize = 60;
const SEEDS: u64 = 100;

/// Numbers that a seed repeats.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

struct Storm {
    cluster: Cluster,
    dice: Dice,
    members: Vec<Probe>,
    /// What members that are gone have seen.
    seen: BTreeSet<(TopicPartition, i64)>,
    written: BTreeMap<i32, i64>,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let cluster = Cluster::new().with_topic("t", PARTITIONS).with_seed(seed).with_fetch_limits(4, 2);
        let written = (0..PARTITIONS).map(|partition| (partition, 0)).collect();
        Self { cluster, dice: Dice(seed), members: Vec::new(), seen: BTreeSet::new(), written }
    }

    async fn step(&mut self) {
        let partition = TopicPartition::new("t", self.dice.below(PARTITIONS as usize) as i32);
        let ids = self.cluster.members("g");
        let someone = (!ids.is_empty()).then(|| ids[self.dice.below(ids.len())].id);
        // A script can miss: whoever it names may have nothing just then.
        let _ = match (self.dice.below(12), someone) {
            (0 | 1, _) if self.members.len() < 4 => {
                self.members.push(Probe::join(&self.cluster, options("g", "t")));
                Ok(())
            }
            (2, _) if self.members.len() > 1 => self.end_one().await,
            (3, Some(id)) => self.cluster.expel("g", id),
            (4, Some(id)) => self.cluster.expel_unnoticed("g", id),
            (5, _) => self.cluster.lose("g", &partition),
            (6, _) => self.cluster.revoke("g", &partition),
            (7, Some(id)) => self.cluster.move_to("g", &partition, id),
            (8, _) => self.cluster.hold_next_batch("g", &partition),
            (9, _) => {
                self.cluster.release_held("g");
                Ok(())
            }
            _ => self.write(&partition),
        };
        for index in 0..self.members.len() {
            self.members[index].take_what_is_there().await;
            let member = &mut self.members[index];
            let owned: Vec<_> = member.owned.keys().cloned().collect();
            let answer = match (self.dice.below(3), member.revoked.clone()) {
                (0, Some(revoked)) => member.release(member.progress(&revoked)).await,
                (1, _) => member.commit(member.progress(&owned)).await,
                _ => Ok(()),
            };
            assert_ok_or_stale(answer);
        }
    }

    fn write(&mut self, partition: &TopicPartition) -> Result<(), ClientError> {
        let from = self.written[&partition.partition];
        for record in numbered(partition, from, from + 7) {
            self.cluster.produce(record)?;
        }
        self.written.insert(partition.partition, from + 7);
        Ok(())
    }

    /// One member closes, or is dropped.
    async fn end_one(&mut self) -> Result<(), ClientError> {
        let index = self.dice.below(self.members.len());
        let mut member = self.members.swap_remove(index);
        if self.dice.below(2) == 0 {
            let owned: Vec<_> = member.owned.keys().cloned().collect();
            let progress = member.progress(&owned);
            assert_ok_or_stale(member.close(progress).await);
        }
        self.seen.extend(member.seen.iter().map(|(partition, record)| (partition.clone(), record.offset)));
        Ok(())
    }

    /// Everybody finds out what happened, reads to the end and commits it.
    async fn calm_down(&mut self) {
        if self.members.is_empty() {
            self.members.push(Probe::join(&self.cluster, options("g", "t")));
        }
        for member in self.cluster.members("g") {
            self.cluster.tell_expelled("g", member.id).expect("it is there");
        }
        self.cluster.release_held("g");
        for partition in 0..PARTITIONS {
            self.write(&TopicPartition::new("t", partition)).expect("the topic is there");
        }
        for member in &mut self.members {
            member.take_what_is_there().await;
        }
        let ends = self.written.clone();
        until_all("everything", &mut self.members, |members| {
            let read = |member: &Probe| member.progress(&member.owned.keys().cloned().collect::<Vec<_>>());
            let read: Vec<_> = members.iter().flat_map(read).collect();
            read.len() == ends.len()
                && read.iter().all(|entry| entry.offset == ends[&entry.partition.partition])
        })
        .await;
        for member in &self.members {
            let owned: Vec<_> = member.owned.keys().cloned().collect();
            member.commit(member.progress(&owned)).await.expect("the commit of an owner");
        }
    }

    fn check(mut self) {
        for member in &self.members {
            self.seen
                .extend(member.seen.iter().map(|(partition, record)| (partition.clone(), record.offset)));
        }
        let mut committed: BTreeMap<TopicPartition, (u64, i64)> = BTreeMap::new();
        for commit in self.cluster.commits() {
            let now = (commit.generation, commit.offset);
            if let Some(before) = committed.insert(commit.partition.clone(), now) {
                assert!(
                    before.0 <= now.0 && before.1 <= now.1,
                    "{} went from {before:?} to {now:?}",
                    commit.partition
                );
            }
        }
        for (partition, end) in self.written {
            let partition = TopicPartition::new("t", partition);
            assert_eq!(committed[&partition].1, end, "{partition} is committed to its end");
            for offset in 0..end {
                assert!(
                    self.seen.contains(&(partition.clone(), offset)),
                    "{partition} {offset} was seen by nobody"
                );
            }
        }
    }
}

fn assert_ok_or_stale(answer: Result<(), ClientError>) {
    if let Err(error) = answer {
        assert_eq!(error.kind, ClientErrorKind::StaleMember, "{error}");
    }
}

#[test]
fn in_any_storm_only_owners_commit_and_nothing_nobody_saw_is_committed() {
    for seed in 0..SEEDS {
        eprintln!("seed {seed}");
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            let mut storm = Storm::new(seed);
            for _ in 0..STEPS {
                storm.step().await;
            }
            storm.calm_down().await;
            storm.check();
        });
    }
}
