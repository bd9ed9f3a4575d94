//! What goes wrong, and what is said of it.

use txova_events::{PaymentFailed, PaymentId, RideId, RideRequested};

use super::*;
use crate::client_error::ClientErrorKind;
use crate::testing::ProduceFault;

#[test]
fn a_publisher_without_a_source_or_with_wrong_settings_is_refused_before_anything_is_opened() {
    let error = Kafka::new(KafkaConfig::for_brokers("kafka:9092")).unwrap().publisher(" ").map(drop);
    assert_eq!(error, Err(ConnectError::SourceMissing));

    let mut config = KafkaConfig::for_brokers("kafka");
    config.publisher.max_in_flight = 6;
    let error = Kafka::new(config).unwrap_err().to_string();
    assert!(error.contains("connection.brokers") && error.contains("publisher.max_in_flight"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_record_over_the_limit_is_refused_with_its_size_and_the_limit_and_one_at_the_limit_is_not() {
    let cluster = cluster();
    let publisher = publisher(&cluster, |config| config.max_message_bytes = 1_000);
    let error = publisher.publish_record(record(vec![b'x'; 1_000])).await.unwrap_err();
    assert_eq!((error.kind(), error.written()), (PublishErrorKind::TooLarge, Written::No));
    assert_eq!(
        error.to_string(),
        "cannot publish to notes: the record has 1001 bytes, publisher.max_message_bytes is 1000"
    );
    assert!(!error.is_retriable());
    assert_eq!(publisher.publish_record(record(vec![b'x'; 999])).await.unwrap().offset, 0);
    assert_eq!((publisher.stats().refused, publisher.stats().published), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_is_an_error_after_max_block_and_the_record_is_never_written() {
    let cluster = cluster();
    let publisher = publisher(&cluster, |config| (config.buffer_records, config.max_block_ms) = (2, 5_000));
    cluster.produce_down(TOPIC);
    let first = publisher.enqueue_record(record("1")).await.unwrap();
    let second = publisher.enqueue_record(record("2")).await.unwrap();

    let begun = tokio::time::Instant::now();
    let error = publisher.enqueue_record(record("3")).await.unwrap_err();
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert_eq!((error.kind(), error.written()), (PublishErrorKind::BufferFull, Written::No));
    assert!(error.is_retriable());
    assert!(error.to_string().contains("within 5000 ms (publisher.max_block_ms): 2 of 2 records"), "{error}");

    cluster.produce_up(TOPIC);
    assert_eq!((first.await.unwrap().offset, second.await.unwrap().offset), (0, 1));
    publisher.close(SECOND).await;
    assert_eq!(log(&cluster), ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn the_buffer_is_bounded_in_bytes_too() {
    let cluster = cluster();
    let publisher = publisher(&cluster, |config| {
        (config.buffer_bytes, config.max_message_bytes, config.max_block_ms) = (1_000, 1_000, 100);
    });
    cluster.produce_down(TOPIC);
    let held = publisher.enqueue_record(record(vec![b'1'; 500])).await.unwrap();
    let error = publisher.publish_record(record(vec![b'2'; 499])).await.unwrap_err();
    assert!(error.to_string().contains("501 of 1000 bytes"), "{error}");
    assert_eq!(publisher.stats().in_flight_bytes, 501);
    cluster.produce_up(TOPIC);
    held.await.unwrap();
    assert_eq!(publisher.stats().in_flight_bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_broker_refuses_was_not_written() {
    let cluster = cluster().without_auto_create();
    let publisher = publisher(&cluster, |_| {});
    for kind in [ClientErrorKind::Authorization, ClientErrorKind::InvalidRecord] {
        cluster.fail_produces(TOPIC, 1, ProduceFault::Refused(kind));
        let error = publisher.publish_record(record("1")).await.unwrap_err();
        assert_eq!((error.kind(), error.written()), (PublishErrorKind::Refused, Written::No), "{kind:?}");
        assert_eq!(error.key(), Some(&b"k"[..]), "{kind:?}");
        assert!(!error.is_retriable());
    }
    let unknown = OutgoingRecord { topic: "nowhere".into(), ..record("1") };
    let error = publisher.publish_record(unknown).await.unwrap_err();
    assert_eq!((error.kind(), error.topic()), (PublishErrorKind::Refused, Some("nowhere")));
    assert_eq!(log(&cluster), [""; 0]);
    assert_eq!((publisher.stats().failed, publisher.stats().in_flight), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_after_the_write_says_maybe_and_the_record_is_there() {
    let cluster = cluster();
    let publisher = publisher(&cluster, |_| {});
    cluster.fail_produces(TOPIC, 1, ProduceFault::WrittenButTimedOut);
    let error = publisher.publish_record(record("1")).await.unwrap_err();
    assert_eq!((error.kind(), error.written()), (PublishErrorKind::TimedOut, Written::Maybe));
    assert!(error.is_retriable());
    assert_eq!(log(&cluster), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_breaks_the_contract_is_refused_with_its_field() {
    let cluster = cluster();
    let publisher = publisher(&cluster, |_| {});
    let envelope = txova_events::RawEnvelope::decode(&Bytes::from(
        r#"{"id":"1","type":"ride.requested","version":"one","source":"s","timestamp":"2026-01-01T00:00:00Z","correlation_id":"c","payload":{}}"#,
    ))
    .unwrap();
    let error = publisher.publish(&envelope).await.unwrap_err();
    assert_eq!((error.kind(), error.written()), (PublishErrorKind::InvalidEvent, Written::No));
    assert!(error.to_string().contains("version"), "{error}");
    assert_eq!(publisher.stats().refused, 1);
}

#[tokio::test(start_paused = true)]
async fn a_batch_with_an_invalid_event_sends_none_and_says_which() {
    let cluster = Cluster::new();
    let publisher = publisher(&cluster, |config| config.max_message_bytes = 1_000);
    let failed = |error_message: String| PaymentFailed {
        payment_id: PaymentId::new(),
        error_code: "E1".to_owned(),
        error_message,
    };
    let answers = publisher
        .publish_batch(&[failed("x".to_owned()), failed("x".repeat(1_000)), failed("x".to_owned())])
        .await;
    let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().unwrap_err().kind()).collect();
    assert_eq!(kinds, [PublishErrorKind::NotSent, PublishErrorKind::TooLarge, PublishErrorKind::NotSent]);
    let not_sent = answers[2].as_ref().unwrap_err();
    assert!(
        not_sent.to_string().ends_with("not sent: event 1 of the batch (from 0) could not be"),
        "{not_sent}"
    );
    assert!(not_sent.is_retriable());
    assert!(cluster.records("txova.payments.v1").is_empty());
    assert_eq!(publisher.stats().refused, 3);
}

#[tokio::test(start_paused = true)]
async fn behind_an_event_of_a_batch_that_gets_no_place_none_is_sent() {
    let cluster = Cluster::new().with_topic("txova.payments.v1", 1);
    let publisher = publisher(&cluster, |config| (config.buffer_records, config.max_block_ms) = (2, 1_000));
    cluster.produce_down("txova.payments.v1");
    let failed = |code: &str| PaymentFailed {
        payment_id: PaymentId::new(),
        error_code: code.to_owned(),
        error_message: String::new(),
    };
    let up_again = async {
        tokio::time::sleep(2 * SECOND).await;
        cluster.produce_up("txova.payments.v1");
    };
    let events = ["1", "2", "3", "4"].map(failed);
    let (answers, ()) = tokio::join!(publisher.publish_batch(&events), up_again);
    let offsets: Vec<_> =
        answers[..2].iter().map(|answer| answer.as_ref().map(|published| published.offset)).collect();
    assert_eq!(offsets, [Ok(0), Ok(1)]);
    assert_eq!(answers[2].as_ref().unwrap_err().kind(), PublishErrorKind::BufferFull);
    assert_eq!(answers[3].as_ref().unwrap_err().kind(), PublishErrorKind::NotSent);
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_panics_harms_nobody() {
    let cluster = Cluster::new();
    let publisher = publisher(&cluster, |_| {});
    let event =
        txova_events::PaymentCompleted { payment_id: PaymentId::new(), transaction_ref: "T1".to_owned() };
    publisher.publish_async(&event, |_| std::panic::resume_unwind(Box::new("on purpose"))).await.unwrap();
    publisher.publish(&event).await.unwrap();
    assert_eq!((publisher.stats().published, publisher.stats().in_flight), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_callback_gets_the_failure() {
    let cluster = Cluster::new().with_topic("txova.payments.v1", 1);
    let publisher = publisher(&cluster, |_| {});
    cluster.fail_produces("txova.payments.v1", 1, ProduceFault::Refused(ClientErrorKind::Authorization));
    let event =
        txova_events::PaymentCompleted { payment_id: PaymentId::new(), transaction_ref: "T1".to_owned() };
    let (sender, receiver) = tokio::sync::oneshot::channel();
    publisher.publish_async(&event, |answer| sender.send(answer).unwrap()).await.unwrap();
    assert_eq!(receiver.await.unwrap().unwrap_err().kind(), PublishErrorKind::Refused);
}

#[tokio::test(start_paused = true)]
async fn an_event_becomes_a_record_of_the_contract() {
    let cluster = Cluster::new();
    let publisher = publisher(&cluster, |_| {});
    let location = txova_events::Location::new(-25.9, 32.6).unwrap();
    let event = RideRequested {
        ride_id: RideId::new(),
        rider_id: txova_events::UserId::new(),
        pickup: location,
        dropoff: location,
        service_type: txova_events::ServiceType::Standard,
    };
    let published = publisher.publish(&event).await.unwrap();
    assert_eq!(&*published.topic, "txova.rides.v1");
    let (partition, record) = cluster.records("txova.rides.v1").remove(0);
    assert_eq!((partition.partition, record.offset), (published.partition, published.offset));
    assert_eq!(record.key.as_deref(), Some(event.ride_id.to_string().as_bytes()));
    let names: Vec<&str> = record.headers.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["event_type", "event_id", "correlation_id"]);
    assert_eq!(record.headers.text("event_type"), Some("ride.requested"));
    let value = record.value.unwrap();
    let envelope = txova_events::RawEnvelope::decode(&value).unwrap();
    assert_eq!(record.headers.text("event_id"), Some(&*envelope.id));
    assert_eq!(&*envelope.source, "ride-service");
}
