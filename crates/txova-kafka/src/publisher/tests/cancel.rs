//! Futures that are dropped half way.

use futures_util::FutureExt;

use super::client::{Manner, by_hand};
use super::*;

#[tokio::test(start_paused = true)]
async fn a_publish_that_is_dropped_after_its_place_is_written_and_counted() {
    let cluster = cluster();
    let publisher = publisher(&cluster, |_| {});
    cluster.produce_down(TOPIC);
    assert!(publisher.publish_record(record("1")).now_or_never().is_none());
    assert_eq!(publisher.stats().in_flight, 1);
    cluster.produce_up(TOPIC);
    assert_eq!(publisher.publish_record(record("2")).await.unwrap().offset, 1);
    assert_eq!(log(&cluster), ["1", "2"]);
    assert_eq!((publisher.stats().published, publisher.stats().in_flight), (2, 0));
}

#[tokio::test]
async fn a_call_that_is_dropped_while_it_waits_was_never_there_and_those_behind_go_on() {
    let (publisher, client) = by_hand(Manner::Keep, 1);
    let place = |value: &'static str| publisher.enqueue_record(record(value));
    let _one = place("1").await.unwrap();
    let (mut two, mut three) = (Box::pin(place("2")), Box::pin(place("3")));
    assert!(two.as_mut().now_or_never().is_none());
    assert!(three.as_mut().now_or_never().is_none());
    assert_eq!(publisher.stats().waiting, 2);
    drop(two);
    client.answer();
    assert!(three.as_mut().now_or_never().is_some());
    assert_eq!(client.taken(), ["1", "3"]);
    assert_eq!((publisher.stats().waiting, publisher.stats().in_flight), (0, 1));
}

#[tokio::test]
async fn a_call_that_is_dropped_after_its_place_was_granted_unseen_is_sent_in_its_turn() {
    let (publisher, client) = by_hand(Manner::Keep, 1);
    let _one = publisher.enqueue_record(record("1")).await.unwrap();
    let mut two = Box::pin(publisher.publish_record(record("2")));
    assert!(two.as_mut().now_or_never().is_none());
    client.answer(); // grants the second its place
    drop(two);
    client.answer();
    assert_eq!(client.taken(), ["1", "2"]);
    assert_eq!((publisher.stats().published, publisher.stats().in_flight), (2, 0));
}

#[tokio::test]
async fn a_future_that_was_never_polled_did_nothing() {
    let (publisher, client) = by_hand(Manner::Keep, 1);
    drop(publisher.publish_record(record("1")));
    assert!(client.taken().is_empty());
    assert_eq!(publisher.stats(), PublisherStats::default());
}

#[tokio::test]
async fn a_dropped_large_record_lets_the_small_one_behind_it_in() {
    let (publisher, client) = by_hand(Manner::Keep, 10); // 3,000 bytes
    let place = |size: usize| publisher.enqueue_record(record("x".repeat(size)));
    let _half = place(1_500).await.unwrap();
    let (mut large, mut small) = (Box::pin(place(2_900)), Box::pin(place(10)));
    assert!(large.as_mut().now_or_never().is_none());
    assert!(small.as_mut().now_or_never().is_none());
    drop(large);
    assert!(small.as_mut().now_or_never().is_some());
    let sizes: Vec<usize> = client.taken().iter().map(Bytes::len).collect();
    assert_eq!(sizes, [1_500, 10]);
}
