//! What is written about what was done, and who may do it at a time.

use super::*;
use crate::dead_letter::desk::{Act, Desk, DeskError, Who};
use crate::dead_letter::list::Topics;
use crate::dead_letter::{ResolutionState, Selection};

#[tokio::test(start_paused = true)]
async fn the_audit_says_what_will_be_tried_before_it_is_and_how_each_ended() {
    let (cluster, depot) = with_letters(&["one", "two"]).await;
    depot.refuse(&["two"]);
    let app = app(&cluster, &depot);
    replay(&cluster, &app, Replay::new().by("ana").why("there is room again")).await.unwrap();
    assert_eq!(
        audit(&cluster),
        [
            "claim",
            "try one",
            "try two",
            "replay one handled",
            "replay two failed: permanent: there is no room for two",
            "release  1 done, 1 failed",
        ]
    );
    let audit = kafka(&cluster).dead_letter_audit().await.unwrap();
    assert!(audit.iter().all(|it| (&*it.by, &*it.why) == ("ana", "there is room again") && it.at.is_some()));
    assert!(audit.iter().all(|it| it.run == audit[0].run && !it.run.is_empty()));
    let tried = &audit[1];
    assert_eq!(
        (&*tried.group, &*tried.event_type, &*tried.origin),
        (GROUP, "parcel.moved", "parcels.v1/0/0")
    );
    assert_eq!(tried.fingerprint.len(), 16);
}

#[tokio::test(start_paused = true)]
async fn letters_are_discarded_set_aside_and_opened_again_and_the_audit_keeps_all_of_it() {
    let (cluster, _) = with_letters(&["one", "two", "three"]).await;
    cluster.produce(record(DLQ, 1, "no json")).unwrap();
    let kafka = kafka(&cluster);
    let only = |id: &str| {
        let selection = Selection { event_ids: vec![id.to_owned()], ..Selection::default() };
        Replay::new().select(selection).by("ana").why("a test ride")
    };
    assert_eq!(kafka.discard(only("one")).await.unwrap().decided, 1);
    assert_eq!(kafka.quarantine(only("two")).await.unwrap().decided, 1);
    assert_eq!(open(&cluster).await, ["?", "three"]);
    assert_eq!(kafka.discard(only("two")).await.unwrap().decided, 0, "it is not open");
    assert_eq!(kafka.reopen(only("two")).await.unwrap().decided, 1);
    assert_eq!(open(&cluster).await, ["?", "three", "two"]);

    // What cannot be read can be put out of the way by its place.
    let entries = kafka.dead_letters([TOPIC]).await.unwrap();
    let unreadable = entries.iter().find(|entry| entry.letter.is_err()).unwrap().place.clone();
    let selection = Selection { entries: vec![unreadable], ..Selection::default() };
    assert_eq!(kafka.discard(Replay::new().select(selection)).await.unwrap().decided, 1);
    assert_eq!(open(&cluster).await, ["three", "two"]);
    let acts: Vec<_> =
        audit(&cluster).into_iter().filter(|act| act.contains("done") && !act.starts_with("rel")).collect();
    assert_eq!(acts, ["discard one done", "quarantine two done", "reopen two done", "discard  done"]);
}

async fn sit_down(cluster: &Cluster, by: &str, takes_over: bool) -> Result<Desk, DeskError> {
    let kafka = kafka(cluster);
    let there = Topics::look(&kafka).await.unwrap();
    let who = Who { by: by.into(), why: String::new(), doing: "looking".into() };
    Desk::open(&kafka, &there, DLQ.into(), &who, Duration::from_secs(30), takes_over).await
}

fn discard(desk: &Desk, entry: &str) -> Vec<Act> {
    let resolution =
        Resolution { entry: entry.into(), state: ResolutionState::Discarded, ..Resolution::default() };
    vec![Act { resolution: Some(resolution), audit: desk.audit("discard", entry), record: None }]
}

#[tokio::test(start_paused = true)]
async fn two_operators_do_not_decide_at_once_and_the_second_is_told_who_is_at_it() {
    let (cluster, depot) = with_letters(&["one"]).await;
    let mut ana = sit_down(&cluster, "ana", false).await.unwrap();
    let error = app(&cluster, &depot).replay(Replay::new().by("bia")).await.unwrap_err();
    assert!(error.to_string().starts_with("parcels.v1.dlq is claimed by ana at "), "{error}");
    assert_eq!(depot.seen(), [""; 0]);
    let place = kafka(&cluster).dead_letters([TOPIC]).await.unwrap()[0].place.to_string();
    let acts = discard(&ana, &place);
    ana.write(acts.to_vec().into()).await.unwrap();
    ana.close("").await;
    let report = app(&cluster, &depot).replay(Replay::new().by("bia")).await.unwrap();
    assert_eq!(report.resolved_before, 1, "what ana decided is seen: {report}");
}

#[tokio::test(start_paused = true)]
async fn who_was_taken_over_from_can_write_nothing_more_and_is_told_by_whom() {
    let (cluster, _) = with_letters(&["one"]).await;
    let mut ana = sit_down(&cluster, "ana", false).await.unwrap();
    let mut bia = sit_down(&cluster, "bia", true).await.unwrap();
    let acts = discard(&ana, "parcels.v1.dlq/0/0");
    let DeskError::Claimed(claim) = ana.write(acts.to_vec().into()).await.unwrap_err() else {
        panic!("bia has it")
    };
    assert_eq!(claim.by, "bia");
    assert_eq!(resolutions(&cluster), []);
    let acts = discard(&bia, "parcels.v1.dlq/0/0");
    bia.write(acts.to_vec().into()).await.unwrap();
    assert_eq!(resolutions(&cluster).len(), 1);
    let taken = audit(&cluster).into_iter().filter(|act| act.starts_with("take over  from ana at ")).count();
    assert_eq!(taken, 1);
}

/// Between the first look and the second somebody else may claim; and who only looked must not stop who claimed.
#[tokio::test(start_paused = true)]
async fn a_newcomer_who_finds_the_topic_claimed_does_not_stop_whoever_has_claimed_it() {
    let (cluster, _) = with_letters(&["one"]).await;
    let mut ana = sit_down(&cluster, "ana", false).await.unwrap();
    // As a newcomer does between its two looks.
    use crate::transport::Transport;
    cluster.ledger(&format!("txova.dlq/{DLQ}")).unwrap().take_over().await.unwrap();
    let acts = discard(&ana, "parcels.v1.dlq/0/0");
    ana.write(acts.to_vec().into()).await.unwrap();
    ana.write(acts.to_vec().into()).await.unwrap();
    assert_eq!(resolutions(&cluster).len(), 2, "each was written once");
}
