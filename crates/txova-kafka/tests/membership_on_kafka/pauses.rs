//! An operator pauses a topic for longer than the group waits for anybody who does not poll.

use super::*;

const LIMIT_MS: u64 = 6_000;

/// Paused twice: with nothing of it in hand, and in the middle, with more than there is room for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_topic_starts_nothing_keeps_its_partitions_beyond_every_time_limit_and_is_done_when_resumed()
{
    let Some(world) = World::new(3).await else { return };
    let other = World { topic: format!("{}-other", world.topic), ..world.clone() };
    other.create(3).await;
    let small = |consumer: &mut ConsumerConfig| {
        (consumer.processing_timeout_ms, consumer.revoke_timeout_ms) = (LIMIT_MS / 2, LIMIT_MS / 2);
        consumer.max_poll_interval_ms = LIMIT_MS;
        (consumer.max_in_flight_records, consumer.concurrency) = (300, 10);
    };
    let app = world.kafka.app("depot").on("parcel.moved", handle).state(world.clone());
    let app = app.topics([world.topic.clone(), other.topic.clone()]);
    let app = Running::of(app.consumer(|consumer| world.set(consumer, small)).build().unwrap());
    world.write(0..300).await;
    until!("it is at work", world.is_done().await);
    let (first, rest) = (0..300, 300..5_000);

    app.handle.pause_topic(&world.topic).unwrap();
    until!("it is paused", app.status().await.engine.paused.len() == 1);
    let before = app.status().await;
    world.write(rest.clone()).await;
    assert_eq!(world.handled_of(&rest), vec![]);
    app.handle.resume_topic(&world.topic).unwrap();
    until!("it is in the middle", !world.handled_of(&rest).is_empty());
    app.handle.pause_topic(&world.topic).unwrap();
    until!("what ran has ended", app.in_hand(&world.topic).await.0 == 0);
    let done = world.handled_of(&rest);
    let (began, mut next) = (tokio::time::Instant::now(), 1_000_000);
    while began.elapsed() < Duration::from_millis(3 * LIMIT_MS) {
        other.write(next..next + 50).await;
        next += 50;
        until!("the other topic goes on", other.is_done().await);
    }
    let after = app.status().await;
    assert_eq!(world.handled_of(&rest), done);
    let (running, waiting) = app.in_hand(&world.topic).await;
    assert!(running == 0 && waiting > 0, "{running} run, {waiting} wait");
    assert_eq!((after.assignments, after.engine.partitions.len()), (before.assignments, 6), "{after:?}");

    app.handle.resume_topic(&world.topic).unwrap();
    until!("what waited is done", world.is_done().await);
    assert_eq!(app.status().await.assignments, before.assignments, "it was never out of the group");
    app.close().await;
    for numbers in [first, rest, 1_000_000..next] {
        world.assert_each_once_in_order(numbers);
    }
}
