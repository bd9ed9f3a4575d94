//! Layers and the handler's deadline, on a running app.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tower::limit::GlobalConcurrencyLimitLayer;

use super::*;
use crate::extract::State;

#[derive(Clone, Default)]
struct Gauge(Arc<(AtomicUsize, AtomicUsize)>);

#[tokio::test(start_paused = true)]
async fn a_limit_around_one_handler_bounds_that_handler_alone_and_every_record_is_handled() {
    let (cluster, seen, gauge) = (cluster(1), Seen::default(), Gauge::default());
    async fn limited(State(seen): State<Seen>, State(gauge): State<Gauge>, meta: Meta) {
        gauge.0.1.fetch_max(gauge.0.0.fetch_add(1, SeqCst) + 1, SeqCst);
        tokio::time::sleep(Duration::from_millis(10)).await;
        gauge.0.0.fetch_sub(1, SeqCst);
        seen.add(meta.event_id.as_str());
    }
    for n in 0..40 {
        produce(&cluster, &format!("k{n}"), &envelope(&format!("e{n}")));
    }
    let builder =
        builder(&cluster).on("*", limited).topics([TOPIC]).layer(GlobalConcurrencyLimitLayer::new(3));
    let app = builder.state(seen.clone()).state(gauge.clone()).build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
    assert_eq!((seen.all().len(), gauge.0.1.load(SeqCst)), (40, 3));
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_panics_or_never_ends_is_a_failure_like_any_other() {
    let cluster = cluster(1);
    let rude = tower::util::MapFutureLayer::new(|future: crate::handler::HandlerFuture| async move {
        let id = crate::Context::current().unwrap().event().causation_id.clone().unwrap_or_default();
        match id.as_str() {
            "panics" => panic!("in the layer"),
            "hangs" => std::future::pending().await,
            _ => future.await,
        }
    });
    for id in ["panics", "hangs", "fine"] {
        produce(&cluster, id, &envelope(id));
    }
    let app = builder(&cluster).on("*", || async {}).topics([TOPIC]).layer_all(rude);
    let app = app.consumer(|consumer| consumer.max_retries = 0).build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
    assert_eq!(cluster.records(DLQ).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_handler_knows_its_deadline_and_is_ended_right_there() {
    let (cluster, seen) = (cluster(1), Seen::default());
    struct Dropped(Seen, tokio::time::Instant);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let late = tokio::time::Instant::now().saturating_duration_since(self.1);
            assert!(self.1 <= tokio::time::Instant::now(), "ended before its deadline");
            self.0.add(format!("ended {} ms late", late.as_millis()));
        }
    }
    async fn wait(State(seen): State<Seen>, attempt: Attempt) {
        seen.add(format!("{} ms left", attempt.remaining().as_millis()));
        let _at_the_end = Dropped(seen, attempt.deadline());
        std::future::pending().await
    }
    produce(&cluster, "a", &envelope("one"));
    let app = builder(&cluster).on("*", wait).topics([TOPIC]).state(seen.clone());
    let app = app.consumer(|consumer| (consumer.max_retries, consumer.processing_timeout_ms) = (0, 700));
    let app = app.build().unwrap();
    let handle = app.handle();
    let run = tokio::spawn(app.run());
    cluster.wait_until(|cluster| cluster.lag(GROUP, TOPIC) == 0).await;
    assert!(handle.close(LONG).await);
    run.await.unwrap().unwrap();
    assert_eq!(seen.all(), ["700 ms left", "ended 0 ms late"]);
}
