//! A bounded run: what it reads, what it says, and that the group never hears of it.

use super::*;
use crate::app::{App, RangeEnd, RangeReport, RangeStart, RunRange};
use crate::extract::State;

const ALL: (RangeStart, RangeEnd) = (RangeStart::Earliest, RangeEnd::End);

fn range((from, to): (RangeStart, RangeEnd)) -> RunRange {
    RunRange::new(from, to)
}

fn noting(cluster: &Cluster, seen: &Seen) -> App {
    builder(cluster).on("*", note).topics([TOPIC]).state(seen.clone()).build().unwrap()
}

/// A record a second, `e0` at second 0.
fn a_second_apart(cluster: &Cluster, partition: i32, count: i64) {
    for n in 0..count {
        let record = OutgoingRecord {
            topic: TOPIC.into(),
            partition: Some(partition),
            key: Some(format!("k{}", n % 3).into()),
            value: Some(envelope(&format!("e{n}")).into()),
            timestamp_ms: Some(1_704_067_200_000 + n * 1_000),
            ..OutgoingRecord::default()
        };
        cluster.produce(record).unwrap();
    }
}

fn counts(report: &RangeReport) -> [u64; 5] {
    [report.read, report.handled, report.skipped, report.dead_lettered, report.failed]
}

#[tokio::test(start_paused = true)]
async fn a_bounded_run_reads_its_range_and_the_group_never_hears_of_it() {
    let (cluster, before, seen) = (cluster(1), Seen::default(), Seen::default());
    a_second_apart(&cluster, 0, 7);
    let app = noting(&cluster, &before);
    let (handle, running) = (app.handle(), tokio::spawn(app.run()));
    cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    let view =
        |cluster: &Cluster| (cluster.commits().len(), cluster.generation(GROUP), cluster.members(GROUP));
    let group = view(&cluster);
    // The group's own member is running all the while.
    let report = noting(&cluster, &seen).run_range(range(ALL)).await.unwrap();
    assert_eq!((counts(&report), report.is_complete()), ([7, 7, 0, 0, 0], true), "{report}");
    assert_eq!(seen.all().len(), 7);
    assert_eq!(view(&cluster), group);
    assert_eq!(cluster.committed_by(GROUP, &TopicPartition::new(TOPIC, 0)), Some((7, String::new())));
    assert!(handle.close(LONG).await);
    running.await.unwrap().unwrap();
    assert_eq!(before.all().len(), 7);
}

#[tokio::test(start_paused = true)]
async fn offsets_and_times_bound_the_range_and_what_comes_later_is_left_alone() {
    let at = |second: i64| 1_704_067_200_000 + second * 1_000;
    for (from, to, expected) in [
        (RangeStart::Offset(2), RangeEnd::Offset(5), 2..5),
        (RangeStart::Offset(4), RangeEnd::Offset(4), 4..4),
        (RangeStart::Timestamp { unix_ms: at(3) - 1 }, RangeEnd::Timestamp { unix_ms: at(6) }, 3..6),
        (RangeStart::Timestamp { unix_ms: at(8) }, RangeEnd::Timestamp { unix_ms: at(99) }, 8..10),
        (RangeStart::Timestamp { unix_ms: at(99) }, RangeEnd::End, 10..10),
        (RangeStart::Earliest, RangeEnd::End, 1..10),
    ] {
        let (cluster, seen) = (cluster(1), Seen::default());
        a_second_apart(&cluster, 0, 10);
        cluster.delete_records_before(&TopicPartition::new(TOPIC, 0), 1).unwrap();
        async fn add_one(State((cluster, seen)): State<(Cluster, Seen)>, meta: Meta) {
            seen.add(meta.event_id.as_str());
            produce(&cluster, "late", &envelope("late"));
        }
        let app = builder(&cluster).on("*", add_one).topics([TOPIC]).state((cluster.clone(), seen.clone()));
        let report = app.build().unwrap().run_range(RunRange::new(from, to)).await.unwrap();
        let mut all = seen.all();
        all.sort();
        assert_eq!(all, expected.clone().map(|n| format!("e{n}")).collect::<Vec<_>>(), "{from:?} to {to:?}");
        let part = &report.parts[0];
        assert_eq!((part.from, part.to, part.position), (expected.start, expected.end, expected.end));
    }
}

