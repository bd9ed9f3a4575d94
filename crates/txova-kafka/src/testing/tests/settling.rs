//! When all has settled, and what is said where it has not.

use super::*;

#[tokio::test(start_paused = true)]
async fn settling_waits_for_what_services_publish_to_each_other_in_turn() {
    let kit = Harness::new();
    kit.start(payment_app(&kit).handle(charge).build().unwrap()).await;
    let bank = kit.kafka().app("bank").state(kit.publisher("bank")).handle(pay).build().unwrap();
    kit.start(bank).await;
    let ride = kit.publish(&completed(1));
    let done = kit.settle().await;
    assert_eq!((done.handled(), done.of_group("bank-group").handled()), (2, 1), "{done}");
    let correlation = ride.event_id();
    kit.published().assert_exactly([
        expect::<PaymentInitiated>()
            .correlation(correlation)
            .caused_by(correlation)
            .source("payment-service"),
        expect::<PaymentCompleted>().correlation(correlation).source("bank").topic(topics::PAYMENTS),
    ]);
    assert_eq!(done.committed.iter().map(|committed| committed.offset).sum::<i64>(), 1 + 2, "{done}");
    assert!(done.took >= Duration::from_secs(20), "{:?}", done.took);
}

#[tokio::test(start_paused = true)]
async fn settling_waits_for_retries_to_their_end_and_says_how_each_ended() {
    let kit = Harness::new();
    async fn refuse(Event(ride): Event<RideCompleted>, attempt: Attempt) -> Result<(), HandlerError> {
        match (ride.duration_mins, attempt.number()) {
            (1, 1) => Err(HandlerError::transient("no answer")),
            (1, _) => Ok(()),
            (2, _) => panic!("a duration of two"),
            (3, _) => Err(HandlerError::skip("too short")),
            _ => Err(HandlerError::permanent("never")),
        }
    }
    kit.start(payment_app(&kit).handle(refuse).build().unwrap()).await;
    for minutes in 1..=4 {
        kit.publish(&completed(minutes).with(|ride| ride.duration_mins = minutes as i64));
    }
    let done = kit.settle().await;
    assert_eq!((done.handled(), done.skipped(), done.dead_lettered()), (1, 1, 2), "{done}");
    assert_eq!(done.retried(), 1 + 3, "{done}");
    let story = done.to_string();
    for part in [
        "refuse(ride.completed) on txova.rides.v1-",
        ", attempt 2: ok",
        ", attempt 4: panicked: a duration of two",
        ": skip: too short",
        ": permanent: never",
        "dead letter of txova.rides.v1-",
        "payment-service-group goes on at txova.rides.v1-",
    ] {
        assert!(story.contains(part), "{part} in {story}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_records_of_a_batch_are_told_apart_by_how_they_ended() {
    let kit = Harness::over(Cluster::new().with_default_partitions(1));
    async fn bill(rides: Vec<Event<RideCompleted>>) -> Result<(), BatchError> {
        let mut failed = BatchError::new();
        for (at, Event(_)) in rides.iter().enumerate().filter(|(_, ride)| ride.duration_mins == 2) {
            failed.add(at, HandlerError::permanent("too short"));
        }
        failed.into_result()
    }
    kit.start(payment_app(&kit).handle(bill).build().unwrap()).await;
    for minutes in 1..=3 {
        kit.publish(&completed(minutes).with(|ride| ride.duration_mins = minutes as i64));
    }
    let done = kit.settle().await;
    let ends: Vec<_> = done.runs.iter().map(|run| (run.batch, run.end == HandlerEnd::Ok)).collect();
    assert_eq!(ends, [(Some(0), true), (Some(0), false), (Some(0), true)], "{done}");
    assert_eq!(done.dead_lettered(), 1, "{done}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_too_long_is_noted_as_timed_out() {
    let kit = Harness::new();
    async fn forever(_ride: Event<RideCompleted>, attempt: Attempt) {
        if attempt.number() == 1 {
            std::future::pending::<()>().await;
        }
    }
    kit.start(payment_app(&kit).handle(forever).build().unwrap()).await;
    kit.publish(&completed(1));
    let done = kit.settle().await;
    let ends: Vec<_> = done.runs.iter().map(|run| run.end.clone()).collect();
    assert_eq!(ends, [HandlerEnd::TimedOut, HandlerEnd::Ok], "{done}");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_settle_is_named_with_record_key_handler_and_cause() {
    let kit = Harness::new().with_limit(Duration::from_secs(10));
    async fn refuse(_ride: Event<RideCompleted>) -> Result<(), HandlerError> {
        Err(HandlerError::permanent("no such rider"))
    }
    async fn forever(_ride: Event<RideRequested>) {
        std::future::pending::<()>().await;
    }
    let app = kit.start(payment_app(&kit).handle(refuse).handle(forever).build().unwrap()).await;
    app.dead_letters_down();
    let (refused, running) =
        (kit.publish(&completed(1)), kit.publish(&RideRequested::example(&Ride::seeded(2))));
    let unsettled = kit.try_settle().await.unwrap_err();
    let text = unsettled.to_string();
    for part in [
        "not settled after 10 s",
        &format!("ride.completed, key {}: its dead letter is not taken", refused.key_text()),
        "refuse had failed: no such rider",
        &format!("ride.requested, key {}: its handler runs for ", running.key_text()),
        "1 published records have no answer from a broker", // the letter
        "until then: 0 handled",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "settling.rs")]
async fn settle_names_the_line_that_called_it_where_it_cannot() {
    let kit = Harness::new().with_limit(Duration::from_secs(1));
    kit.start(payment_app(&kit).handle(charge).build().unwrap()).await;
    kit.cluster().produce_down(topics::PAYMENTS);
    kit.publish(&completed(1));
    kit.settle().await;
}

#[tokio::test(start_paused = true)]
async fn an_app_that_ends_by_itself_is_the_answer_until_the_test_asks_for_it() {
    let kit = Harness::new();
    async fn stop(_ride: Event<RideCompleted>) -> Result<(), HandlerError> {
        Err(HandlerError::stop("the licence has run out"))
    }
    let app = kit.start(payment_app(&kit).handle(stop).build().unwrap()).await;
    kit.publish(&completed(1));
    let unsettled = kit.try_settle().await.unwrap_err();
    assert!(unsettled.ended.is_some_and(|why| why.contains("the licence has run out")));
    let error = app.ended().await.unwrap_err();
    assert!(error.reason.contains("the licence has run out"), "{error}");
    kit.settle().await;
}

#[tokio::test(start_paused = true)]
async fn settling_waits_for_published_records_that_no_broker_has_answered() {
    let kit = Harness::new();
    let events = kit.publisher("ride-service");
    kit.cluster().produce_down(topics::RIDES);
    let handle = events.enqueue(&completed(1)).await.unwrap();
    let up = kit.cluster().clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        up.produce_up(topics::RIDES);
    });
    let done = kit.settle().await;
    assert_eq!(done.published.len(), 1, "{done}");
    handle.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn settling_lets_those_who_are_at_work_go_on_first() {
    let kit = Harness::new();
    let events = kit.publisher("ride-service");
    tokio::spawn(async move {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        events.publish(&completed(1)).await
    });
    assert_eq!(kit.settle().await.published.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_app_that_begins_at_the_end_is_settled_without_the_records_before() {
    let kit = Harness::new();
    kit.publish(&completed(1));
    let latest = payment_app(&kit).consumer(|consumer| consumer.auto_offset_reset = StartAt::Latest);
    kit.start(latest.handle(charge).build().unwrap()).await;
    assert_eq!(kit.settle().await.handled(), 0);
    kit.publish(&completed(2));
    assert_eq!(kit.settle().await.handled(), 1);
}

#[tokio::test(start_paused = true)]
async fn markers_at_the_end_of_a_log_are_nothing_to_wait_for() {
    let kit = Harness::new();
    kit.start(payment_app(&kit).handle(charge).build().unwrap()).await;
    let ride = kit.publish(&completed(1));
    let (partition, _) = ride.place.unwrap();
    kit.cluster().skip_offsets(&TopicPartition::new(topics::RIDES, partition), 3).unwrap();
    assert_eq!(kit.settle().await.handled(), 1);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_event_are_told_of_as_such() {
    let kit = Harness::new();
    kit.start(payment_app(&kit).handle(charge).build().unwrap()).await;
    let record = OutgoingRecord {
        topic: topics::RIDES.into(),
        key: Some("ride-1".into()),
        value: Some("<xml/>".into()),
        ..OutgoingRecord::default()
    };
    assert_eq!(kit.publish_record(record).event_type(), "");
    let done = kit.settle().await;
    let run = &done.runs[0];
    assert_eq!((done.dead_lettered(), &*run.handler, &*run.event_type), (1, "-", ""), "{done}");
    assert!(matches!(run.end, HandlerEnd::Failed { class: ErrorClass::Permanent, .. }), "{done}");
}

#[test]
fn the_same_test_tells_the_same_story_twice() {
    let story = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let kit = Harness::over(Cluster::new().with_seed(7));
            async fn twice(_ride: Event<RideRated>, attempt: Attempt) -> Result<(), HandlerError> {
                if attempt.number() == 1 { Err(HandlerError::transient("once")) } else { Ok(()) }
            }
            let retry = |consumer: &mut crate::config::ConsumerConfig| consumer.retry_backoff_jitter = 0.0;
            let app = payment_app(&kit).consumer(retry).handle(charge).handle(pay).handle(twice);
            kit.start(app.build().unwrap()).await;
            for seed in 0..20 {
                for event in Ride::seeded(seed).life() {
                    if !event.event_type.starts_with("payment") && !event.event_type.starts_with("driver") {
                        kit.publish(&event);
                    }
                }
            }
            kit.settle().await.runs
        })
    };
    let (first, second) = (story(), story());
    assert!(first.len() > 60, "{}", first.len());
    assert_eq!(first, second);
}

#[test]
fn the_harness_can_be_shared_between_tasks() {
    fn shared<T: Send + Sync>() {}
    shared::<Harness>();
    shared::<RunningApp>();
}
