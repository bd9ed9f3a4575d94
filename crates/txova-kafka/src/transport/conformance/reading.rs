//! Reading without a group, and asking the cluster.

use super::probe::{AT_SECOND_0_MS, Probe, at_seconds, numbered, options, within, write};
use super::{Bench, PATIENCE};
use crate::client_error::ClientErrorKind;
use crate::record::TopicPartition;
use crate::transport::{NewTopic, ReadRange, Watermarks};

/// Reads ranges to their end.
async fn offsets_of(bench: &dyn Bench, ranges: Vec<ReadRange>) -> Vec<(i32, i64)> {
    let mut records = bench.transport().read(ranges).expect("a reader");
    let mut offsets = Vec::new();
    while let Some(record) = within("a record or the end", records.recv()).await {
        let (partition, record) = record.expect("no error");
        offsets.push((partition.partition, record.offset));
    }
    offsets
}

pub(super) async fn a_range_is_read_to_its_end_and_no_further(bench: &dyn Bench) {
    let topic = bench.topic(1).await;
    let partition = TopicPartition::new(&*topic, 0);
    write(bench, numbered(&partition, 0, 20)).await;
    let range = |start, end| ReadRange { partition: partition.clone(), start, end };
    assert_eq!(offsets_of(bench, vec![range(5, 9)]).await, [(0, 5), (0, 6), (0, 7), (0, 8)]);
    assert_eq!(offsets_of(bench, vec![range(18, 20)]).await, [(0, 18), (0, 19)]);
    let Some(cluster) = bench.cluster() else { return };
    for offset in [3, 8, 19] {
        assert!(cluster.compact_away(&partition, offset).expect("the partition is there"));
    }
    assert_eq!(cluster.skip_offsets(&partition, 2).expect("the partition is there"), 22);
    assert_eq!(offsets_of(bench, vec![range(2, 5)]).await, [(0, 2), (0, 4)]);
    assert_eq!(offsets_of(bench, vec![range(7, 9)]).await, [(0, 7)], "an end in a hole");
    assert_eq!(offsets_of(bench, vec![range(18, 22)]).await, [(0, 18)], "an end behind markers");
}

pub(super) async fn markers_of_transactions_are_passed_over_by_readers_and_members(bench: &dyn Bench) {
    let (topic, group) = (bench.topic(1).await, bench.group());
    let partition = TopicPartition::new(&*topic, 0);
    let Some(end) = bench.write_in_transactions(&partition, 4).await else { return };
    let ends = bench.transport().watermarks(vec![partition.clone()], PATIENCE).await.expect("an answer");
    assert_eq!(ends, [Watermarks { low: 0, high: end }]);
    let range = |start, end| ReadRange { partition: partition.clone(), start, end };
    assert_eq!(offsets_of(bench, vec![range(0, end)]).await, [(0, 0), (0, 2), (0, 4), (0, 6)]);
    assert_eq!(offsets_of(bench, vec![range(1, 4)]).await, [(0, 2)], "an end in a hole");
    assert_eq!(offsets_of(bench, vec![range(7, end)]).await, [], "a range that is one hole");
    let mut member = Probe::assigned(bench, options(&group, &topic), 1).await;
    member.until("four records", |member| member.seen.len() >= 4).await;
    assert_eq!(member.offsets(&partition), [0, 2, 4, 6]);
}

pub(super) async fn ranges_of_several_partitions_are_all_read(bench: &dyn Bench) {
    let topic = bench.topic(3).await;
    let partitions: Vec<_> = (0..3).map(|p| TopicPartition::new(&*topic, p)).collect();
    write(bench, partitions.iter().flat_map(|partition| numbered(partition, 0, 300)).collect()).await;
    let range = |partition: &TopicPartition| {
        let start = i64::from(partition.partition) * 10;
        ReadRange { partition: partition.clone(), start, end: 250 }
    };
    let offsets = offsets_of(bench, partitions.iter().map(range).collect()).await;
    for partition in 0..3 {
        let got: Vec<i64> =
            offsets.iter().filter(|(of, _)| *of == partition).map(|(_, offset)| *offset).collect();
        assert_eq!(got, (i64::from(partition) * 10..250).collect::<Vec<_>>(), "partition {partition}");
    }
}

pub(super) async fn an_empty_range_ends_at_once(bench: &dyn Bench) {
    let topic = bench.topic(1).await;
    let partition = TopicPartition::new(&*topic, 0);
    write(bench, numbered(&partition, 0, 3)).await;
    assert_eq!(offsets_of(bench, vec![ReadRange { partition, start: 2, end: 2 }]).await, []);
    assert_eq!(offsets_of(bench, Vec::new()).await, []);
}

