//! The circuit breaker as callers see it.

use futures_util::FutureExt;

use super::*;

/// Opens after three failures, for ten seconds; a record is given up after one.
fn opening(cluster: &Cluster) -> Publisher {
    publisher(cluster, |config| (config.breaker_failures, config.breaker_open_ms) = (3, 10_000))
}

/// A cluster whose producers give a record up after a second.
fn impatient() -> Cluster {
    cluster().with_timeouts(SECOND, SECOND)
}

async fn fail(publisher: &Publisher, count: usize) {
    for _ in 0..count {
        let error = publisher.publish_record(record("lost")).await.unwrap_err();
        assert_eq!(error.kind(), PublishErrorKind::TimedOut);
    }
}

#[tokio::test(start_paused = true)]
async fn when_nothing_gets_through_calls_fail_at_once_and_say_when_to_try_again() {
    let cluster = impatient();
    let publisher = opening(&cluster);
    cluster.broker_away();
    fail(&publisher, 3).await;
    assert_eq!(publisher.health().breaker, BreakerState::Open);

    let begun = tokio::time::Instant::now();
    let error = publisher.publish_record(record("refused")).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!((error.kind(), error.written()), (PublishErrorKind::CircuitOpen, Written::No));
    assert_eq!((error.is_retriable(), error.retry_after()), (true, Some(10 * SECOND)));
    assert!(error.to_string().contains("the circuit is open"), "{error}");
    let error = publisher.enqueue_record(record("refused")).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::CircuitOpen);
}

#[tokio::test(start_paused = true)]
async fn one_probe_gets_through_and_when_it_is_written_all_do() {
    let cluster = impatient();
    let publisher = opening(&cluster);
    cluster.broker_away();
    fail(&publisher, 3).await;
    tokio::time::sleep(10 * SECOND).await;

    let probe = publisher.enqueue_record(record("probe")).await.unwrap();
    assert_eq!(publisher.health().breaker, BreakerState::HalfOpen);
    let error = publisher.publish_record(record("beside")).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::CircuitOpen);
    cluster.broker_back();
    assert_eq!(probe.await.unwrap().offset, 0);
    assert_eq!(publisher.health().breaker, BreakerState::Closed);
    publisher.publish_record(record("after")).await.unwrap();
    assert_eq!(log(&cluster), ["probe", "after"]);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_keeps_it_open_and_one_that_is_dropped_before_its_place_makes_room() {
    let cluster = impatient();
    let publisher = publisher(&cluster, |config| {
        (config.breaker_failures, config.breaker_open_ms) = (3, 10_000);
        config.buffer_records = 1;
    });
    cluster.broker_away();
    fail(&publisher, 3).await;
    tokio::time::sleep(10 * SECOND).await;
    fail(&publisher, 1).await;
    assert_eq!(publisher.health().breaker, BreakerState::Open);

    // A probe that is never polled again after it was let through.
    tokio::time::sleep(10 * SECOND).await;
    drop(publisher.publish_record(record("never polled")));
    let mut probe = Box::pin(publisher.enqueue_record(record("probe")));
    assert!(probe.as_mut().now_or_never().expect("there is room").is_ok());
    assert_eq!(publisher.health().breaker, BreakerState::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn what_a_broker_refuses_opens_nothing() {
    let cluster = cluster();
    let publisher = publisher(&cluster, |config| config.breaker_failures = 1);
    let refused = crate::testing::ProduceFault::Refused(crate::ClientErrorKind::Authorization);
    cluster.fail_produces(TOPIC, 200, refused);
    for _ in 0..200 {
        publisher.publish_record(record("refused")).await.unwrap_err();
    }
    assert_eq!(publisher.health().breaker, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_away_alone_opens_nothing() {
    let cluster = impatient().with_topic("other", 1);
    let publisher = opening(&cluster);
    cluster.produce_down(TOPIC);
    let other = OutgoingRecord { topic: "other".into(), ..record("fine") };
    for _ in 0..10 {
        let down = publisher.enqueue_record(record("down")).await.unwrap();
        publisher.publish_record(other.clone()).await.unwrap();
        assert_eq!(down.await.unwrap_err().kind(), PublishErrorKind::TimedOut);
    }
    assert_eq!(publisher.health().breaker, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn it_can_be_switched_off() {
    let cluster = impatient();
    let publisher = publisher(&cluster, |config| (config.breaker, config.breaker_failures) = (false, 1));
    cluster.broker_away();
    fail(&publisher, 20).await;
    assert_eq!(publisher.health().breaker, BreakerState::Closed);
}
