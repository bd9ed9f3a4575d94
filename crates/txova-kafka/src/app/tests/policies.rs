//! What class an error has, and how long a record is tried again: by the error, by a function, by handler.

use std::io;

use super::*;
use crate::extract::State;
use crate::outcome::ErrorClass;
use crate::retry_policy::RetryPolicy;

async fn out_of_paper(State(seen): State<Seen>, meta: Meta) -> io::Result<()> {
    seen.add(meta.event_id.as_str());
    Err(io::Error::new(io::ErrorKind::StorageFull, "out of paper"))
}

async fn jammed(State(seen): State<Seen>, meta: Meta) -> io::Result<()> {
    seen.add(meta.event_id.as_str());
    Err(io::Error::other("jammed"))
}

fn is_final(error: &HandlerError) -> ErrorClass {
    match error.error().downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::StorageFull) => ErrorClass::Permanent,
        _ => error.class(),
    }
}

fn of_type(id: &str, event_type: &str) -> String {
    envelope(id).replace("parcel.moved", event_type)
}

/// Runs the app until so many dead letters are written.
async fn until_dead(cluster: &Cluster, app: AppBuilder, letters: usize) {
    run_until(cluster, app.build().unwrap(), |cluster| cluster.records(DLQ).len() == letters).await;
}

#[tokio::test(start_paused = true)]
async fn a_function_for_all_says_which_errors_are_permanent_and_a_handlers_own_goes_before_it() {
    let (cluster, seen) = (cluster(1), Seen::default());
    produce(&cluster, "a", &of_type("full", "parcel.printed"));
    produce(&cluster, "b", &of_type("jam", "parcel.moved"));
    produce(&cluster, "c", &of_type("skipped", "parcel.lost"));
    let app = builder(&cluster)
        .classify_all(is_final)
        .on("parcel.printed", out_of_paper)
        .topics([TOPIC])
        .on("parcel.moved", jammed)
        .topics([TOPIC])
        .on("parcel.lost", out_of_paper)
        .topics([TOPIC])
        .classify(|_| ErrorClass::Skip)
        .state(seen.clone());
    until_dead(&cluster, app, 2).await;
    let times = |id: &str| seen.all().iter().filter(|each| *each == id).count();
    assert_eq!((times("full"), times("jam"), times("skipped")), (1, 4, 1));
    assert_eq!(cluster.committed_by(GROUP, &TopicPartition::new(TOPIC, 0)).unwrap().0, 3);
}

#[tokio::test(start_paused = true)]
async fn a_handlers_own_retries_are_its_own_alone() {
    let (cluster, seen) = (cluster(1), Seen::default());
    produce(&cluster, "a", &of_type("once", "parcel.printed"));
    produce(&cluster, "b", &of_type("often", "parcel.moved"));
    let app = builder(&cluster)
        .on("parcel.printed", jammed)
        .topics([TOPIC])
        .retry(RetryPolicy { max_retries: Some(0), ..RetryPolicy::default() })
        .on("parcel.moved", jammed)
        .topics([TOPIC])
        .state(seen.clone());
    until_dead(&cluster, app, 2).await;
    let times = |id: &str| seen.all().iter().filter(|each| *each == id).count();
    assert_eq!((times("once"), times("often")), (1, 4));
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_later_than_the_total_time_after_the_first_failure() {
    let (cluster, seen) = (cluster(1), Seen::default());
    produce(&cluster, "a", &envelope("late"));
    let app = builder(&cluster).on("*", jammed).topics([TOPIC]).state(seen.clone()).consumer(|consumer| {
        consumer.retry_backoff_jitter = 0.0;
        consumer.max_retries = 100;
        consumer.retry_max_elapsed_ms = Some(3_500); // attempts at 0, 1 and 3 s; the next would be at 7
    });
    until_dead(&cluster, app, 1).await;
    assert_eq!(seen.all(), ["late"; 3]);
}
