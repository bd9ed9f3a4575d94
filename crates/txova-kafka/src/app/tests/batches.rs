//! Handlers of batches on a running app: when they start, what a bad record does to its neighbours, what a close leaves.

use std::collections::HashMap;

use super::*;
use crate::app::{RangeEnd, RangeStart, RunRange};
use crate::batch::{BatchError, Batching};
use crate::extract::State;

/// Each run of the handler: the ids it was given.
type Runs = Arc<Mutex<Vec<Vec<String>>>>;

async fn store(events: Vec<Meta>, State(runs): State<Runs>, attempt: Attempt) -> Result<(), HandlerError> {
    let ids: Vec<String> = events.iter().map(|meta| meta.event_id.clone()).collect();
    runs.lock().unwrap().push(ids.clone());
    let has = |id: &str| ids.iter().any(|event| event == id);
    if has("panics") {
        std::panic::resume_unwind(Box::new("on purpose"));
    }
    if has("hangs") {
        std::future::pending::<()>().await;
    }
    if has("fails") {
        return Err(HandlerError::transient("nobody says which"));
    }
    let mut failed = BatchError::new();
    for (at, id) in ids.iter().enumerate() {
        match id.as_str() {
            "refused" => failed.add(at, HandlerError::permanent("refused by name")),
            "later" if attempt.number() == 1 => failed.add(at, "not yet"),
            _ => {}
        }
    }
    Ok(failed.into_result()?)
}

const FAST: Batching = Batching { max_size: 10, max_wait_ms: 50, max_bytes: 1 << 20 };

fn storing(cluster: &Cluster, batching: Batching) -> (App, Runs) {
    let runs = Runs::default();
    let builder = builder(cluster).on("parcel.moved", store).topics([TOPIC]).batch(batching);
    (builder.state(Arc::clone(&runs)).build().unwrap(), runs)
}

/// Runs the app until all is committed; each run of the handler.
async fn runs_to_the_end(cluster: &Cluster, batching: Batching) -> Vec<Vec<String>> {
    let (app, runs) = storing(cluster, batching);
    run_to_the_end(cluster, app).await;
    runs.lock().unwrap().clone()
}

fn times(runs: &[Vec<String>]) -> HashMap<&str, usize> {
    let mut times = HashMap::new();
    runs.iter().flatten().for_each(|id| *times.entry(id.as_str()).or_default() += 1);
    times
}

#[tokio::test(start_paused = true)]
async fn events_come_in_batches_of_the_size_that_is_set_each_once_and_are_committed() {
    let cluster = cluster(1);
    for n in 0..95 {
        produce(&cluster, &format!("k{}", n % 7), &envelope(&format!("e{n:02}")));
    }
    let runs = runs_to_the_end(&cluster, FAST).await;
    let sizes: Vec<usize> = runs.iter().map(Vec::len).collect();
    assert!(sizes.iter().all(|size| *size <= 10) && sizes.len() <= 20, "{sizes:?}");
    assert!(sizes.iter().filter(|size| **size == 10).count() >= 5, "{sizes:?}");
    assert!(times(&runs).values().all(|times| *times == 1));
    assert_eq!(times(&runs).len(), 95);
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_one_waits_its_time_and_no_longer() {
    let cluster = cluster(1);
    let (app, runs) = storing(&cluster, Batching { max_wait_ms: 700, ..FAST });
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    cluster.wait_until(|cluster| !cluster.members(GROUP).is_empty()).await;
    produce(&cluster, "a", &envelope("alone"));
    let began = tokio::time::Instant::now();
    while runs.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let waited = began.elapsed().as_millis();
    assert!((700..=703).contains(&waited), "{waited} ms");
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_hot_key_comes_in_batches_in_the_order_of_the_log() {
    let cluster = cluster(1);
    for n in 0..500 {
        produce(&cluster, "hot", &envelope(&format!("{n:03}")));
    }
    let runs = runs_to_the_end(&cluster, Batching { max_size: 100, ..FAST }).await;
    assert!(runs.len() <= 10, "{} runs", runs.len());
    let ids: Vec<String> = runs.concat();
    assert!(ids.is_sorted() && ids.len() == 500);
}

#[tokio::test(start_paused = true)]
async fn one_bad_record_fails_alone_whatever_it_does_to_its_batch() {
    for bad in ["fails", "panics", "hangs"] {
        let cluster = cluster(1);
        for n in 0..9 {
            let id = if n == 4 { bad.to_owned() } else { format!("e{n}") };
            produce(&cluster, &format!("k{n}"), &envelope(&id));
        }
        let runs = runs_to_the_end(&cluster, FAST).await;
        let letters = cluster.records(DLQ);
        assert_eq!(letters.len(), 1, "{bad}");
        let letter = String::from_utf8_lossy(letters[0].1.value.as_deref().unwrap()).into_owned();
        assert!(letter.contains("\"attempt_count\":4"), "{letter}");
        for (id, times) in times(&runs) {
            assert_eq!(
                times,
                if id == bad { 4 } else { 2 },
                "{bad}: {id} once in the batch, then alone: {runs:?}"
            );
        }
        assert!(runs.iter().skip(1).all(|run| run.len() == 1), "{runs:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_named_as_failed_costs_its_neighbours_nothing() {
    let cluster = cluster(1);
    for (key, id) in
        [("a", "e0"), ("b", "refused"), ("c", "later"), ("d", "e3"), ("b", "behind"), ("a", "e5")]
    {
        produce(&cluster, key, &envelope(id));
    }
    let runs = runs_to_the_end(&cluster, FAST).await;
    assert_eq!(cluster.records(DLQ).len(), 1);
    let times = times(&runs);
    assert_eq!((times["refused"], times["later"]), (1, 2));
    assert_eq!(times["behind"], 2, "it stood behind the refused one of its key, and comes again after it");
    assert!(["e0", "e3", "e5"].iter().all(|id| times[id] == 1), "{runs:?}");
}

#[tokio::test(start_paused = true)]
async fn a_close_does_not_wait_for_a_batch_that_fills_and_the_next_run_handles_it() {
    let cluster = cluster(1);
    let hour = Batching { max_wait_ms: 3_600_000, ..FAST };
    let (app, runs) = storing(&cluster, hour);
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    produce(&cluster, "a", &envelope("waits"));
    let status = loop {
        let status = handle.status().await.unwrap();
        if status.engine.in_flight_records == 1 {
            break status;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    assert_eq!(status.engine.running, 0);
    let began = tokio::time::Instant::now();
    assert!(handle.close(LONG).await);
    let report = run.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!((report.returned, runs.lock().unwrap().len()), (1, 0));
    assert_eq!(runs_to_the_end(&cluster, FAST).await, [["waits"]]);
}

#[tokio::test(start_paused = true)]
async fn a_bounded_run_over_the_log_has_batches_too() {
    let cluster = cluster(2);
    for n in 0..25 {
        produce(&cluster, &format!("k{n}"), &envelope(&format!("e{n}")));
    }
    let (app, runs) = storing(&cluster, FAST);
    let report = app.run_range(RunRange::new(RangeStart::Earliest, RangeEnd::End)).await.unwrap();
    assert_eq!(report.handled, 25);
    let runs = runs.lock().unwrap().clone();
    assert!(runs.len() <= 12 && times(&runs).len() == 25, "{runs:?}");
}
