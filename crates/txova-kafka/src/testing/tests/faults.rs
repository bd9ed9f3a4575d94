//! What can be made to go wrong goes wrong, and is seen to.

use super::*;

/// Ten rides, each handled in ten seconds. When the fault comes the third has just begun, and the end of the second is not
/// committed.
async fn in_the_middle() -> (Harness, RunningApp) {
    let kit = Harness::over(Cluster::new().with_default_partitions(1));
    let app = kit.start(slow_app(&kit)).await;
    (0..10).for_each(|seed| drop(kit.publish(&completed(seed))));
    kit.wait_until(|runs| runs.len() == 3).await;
    (kit, app)
}

fn slow_app(kit: &Harness) -> App {
    async fn slow(_ride: Event<RideCompleted>) {
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    let one_at_a_time = |consumer: &mut crate::config::ConsumerConfig| consumer.concurrency = 1;
    payment_app(kit).consumer(one_at_a_time).handle(slow).build().unwrap()
}

fn cut_off(done: &Settled) -> usize {
    done.runs.iter().filter(|run| run.end == HandlerEnd::CutOff).count()
}

#[tokio::test(start_paused = true)]
async fn a_revocation_lets_what_runs_end_and_nothing_comes_twice() {
    let (kit, app) = in_the_middle().await;
    app.revoke();
    let done = kit.settle().await;
    assert_eq!((done.handled(), done.runs.len(), cut_off(&done)), (10, 10, 0), "{done}");
    assert!(kit.cluster().generation(app.group()) > 1);
}

#[tokio::test(start_paused = true)]
async fn lost_partitions_cut_off_what_runs_and_it_comes_again() {
    let (kit, app) = in_the_middle().await;
    app.lose_partitions();
    let done = kit.settle().await;
    assert_eq!((done.handled(), done.runs.len(), cut_off(&done)), (10 + 1, 12, 1), "{done}");
}

#[tokio::test(start_paused = true)]
async fn an_expelled_app_joins_anew_and_goes_on() {
    let (kit, app) = in_the_middle().await;
    app.expel();
    let done = kit.settle().await;
    assert_eq!((done.handled(), cut_off(&done)), (10 + 1, 1), "{done}");
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_the_next_run_goes_on_behind_the_last_commit() {
    let (kit, app) = in_the_middle().await;
    app.crash().await;
    kit.settle().await; // nobody is there to do anything
    let app = kit.start(slow_app(&kit)).await;
    let done = kit.settle().await;
    assert_eq!((done.handled(), cut_off(&done)), (10 + 1, 1), "{done}");
    assert_eq!(app.close().await.abandoned.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_fails_and_one_whose_answer_is_lost_are_made_again() {
    let (kit, app) = in_the_middle().await;
    app.fail_next_commit();
    app.lose_next_commit_answer();
    let done = kit.settle().await;
    assert_eq!((done.handled(), done.committed[0].offset), (10, 10), "{done}");
    assert_eq!(app.handle().status().await.unwrap().engine.counts.commit_failures, 2);
}

#[tokio::test(start_paused = true)]
async fn dead_letters_that_are_not_taken_wait_and_are_taken_once() {
    let kit = Harness::new();
    async fn refuse(_ride: Event<RideCompleted>) -> Result<(), HandlerError> {
        Err(HandlerError::permanent("never"))
    }
    let app = kit.start(payment_app(&kit).handle(refuse).build().unwrap()).await;
    app.dead_letters_down();
    kit.publish(&completed(1));
    assert!(kit.try_settle().await.is_err());
    app.dead_letters_up();
    let done = kit.settle().await;
    assert_eq!((done.dead_lettered(), done.runs.len()), (1, 1), "{done}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_broker_makes_everything_late_and_loses_nothing() {
    let took = |latency_ms| async move {
        let kit = Harness::new();
        kit.start(payment_app(&kit).handle(charge).build().unwrap()).await;
        kit.cluster().slow_down(Duration::from_millis(latency_ms));
        kit.publish(&completed(1));
        let done = kit.settle().await;
        assert_eq!((done.handled(), done.published.len()), (1, 1), "{done}");
        done.took
    };
    let (fast, slow) = (took(0).await, took(2_000).await);
    // fetched, published, committed
    assert!(slow >= fast + Duration::from_secs(6), "{fast:?} and {slow:?}");
}

#[tokio::test(start_paused = true)]
async fn a_broker_slower_than_the_time_limits_is_an_outage_until_it_is_fast_again() {
    let kit = Harness::new().with_limit(Duration::from_secs(60));
    kit.start(payment_app(&kit).handle(charge).build().unwrap()).await;
    kit.cluster().slow_down(Duration::from_secs(6));
    kit.publish(&completed(1));
    let stuck = kit.try_settle().await.unwrap_err();
    assert!(stuck.to_string().contains("done to before 1, and not committed"), "{stuck}");
    kit.cluster().slow_down(Duration::ZERO);
    assert_eq!(kit.settle().await.handled(), 1);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "has no partitions to lose")]
async fn a_script_that_misses_its_target_fails_the_test() {
    let kit = Harness::over(Cluster::new().without_auto_create());
    let app = kit.start(slow_app(&kit)).await;
    app.lose_partitions();
}
