//! Goal: a letter keeps all that is known about a record, and one that is too large still gets through. Method: apps
//! that fail, on the in-memory cluster and a paused clock; letters of any size by property test.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use txova_events::{DeadLetter, RawEnvelope, Time};

use super::{outgoing, record_within, sha256};
use crate::config::KafkaConfig;
use crate::extract::Raw;
use crate::kafka::Kafka;
use crate::outcome::HandlerError;
use crate::record::{OutgoingRecord, Record, TopicPartition};
use crate::replay::Replay;
use crate::testing::Cluster;

const TOPIC: &str = "parcels.v1";
const DLQ: &str = "parcels.v1.dlq";
const GROUP: &str = "depot-group";

#[derive(Debug, thiserror::Error)]
#[error("the parcel cannot be stored")]
struct Outer(#[source] std::num::ParseIntError);

async fn fail() -> Result<(), HandlerError> {
    let cause = "many".parse::<i32>().unwrap_err();
    Err(HandlerError::transient(Outer(cause)))
}

fn app(cluster: &Cluster) -> crate::app::App {
    let kafka = Kafka::over(Arc::new(cluster.clone()), KafkaConfig::default());
    kafka.app("depot").on("*", fail).topics([TOPIC]).build().unwrap()
}

/// Lets the app give the record up; answers the letter's record.
async fn give_up(cluster: &Cluster, record: OutgoingRecord) -> Record {
    cluster.produce(record).unwrap();
    let app = app(cluster);
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    let settled = |cluster: &Cluster| cluster.records(DLQ).len() == 1 && cluster.lag(GROUP, TOPIC) == 0;
    let in_time = tokio::time::timeout(Duration::from_secs(600), cluster.wait_until(settled));
    in_time.await.expect("the letter gets through and the record is settled");
    assert!(handle.close(Duration::from_secs(60)).await);
    run.await.unwrap().unwrap();
    cluster.records(DLQ).remove(0).1
}

fn cluster() -> Cluster {
    Cluster::new().with_topic(TOPIC, 3).with_topic(DLQ, 3)
}

fn event(payload: &str) -> String {
    format!(
        r#"{{"id":"e1","type":"parcel.moved","version":"1.0","source":"depot","timestamp":"2026-11-24T08:00:00Z","correlation_id":"c","payload":{payload}}}"#
    )
}

fn record(value: &str) -> OutgoingRecord {
    OutgoingRecord {
        topic: TOPIC.into(),
        partition: Some(2),
        key: Some("p".into()),
        value: Some(value.to_owned().into()),
        headers: vec![("city".into(), Some(b"\xff\x00".to_vec().into())), ("mark".into(), None)],
        timestamp_ms: Some(1_795_000_000_123),
    }
}

#[tokio::test(start_paused = true)]
async fn a_letter_keeps_the_record_its_origin_and_its_failures() {
    let cluster = cluster();
    cluster.skip_offsets(&TopicPartition::new(TOPIC, 2), 7).unwrap();
    let value = event(r#"{ "parcel_id" : "p" }"#);
    let written = give_up(&cluster, record(&value)).await;
    let letter = DeadLetter::decode(written.value.as_deref().unwrap()).unwrap();
    let origin = (&*letter.original_topic, letter.original_partition, letter.original_offset);
    assert_eq!(origin, (TOPIC, 2, 7));
    assert_eq!(letter.original_key.as_deref(), Some(&b"p"[..]));
    assert_eq!(letter.original_timestamp.map(Time::unix_ms), Some(1_795_000_000_123));
    let headers = vec![("city".to_owned(), Some(b"\xff\x00".to_vec())), ("mark".to_owned(), None)];
    assert_eq!(letter.original_headers, headers);
    assert_eq!(letter.body().as_deref(), Some(value.as_bytes()));
    assert_eq!((letter.raw_body.is_some(), &letter.cut), (false, &None), "the envelope says it all");
    assert_eq!(letter.error_message, "the parcel cannot be stored");
    assert_eq!(letter.error_chain, ["invalid digit found in string"]);
    assert_eq!((letter.error_class.as_deref(), letter.handler.as_deref()), (Some("transient"), Some("fail")));
    assert_eq!((letter.consumer_group.as_deref(), letter.service.as_deref()), (Some(GROUP), Some("depot")));
    assert_eq!(letter.attempt_count, 4);
    assert!(letter.first_failure <= letter.last_failure && !letter.first_failure.is_zero());
    assert!(letter.instance.as_ref().unwrap().ends_with(&format!("/{}", std::process::id())));
    assert_eq!(letter.fingerprint().len(), 16);
    let fingerprint = letter.fingerprint().into_owned();
    assert!(letter.library_version.unwrap().starts_with("txova-kafka "));
    assert_eq!(written.key.as_deref(), Some(&b"e1"[..]));
    for (name, text) in [
        ("original_topic", TOPIC),
        ("event_type", "parcel.moved"),
        ("event_id", "e1"),
        ("error_message", "the parcel cannot be stored"),
        ("error_class", "transient"),
        ("handler", "fail"),
        ("consumer_group", GROUP),
        ("service", "depot"),
        ("fingerprint", &fingerprint),
        ("original_partition", "2"),
        ("original_offset", "7"),
        ("attempt_count", "4"),
    ] {
        assert_eq!(written.headers.text(name), Some(text));
    }
}

#[tokio::test(start_paused = true)]
async fn an_envelope_that_is_spelt_in_its_own_way_comes_back_byte_for_byte() {
    let cluster = cluster();
    let value = event("{}").replace(r#","type""#, r#" , "region":1,"type""#);
    let written = give_up(&cluster, record(&value)).await;
    let letter = DeadLetter::decode(written.value.as_deref().unwrap()).unwrap();
    assert_eq!(letter.body().as_deref(), Some(value.as_bytes()));
    assert_eq!(letter.event_id(), "e1", "and is an envelope for a Go reader too");
}

async fn is_cut_and_named(cluster: &Cluster, value: &str, most_bytes: usize) {
    let written = give_up(cluster, record(value)).await;
    assert!(written.size_bytes() <= most_bytes, "{} bytes", written.size_bytes());
    assert!(written.size_bytes() > most_bytes / 3, "only {} bytes are kept", written.size_bytes());
    let letter = DeadLetter::decode(written.value.as_deref().unwrap()).unwrap();
    let cut = letter.cut.clone().unwrap();
    let fields: Vec<_> = cut.fields.iter().filter(|field| *field != "backtrace").collect(); // RUST_BACKTRACE may be set
    assert_eq!(fields, ["envelope", "raw_body"]);
    assert_eq!(cut.body_bytes, value.len() as u64);
    assert_eq!(cut.body_sha256, sha256(value.as_bytes()));
    assert!(value.as_bytes().starts_with(letter.raw_body.as_deref().unwrap()));
    assert_eq!((letter.envelope.is_none(), letter.lacks_body(), letter.body()), (true, true, None));
    assert_eq!((letter.event_id(), letter.event_type()), ("e1", "parcel.moved"));
    assert_eq!((letter.error_message.as_str(), letter.original_offset), ("the parcel cannot be stored", 0));

    // A replay has the whole of it from where it came from, as long as it is there.
    assert_eq!(replayed(cluster).await, Ok(Bytes::from(value.to_owned())));
    cluster.delete_records_before(&TopicPartition::new(TOPIC, 2), 1).unwrap();
    let error = replayed(cluster).await.unwrap_err();
    assert!(error.ends_with("cannot be had from offset 0 of parcels.v1-2: it is no longer there"), "{error}");
}

/// What a handler gets of the one letter there is, or why it gets nothing.
async fn replayed(cluster: &Cluster) -> Result<Bytes, String> {
    let seen: Arc<Mutex<Option<Raw>>> = Arc::default();
    let note = {
        let seen = seen.clone();
        move |raw: Raw| {
            *seen.lock().unwrap() = Some(raw);
            async { Err::<(), _>(HandlerError::permanent("looked at, and left open")) }
        }
    };
    let kafka = Kafka::over(Arc::new(cluster.clone()), KafkaConfig::default());
    let app = kafka.app("depot").on("*", note).topics([TOPIC]).build().unwrap();
    let report = app.replay(Replay::new()).await.unwrap();
    let raw = seen.lock().unwrap().take();
    raw.map(|raw| raw.bytes().clone()).ok_or_else(|| report.failed[0].error.clone())
}

#[tokio::test(start_paused = true)]
async fn another_record_at_the_place_of_a_cut_one_is_not_taken_for_it() {
    let cluster = cluster();
    let value = event(&format!(r#"{{"note":"{}"}}"#, "x".repeat(1_048_000)));
    let letter = give_up(&cluster, record(&value)).await;
    let anew = self::cluster();
    anew.produce(record(&event("{}"))).unwrap();
    let letter = OutgoingRecord { topic: DLQ.into(), value: letter.value, ..OutgoingRecord::default() };
    anew.produce(letter).unwrap();
    let error = replayed(&anew).await.unwrap_err();
    assert!(error.ends_with("another record is there"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_letter_larger_than_the_producer_takes_is_cut_and_does_not_hold_its_partition() {
    let value = event(&format!(r#"{{"note":"{}"}}"#, "x".repeat(1_048_000)));
    is_cut_and_named(&cluster(), &value, 1_048_576).await;
}

#[tokio::test(start_paused = true)]
async fn a_letter_larger_than_its_topic_takes_is_cut_too() {
    let cluster = cluster();
    let value = event(&format!(r#"{{"note":"{}"}}"#, "x".repeat(90_000)));
    let limited = cluster.clone();
    let watched = cluster.clone();
    let lower = tokio::spawn(async move {
        watched.wait_until(|cluster| cluster.records(TOPIC).len() == 1).await;
        limited.with_max_record_bytes(20_000);
    });
    is_cut_and_named(&cluster, &value, 20_000).await;
    lower.await.unwrap();
}

#[test]
fn the_hash_is_the_one_that_sha256sum_prints() {
    assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

fn letters() -> impl Strategy<Value = DeadLetter> {
    let text = || prop_oneof!["[a-zé\u{1}\"]{0,40}", "[a-zé\u{1}\"]{2000,6000}"];
    let bytes = || prop_oneof![vec(any::<u8>(), 0..40), vec(any::<u8>(), 2_000..20_000)];
    let header = (text(), prop::option::of(bytes()));
    (text(), vec(text(), 0..8), prop::option::of(bytes()), vec(header, 0..6), any::<u8>(), bytes(), text())
        .prop_map(|(message, chain, key, headers, kind, body, id)| {
            let mut letter = DeadLetter::new(TOPIC, 1, 2, message, Time::now());
            letter.error_chain = chain;
            letter.original_key = key;
            letter.original_headers = headers;
            letter.handler = Some("fail".into());
            letter.consumer_group = Some(GROUP.into());
            if kind % 4 != 0 {
                letter.raw_body = Some(body);
            }
            if kind % 2 == 0 {
                let envelope = RawEnvelope::decode(event("{}").as_bytes()).unwrap();
                letter.envelope = Some(envelope);
                letter.envelope.as_mut().unwrap().id = id.into();
            }
            letter
        })
}

proptest! {
    #[test]
    fn any_letter_fits_its_budget_and_what_fits_is_never_cut(letter in letters(), budget in 1_500usize..40_000) {
        let whole = outgoing(&letter);
        let record = record_within(&letter, budget);
        prop_assert!(record.size_bytes() <= budget, "{} of {budget}", record.size_bytes());
        let read = DeadLetter::decode(record.value.as_deref().unwrap()).unwrap();
        prop_assert_eq!(read.cut.is_none(), whole.size_bytes() <= budget);
        match read.body() {
            Some(body) if letter.envelope.is_none() => prop_assert_eq!(Some(body), letter.body()),
            Some(_) => {}
            None => prop_assert!(read.lacks_body() || letter.body().is_none()),
        }
        prop_assert_eq!(DeadLetter::decode(&read.encode()).unwrap(), read);
    }
}

#[tokio::test(start_paused = true)]
async fn dead_letter_topics_keep_letters_for_thirty_days_and_what_was_decided_for_ever() {
    let cluster = Cluster::new().with_topic(TOPIC, 3);
    let kafka = Kafka::over(Arc::new(cluster), KafkaConfig::default());
    kafka.create_dead_letter_topics(&[TOPIC]).await.unwrap();
    let limit = Duration::from_secs(10);
    let names = [DLQ, "txova.dlq.resolutions", "txova.dlq.audit"];
    let settings = kafka.admin().topic_settings(&names, limit).await.unwrap();
    let of = |at: usize, name: &str| {
        settings[at].iter().find(|it| it.name == name).and_then(|it| it.value.clone()).unwrap()
    };
    let kept = |at: usize| (of(at, "cleanup.policy"), of(at, "retention.ms"));
    assert_eq!(kept(0), ("delete".to_owned(), (30 * 24 * 3_600_000_u64).to_string()));
    assert_eq!(kept(1), ("compact".to_owned(), "-1".to_owned()));
    assert_eq!(kept(2), ("delete".to_owned(), "-1".to_owned()));
    let mut partitions = kafka.topics(&names, limit).await.unwrap();
    partitions.sort();
    assert_eq!(partitions.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [3, 1, 1], "{partitions:?}");
}
