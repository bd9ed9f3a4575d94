//! Topics that come late, and partitions that are added.

use std::collections::HashSet;

use txova_kafka::ClientErrorKind;

use super::*;

/// More partitions give keys other places, and nothing orders two partitions: here all is handled before the new places are
/// written to, as whoever adds partitions should do it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_are_added_are_handled_without_a_restart() {
    let Some(world) = World::new(2).await else { return };
    let app = world.start(|_| {});
    world.write(0..300).await;
    until!("all is committed", world.is_done().await);
    let before: HashSet<i32> = world.seen.lock().unwrap().iter().map(|(partition, ..)| *partition).collect();
    assert_eq!(before, HashSet::from([0, 1]));

    world.kafka.admin().add_partitions(&world.topic, 8, WAIT).await.unwrap();
    until!("the cluster knows", world.partitions().await == 8);
    world.write(300..900).await;
    until!("it has all of them", app.has(8).await);
    until!("all is committed", world.is_done().await);
    let places: HashSet<i32> = world.seen.lock().unwrap().iter().map(|(partition, ..)| *partition).collect();
    assert!(places.len() > 4, "keys went to new partitions: {places:?}");
    app.close().await;
    world.assert_each_once_in_order(0..900);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_made_after_the_app_began_is_told_missing_and_then_handled() {
    let Some(world) = World::new(0).await else { return };
    let app = world.start(|_| {});
    until!("it says what is missing", {
        let trouble = app.status().await.trouble;
        let names_it = |message: &str| message.contains("not there") && message.contains(&world.topic);
        trouble.is_some_and(|it| it.kind == ClientErrorKind::UnknownTopic && names_it(&it.message))
    });
    world.create(3).await;
    world.write(0..300).await;
    until!("all is committed", world.is_done().await);
    until!("the trouble is over", app.status().await.trouble.is_none());
    app.close().await;
    world.assert_each_once_in_order(0..300);
}
