//! Members that come and go, and members with a name.

use tokio::sync::Semaphore;
use txova_kafka::config::Assignor;
use txova_kafka::{ClientErrorKind, HandlerError};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_eager_group_hands_all_over_in_order_when_a_member_joins_and_when_it_leaves() {
    let Some(world) = World::new(6).await else { return };
    let eager = |consumer: &mut ConsumerConfig| consumer.assignment = Assignor::Range;
    let first = world.start(eager);
    world.write(0..600).await;
    until!("some are handled", world.handled() > 60);
    let second = world.start(eager);
    until!("each has three", first.has(3).await && second.has(3).await);
    assert!(first.status().await.assignments >= 2, "all was taken from the first, and half of it came again");
    world.write(600..1_200).await;
    first.close().await;
    until!("the second has all", second.has(6).await);
    world.write(1_200..1_300).await;
    until!("all is committed", world.is_done().await);
    second.close().await;
    world.assert_each_once_in_order(0..1_300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_member_that_restarts_has_its_partitions_again_and_nobody_elses_move() {
    let Some(world) = World::new(6).await else { return };
    let named = |name: &'static str| {
        move |consumer: &mut ConsumerConfig| consumer.group_instance_id = Some(name.to_owned())
    };
    let (first, second) = (world.start(named("depot-1")), world.start(named("depot-2")));
    until!("each has three", first.has(3).await && second.has(3).await);
    world.write(0..300).await;
    until!("all is committed", world.is_done().await);
    let assignments = second.status().await.assignments;
    let mine = |status: AppStatus| {
        status.engine.partitions.into_iter().map(|it| it.partition.partition).collect::<Vec<_>>()
    };
    let had = mine(first.status().await);
    first.close().await;
    world.write(300..600).await;
    let again = world.start(named("depot-1"));
    until!("it has three again", again.has(3).await);
    assert_eq!(mine(again.status().await), had);
    until!("all is committed", world.is_done().await);
    assert_eq!(second.status().await.assignments, assignments, "the second has heard of nothing");
    again.close().await;
    second.close().await;
    world.assert_each_once_in_order(0..600);
}

/// Who handles the slow record waits for this; the first that got it waits for ever.
#[derive(Clone)]
struct Gate {
    world: World,
    began: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

async fn slow(State(gate): State<Gate>, meta: Meta) -> Result<(), HandlerError> {
    if meta.event_id == "slow 0" {
        gate.began.add_permits(1);
        gate.open.acquire().await.map_err(HandlerError::stop)?.forget();
    }
    gate.world.note(&meta);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_with_a_members_name_ends_the_first_with_an_error_that_says_what_to_do() {
    let Some(world) = World::new(1).await else { return };
    let gate = Gate { world: world.clone(), began: Semaphore::new(0).into(), open: Semaphore::new(0).into() };
    let start = || {
        let app = world.kafka.app("depot").on("parcel.moved", slow).topics([world.topic.clone()]);
        let named = |consumer: &mut ConsumerConfig| consumer.group_instance_id = Some("depot-1".to_owned());
        let app = app.state(gate.clone()).consumer(|consumer| world.set(consumer, named));
        Running::of(app.build().unwrap())
    };
    let first = start();
    let publisher = world.kafka.publisher("depot").unwrap();
    for (key, id) in [("a", "a 0"), ("slow", "slow 0"), ("b", "b 0")] {
        publisher.publish_record(world.event(key, id)).await.unwrap();
    }
    until!("what is in front of the slow one is committed", world.committed().await == [1]);

    let second = start();
    let ended = tokio::time::timeout(WAIT, first.run).await.unwrap().unwrap();
    let error = ended.unwrap_err();
    assert_eq!(error.client.as_ref().map(|client| client.kind), Some(ClientErrorKind::Fenced));
    let words = error.to_string();
    assert!(words.contains(&world.group) && words.contains("`depot-1`"), "{words}");
    assert!(words.contains("name of its own"), "{words}");
    gate.began.acquire_many(2).await.unwrap().forget();
    assert_eq!(world.committed().await, [1], "the first has ended and committed nothing more");

    gate.open.add_permits(1);
    until!("all is committed", world.is_done().await);
    assert_eq!(second.status().await.assignments, 1);
    second.close().await;
    let seen: Vec<_> = world.seen.lock().unwrap().iter().map(|(_, key, _)| key.clone()).collect();
    assert_eq!(seen, ["a", "b", "slow"], "what is done above the slow one is known to the second");
    assert!(publisher.close(WAIT).await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_refuses_for_good_ends_the_run_with_its_words() {
    let Some(world) = World::new(1).await else { return };
    let refused = world.start(|consumer| {
        (consumer.session_timeout_ms, consumer.heartbeat_interval_ms) = (1_500, 500);
    });
    let error = tokio::time::timeout(WAIT, refused.run).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.client.as_ref().map(|client| client.kind), Some(ClientErrorKind::Config));
    assert!(error.to_string().contains("session timeout"), "{error}");
}
