//! What a replay picks, and that the rest stays as it is.

use txova_events::{DeadLetter, Time};

use super::*;
use crate::dead_letter::ResolutionState;

#[tokio::test(start_paused = true)]
async fn a_filter_picks_and_what_it_passes_over_is_replayed_by_the_next_call() {
    let (cluster, depot) = with_letters(&["one", "two", "three", "four"]).await;
    let app = app(&cluster, &depot);
    let wanted = |letter: &DeadLetter| ["two", "three"].contains(&letter.event_id());
    let first = replay(&cluster, &app, Replay::new().filter(wanted)).await.unwrap();
    assert_eq!((first.read, first.replayed, first.passed_over), (4, 2, 2), "{first}");
    assert_eq!(depot.seen(), ["three", "two"], "by partition and offset of origin");
    assert_eq!(open(&cluster).await, ["four", "one"]);

    let second = replay(&cluster, &app, Replay::new()).await.unwrap();
    assert_eq!((second.read, second.replayed, second.resolved_before), (4, 2, 2), "{second}");
    assert_eq!(depot.seen(), ["one", "four"]);
    assert_eq!(open(&cluster).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_second_replay_of_the_same_does_nothing() {
    let (cluster, depot) = with_letters(&["one", "two"]).await;
    let app = app(&cluster, &depot);
    replay(&cluster, &app, Replay::new()).await.unwrap();
    assert_eq!((depot.seen().len(), resolutions(&cluster).len()), (2, 2));
    let second = replay(&cluster, &app, Replay::new()).await.unwrap();
    assert_eq!((second.read, second.resolved_before, second.replayed), (2, 2, 0), "{second}");
    assert_eq!((depot.seen().len(), resolutions(&cluster).len()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_resolution_says_what_was_decided_by_whom_when_and_why() {
    let (cluster, depot) = with_letters(&["one"]).await;
    let app = app(&cluster, &depot);
    replay(&cluster, &app, Replay::new().by("ana").why("there is room again")).await.unwrap();
    let [entry] = &kafka(&cluster).dead_letters([TOPIC]).await.unwrap()[..] else { panic!("one entry") };
    let resolution = entry.resolution.clone().unwrap();
    assert_eq!(resolution.entry, entry.place.to_string());
    assert_eq!(resolution.state, ResolutionState::Replayed);
    assert_eq!((&*resolution.by, &*resolution.why), ("ana", "there is room again"));
    assert_eq!((&*resolution.group, &*resolution.handler), (GROUP, "store"));
    assert_eq!((&*resolution.event_type, &*resolution.event_id), ("parcel.moved", "one"));
    assert_eq!((resolution.attempts, resolution.skipped), (2, None));
    assert!(resolution.at.unwrap() <= Time::now());
}

#[tokio::test(start_paused = true)]
async fn a_plan_changes_nothing_and_tells_what_a_replay_would_do() {
    let (cluster, depot) = with_letters(&["one", "two", "three"]).await;
    let app = app(&cluster, &depot);
    let filter = |letter: &DeadLetter| letter.event_id() != "two";
    let before = everything(&cluster);
    let plan = app.plan_replay(Replay::new().filter(filter)).await.unwrap();
    assert_eq!(everything(&cluster), before);
    assert_eq!((plan.left_out["not meant"], plan.entries.len()), (1, 2), "{plan}");
    assert!(plan.to_string().contains("2  dead letters would be replayed"), "{plan}");
    let reasons: Vec<_> = plan.reasons.iter().map(|it| (it.count, &*it.error_class, &*it.handler)).collect();
    assert_eq!(reasons, [(1, "permanent", "store"); 2]);
    assert_eq!(depot.seen(), [""; 0]);
    let topics = kafka(&cluster).topics(&[], Duration::from_secs(1)).await.unwrap();
    assert!(topics.iter().all(|(topic, _)| topic != resolutions::TOPIC), "not even the topic is made");
}

#[tokio::test(start_paused = true)]
async fn letters_of_other_groups_stay_as_they_are() {
    let (cluster, depot) = with_letters(&["one", "two"]).await;
    let other = builder(&cluster, &depot).on("*", store).topics([TOPIC]);
    let other = other.consumer(|consumer| consumer.group = Some("archive-group".into())).build().unwrap();
    let report = replay(&cluster, &other, Replay::new().unnamed_as("archive-group")).await.unwrap();
    assert_eq!((report.read, report.other_groups), (2, 2), "{report}");
    assert_eq!((depot.seen().len(), open(&cluster).await.len()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn no_more_letters_are_tried_than_asked_for() {
    let (cluster, depot) = with_letters(&["one", "two", "three"]).await;
    let app = app(&cluster, &depot);
    let report = replay(&cluster, &app, Replay::new().max_letters(2)).await.unwrap();
    assert_eq!((report.replayed, report.not_reached.len()), (2, 1), "{report}");
    assert_eq!(
        (depot.seen(), open(&cluster).await),
        (vec!["one".into(), "three".into()], vec!["two".into()])
    );
}

/// An ignored type would count as settled, and nobody would ever have handled the letter.
#[tokio::test(start_paused = true)]
async fn a_letter_that_no_handler_here_takes_any_more_stays_open() {
    let (cluster, depot) = with_letters(&["one"]).await;
    let app = builder(&cluster, &depot).on("parcel.lost", store).build().unwrap();
    let report = replay(&cluster, &app, Replay::new()).await.unwrap();
    assert_eq!((report.unhandled, report.skipped, report.replayed), (1, 0, 0), "{report}");
    assert_eq!(open(&cluster).await, ["one"]);
}

#[tokio::test(start_paused = true)]
async fn go_letters_are_replayed_where_letters_without_a_group_are_wanted() {
    let (cluster, depot) = (cluster(), Depot::default());
    let (mut keys, mut no_type) = (Vec::new(), 0);
    for line in std::fs::read_to_string(golden()).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        if (line["kind"].as_str(), line["result"].as_str()) == (Some("write"), Some("written")) {
            let value = line["value"].as_str().unwrap();
            let letter = DeadLetter::decode(value.as_bytes()).unwrap();
            match letter.envelope.unwrap() {
                envelope if envelope.event_type.is_empty() => no_type += 1,
                envelope => keys.push(envelope.key().unwrap_or_default()),
            }
            cluster.produce(record(DLQ, 0, value)).unwrap();
        }
    }
    let all = (keys.len() + no_type) as u64;
    assert!(all > 20, "the golden file has letters");
    async fn note_key(State(depot): State<Depot>, meta: Meta) {
        depot.0.lock().unwrap().seen.push(meta.key_text().unwrap_or_default().to_owned());
    }
    let app = builder(&cluster, &depot).on("*", note_key).topics([TOPIC]).build().unwrap();
    let without = replay(&cluster, &app, Replay::new()).await.unwrap();
    assert_eq!((without.read, without.unnamed), (all, all), "{without}");
    let with = replay(&cluster, &app, Replay::new().unnamed_as(GROUP)).await.unwrap();
    assert_eq!((with.replayed, with.failed.len()), (keys.len() as u64, no_type), "{with}");
    let mut seen = depot.seen();
    seen.sort();
    keys.sort();
    assert_eq!(seen, keys, "the key is told by the payload");
}

fn golden() -> String {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../txova-events/tests/golden");
    std::env::var("TXOVA_GOLDEN_DIR").unwrap_or_else(|_| own.to_owned()) + "/dlq.jsonl"
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_does_not_exist_is_an_error_and_one_without_dead_letters_is_none() {
    let (cluster, depot) = (cluster().with_topic("calm.v1", 1), Depot::default());
    let app = app(&cluster, &depot);
    let error = replay(&cluster, &app, Replay::new().topics(["parcel.v1"])).await.unwrap_err();
    assert!(error.to_string().contains("`parcel.v1` does not exist"), "{error}");
    let report = replay(&cluster, &app, Replay::new().topics(["calm.v1"])).await.unwrap();
    assert_eq!(
        (report.read, report.to_string().trim()),
        (0, "0  dead letters read: there is no dead-letter topic")
    );
}

#[tokio::test(start_paused = true)]
async fn the_report_is_a_table_a_person_can_read() {
    let (cluster, depot) = with_letters(&["one", "two", "three"]).await;
    cluster.produce(record(DLQ, 0, "no json")).unwrap();
    depot.refuse(&["two"]);
    let filter = |letter: &DeadLetter| letter.event_id() != "three";
    let app = app(&cluster, &depot);
    let report = replay(&cluster, &app, Replay::new().filter(filter)).await.unwrap();
    let (failed, unreadable) = (&report.failed[0].entry, &report.unreadable[0]);
    let expected = format!(
        "       4  dead letters read from parcels.v1.dlq
       1  replayed
       1  failed again, still open
       1  passed over by the filter
       1  unreadable, still open
failed {failed} parcel.moved two: permanent: there is no room for two
unreadable {}: {}",
        unreadable.place, unreadable.reason
    );
    assert_eq!(report.to_string(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_list_of_no_topics_has_the_entries_of_every_dead_letter_topic_in_order() {
    let (cluster, _) = with_letters(&["one", "two", "three"]).await;
    cluster.produce(record("another.v1.dlq", 0, "no json")).unwrap();
    let entries = kafka(&cluster).dead_letters([""; 0]).await.unwrap();
    let places: Vec<_> = entries.iter().map(|entry| entry.place.clone()).collect();
    assert_eq!((places.len(), &*places[0].topic), (4, "another.v1.dlq"));
    assert!(places.is_sorted(), "{places:?}");
    assert!(entries.iter().all(|entry| entry.is_open()));
}