pub(super) async fn watermarks_are_the_ends_of_the_log_in_the_order_asked(bench: &dyn Bench) {
    let topic = bench.topic(3).await;
    let [zero, one, two] = [0, 1, 2].map(|p| TopicPartition::new(&*topic, p));
    write(bench, numbered(&zero, 0, 4)).await;
    write(bench, numbered(&two, 0, 9)).await;
    let watermarks = bench.transport().watermarks(vec![two, zero, one], PATIENCE).await.expect("an answer");
    let ends = |high| Watermarks { low: 0, high };
    assert_eq!(watermarks, [ends(9), ends(4), ends(0)]);
}

pub(super) async fn offsets_at_a_time_are_the_first_at_or_behind_it_or_the_end_in_the_order_asked(
    bench: &dyn Bench,
) {
    if !bench.finds_by_time() {
        return;
    }
    let topic = bench.topic(3).await;
    let [zero, one, two] = [0, 1, 2].map(|p| TopicPartition::new(&*topic, p));
    write(bench, at_seconds(&zero, &[10, 20, 20, 30])).await;
    write(bench, at_seconds(&two, &[5, 40])).await;
    for (second, expected) in [(0, [0, 0, 0]), (20, [1, 1, 0]), (21, [1, 3, 0]), (41, [2, 4, 0])] {
        let asked = vec![two.clone(), zero.clone(), one.clone()];
        let at = AT_SECOND_0_MS + second * 1_000;
        let offsets = bench.transport().offsets_at(asked, at, PATIENCE).await.expect("an answer");
        assert_eq!(offsets, expected, "second {second}");
    }
    let unknown = vec![TopicPartition::new(&*topic, 7)];
    let refused =
        bench.transport().offsets_at(unknown, AT_SECOND_0_MS, PATIENCE).await.expect_err("it has 3");
    assert_eq!(refused.kind, ClientErrorKind::UnknownTopic);
}

pub(super) async fn topics_are_listed_with_their_partitions(bench: &dyn Bench) {
    let (first, second) = (bench.topic(1).await, bench.topic(3).await);
    // A broker may hear of a new topic a moment after the one that made it.
    let named = async {
        loop {
            match bench.transport().topics(vec![second.clone()], PATIENCE).await {
                Err(error) if error.kind == ClientErrorKind::UnknownTopic => tokio::task::yield_now().await,
                answer => return answer.expect("an answer"),
            }
        }
    };
    assert_eq!(within("the topic", named).await, [(second.clone(), 3)]);
    let all = bench.transport().topics(Vec::new(), PATIENCE).await.expect("an answer");
    assert!(all.contains(&(first, 1)) && all.contains(&(second, 3)), "{all:?}");
}

pub(super) async fn creating_a_topic_that_exists_is_no_error(bench: &dyn Bench) {
    if !bench.answers_tools() {
        return;
    }
    let name = bench.topic(2).await;
    let settings = vec![("retention.ms".to_owned(), "60000".to_owned())];
    let again = NewTopic { name: name.clone(), partitions: 2, replication: 1, settings };
    bench.transport().create_topics(vec![again], PATIENCE).await.expect("it is there already");
    let topics = bench.transport().topics(vec![name.clone()], PATIENCE).await.expect("an answer");
    assert_eq!(topics, [(name, 2)]);
}

pub(super) async fn following_goes_on_as_records_come_in_every_partition(bench: &dyn Bench) {
    let topic = bench.topic(2).await;
    let [zero, one] = [0, 1].map(|p| TopicPartition::new(&*topic, p));
    write(bench, numbered(&zero, 0, 5)).await;
    write(bench, numbered(&one, 0, 5)).await;
    let mut records = bench.transport().follow(vec![(zero.clone(), 3), (one.clone(), 5)]).expect("a reader");
    let mut seen = Vec::new();
    for (at, more) in [(2, numbered(&one, 5, 8)), (5, numbered(&zero, 5, 6)), (6, Vec::new())] {
        while seen.len() < at {
            let (partition, record) =
                within("a record", records.recv()).await.expect("no end").expect("no error");
            seen.push((partition.partition, record.offset));
        }
        write(bench, more).await;
    }
    assert_eq!(seen, [(0, 3), (0, 4), (1, 5), (1, 6), (1, 7), (0, 5)]);
}