#[tokio::test(start_paused = true)]
async fn all_partitions_are_read_with_their_holes_or_only_those_that_are_named() {
    let (cluster, seen) = (cluster(4), Seen::default());
    for partition in [0, 2, 3] {
        a_second_apart(&cluster, partition, 1_200);
    }
    let holed = TopicPartition::new(TOPIC, 2);
    assert!(cluster.compact_away(&holed, 0).unwrap() && cluster.compact_away(&holed, 1_199).unwrap());
    cluster.skip_offsets(&holed, 3).unwrap();
    let report = noting(&cluster, &seen).run_range(range(ALL)).await.unwrap();
    assert_eq!((counts(&report), report.is_complete()), ([3_598, 3_598, 0, 0, 0], true), "{report}");
    assert_eq!(report.parts.iter().map(|part| part.to).collect::<Vec<_>>(), [1_200, 0, 1_203, 1_200]);
    let only = range(ALL).partition(TopicPartition::new(TOPIC, 3));
    let report = noting(&cluster, &seen).run_range(only).await.unwrap();
    assert_eq!((counts(&report), report.parts.len()), ([1_200, 1_200, 0, 0, 0], 1), "{report}");
}

async fn refuse_some(State(seen): State<Seen>, attempt: Attempt, meta: Meta) -> Result<(), HandlerError> {
    seen.add(format!("{} {}", meta.event_id.as_str(), attempt.number()));
    match meta.event_id.as_str() {
        "e0" => Err(HandlerError::permanent("never")),
        "e1" if attempt.number() == 1 => Err(HandlerError::transient("not yet")),
        "e2" => Err(HandlerError::skip("no matter")),
        _ => Ok(()),
    }
}

#[tokio::test(start_paused = true)]
async fn retries_and_dead_letters_are_as_in_any_run_and_order_holds_for_a_key() {
    let (cluster, seen) = (cluster(1), Seen::default());
    a_second_apart(&cluster, 0, 7);
    let app = builder(&cluster).on("*", refuse_some).topics([TOPIC]).state(seen.clone()).build().unwrap();
    let report = app.run_range(range(ALL)).await.unwrap();
    assert_eq!(
        (counts(&report), report.retried, report.is_complete()),
        ([7, 5, 1, 1, 0], 1, true),
        "{report}"
    );
    assert_eq!(cluster.records(DLQ).len(), 1);
    let of_key_1: Vec<_> =
        seen.all().into_iter().filter(|line| line.starts_with("e1") || line.starts_with("e4")).collect();
    assert_eq!(of_key_1, ["e1 1", "e1 2", "e4 1"]);
}

