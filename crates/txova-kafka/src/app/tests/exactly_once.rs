//! Exactly once: what handlers publish is there once for each record that is done, whatever happened on the way.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use txova_events::{DeadLetter, EnvelopeRef};

use super::*;
use crate::app::{RangeEnd, RangeStart, RunRange};
use crate::batch::BatchError;
use crate::config::Isolation;
use crate::extract::{State, Tx};
use crate::publisher::PublishErrorKind;
use crate::testing::{CommitFault, ProduceFault};

mod simulation;

pub(super) const OUT: &str = "forwarded.v1";

/// What the handlers publish: which event it is about, under that event's key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Forwarded {
    pub key: String,
    pub of: String,
}

impl txova_events::Event for Forwarded {
    const TYPE: &'static str = "parcel.forwarded";
    const TOPIC: &'static str = OUT;

    fn key(&self) -> String {
        self.key.clone()
    }
}

impl Forwarded {
    pub(super) fn of(meta: &Meta) -> Self {
        Self { key: meta.key_text().unwrap_or_default().to_owned(), of: meta.event_id.clone() }
    }
}

/// What readers see, in the order of each partition.
fn forwarded(cluster: &Cluster) -> Vec<String> {
    let of = |record: &crate::Record| {
        let envelope = EnvelopeRef::decode(record.value.as_deref().unwrap()).unwrap();
        envelope.decode_payload::<Forwarded>().unwrap().of
    };
    cluster.records(OUT).iter().map(|(_, record)| of(record)).collect()
}

fn letters(cluster: &Cluster) -> Vec<DeadLetter> {
    let letter = |record: crate::Record| DeadLetter::decode(record.value.as_deref().unwrap()).unwrap();
    cluster.records(DLQ).into_iter().map(|(_, record)| letter(record)).collect()
}

fn one_partition() -> Cluster {
    cluster(1).with_topic(OUT, 1)
}

fn exactly_once<Args>(cluster: &Cluster, handler: impl crate::Handler<Args>) -> AppBuilder {
    builder(cluster).exactly_once("depot").on("*", handler).topics([TOPIC])
}

