//! What a handler needs is away: its records wait, others go on, and nothing becomes a dead letter.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::*;
use crate::engine::HeldHandler;
use crate::extract::State;
use crate::lifecycle::HealthChecker;

/// The payment gateway, there or not.
#[derive(Clone, Default)]
struct Gateway(Arc<AtomicBool>);

async fn charge(
    State(gateway): State<Gateway>,
    State(seen): State<Seen>,
    meta: Meta,
) -> Result<(), HandlerError> {
    if gateway.0.load(Relaxed) {
        return Err(HandlerError::transient("the gateway does not answer"));
    }
    seen.add(meta.event_id.as_str());
    Ok(())
}

fn event(kind: &str, id: &str) -> String {
    envelope(id).replace("parcel.moved", kind)
}

#[tokio::test(start_paused = true)]
async fn an_outage_ends_in_no_dead_letter_and_other_handlers_go_on() {
    let (cluster, seen, gateway) = (cluster(4), Seen::default(), Gateway::default());
    gateway.0.store(true, Relaxed);
    let app =
        builder(&cluster).on("parcel.paid", charge).topics([TOPIC]).on("parcel.moved", note).topics([TOPIC]);
    let app = app.state(seen.clone()).state(gateway.clone()).build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    for n in 0..200 {
        produce(&cluster, &format!("paid {n}"), &event("parcel.paid", &format!("paid {n}")));
        produce(&cluster, &format!("moved {n}"), &envelope(&format!("moved {n}")));
    }
    cluster.wait_until(|_| seen.all().len() == 200).await;
    assert!(seen.all().iter().all(|id| id.starts_with("moved")));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let health = handle.check(tokio::time::Instant::now() + LONG).await;
    let notice = health.notice.clone().unwrap();
    assert!(health.is_well() && notice.starts_with("the handler charge is held back for "), "{health:?}");
    assert!(notice.ends_with(" records wait for it: the gateway does not answer"), "{notice}");
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let status = handle.status().await.unwrap().engine;
    let [HeldHandler { handler, records, failed_probes, last_error, .. }] = &status.held_handlers[..] else {
        panic!("one handler is held back: {status:?}")
    };
    assert_eq!((&**handler, *records, last_error.as_str()), ("charge", 200, "the gateway does not answer"));
    assert!(*failed_probes > 2_900, "{failed_probes} in an hour, about a second apart at most");
    assert!(cluster.records(DLQ).is_empty());
    let health = handle.check(tokio::time::Instant::now() + LONG).await;
    let problem = health.problem.unwrap();
    assert!(problem.contains("charge had failed: the gateway does not answer"), "{problem}");

    gateway.0.store(false, Relaxed);
    let back = tokio::time::Instant::now();
    cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    assert!(back.elapsed() < Duration::from_secs(2), "an hour's outage heals within {:?}", back.elapsed());
    let status = handle.status().await.unwrap().engine;
    assert_eq!((status.held_handlers.len(), status.counts.holds, status.counts.dead_lettered), (0, 1, 0));
    assert_eq!(seen.all().len(), 400);
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
    assert!(cluster.records(DLQ).is_empty());
}

#[tokio::test(start_paused = true)]
async fn restarts_amid_an_outage_end_in_no_dead_letter_either() {
    let (cluster, seen, gateway) = (cluster(2), Seen::default(), Gateway::default());
    gateway.0.store(true, Relaxed);
    for n in 0..100 {
        produce(&cluster, &format!("{n}"), &envelope(&format!("{n}")));
    }
    for _ in 0..10 {
        let app =
            builder(&cluster).on("*", charge).topics([TOPIC]).state(seen.clone()).state(gateway.clone());
        let app = app.build().unwrap();
        let handle = app.handle();
        let run = tokio::spawn(app.run());
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert!(handle.close(LONG).await);
        run.await.unwrap().unwrap();
    }
    assert!(cluster.records(DLQ).is_empty());
}

/// Refusals for good are the record's own, one by one; all in a row they are the handler's trouble.
#[tokio::test(start_paused = true)]
async fn a_flood_of_refusals_is_held_back_and_said_and_costs_one_record_a_probe() {
    async fn refuse(gateway: State<Gateway>, seen: State<Seen>, meta: Meta) -> Result<(), HandlerError> {
        let is_away = gateway.0.0.load(Relaxed);
        let charged = charge(gateway, seen, meta).await;
        charged.map_err(|error| if is_away { HandlerError::permanent("no such customer") } else { error })
    }
    let (cluster, seen, gateway) = (cluster(4), Seen::default(), Gateway::default());
    gateway.0.store(true, Relaxed);
    let app = builder(&cluster).on("parcel.paid", refuse).topics([TOPIC]);
    let app = app.state(seen.clone()).state(gateway.clone()).build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    for n in 0..200 {
        produce(&cluster, &format!("paid {n}"), &event("parcel.paid", &format!("paid {n}")));
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    let letters = cluster.records(DLQ).len();
    assert!((20..60).contains(&letters), "{letters} of 200");
    let health = handle.check(tokio::time::Instant::now() + LONG).await;
    let notice = health.notice.clone().unwrap();
    assert!(health.is_well() && notice.starts_with("the handler refuse is held back for "), "{health:?}");
    assert!(notice.ends_with(" records wait for it: no such customer"), "{notice}");
    gateway.0.store(false, Relaxed);
    cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    assert_eq!(cluster.records(DLQ).len() + seen.all().len(), 200, "each is a letter or done");
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
}
