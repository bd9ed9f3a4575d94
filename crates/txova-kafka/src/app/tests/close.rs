//! Closing: bounded, and honest about what it left.

use super::*;
use crate::extract::State;

async fn slow_or_not(State(seen): State<Seen>, meta: Meta) {
    seen.add(meta.event_id.as_str());
    if meta.event_id.as_str() == "slow" {
        tokio::time::sleep(Duration::from_secs(20)).await;
        seen.add("slow ended");
    }
}

#[tokio::test(start_paused = true)]
async fn close_waits_for_a_running_handler_and_commits_it() {
    let (cluster, seen) = (cluster(1), Seen::default());
    produce(&cluster, "a", &envelope("slow"));
    let app = builder(&cluster).on("*", slow_or_not).topics([TOPIC]).state(seen.clone()).build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    cluster.wait_until(|_| seen.all().len() == 1).await;
    assert!(handle.close(LONG).await);
    let report = run.await.unwrap().unwrap();
    assert_eq!((report.drained, report.abandoned.len()), (1, 0), "{report:?}");
    assert_eq!(seen.all(), ["slow", "slow ended"]);
    assert_eq!(report.committed, [(TopicPartition::new(TOPIC, 0), 1)]);
}

#[tokio::test(start_paused = true)]
async fn close_is_bounded_and_never_commits_what_did_not_end() {
    let (cluster, seen) = (cluster(1), Seen::default());
    produce(&cluster, "a", &envelope("slow"));
    for n in 0..5 {
        produce(&cluster, "a", &envelope(&format!("behind {n}")));
    }
    let app = builder(&cluster).on("*", slow_or_not).topics([TOPIC]).state(seen.clone()).build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    cluster.wait_until(|_| seen.all().len() == 1).await;
    let began = tokio::time::Instant::now();
    assert!(handle.close(Duration::from_secs(2)).await);
    assert!(began.elapsed() < Duration::from_secs(4));
    let report = run.await.unwrap().unwrap();
    assert_eq!(report.abandoned, [(TopicPartition::new(TOPIC, 0), 0)]);
    assert_eq!(report.returned, 5);
    assert_eq!(
        cluster.committed_by(GROUP, &TopicPartition::new(TOPIC, 0)).map_or(0, |(offset, _)| offset),
        0
    );
    assert_eq!(seen.all(), ["slow"]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_says_stop_ends_the_run_with_the_place_and_commits_nothing_of_it() {
    let cluster = cluster(1);
    async fn stop() -> Result<(), HandlerError> {
        Err(HandlerError::stop("the licence has run out"))
    }
    produce(&cluster, "a", &envelope("one"));
    let app = builder(&cluster).on("*", stop).topics([TOPIC]).build().unwrap();
    let error = app.run().await.unwrap_err();
    let text = error.to_string();
    for part in ["depot", "parcels.v1-0", "offset 0", "the licence has run out"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(
        cluster.committed_by(GROUP, &TopicPartition::new(TOPIC, 0)).map_or(0, |(offset, _)| offset),
        0
    );
    assert!(cluster.records(DLQ).is_empty());
}

#[tokio::test(start_paused = true)]
async fn dropping_the_run_commits_nothing_and_the_next_run_handles_it() {
    let (cluster, seen) = (cluster(1), Seen::default());
    produce(&cluster, "a", &envelope("slow"));
    let start = || {
        let app = builder(&cluster).on("*", slow_or_not).topics([TOPIC]).state(seen.clone()).build().unwrap();
        tokio::spawn(app.run())
    };
    let run = start();
    cluster.wait_until(|_| seen.all().len() == 1).await;
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    let run = start();
    cluster.wait_until(|_| seen.all() == ["slow", "slow", "slow ended"]).await;
    run.abort();
}
