//! A record that does not come to its end is named with all that is known, and the app is not ready.

use super::*;
use crate::lifecycle::{Checked, HealthChecker};

async fn check(handle: &crate::AppHandle) -> Checked {
    handle.check(tokio::time::Instant::now() + LONG).await
}

#[tokio::test(start_paused = true)]
async fn a_stuck_record_is_named_with_handler_attempt_and_cause_its_key_only_where_it_is_asked_for() {
    async fn bill(meta: Meta, attempt: Attempt) -> Result<(), HandlerError> {
        if meta.event_id != "stuck" {
            return Ok(());
        }
        if attempt.number() == 3 {
            tokio::time::sleep(Duration::from_secs(25)).await;
            return Ok(());
        }
        Err(HandlerError::transient("the gateway does not answer"))
    }
    let cluster = cluster(1);
    let app = builder(&cluster).on("*", bill).topics([TOPIC]);
    let app = app.consumer(|consumer| {
        (consumer.stuck_after_ms, consumer.processing_timeout_ms) = (10_000, 30_000);
        (consumer.retry_backoff_ms, consumer.retry_backoff_jitter) = (4_000, 0.0);
    });
    let app = app.build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    produce(&cluster, "+258840000000", &envelope("stuck"));
    for n in 0..10 {
        produce(&cluster, &format!("k{n}"), &envelope(&n.to_string()));
    }
    cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 11).await;
    tokio::time::sleep(Duration::from_secs(25)).await;
    let well = check(&handle).await;
    assert!(well.is_well(), "it is within its handler's own time: {well:?}");
    tokio::time::sleep(Duration::from_secs(8)).await;
    let ill = check(&handle).await;
    let problem = ill.problem.clone().unwrap();
    assert!(problem.starts_with("parcels.v1-0 offset 0, taken 3"), "{problem}");
    assert!(problem.contains("its handler runs for 2"), "{problem}");
    assert!(problem.ends_with("bill had failed: the gateway does not answer (attempt 2)"), "{problem}");
    let details = ill.details.clone().unwrap();
    assert_eq!(details["stuck"][0]["attempts"], 2, "{details}");
    assert!(
        handle.check_live(tokio::time::Instant::now() + LONG).await.is_well(),
        "a restart would not help"
    );

    let status = handle.status().await.unwrap();
    assert_eq!(status.engine.stuck[0].key.as_ref().unwrap().as_str(), "+258840000000");
    for text in [format!("{ill:?}"), format!("{status:?}"), details.to_string()] {
        assert!(!text.contains("+2588"), "{text}");
    }
    cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    assert!(check(&handle).await.is_well());
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
}