async fn forward(tx: Tx, meta: Meta) -> Result<(), HandlerError> {
    tx.publish(&Forwarded::of(&meta))?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn nothing_is_published_by_an_attempt_that_fails_and_once_by_the_one_that_succeeds() {
    let cluster = one_partition();
    async fn handler(tx: Tx, meta: Meta, attempt: Attempt) -> Result<(), HandlerError> {
        tx.publish(&Forwarded { key: "k".into(), of: format!("{} {}", meta.event_id, attempt.number()) })?;
        match (meta.event_id.as_str(), attempt.number()) {
            ("panics", 1) => std::panic::resume_unwind(Box::new("on purpose")),
            ("hangs", 1) => std::future::pending().await,
            ("fails", 1..3) => Err(HandlerError::transient("not yet")),
            ("skipped", _) => Err(HandlerError::skip("of no interest")),
            ("refused", _) => Err(HandlerError::permanent("never")),
            _ => Ok(()),
        }
    }
    for id in ["fine", "fails", "skipped", "refused", "panics", "hangs"] {
        produce(&cluster, "one key", &envelope(id));
    }
    run_to_the_end(&cluster, exactly_once(&cluster, handler).build().unwrap()).await;
    assert_eq!(forwarded(&cluster), ["fine 1", "fails 3", "panics 2", "hangs 2"]);
    assert_eq!(letters(&cluster).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_published_is_seen_with_the_offset_and_not_before() {
    let cluster = one_partition();
    cluster.delay_commits(GROUP, Duration::from_secs(3));
    for n in 0..20 {
        produce(&cluster, &format!("k{n}"), &envelope(&n.to_string()));
    }
    let app = exactly_once(&cluster, forward).build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    let partition = TopicPartition::new(TOPIC, 0);
    let settled = |cluster: &Cluster| {
        let committed = cluster.committed_by(GROUP, &partition).map_or(0, |(offset, _)| offset);
        assert_eq!(forwarded(cluster).len() as i64, committed, "together or not at all");
        committed == 20
    };
    cluster.wait_until(settled).await;
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
    assert_eq!(forwarded(&cluster), (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_is_aborted_is_made_again_without_running_a_handler_again() {
    let (cluster, seen) = (one_partition(), Seen::default());
    async fn handler(State(seen): State<Seen>, tx: Tx, meta: Meta) -> Result<(), HandlerError> {
        seen.add(meta.event_id.as_str());
        forward(tx, meta).await
    }
    for kind in [ClientErrorKind::StaleMember, ClientErrorKind::Fenced, ClientErrorKind::TimedOut] {
        cluster.fail_commits(GROUP, 1, CommitFault::Refused(kind));
    }
    cluster.fail_commits(GROUP, 1, CommitFault::Unanswered);
    cluster.fail_commits(GROUP, 1, CommitFault::WrittenButTimedOut);
    for n in 0..30 {
        produce(&cluster, &format!("k{}", n % 3), &envelope(&n.to_string()));
    }
    run_to_the_end(&cluster, exactly_once(&cluster, handler).state(seen.clone()).build().unwrap()).await;
    assert_eq!(seen.all().len(), 30);
    assert_eq!(forwarded(&cluster), (0..30).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_transaction_has_at_most_as_many_records_as_it_may_however_long_the_one_before_takes() {
    let cluster = one_partition();
    cluster.delay_commits(GROUP, Duration::from_secs(2));
    for n in 0..200 {
        produce(&cluster, &format!("k{n}"), &envelope(&n.to_string()));
    }
    let limits = |consumer: &mut crate::config::ConsumerConfig| consumer.commit_every_records = 30;
    run_to_the_end(&cluster, exactly_once(&cluster, forward).consumer(limits).build().unwrap()).await;
    let mut before = 0;
    for commit in cluster.commits() {
        assert!(commit.offset - before <= 30, "{} after {before}", commit.offset);
        before = commit.offset;
    }
    assert_eq!(forwarded(&cluster).len(), 200);
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_written_in_the_transaction_that_commits_their_record() {
    let cluster = one_partition();
    cluster.fail_commits(GROUP, 2, CommitFault::Refused(ClientErrorKind::TimedOut));
    produce(&cluster, "k", "no event at all");
    produce(&cluster, "k", &envelope("behind it"));
    run_to_the_end(&cluster, exactly_once(&cluster, forward).build().unwrap()).await;
    assert_eq!(letters(&cluster).len(), 1, "aborted twice, and there once");
    assert_eq!(forwarded(&cluster), ["behind it"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_too_large_for_its_topic_makes_a_dead_letter_of_the_record_and_holds_nothing_up() {
    let cluster = one_partition();
    for id in ["first", "second", "third"] {
        produce(&cluster, id, &envelope(id));
    }
    cluster.fail_produces(OUT, 1, ProduceFault::Refused(ClientErrorKind::TooLarge));
    cluster.fail_produces(DLQ, 2, ProduceFault::Refused(ClientErrorKind::TooLarge));
    run_to_the_end(&cluster, exactly_once(&cluster, forward).build().unwrap()).await;
    assert_eq!(forwarded(&cluster), ["second", "third"]);
    let letters = letters(&cluster);
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].original_offset, letters[0].attempt_count), (0, 1));
    let told = &letters[0].error_message; // cut twice, as the letter was refused twice
    assert!(told.starts_with("what it"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_cannot_be_written_to_holds_the_app_up_and_it_goes_on_by_itself() {
    let (cluster, seen) = (one_partition(), Seen::default());
    async fn handler(State(seen): State<Seen>, tx: Tx, meta: Meta) -> Result<(), HandlerError> {
        seen.add(meta.event_id.as_str());
        forward(tx, meta).await
    }
    cluster.produce_down(OUT);
    for n in 0..500 {
        produce(&cluster, &format!("k{n}"), &envelope(&n.to_string()));
    }
    let limits = |consumer: &mut crate::config::ConsumerConfig| consumer.commit_every_records = 50;
    let app = exactly_once(&cluster, handler).state(seen.clone()).consumer(limits).build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    let trouble = loop {
        tokio::time::advance(Duration::from_millis(500)).await;
        let status = handle.status().await.unwrap();
        if let Some(trouble) = status.trouble {
            break trouble;
        }
    };
    assert!(trouble.message.contains(OUT), "{trouble}");
    assert!(seen.all().len() <= 100, "one transaction under way and one that waits: {}", seen.all().len());
    cluster.produce_up(OUT);
    cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    assert!(handle.status().await.unwrap().trouble.is_none());
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
    assert_eq!(forwarded(&cluster).len(), 500);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_dies_or_gives_back_leaves_nothing_twice_and_nothing_out() {
    let cluster = cluster(4).with_topic(OUT, 1);
    async fn handler(tx: Tx, meta: Meta) -> Result<(), HandlerError> {
        tokio::time::sleep(Duration::from_millis(meta.offset as u64 % 40)).await;
        forward(tx, meta).await
    }
    for n in 0..400 {
        produce(&cluster, &format!("k{}", n % 20), &envelope(&format!("{} {n}", n % 20)));
    }
    let start = || {
        let app = exactly_once(&cluster, handler).build().unwrap();
        (app.handle(), tokio::spawn(app.run()))
    };
    let mut members = vec![start(), start()];
    for at in [40, 120, 200, 280] {
        cluster.wait_until(|cluster| forwarded(cluster).len() >= at).await;
        members.remove(0).1.abort();
        members.push(start());
    }
    cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    for (handle, run) in members {
        assert!(handle.close(LONG).await);
        run.await.unwrap().unwrap();
    }
    let all = forwarded(&cluster);
    assert_eq!(all.len(), 400);
    let mut last = std::collections::HashMap::new();
    for of in &all {
        let (key, n) = of.split_once(' ').unwrap();
        let n: u32 = n.parse().unwrap();
        let before = last.insert(key, n);
        assert!(before.is_none_or(|before| before < n), "{key}: {n} after {before:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_published_inherits_correlation_cause_and_source() {
    let cluster = one_partition();
    produce(&cluster, "k", &envelope("the cause"));
    run_to_the_end(&cluster, exactly_once(&cluster, forward).build().unwrap()).await;
    let (_, record) = cluster.records(OUT).remove(0);
    let envelope = EnvelopeRef::decode(record.value.as_deref().unwrap()).unwrap();
    assert_eq!((&*envelope.correlation_id, &*envelope.source), ("c", "depot"));
    assert_eq!(envelope.causation_id.as_deref(), Some("the cause"));
}

#[tokio::test(start_paused = true)]
async fn in_a_batch_what_is_published_belongs_to_the_event_it_came_with() {
    let cluster = one_partition();
    async fn handler(events: Vec<(Meta, Tx)>, attempt: Attempt) -> Result<(), HandlerError> {
        let mut failed = BatchError::new();
        for (at, (meta, tx)) in events.iter().enumerate() {
            tx.publish(&Forwarded::of(meta))?;
            match meta.event_id.as_str() {
                "refused" => failed.add(at, HandlerError::permanent("never")),
                "later" if attempt.number() == 1 => failed.add(at, "not yet"),
                _ => {}
            }
        }
        Ok(failed.into_result()?)
    }
    for id in ["first", "refused", "later", "last"] {
        produce(&cluster, id, &envelope(id));
    }
    run_to_the_end(&cluster, exactly_once(&cluster, handler).build().unwrap()).await;
    assert_eq!(forwarded(&cluster), ["first", "last", "later"]);
    assert_eq!(letters(&cluster).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_publishes_after_the_attempt_is_told_that_it_is_over() {
    let (cluster, seen) = (one_partition(), Seen::default());
    async fn handler(State(seen): State<Seen>, tx: Tx, meta: Meta) {
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let late = tx.publish(&Forwarded::of(&meta)).unwrap_err();
            assert_eq!(late.kind(), PublishErrorKind::Closed);
            seen.add(late.to_string());
        });
    }
    produce(&cluster, "k", &envelope("e"));
    run_to_the_end(&cluster, exactly_once(&cluster, handler).state(seen.clone()).build().unwrap()).await;
    cluster.wait_until(|_| !seen.all().is_empty()).await;
    assert!(seen.all()[0].contains("has ended"), "{:?}", seen.all());
    assert_eq!(forwarded(&cluster).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_bounded_run_writes_what_its_handlers_publish() {
    let cluster = one_partition();
    for n in 0..40 {
        produce(&cluster, &format!("k{n}"), &envelope(&n.to_string()));
    }
    let app = exactly_once(&cluster, forward).build().unwrap();
    let report = app.run_range(RunRange::new(RangeStart::Offset(10), RangeEnd::End)).await.unwrap();
    assert!(report.parts.iter().all(|part| part.position == 40), "{report:?}");
    assert_eq!(forwarded(&cluster), (10..40).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(cluster.committed_by(GROUP, &TopicPartition::new(TOPIC, 0)), None);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_publishes_without_end_is_told_the_limit_and_becomes_a_dead_letter() {
    let cluster = one_partition();
    async fn handler(tx: Tx, meta: Meta) -> Result<(), HandlerError> {
        forward(tx.clone(), meta.clone()).await?;
        if meta.event_id != "greedy" {
            return Ok(());
        }
        loop {
            tx.publish(&Forwarded::of(&meta)).map_err(|error| {
                assert_eq!(
                    (error.kind(), error.limit_bytes()),
                    (PublishErrorKind::TooLarge, Some(2_000_000))
                );
                HandlerError::permanent(error.to_string())
            })?;
        }
    }
    produce(&cluster, "k", &envelope("greedy"));
    produce(&cluster, "k", &envelope("modest"));
    let mut config = crate::config::KafkaConfig::default();
    config.consumer.group = Some(GROUP.to_owned());
    config.publisher.buffer_bytes = 2_000_000;
    let kafka = crate::Kafka::over(std::sync::Arc::new(cluster.clone()), config);
    let app = kafka.app("depot").exactly_once("depot").on("*", handler).topics([TOPIC]);
    run_to_the_end(&cluster, app.build().unwrap()).await;
    assert_eq!(forwarded(&cluster), ["modest"]);
    let told = &letters(&cluster)[0].error_message;
    assert!(told.contains("publisher.buffer_bytes is 2000000"), "{told}");
}

#[test]
fn what_exactly_once_does_not_go_with_is_refused_at_build() {
    let cluster = one_partition();
    let told = |app: AppBuilder| app.build().unwrap_err().to_string();
    let without = builder(&cluster).on("*", forward).topics([TOPIC]);
    assert!(told(without).contains("takes `Tx`: expected an app with `.exactly_once(id)`"));
    let blank = builder(&cluster).exactly_once(" ").on("*", forward).topics([TOPIC]);
    assert!(told(blank).contains("`.exactly_once(id)` is ` `"));
    let uncommitted =
        exactly_once(&cluster, forward).consumer(|it| it.isolation = Isolation::ReadUncommitted);
    assert!(told(uncommitted).contains("`consumer.isolation`"));
    let slow = exactly_once(&cluster, forward).consumer(|it| it.commit_interval_ms = 20_000);
    assert!(told(slow).contains("`consumer.transaction_timeout_ms`"));
}
