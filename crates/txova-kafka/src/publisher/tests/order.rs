//! Places are given out in the order they are asked for, and that order is the log's.

use futures_util::FutureExt;
use futures_util::future::join_all;

use super::client::{Manner, by_hand};
use super::*;

#[tokio::test(start_paused = true)]
async fn calls_that_wait_for_a_place_are_written_in_the_order_they_were_made() {
    let cluster = cluster();
    let publisher = publisher(&cluster, |config| config.buffer_records = 3);
    cluster.produce_down(TOPIC);
    let numbers: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    let calls = join_all(numbers.iter().map(|number| publisher.publish_record(record(number.clone()))));
    let up = async { cluster.produce_up(TOPIC) };
    let (answers, ()) = tokio::join!(calls, up);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(log(&cluster), numbers);
}

#[tokio::test]
async fn a_small_record_does_not_overtake_a_large_one_that_waits() {
    let (publisher, client) = by_hand(Manner::Keep, 10); // 3,000 bytes
    let place = |size: usize| publisher.enqueue_record(record("x".repeat(size)));
    let _half = place(1_500).await.unwrap();
    let (mut large, mut small) = (Box::pin(place(2_900)), Box::pin(place(10)));
    assert!(large.as_mut().now_or_never().is_none());
    assert!(small.as_mut().now_or_never().is_none(), "there is room for it, but not its turn");
    client.answer();
    assert!(small.as_mut().now_or_never().is_some());
    assert!(large.as_mut().now_or_never().is_some());
    let sizes: Vec<usize> = client.taken().iter().map(Bytes::len).collect();
    assert_eq!(sizes, [1_500, 2_900, 10]);
}

#[tokio::test]
async fn a_call_that_comes_when_there_is_room_again_stands_behind_those_that_wait() {
    let (publisher, client) = by_hand(Manner::Keep, 1);
    let place = |value: &'static str| publisher.enqueue_record(record(value));
    let _one = place("1").await.unwrap();
    let mut two = Box::pin(place("2"));
    assert!(two.as_mut().now_or_never().is_none());
    client.answer();
    // The second has not been polled since; the third finds the place taken all the same.
    let mut three = Box::pin(place("3"));
    assert!(three.as_mut().now_or_never().is_none());
    client.answer();
    assert!(three.as_mut().now_or_never().is_some());
    assert!(two.as_mut().now_or_never().is_some());
    assert_eq!(client.taken(), ["1", "2", "3"]);
}

#[tokio::test]
async fn those_who_wait_for_a_full_buffer_get_places_when_it_has_a_little_room_and_not_one_by_one() {
    let (publisher, client) = by_hand(Manner::Keep, 128);
    let place = || Box::pin(publisher.enqueue_record(record("x")));
    for _ in 0..128 {
        drop(place().await.unwrap());
    }
    let (mut first, mut second) = (place(), place());
    assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
    client.answer();
    assert!(first.as_mut().now_or_never().is_none(), "one of 128 is no room yet");
    client.answer();
    assert!(first.as_mut().now_or_never().is_some() && second.as_mut().now_or_never().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_at_once_keep_the_order_of_each_and_lose_nothing() {
    const TASKS: usize = 8;
    const RECORDS: usize = 2_000;
    let (publisher, client) = by_hand(Manner::AnswerAtOnce, 4);
    let tasks = (0..TASKS).map(|task| {
        let publisher = publisher.clone();
        tokio::spawn(async move {
            let mut handles = Vec::new();
            for number in 0..RECORDS {
                handles.push(publisher.enqueue_record(record(format!("{task} {number}"))).await.unwrap());
            }
            for handle in handles {
                handle.await.unwrap();
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let taken: Vec<String> =
        client.taken().iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect();
    for task in 0..TASKS {
        let prefix = format!("{task} ");
        let numbers: Vec<usize> =
            taken.iter().filter_map(|value| value.strip_prefix(&prefix)?.parse().ok()).collect();
        assert!(numbers.iter().copied().eq(0..RECORDS), "task {task}");
    }
    assert_eq!((publisher.stats().published, publisher.stats().in_flight), ((TASKS * RECORDS) as u64, 0));
}
