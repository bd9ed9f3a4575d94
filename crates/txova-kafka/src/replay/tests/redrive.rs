//! Letters that are sent back to their topic: to whom, how often, in which order, and how it ends.

use txova_events::dlq::redrive;
use txova_events::{DeadLetter, RawEnvelope};

use super::*;
use crate::dead_letter::{ResolutionState, Selection, sha256};
use crate::testing::ProduceFault;

fn sent_back(cluster: &Cluster, before: usize) -> Vec<Record> {
    let records = cluster.records(TOPIC).into_iter().map(|(_, record)| record);
    let mut sent: Vec<_> = records.filter(|record| record.headers.get(redrive::ENTRY).is_some()).collect();
    sent.sort_by(|a, b| a.headers.text(redrive::ENTRY).cmp(&b.headers.text(redrive::ENTRY)));
    assert_eq!(sent.len() + before, cluster.records(TOPIC).len());
    sent
}

#[tokio::test(start_paused = true)]
async fn a_letter_goes_back_to_its_partition_for_the_group_that_failed_and_only_that_one_handles_it() {
    let (cluster, depot) = with_letters(&["one", "two"]).await;
    let kafka = kafka(&cluster);
    let report = kafka.replay(Replay::new().by("ana")).await.unwrap();
    assert_eq!((report.read, report.replayed), (2, 2), "{report}");
    let sent = sent_back(&cluster, 2);
    assert_eq!(sent[0].value.as_deref(), Some(envelope("one").as_bytes()));
    assert_eq!(sent[0].key.as_deref(), Some(&b"p"[..]));
    for (name, text) in [(redrive::GROUP, GROUP), (redrive::COUNT, "1"), (redrive::ORIGIN, "parcels.v1/0/0")]
    {
        assert_eq!(sent[0].headers.text(name), Some(text));
    }
    let entries = kafka.dead_letters([TOPIC]).await.unwrap();
    let of_entries: Vec<_> = entries.iter().map(|entry| entry.place.to_string()).collect();
    let of_records: Vec<_> = sent.iter().filter_map(|record| record.headers.text(redrive::ENTRY)).collect();
    assert_eq!(of_records, of_entries);
    assert_eq!(open(&cluster).await, [""; 0]);

    // The archive has handled both events before; it passes the records over.
    let archive = Depot::default();
    let other = builder(&cluster, &archive).on("*", store).topics([TOPIC]);
    let other = other.consumer(|consumer| consumer.group = Some("archive-group".into())).build().unwrap();
    for (app, group) in [(app(&cluster, &depot), GROUP), (other, "archive-group")] {
        let handle = app.handle();
        let run = tokio::spawn(app.run());
        cluster.wait_until(|cluster| cluster.lag(group, TOPIC) == 0).await;
        assert!(handle.close(Duration::from_secs(60)).await);
        run.await.unwrap().unwrap();
    }
    let (mut ours, mut theirs) = (depot.seen(), archive.seen());
    ours.sort();
    theirs.sort();
    assert_eq!(
        (ours, theirs),
        (vec!["one".into(), "two".into()], vec!["one".to_owned(), "two".into()]),
        "once each"
    );
    let again = kafka.replay(Replay::new()).await.unwrap();
    assert_eq!((again.replayed, again.resolved_before), (0, 2), "{again}");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_fails_again_and_again_is_set_aside_in_the_end() {
    let (cluster, depot) = with_letters(&["one"]).await;
    depot.refuse(&["one"]);
    for times in 1..=2 {
        let report = kafka(&cluster).replay(Replay::new().max_redrives(2)).await.unwrap();
        assert_eq!((report.replayed, report.quarantined), (1, 0), "{report}");
        give_up(&cluster, app(&cluster, &depot)).await;
        let last = kafka(&cluster).dead_letters([TOPIC]).await.unwrap();
        let last = last.iter().find(|entry| entry.is_open()).unwrap().letter.clone().unwrap();
        assert_eq!(last.redrive_count, times);
    }
    let report = kafka(&cluster).replay(Replay::new().max_redrives(2)).await.unwrap();
    assert_eq!((report.replayed, report.quarantined), (0, 1), "{report}");
    assert_eq!(open(&cluster).await, [""; 0]);
    assert_eq!(resolutions(&cluster).last().unwrap().state, ResolutionState::Quarantined);
    let last = audit(&cluster);
    assert!(
        last.contains(&"quarantine one sent back 2 times already, and failed each time".to_owned()),
        "{last:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_transaction_without_an_answer_is_found_out_and_each_letter_goes_back_once() {
    let (cluster, _) = with_letters(&["one", "two", "three"]).await;
    cluster.fail_produces(TOPIC, 1, ProduceFault::WrittenButTimedOut);
    let report = kafka(&cluster).replay(Replay::new()).await.unwrap();
    assert_eq!((report.replayed, sent_back(&cluster, 3).len()), (3, 3), "{report}");
}

#[tokio::test(start_paused = true)]
async fn what_its_topic_does_not_take_stays_open_and_the_others_go_back() {
    let (cluster, _) = with_letters(&["one", "two", "three"]).await;
    cluster.fail_produces(TOPIC, 1, ProduceFault::Refused(crate::client_error::ClientErrorKind::TooLarge));
    let report = kafka(&cluster).replay(Replay::new()).await.unwrap();
    assert_eq!((report.replayed, report.failed.len()), (2, 1), "{report}");
    assert!(report.failed[0].error.starts_with("its topic does not take it: "), "{report}");
    assert_eq!(open(&cluster).await, ["one"]);
    assert_eq!(report.accounted_for(), report.read);
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_done_exactly_and_nothing_that_came_later() {
    let (cluster, depot) = with_letters(&["one", "two"]).await;
    let kafka = kafka(&cluster);
    let selection = Selection { error_text: Some("NO ROOM".into()), ..Selection::default() };
    let plan = kafka.plan_replay(Replay::new().select(selection)).await.unwrap();
    let plan: crate::replay::Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
    depot.refuse(&["three"]);
    cluster.produce(record(TOPIC, 0, &envelope("three"))).unwrap();
    give_up(&cluster, app(&cluster, &depot)).await;
    let report = kafka.replay(Replay::new().plan(plan.clone())).await.unwrap();
    assert_eq!((report.replayed, report.passed_over, report.gone.len()), (2, 1, 0), "{report}");
    assert_eq!(open(&cluster).await, ["three"]);
    let again = kafka.replay(Replay::new().plan(plan.clone())).await.unwrap();
    assert_eq!((again.replayed, again.resolved_before), (0, 2), "{again}");

    // Retention has taken the letters; others came to their topic.
    let (anew, _) = with_letters(&["four"]).await;
    let report = self::kafka(&anew).replay(Replay::new().plan(plan)).await.unwrap();
    assert_eq!((report.replayed, report.passed_over, report.gone.len()), (0, 1, 2), "{report}");
    assert_eq!(open(&anew).await, ["four"]);
}

#[tokio::test(start_paused = true)]
async fn a_changed_payload_keeps_the_events_id_and_headers_hold_both_hashes() {
    let (cluster, _) = with_letters(&["one"]).await;
    let change = |letter: &DeadLetter, payload: &[u8]| {
        assert_eq!((letter.event_id(), payload), ("one", &br#"{"parcel_id":"p"}"#[..]));
        Ok(br#"{"parcel_id":"p","room":7}"#.to_vec())
    };
    kafka(&cluster).replay(Replay::new().transform(change)).await.unwrap();
    let sent = sent_back(&cluster, 1).remove(0);
    let value = sent.value.as_deref().unwrap();
    let read = RawEnvelope::decode(value).unwrap();
    assert_eq!((&*read.id, read.payload.as_deref()), ("one", Some(&br#"{"parcel_id":"p","room":7}"#[..])));
    assert_eq!(sent.headers.text(redrive::ORIGINAL_SHA256), Some(&*sha256(envelope("one").as_bytes())));
    assert_eq!(sent.headers.text(redrive::CHANGED_SHA256), Some(&*sha256(value)));
    let letters = kafka(&cluster).dead_letters([TOPIC]).await.unwrap();
    assert_eq!(letters[0].letter.as_ref().unwrap().body().as_deref(), Some(envelope("one").as_bytes()));
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_cannot_be_changed_leaves_its_letter_open() {
    let (cluster, _) = with_letters(&["one", "two", "three"]).await;
    let change = |letter: &DeadLetter, payload: &[u8]| match letter.event_id() {
        "one" => Err("the patch does not fit".to_owned()),
        "two" => Ok(b"{no json".to_vec()),
        _ => Ok(payload.to_vec()),
    };
    let report = kafka(&cluster).replay(Replay::new().transform(change)).await.unwrap();
    assert_eq!((report.replayed, report.failed.len()), (1, 2), "{report}");
    assert_eq!(open(&cluster).await, ["one", "two"]);
    assert_eq!(sent_back(&cluster, 3)[0].headers.get(redrive::CHANGED_SHA256), None, "nothing was changed");
}

#[tokio::test(start_paused = true)]
async fn a_limit_a_pace_and_an_end_from_outside_leave_the_rest_open() {
    let ids = ["a", "b", "c", "d", "e", "f"];
    let (cluster, _) = with_letters(&ids).await;
    let kafka = kafka(&cluster);
    let began = tokio::time::Instant::now();
    let report = kafka.replay(Replay::new().max_letters(3).per_second(2)).await.unwrap();
    assert_eq!((report.replayed, report.not_reached.len()), (3, 3), "{report}");
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    let soon = tokio::time::sleep(Duration::from_millis(700));
    let report = kafka.replay(Replay::new().per_second(1).until(soon)).await.unwrap();
    assert!(report.is_interrupted && report.replayed < 3, "{report}");
    assert_eq!(report.replayed as usize + report.not_reached.len(), 3);
    let rest = kafka.replay(Replay::new()).await.unwrap();
    assert_eq!(rest.replayed as usize, report.not_reached.len());
    assert_eq!(sent_back(&cluster, 6).len(), 6, "each once");
}

#[tokio::test(start_paused = true)]
async fn letters_that_name_no_group_are_passed_over_until_somebody_says_whose_they_are() {
    let cluster = cluster();
    let mut letter = DeadLetter::new(TOPIC, 0, 0, "no answer", txova_events::Time::now());
    letter.envelope = Some(RawEnvelope::decode(envelope("go").as_bytes()).unwrap());
    let value = String::from_utf8(letter.encode()).unwrap();
    cluster.produce(record(DLQ, 0, &value)).unwrap();
    let kafka = kafka(&cluster);
    assert_eq!(kafka.replay(Replay::new()).await.unwrap().unnamed, 1);
    let report = kafka.replay(Replay::new().unnamed_as("go-group")).await.unwrap();
    assert_eq!(report.replayed, 1, "{report}");
    assert_eq!(sent_back(&cluster, 0)[0].headers.text(redrive::GROUP), Some("go-group"));
}

#[tokio::test(start_paused = true)]
async fn the_report_names_keys_of_which_newer_events_were_handled_before() {
    let (cluster, depot) = (cluster(), Depot::default());
    depot.refuse(&["one"]);
    for (id, key) in [("one", "p"), ("two", "q"), ("three", "p")] {
        cluster.produce(OutgoingRecord { key: Some(key.into()), ..record(TOPIC, 0, &envelope(id)) }).unwrap();
    }
    let failing = app(&cluster, &depot);
    let handle = failing.handle();
    let run = tokio::spawn(failing.run());
    cluster.wait_until(|cluster| cluster.records(DLQ).len() == 1 && cluster.lag(GROUP, TOPIC) == 0).await;
    assert!(handle.close(Duration::from_secs(60)).await);
    run.await.unwrap().unwrap();
    let plan = kafka(&cluster).plan_replay(Replay::new()).await.unwrap();
    let [overtaken] = &plan.overtaken[..] else { panic!("one key: {plan}") };
    assert_eq!((&*overtaken.key, &*overtaken.group, overtaken.newest_offset), ("p", GROUP, 2));
    assert!(plan.to_string().contains("newer events of the key p up to offset 2"), "{plan}");
}

#[tokio::test(start_paused = true)]
async fn where_a_keys_letter_fails_its_later_ones_wait_and_other_keys_go_on() {
    let (cluster, depot) = (cluster(), Depot::default());
    depot.refuse(&["one", "two", "three"]);
    for (id, key) in [("one", "p"), ("two", "q"), ("three", "p")] {
        cluster.produce(OutgoingRecord { key: Some(key.into()), ..record(TOPIC, 0, &envelope(id)) }).unwrap();
    }
    give_up(&cluster, app(&cluster, &depot)).await;
    depot.refuse(&["one"]);
    let report = replay(&cluster, &app(&cluster, &depot), Replay::new().key_order(true)).await.unwrap();
    assert_eq!((report.replayed, report.failed.len(), report.not_reached.len()), (1, 1, 1), "{report}");
    assert_eq!(
        (depot.seen(), open(&cluster).await),
        (vec!["two".into()], vec!["one".into(), "three".into()])
    );
}

/// Dead letters of the events one, two and so on, which have these keys, and a broker that refuses the first record.
async fn refusing(keys: &[&str]) -> Cluster {
    let (cluster, depot) = (cluster(), Depot::default());
    let ids = ["one", "two", "three", "four", "five"];
    depot.refuse(&ids);
    for (id, key) in ids.into_iter().zip(keys) {
        let key = Some((*key).to_owned().into());
        cluster.produce(OutgoingRecord { key, ..record(TOPIC, 0, &envelope(id)) }).unwrap();
    }
    give_up(&cluster, app(&cluster, &depot)).await;
    cluster.fail_produces(TOPIC, 1, ProduceFault::Refused(crate::client_error::ClientErrorKind::TooLarge));
    cluster
}

/// However many go in one transaction: what is made ready while the brokers refuse one is held up too.
#[tokio::test(start_paused = true)]
async fn what_its_topic_does_not_take_holds_the_later_letters_of_its_key_and_no_other() {
    for letters_at_once in [1, 2, 100] {
        let cluster = refusing(&["p", "q", "p", "q", "p"]).await;
        let replay = Replay { letters_at_once, ..Replay::new().key_order(true) };
        let report = kafka(&cluster).replay(replay).await.unwrap();
        assert_eq!((report.replayed, report.failed.len(), report.not_reached.len()), (2, 1, 2), "{report}");
        assert_eq!(open(&cluster).await, ["five", "one", "three"], "{letters_at_once} at once");
        let sent = sent_back(&cluster, 5);
        assert!(sent.iter().all(|record| record.key.as_deref() == Some(b"q")), "{sent:?}");
        assert_eq!(report.accounted_for(), report.read);
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_of_held_letters_only_does_not_end_the_redrive() {
    let cluster = refusing(&["p", "p", "q"]).await;
    let replay = Replay { letters_at_once: 1, ..Replay::new().key_order(true) };
    let report = kafka(&cluster).replay(replay).await.unwrap();
    assert_eq!((report.replayed, report.failed.len(), report.not_reached.len()), (1, 1, 1), "{report}");
    assert_eq!(open(&cluster).await, ["one", "two"]);
    assert_eq!(report.accounted_for(), report.read);
}

#[tokio::test(start_paused = true)]
async fn whenever_the_end_comes_each_letter_is_accounted_for() {
    for letters_at_once in [1, 2] {
        let mut interrupted = 0;
        for polls in 0.. {
            let cluster = refusing(&["p", "p", "p", "q", "q"]).await;
            let mut left = polls;
            let end = std::future::poll_fn(move |_| match left {
                0 => std::task::Poll::Ready(()),
                _ => {
                    left -= 1;
                    std::task::Poll::Pending
                }
            });
            let replay = Replay { letters_at_once, ..Replay::new().key_order(true).until(end) };
            let report = kafka(&cluster).replay(replay).await.unwrap();
            assert_eq!(report.accounted_for(), report.read, "asked {polls} times: {report}");
            assert_eq!(sent_back(&cluster, 5).len(), report.replayed as usize);
            if !report.is_interrupted {
                assert_eq!(report.replayed, 2, "{report}");
                break;
            }
            interrupted += 1;
        }
        assert!(interrupted > 4, "{interrupted}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_fails_holds_none_that_is_older() {
    // The first letter is refused; the last fails while the transaction of the others is written, or is made ready.
    for keys in [["p", "q", "q"].as_slice(), &["p", "r", "q", "q"]] {
        let cluster = refusing(keys).await;
        let last = ["three", "four"][keys.len() - 3];
        let change = move |letter: &DeadLetter, payload: &[u8]| match letter.event_id() == last {
            true => Err("the patch does not fit".to_owned()),
            false => Ok(payload.to_vec()),
        };
        let replay = Replay { letters_at_once: 2, ..Replay::new().key_order(true).transform(change) };
        let report = kafka(&cluster).replay(replay).await.unwrap();
        assert_eq!((report.failed.len(), report.not_reached.len()), (2, 0), "{report}");
        assert_eq!(report.replayed as usize, keys.len() - 2, "{report}");
        assert_eq!(report.accounted_for(), report.read);
    }
}

#[tokio::test(start_paused = true)]
async fn after_so_many_failures_nothing_more_goes_back_and_the_audit_has_each_of_them() {
    for letters_at_once in [1, 3, 100] {
        let (cluster, _) = with_letters(&["a", "b", "c", "d", "e", "f", "g", "h"]).await; // a, c, e, g lie before the others
        let change = |letter: &DeadLetter, payload: &[u8]| match letter.event_id() {
            "c" | "g" | "d" => Err("the patch does not fit".to_owned()),
            _ => Ok(payload.to_vec()),
        };
        let replay = Replay { letters_at_once, ..Replay::new().transform(change).max_failures(2) };
        let report = kafka(&cluster).replay(replay).await.unwrap();
        let failed: Vec<&str> = report.failed.iter().map(|failed| &*failed.event_id).collect();
        assert_eq!(failed, ["c", "g"], "{letters_at_once} at once: {report}");
        let audit = audit(&cluster);
        for id in ["c", "g"] {
            let told = format!("redrive {id} failed: the patch does not fit");
            assert!(audit.contains(&told), "{audit:?}");
        }
        assert_eq!(sent_back(&cluster, 8).len(), report.replayed as usize);
        assert!(!open(&cluster).await.contains(&"a".to_owned()) && report.not_reached.len() >= 4, "{report}");
        assert_eq!(report.accounted_for(), report.read);
    }
}

#[tokio::test(start_paused = true)]
async fn progress_is_told_behind_each_transaction_with_the_statistics_so_far_and_what_was_picked() {
    let (cluster, _) = with_letters(&["a", "b", "c", "d", "e"]).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = told.clone();
    let replay = Replay { letters_at_once: 2, ..Replay::new().max_letters(4) };
    let replay =
        replay.on_progress(move |report, picked| tell.lock().unwrap().push((report.replayed, picked)));
    let report = kafka(&cluster).replay(replay).await.unwrap();
    let mut told = told.lock().unwrap().clone();
    told.dedup();
    assert_eq!(told, [(2, 4), (4, 4)]);
    assert_eq!((report.read, report.replayed, report.not_reached.len()), (5, 4, 1), "{report}");
    assert_eq!(report.accounted_for(), report.read);
}
