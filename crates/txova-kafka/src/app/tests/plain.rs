//! The straight path, and the plain failures.

use super::*;
use crate::extract::State;

#[tokio::test(start_paused = true)]
async fn what_is_handled_is_committed_and_not_handled_again_by_the_next_run() {
    let (cluster, seen) = (cluster(1), Seen::default());
    for n in 0..50 {
        produce(&cluster, &format!("k{}", n % 5), &envelope(&format!("e{n}")));
    }
    for expected in [50, 51] {
        let app = builder(&cluster).on("*", note).topics([TOPIC]).state(seen.clone()).build().unwrap();
        let handle = app.handle();
        let run = tokio::spawn(app.run());
        cluster.wait_until(|_| seen.all().len() == expected).await;
        assert!(handle.close(LONG).await);
        let report = run.await.unwrap().unwrap();
        assert!(report.abandoned.is_empty() && report.commit_error.is_none(), "{report:?}");
        let partition = TopicPartition::new(TOPIC, 0);
        assert_eq!(cluster.committed_by(GROUP, &partition), Some((expected as i64, String::new())));
        produce(&cluster, "k0", &envelope("one more"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_record_is_tried_again_with_growing_waits_and_then_kept_as_a_dead_letter() {
    let (cluster, seen) = (cluster(1), Seen::default());
    async fn handler(State(seen): State<Seen>, attempt: Attempt, meta: Meta) -> Result<(), HandlerError> {
        seen.add(format!("{} {}", meta.event_id.as_str(), attempt.number()));
        if meta.event_id.as_str() == "bad" {
            return Err(HandlerError::transient("the gateway is away"));
        }
        Ok(())
    }
    produce(&cluster, "a", &envelope("bad"));
    produce(&cluster, "a", &envelope("behind it"));
    produce(&cluster, "b", &envelope("beside it"));
    let app = builder(&cluster).on("*", handler).topics([TOPIC]).state(seen.clone()).build().unwrap();
    let (handle, began) = (app.handle(), tokio::time::Instant::now());
    let run = tokio::spawn(app.run());
    cluster.wait_until(|_| seen.all().len() == 6).await;
    assert_eq!(seen.all(), ["bad 1", "beside it 1", "bad 2", "bad 3", "bad 4", "behind it 1"]);
    let waited = began.elapsed();
    let expected = Duration::from_millis(5600)..Duration::from_secs(9);
    assert!(expected.contains(&waited), "1 + 2 + 4 s ± 20 %: {waited:?}");
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
    assert_eq!(cluster.records(DLQ).len(), 1);
    assert_eq!(cluster.committed_by(GROUP, &TopicPartition::new(TOPIC, 0)).unwrap().0, 3);
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_a_handler_without_end_are_failures_like_any_other() {
    let (cluster, seen) = (cluster(1), Seen::default());
    async fn handler(State(seen): State<Seen>, meta: Meta) {
        seen.add(meta.event_id.as_str());
        match meta.event_id.as_str() {
            "panics" => panic!("on purpose"),
            "hangs" => std::future::pending().await,
            _ => {}
        }
    }
    for id in ["panics", "hangs", "fine"] {
        produce(&cluster, id, &envelope(id));
    }
    let app = builder(&cluster).on("*", handler).topics([TOPIC]).state(seen.clone());
    let app = app.consumer(|consumer| consumer.max_retries = 1).build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    cluster.wait_until(|cluster| cluster.records(DLQ).len() == 2).await;
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
    let mut all = seen.all();
    all.sort();
    assert_eq!(all, ["fine", "hangs", "hangs", "panics", "panics"]);
    assert_eq!(cluster.committed_by(GROUP, &TopicPartition::new(TOPIC, 0)).unwrap().0, 3);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_event_end_as_dead_letters_and_hold_nothing_up() {
    let (cluster, seen) = (cluster(1), Seen::default());
    for value in ["", "not json", "{\"id\":", "[1,2]", "\u{feff}{}", &envelope("fine")] {
        produce(&cluster, "k", value);
    }
    let app = builder(&cluster).on("*", note).topics([TOPIC]).state(seen.clone()).build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    cluster.wait_until(|_| seen.all().len() == 1).await;
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
    assert_eq!(cluster.records(DLQ).len(), 5);
    assert_eq!(cluster.committed_by(GROUP, &TopicPartition::new(TOPIC, 0)).unwrap().0, 6);
}
