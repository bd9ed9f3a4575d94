//! What the cluster refuses for good is kept.

use txova_events::DeadLetter;

use super::*;
use crate::client_error::ClientErrorKind;
use crate::testing::ProduceFault;

const DLQ: &str = "notes.dlq";

fn letters(cluster: &Cluster) -> Vec<DeadLetter> {
    let records = cluster.records(DLQ).into_iter();
    records.map(|(_, record)| DeadLetter::decode(&record.value.unwrap()).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_record_refused_for_good_is_kept_as_it_was_with_the_reason_and_the_caller_is_told_where() {
    let cluster = cluster().with_topic(DLQ, 1);
    let publisher = publisher(&cluster, |_| {});
    for (number, kind) in [ClientErrorKind::TooLarge, ClientErrorKind::InvalidRecord].into_iter().enumerate()
    {
        cluster.fail_produces(TOPIC, 1, ProduceFault::Refused(kind));
        let headers = vec![("a".into(), Some("1".into()))];
        let sent = OutgoingRecord { headers, ..record("no event") };
        let error = publisher.publish_record(sent).await.unwrap_err();
        assert_eq!((error.written(), error.is_retriable()), (Written::No, false), "{kind:?}");
        let kept = error.dead_letter().expect("it is kept");
        assert_eq!((&*kept.topic, kept.offset), (DLQ, number as i64));
        assert!(error.to_string().contains(&format!("dead letter notes.dlq/0/{number}")), "{error}");
    }
    let letter = &letters(&cluster)[0];
    assert_eq!((&*letter.original_topic, letter.original_partition), (TOPIC, -1));
    assert_eq!(letter.body().as_deref(), Some(&b"no event"[..]));
    assert_eq!(letter.original_key.as_deref(), Some(&b"k"[..]));
    assert_eq!(letter.original_headers, [("a".to_owned(), Some(b"1".to_vec()))]);
    assert_eq!(letter.service.as_deref(), Some("ride-service"));
    assert!(letter.error_message.contains("refused by a script"), "{}", letter.error_message);
    assert_eq!(log(&cluster), [""; 0]);
    assert_eq!((publisher.stats().failed, publisher.stats().in_flight), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn an_event_comes_back_from_its_letter_byte_for_byte() {
    let topic = "txova.payments.v1";
    let cluster = Cluster::new().with_topic(topic, 1);
    let publisher = publisher(&cluster, |_| {});
    cluster.fail_produces(topic, 1, ProduceFault::Refused(ClientErrorKind::InvalidRecord));
    let event = txova_events::PaymentCompleted {
        payment_id: txova_events::PaymentId::new(),
        transaction_ref: "T1".to_owned(),
    };
    publisher.publish(&event).await.unwrap_err();
    let (_, record) = cluster.records("txova.payments.v1.dlq").remove(0);
    let letter = DeadLetter::decode(&record.value.unwrap()).unwrap();
    let envelope = letter.envelope.as_ref().unwrap();
    assert_eq!(&*envelope.event_type, "payment.completed");
    assert_eq!(record.headers.text("event_id"), Some(&*envelope.id));
}

#[tokio::test(start_paused = true)]
async fn what_a_later_try_could_write_is_not_kept_nor_what_may_be_in_the_log() {
    let cluster = cluster().with_topic(DLQ, 1).with_timeouts(SECOND, SECOND);
    let publisher = publisher(&cluster, |_| {});
    cluster.fail_produces(TOPIC, 1, ProduceFault::Refused(ClientErrorKind::Authorization));
    cluster.fail_produces(TOPIC, 1, ProduceFault::WrittenButTimedOut);
    for _ in 0..2 {
        assert_eq!(publisher.publish_record(record("1")).await.unwrap_err().dead_letter(), None);
    }
    cluster.broker_away();
    assert_eq!(publisher.publish_record(record("1")).await.unwrap_err().dead_letter(), None);
    assert!(letters(&cluster).is_empty());
}

#[tokio::test(start_paused = true)]
async fn where_the_letter_cannot_be_written_either_the_error_says_both() {
    let cluster = cluster().with_topic(DLQ, 1);
    let publisher = publisher(&cluster, |_| {});
    cluster.fail_produces(TOPIC, 1, ProduceFault::Refused(ClientErrorKind::InvalidRecord));
    cluster.fail_produces(DLQ, 1, ProduceFault::Refused(ClientErrorKind::Authorization));
    let error = publisher.publish_record(record("1")).await.unwrap_err();
    assert_eq!((error.kind(), error.dead_letter()), (PublishErrorKind::Refused, None));
    let text = error.to_string();
    assert!(text.contains("nor was its dead letter written: record for notes.dlq"), "{text}");
    assert_eq!(publisher.stats().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_letter_too_large_for_its_topic_is_cut_and_a_letter_has_no_letter() {
    let cluster = cluster().with_topic(DLQ, 1);
    let publisher = publisher(&cluster, |_| {});
    cluster.fail_produces(TOPIC, 1, ProduceFault::Refused(ClientErrorKind::TooLarge));
    cluster.fail_produces(DLQ, 2, ProduceFault::Refused(ClientErrorKind::TooLarge));
    let error = publisher.publish_record(record(vec![b'x'; 100_000])).await.unwrap_err();
    assert!(error.dead_letter().is_some(), "{error}");
    assert_eq!(letters(&cluster)[0].cut.as_ref().map(|cut| cut.body_bytes), Some(100_000));

    cluster.fail_produces(DLQ, 1, ProduceFault::Refused(ClientErrorKind::InvalidRecord));
    let into_dlq = OutgoingRecord { topic: DLQ.into(), ..record("1") };
    let error = publisher.publish_record(into_dlq).await.unwrap_err();
    assert!(error.dead_letter().is_none() && !error.to_string().contains("dead letter"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn it_can_be_switched_off() {
    let cluster = cluster().with_topic(DLQ, 1);
    let publisher = publisher(&cluster, |config| config.dead_letters = false);
    cluster.fail_produces(TOPIC, 1, ProduceFault::Refused(ClientErrorKind::InvalidRecord));
    assert_eq!(publisher.publish_record(record("1")).await.unwrap_err().dead_letter(), None);
    assert!(letters(&cluster).is_empty());
}
