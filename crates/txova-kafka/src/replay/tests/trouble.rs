//! Handlers that fail again, resolutions that are not taken, entries that are none.

use super::*;
use crate::dead_letter::audit;
use crate::extract::Tx;
use crate::testing::ProduceFault;

#[tokio::test(start_paused = true)]
async fn what_fails_again_stays_open_and_is_reported() {
    let (cluster, depot) = with_letters(&["one", "two", "three"]).await;
    depot.refuse(&["three"]);
    let app = app(&cluster, &depot);
    let report = replay(&cluster, &app, Replay::new()).await.unwrap();
    assert_eq!((report.replayed, report.failed.len()), (2, 1), "{report}");
    let failed = &report.failed[0];
    assert_eq!((&*failed.event_type, &*failed.event_id), ("parcel.moved", "three"));
    assert_eq!(failed.error, "permanent: there is no room for three");
    assert!(report.to_string().contains(&format!("failed {} parcel.moved three", failed.entry)), "{report}");
    assert_eq!((depot.seen().len(), open(&cluster).await), (2, vec!["three".into()]));
}

#[tokio::test(start_paused = true)]
async fn an_app_that_is_exactly_once_is_not_replayed_and_says_what_to_do_before_anything_starts() {
    let (cluster, depot) = with_letters(&["one"]).await;
    async fn publishing(State(depot): State<Depot>, meta: Meta, _tx: Tx) {
        depot.0.lock().unwrap().seen.push(meta.event_id);
    }
    let app = builder(&cluster, &depot).exactly_once("depot").on("*", publishing).topics([TOPIC]);
    let error = app.build().unwrap().replay(Replay::new()).await.unwrap_err();
    assert!(matches!(&error, ReplayError::ExactlyOnce { service } if service == "depot"), "{error}");
    assert!(error.to_string().contains("dlq replay"), "{error}");
    assert_eq!((depot.seen().len(), open(&cluster).await), (0, vec!["one".into()]));
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_a_handler_without_end_are_failures_like_any_other() {
    let (cluster, depot) = with_letters(&["panics", "hangs", "is well"]).await;
    async fn moody(meta: Meta) {
        match &*meta.event_id {
            "panics" => panic!("on purpose"),
            "hangs" => std::future::pending().await,
            _ => {}
        }
    }
    let app = builder(&cluster, &depot).on("*", moody).topics([TOPIC]).build().unwrap();
    let report = replay(&cluster, &app, Replay::new()).await.unwrap();
    let errors: Vec<&str> = report.failed.iter().map(|failed| &*failed.error).collect();
    assert_eq!(
        errors,
        ["transient: the handler panicked: on purpose", "transient: the handler took longer than 30000 ms"]
    );
    assert_eq!((report.replayed, open(&cluster).await), (1, vec!["hangs".into(), "panics".into()]));
}

#[tokio::test(start_paused = true)]
async fn stop_ends_the_replay_and_skip_settles_a_letter() {
    let (cluster, depot) = with_letters(&["skip", "later", "stop"]).await;
    async fn decide(meta: Meta) -> Result<(), HandlerError> {
        match &*meta.event_id {
            "skip" => Err(HandlerError::skip("it was found elsewhere")),
            "stop" => Err(HandlerError::stop("the depot burns")),
            _ => Ok(()),
        }
    }
    let app = builder(&cluster, &depot).on("*", decide).topics([TOPIC]).build().unwrap();
    let report = replay(&cluster, &app, Replay::new()).await.unwrap();
    assert!(report.stopped.as_deref().unwrap().ends_with("the depot burns"), "{report}");
    assert_eq!((report.skipped, report.failed.len(), report.not_reached.len()), (1, 1, 1), "{report}");
    assert_eq!(open(&cluster).await, ["later", "stop"]);
    let entries = kafka(&cluster).dead_letters([TOPIC]).await.unwrap();
    let skipped = entries.iter().find_map(|entry| entry.resolution.as_ref()?.skipped.clone());
    assert_eq!(skipped.as_deref(), Some("it was found elsewhere"));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_acted_on_while_the_audit_topic_takes_nothing() {
    let (cluster, depot) = with_letters(&["one", "two"]).await;
    cluster.produce_down(audit::TOPIC);
    let app = app(&cluster, &depot);
    let error = replay(&cluster, &app, Replay::new()).await.unwrap_err();
    assert!(error.to_string().starts_with("claiming the dead letters: "), "{error}");
    assert_eq!((depot.seen(), resolutions(&cluster)), (vec![], vec![]));
    assert_eq!(error.report().unwrap().not_reached.len(), 2);

    let kafka = kafka(&cluster);
    for decided in [kafka.replay(Replay::new()).await, kafka.discard(Replay::new()).await] {
        assert!(decided.is_err());
    }
    assert_eq!((open(&cluster).await.len(), cluster.records(TOPIC).len()), (2, 2));

    cluster.produce_up(audit::TOPIC);
    let report = replay(&cluster, &app, Replay::new()).await.unwrap();
    assert_eq!((report.replayed, depot.seen()), (2, vec!["one".into(), "two".into()]));
}

/// A depot whose handler takes the topic of resolutions away while it runs.
async fn break_while_handling(cluster: &Cluster, depot: &Depot) -> App {
    let cluster_of_handler = cluster.clone();
    let store_and_break = move |State(depot): State<Depot>, meta: Meta| {
        cluster_of_handler.produce_down(resolutions::TOPIC);
        store(State(depot), meta)
    };
    builder(cluster, depot).on("parcel.moved", store_and_break).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_unrecorded_letter_is_named_and_handled_again_by_the_next_replay() {
    let (cluster, depot) = with_letters(&["one", "two"]).await;
    let breaking = break_while_handling(&cluster, &depot).await;
    let error = replay(&cluster, &breaking, Replay::new()).await.unwrap_err();
    let ReplayError::NotRecorded { entry, report, .. } = &error else { panic!("{error}") };
    assert!(error.to_string().contains(&entry.to_string()), "{error}");
    assert_eq!((report.replayed, report.failed.len(), report.not_reached.len()), (0, 1, 1));
    assert_eq!((depot.seen(), resolutions(&cluster)), (vec!["one".into()], vec![]));

    cluster.produce_up(resolutions::TOPIC);
    let report = replay(&cluster, &app(&cluster, &depot), Replay::new().take_over(true)).await.unwrap();
    assert_eq!((report.replayed, depot.seen()), (2, vec!["one".into(), "two".into()]));
}

#[tokio::test(start_paused = true)]
async fn a_resolution_that_was_written_without_an_answer_is_found_out_and_counts() {
    let (cluster, depot) = with_letters(&["one"]).await;
    let of_handler = cluster.clone();
    let store_unanswered = move |State(depot): State<Depot>, meta: Meta| {
        of_handler.fail_produces(resolutions::TOPIC, 1, ProduceFault::WrittenButTimedOut);
        store(State(depot), meta)
    };
    let app = builder(&cluster, &depot).on("parcel.moved", store_unanswered).build().unwrap();
    let report = replay(&cluster, &app, Replay::new()).await.unwrap();
    assert_eq!((report.replayed, report.failed.len()), (1, 0), "{report}");
    assert_eq!((depot.seen().len(), resolutions(&cluster).len()), (1, 1));
}

/// As a killed process: the future is dropped between the handler's end and the acknowledgement.
#[tokio::test(start_paused = true)]
async fn a_replay_that_dies_between_handling_and_recording_handles_that_letter_again_and_loses_none() {
    let (cluster, depot) = with_letters(&["one", "two", "three"]).await;
    let app = Arc::new(app(&cluster, &depot));
    let first = app.replay(Replay::new().max_letters(1)).await.unwrap();
    assert_eq!((first.replayed, depot.seen()), (1, vec!["one".into()]));
    let breaking = break_while_handling(&cluster, &depot).await;
    let dies = tokio::spawn(async move { breaking.replay(Replay::new()).await.map(drop) });
    while depot.0.lock().unwrap().seen.is_empty() {
        tokio::task::yield_now().await; // keeps the clock where it is
    }
    dies.abort();
    assert!(dies.await.unwrap_err().is_cancelled());
    assert_eq!(depot.seen(), ["three"]);
    cluster.produce_up(resolutions::TOPIC);
    let error = replay(&cluster, &app, Replay::new()).await.unwrap_err();
    assert!(matches!(error, ReplayError::Claimed { .. }), "nobody knows yet that it is dead: {error}");
    let last = replay(&cluster, &app, Replay::new().take_over(true)).await.unwrap();
    assert_eq!((last.resolved_before, last.replayed), (1, 2), "{last}");
    assert_eq!(depot.seen(), ["three", "two"]);
    assert_eq!(open(&cluster).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_dead_letter_is_listed_with_its_place_and_stays_open() {
    let (cluster, depot) = with_letters(&["one"]).await;
    for value in ["no json", r#"{"original_topic":5}"#, ""] {
        cluster.produce(record(DLQ, 1, value)).unwrap();
    }
    let tombstone = OutgoingRecord { value: None, ..record(DLQ, 1, "") };
    cluster.produce(tombstone).unwrap();
    let app = app(&cluster, &depot);
    let report = replay(&cluster, &app, Replay::new()).await.unwrap();
    assert_eq!((report.read, report.replayed, report.unreadable.len()), (5, 1, 4), "{report}");
    let numbers = &report.unreadable[1];
    assert!(numbers.place.to_string().starts_with("parcels.v1.dlq/1/"), "{numbers:?}");
    assert_eq!(numbers.reason, "field `original_topic`: is no text, expected one");
    assert_eq!(open(&cluster).await, ["?"; 4]);
}

/// Neither "open" nor "done" would be true, and one of the two would repeat or lose something.
#[tokio::test(start_paused = true)]
async fn an_entry_whose_resolution_cannot_be_read_is_left_alone_and_listed() {
    let (cluster, depot) = with_letters(&["one", "two"]).await;
    let entries = kafka(&cluster).dead_letters([TOPIC]).await.unwrap();
    for (entry, value) in entries.iter().zip(["no json", r#"{"state":"claimed","since":1}"#]) {
        let key = Some(entry.place.to_string().into());
        cluster.produce(OutgoingRecord { key, ..record(resolutions::TOPIC, 0, value) }).unwrap();
    }
    cluster.produce(record(resolutions::TOPIC, 0, "{}")).unwrap(); // about no entry
    let app = app(&cluster, &depot);
    let report = replay(&cluster, &app, Replay::new()).await.unwrap();
    assert_eq!((report.unreadable.len(), report.replayed), (2, 0), "{report}");
    assert!(report.to_string().contains("claimed"), "{report}");
    assert_eq!(depot.seen(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_was_opened_again_is_replayed_again() {
    let (cluster, depot) = with_letters(&["one", "two"]).await;
    let app = app(&cluster, &depot);
    replay(&cluster, &app, Replay::new()).await.unwrap();
    depot.seen();
    let entries = kafka(&cluster).dead_letters([TOPIC]).await.unwrap();
    for (entry, value) in entries.iter().zip([Some(r#"{"state":"open"}"#), None]) {
        let key = Some(entry.place.to_string().into());
        let value = value.map(Into::into);
        let partition = cluster.records(resolutions::TOPIC)[0].0.partition;
        let again = OutgoingRecord { key, value, ..record(resolutions::TOPIC, partition, "") };
        cluster.produce(again).unwrap();
    }
    let report = replay(&cluster, &app, Replay::new()).await.unwrap();
    assert_eq!((report.replayed, depot.seen().len()), (2, 2), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_does_not_answer_is_said_before_any_handler_runs() {
    let (cluster, depot) = with_letters(&["one"]).await;
    cluster.broker_away();
    let app = app(&cluster, &depot);
    let error = app.replay(Replay::new()).await.unwrap_err();
    assert!(error.to_string().starts_with("looking for the dead-letter topics: "), "{error}");
    assert_eq!(depot.seen(), [""; 0]);
}

/// The places of a topic that was deleted and made again are taken by other letters.
#[tokio::test(start_paused = true)]
async fn what_was_decided_about_another_letter_at_the_same_place_does_not_count() {
    let (cluster, depot) = with_letters(&["one"]).await;
    replay(&cluster, &app(&cluster, &depot), Replay::new()).await.unwrap();
    let anew = self::cluster();
    for topic in [DLQ, resolutions::TOPIC] {
        for (at, record) in cluster.records(topic).into_iter().filter(|(_, record)| {
            record.value.is_some() && !record.key.as_deref().unwrap_or_default().starts_with(b"claim")
        }) {
            let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            let value = if topic == DLQ { value.replace(r#""id":"one""#, r#""id":"two""#) } else { value };
            let again = OutgoingRecord { key: record.key, ..self::record(topic, at.partition, &value) };
            anew.produce(again).unwrap();
        }
    }
    depot.seen();
    assert_eq!(open(&anew).await, ["two"]);
    let report = replay(&anew, &app(&anew, &depot), Replay::new()).await.unwrap();
    assert_eq!((report.replayed, depot.seen()), (1, vec!["two".into()]), "{report}");
}
