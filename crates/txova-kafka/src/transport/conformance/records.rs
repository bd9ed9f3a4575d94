//! Records on their way to a member.

use bytes::Bytes;

use super::Bench;
use super::probe::{Probe, numbered, options, within, write};
use crate::record::{OutgoingRecord, TopicPartition};
use crate::transport::Command;

pub(super) async fn records_arrive_in_offset_order_in_each_partition(bench: &dyn Bench) {
    let topic = bench.topic(3).await;
    let partitions: Vec<_> = (0..3).map(|p| TopicPartition::new(&*topic, p)).collect();
    write(bench, partitions.iter().flat_map(|partition| numbered(partition, 0, 700)).collect()).await;
    let mut member = Probe::assigned(bench, options(&bench.group(), &topic), 3).await;
    member.until("2,100 records", |member| member.seen.len() >= 2100).await;
    for partition in &partitions {
        assert_eq!(member.offsets(partition), (0..700).collect::<Vec<_>>(), "{partition}");
    }
    let values_match =
        member.seen.iter().all(|(_, record)| record.value == Some(record.offset.to_string().into()));
    assert!(values_match, "each value is its offset");
    member.close(Vec::new()).await.expect("nothing to commit");
}

pub(super) async fn assigned_comes_before_its_first_batch(bench: &dyn Bench) {
    let topic = bench.topic(1).await;
    write(bench, numbered(&TopicPartition::new(&*topic, 0), 0, 5)).await;
    let mut member = bench.transport().join(options(&bench.group(), &topic)).expect("the options are good");
    let batch = within("a batch", member.batches.recv()).await.expect("the member is open");
    // Nothing was taken from the events so far: the assignment must lie there already.
    let mut known = Vec::new();
    while let Ok(event) = member.events.try_recv() {
        if let crate::transport::GroupEvent::Assigned { epoch, partitions } = event {
            known.push((epoch, partitions.len()));
        }
    }
    assert_eq!(known, [(batch.epoch, 1)]);
}

pub(super) async fn odd_records_arrive_as_they_were_sent(bench: &dyn Bench) {
    let topic = bench.topic(1).await;
    let record =
        |key: Option<&'static str>, value: Option<&'static str>, headers: &[(&str, Option<&'static str>)]| {
            let header = |(name, value): &(&str, Option<&'static str>)| {
                ((*name).to_owned().into(), value.map(Bytes::from))
            };
            OutgoingRecord {
                topic: (&*topic).into(),
                partition: Some(0),
                key: key.map(Bytes::from),
                value: value.map(Bytes::from),
                headers: headers.iter().map(header).collect(),
                timestamp_ms: Some(1_700_000_000_123),
            }
        };
    let odd = [
        record(None, Some("null key"), &[]),
        record(Some(""), Some("a key of no bytes"), &[]),
        record(Some("tombstone"), None, &[]),
        record(Some("no bytes"), Some(""), &[]),
        record(Some("k"), Some("v"), &[("a", Some("1")), ("b", None), ("a", Some("")), ("a", Some("3"))]),
    ];
    write(bench, odd.to_vec()).await;
    let mut member = Probe::join(bench.transport(), options(&bench.group(), &topic));
    member.until("the odd records", |member| member.seen.len() >= odd.len()).await;
    for ((_, got), sent) in member.seen.iter().zip(&odd) {
        let headers: Vec<_> = sent.headers.iter().map(|(name, value)| (&**name, value.as_deref())).collect();
        assert_eq!((&got.key, &got.value), (&sent.key, &sent.value));
        assert_eq!(got.headers.iter().collect::<Vec<_>>(), headers);
        assert_eq!(got.timestamp_ms, sent.timestamp_ms);
    }
}

pub(super) async fn pause_stops_and_resume_goes_on_without_loss(bench: &dyn Bench) {
    let topic = bench.topic(2).await;
    let [paused, other] = [0, 1].map(|p| TopicPartition::new(&*topic, p));
    let mut member = Probe::assigned(bench, options(&bench.group(), &topic), 2).await;
    write(bench, numbered(&paused, 0, 10)).await;
    member.until("ten records", |member| member.seen.len() >= 10).await;
    let epoch = member.owned[&paused];
    member.send(Command::Pause { partition: paused.clone(), epoch });
    // Commands are carried out in order: when this commit is answered, fetching has stopped.
    member.commit(member.progress(std::slice::from_ref(&paused))).await.expect("the commit");
    write(bench, numbered(&paused, 10, 20)).await;
    write(bench, numbered(&other, 0, 300)).await;
    member.until("the other partition goes on", |member| member.offsets(&other).len() >= 300).await;
    assert_eq!(member.offsets(&paused), (0..10).collect::<Vec<_>>(), "nothing while it is paused");
    member.send(Command::Resume { partition: paused.clone(), epoch });
    member.until("the rest", |member| member.offsets(&paused).contains(&19)).await;
    let mut offsets = member.offsets(&paused);
    offsets.dedup();
    // A client may deliver again what it had fetched; it may not leave anything out.
    offsets.sort_unstable();
    offsets.dedup();
    assert_eq!(offsets, (0..20).collect::<Vec<_>>());
}

pub(super) async fn pausing_what_is_not_assigned_or_was_in_another_epoch_does_nothing(bench: &dyn Bench) {
    let topic = bench.topic(1).await;
    let partition = TopicPartition::new(&*topic, 0);
    let mut member = Probe::assigned(bench, options(&bench.group(), &topic), 1).await;
    let epoch = member.owned[&partition];
    for stranger in [TopicPartition::new(&*topic, 7), TopicPartition::new("nowhere", 0)] {
        member.send(Command::Pause { partition: stranger.clone(), epoch });
        member.send(Command::Resume { partition: stranger, epoch });
    }
    // As from before the partition was lost and came back: nobody would resume it.
    member.send(Command::Pause { partition: partition.clone(), epoch: epoch - 1 });
    write(bench, numbered(&partition, 0, 3)).await;
    member.until("three records", |member| member.seen.len() >= 3).await;
    assert_eq!(member.fatal, None);
}