#[tokio::test(start_paused = true)]
async fn without_dead_letters_what_failed_is_listed_with_its_place_and_cause() {
    let (cluster, seen) = (cluster(1), Seen::default());
    a_second_apart(&cluster, 0, 4);
    let app = builder(&cluster).on("*", refuse_some).topics([TOPIC]).state(seen.clone()).build().unwrap();
    let report = app.run_range(range(ALL).without_dead_letters()).await.unwrap();
    assert_eq!(counts(&report), [4, 2, 1, 0, 1], "{report}");
    assert_eq!(cluster.records(DLQ).len(), 0);
    let text = report.to_string();
    for part in ["complete: 4 records", "parcels.v1-0 offset 0, refuse_some, attempt 1, permanent: never"] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_down_dead_letter_topic_holds_the_run_and_it_ends_when_the_topic_is_back() {
    let (cluster, seen) = (cluster(1), Seen::default());
    cluster.produce_down(DLQ);
    a_second_apart(&cluster, 0, 4);
    let app = builder(&cluster).on("*", refuse_some).topics([TOPIC]).state(seen.clone()).build().unwrap();
    let mut run = tokio::spawn(app.run_range(range(ALL)));
    assert!(tokio::time::timeout(Duration::from_secs(300), &mut run).await.is_err(), "not settled");
    cluster.produce_up(DLQ);
    let report = run.await.unwrap().unwrap();
    assert_eq!((counts(&report), cluster.records(DLQ).len()), ([4, 2, 1, 1, 0], 1), "{report}");
    assert_eq!(seen.all().iter().filter(|line| line.starts_with("e0")).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_closed_says_where_to_go_on_and_nothing_is_missed_from_there() {
    let (cluster, seen) = (cluster(1), Seen::default());
    a_second_apart(&cluster, 0, 3_000);
    async fn slow(State(seen): State<Seen>, meta: Meta) {
        tokio::time::sleep(Duration::from_millis(5)).await;
        seen.add(meta.event_id.as_str());
    }
    let app = || builder(&cluster).on("*", slow).topics([TOPIC]).state(seen.clone()).build().unwrap();
    let first = app();
    let (handle, run) = (first.handle(), tokio::spawn(first.run_range(range(ALL))));
    while seen.all().len() < 200 {
        tokio::time::advance(Duration::from_millis(5)).await;
    }
    assert!(handle.close(LONG).await);
    let report = run.await.unwrap().unwrap();
    let position = report.parts[0].position;
    assert!(!report.is_complete() && (100..3_000).contains(&position), "{report}");
    assert!(report.to_string().contains(&format!("goes on at offset {position} of 0 to 3000")), "{report}");
    let rest = app().run_range(range((RangeStart::Offset(position), RangeEnd::End))).await.unwrap();
    assert!(rest.is_complete(), "{rest}");
    let all: std::collections::BTreeSet<_> = seen.all().into_iter().collect();
    assert_eq!(all.len(), 3_000);
}

#[tokio::test(start_paused = true)]
async fn a_range_that_is_not_in_the_log_is_refused_and_says_what_is() {
    let cluster = cluster(1).without_auto_create();
    a_second_apart(&cluster, 0, 10);
    cluster.delete_records_before(&TopicPartition::new(TOPIC, 0), 4).unwrap();
    for (range, expected) in [
        (
            range((RangeStart::Offset(3), RangeEnd::End)),
            "to begin at offset 3, and the log goes from 4 to before 10",
        ),
        (range((RangeStart::Offset(11), RangeEnd::End)), "to begin at offset 11"),
        (range((RangeStart::Earliest, RangeEnd::Offset(11))), "to end at offset 11"),
        (range((RangeStart::Offset(9), RangeEnd::Offset(8))), "begins at offset 9 and ends before 8"),
        (
            range((RangeStart::Timestamp { unix_ms: 2 }, RangeEnd::Timestamp { unix_ms: 1 })),
            "begins at timestamp 2 and ends before 1",
        ),
        (range(ALL).topics(["nowhere.v1"]), "the topic nowhere.v1 does not exist"),
        (range(ALL).topics([""; 0]), "no topic is named"),
        (range(ALL).partition(TopicPartition::new(TOPIC, 7)), "no partition parcels.v1-7"),
    ] {
        let error = noting(&cluster, &Seen::default()).run_range(range).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn retention_that_takes_what_is_still_to_be_read_is_an_error_and_not_a_gap() {
    let (cluster, seen) = (cluster(1), Seen::default());
    a_second_apart(&cluster, 0, 9_000);
    async fn take_away(State((cluster, seen)): State<(Cluster, Seen)>, meta: Meta) {
        seen.add(meta.event_id.as_str());
        cluster.delete_records_before(&TopicPartition::new(TOPIC, 0), 8_990).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let app = builder(&cluster).on("*", take_away).topics([TOPIC]).state((cluster.clone(), seen.clone()));
    let app = app.consumer(|consumer| {
        (consumer.concurrency, consumer.max_poll_records, consumer.max_in_flight_records) = (10, 10, 100);
    });
    let app = app.build().unwrap();
    let error = app.run_range(range(ALL)).await.unwrap_err();
    assert_eq!(
        error.client.as_ref().map(|client| client.kind),
        Some(ClientErrorKind::OffsetOutOfRange),
        "{error}"
    );
    assert!(error.report.committed.is_empty(), "{error:?}");
    let settled =
        error.to_string().split("before this are settled: parcels.v1-0 offset ").nth(1).map(str::to_owned);
    let settled: i64 = settled.unwrap().parse().unwrap();
    assert!((1..8_990).contains(&settled), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_handlers_stop_ends_the_run_with_its_place() {
    let cluster = cluster(1);
    a_second_apart(&cluster, 0, 3);
    async fn stop() -> Result<(), HandlerError> {
        Err(HandlerError::stop("the licence has run out"))
    }
    let app = builder(&cluster).on("*", stop).topics([TOPIC]).build().unwrap();
    let error = app.run_range(range(ALL)).await.unwrap_err();
    assert!(error.to_string().contains("parcels.v1-0 offset 0: the licence has run out; "), "{error}");
}
