//! Which handler runs, with what, and what its answer becomes.

use std::io;
use std::pin::pin;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use time::OffsetDateTime;
use txova_events::Time;

use super::*;

/// A router whose handlers tell which of them ran.
fn telling() -> (Router, Arc<std::sync::Mutex<Vec<&'static str>>>) {
    let ran = Arc::new(std::sync::Mutex::new(Vec::new()));
    let teller = |name: &'static str| {
        let ran = Arc::clone(&ran);
        move || {
            ran.lock().expect("no panic").push(name);
            async {}
        }
    };
    let mut router = Router::new();
    for pattern in ["*", "parcel.*", "parcel.delivered", "parcel.deliver*"] {
        router = router.on(pattern, teller(pattern)).topics(["parcels.v1"]).named(pattern);
    }
    (router, ran)
}

#[tokio::test]
async fn the_most_exact_handler_gets_the_event_in_whatever_order_they_are_registered() {
    let (router, ran) = telling();
    let routes = router.build().expect("sound");
    for event_type in
        ["parcel.delivered", "parcel.delivery_failed", "parcel.lost", "truck.left", "parcel.delivered"]
    {
        assert!(matches!(dispatch(&routes, envelope(event_type, "{}")).await, Outcome::Handled(_)));
    }
    let expected = ["parcel.delivered", "parcel.deliver*", "parcel.*", "*", "parcel.delivered"];
    assert_eq!(*ran.lock().expect("no panic"), expected);
    assert_eq!(routes.handler_of("parcel.lost"), Some("parcel.*"));
    let listed: Vec<_> = routes.handlers().map(|(pattern, _)| pattern).collect();
    assert_eq!(listed, ["parcel.delivered", "parcel.deliver*", "parcel.*", "*"]);
}

#[tokio::test]
async fn a_handler_takes_its_arguments_in_any_order_and_meta_says_where_when_and_how_often() {
    #[allow(clippy::too_many_arguments)]
    async fn take_all(
        meta: Meta,
        attempt: Attempt,
        State(runs): State<Runs>,
        raw: Raw,
        Event(parcel): Event<ParcelDelivered>,
        headers: Headers,
        State(depot): State<&'static str>,
        again: Meta,
    ) {
        assert_eq!((parcel.parcel_id.as_str(), parcel.weight_g), ("p-1", 1200));
        assert_eq!(meta.event_id.to_string(), "0198c0de-0000-7000-8000-000000000001");
        assert_eq!((meta.event_type.as_str(), meta.version.as_str()), ("parcel.delivered", "1.0"));
        assert_eq!((meta.source.as_str(), meta.correlation_id.as_str()), ("depot", "order-7"));
        assert_eq!(meta.causation_id.as_deref(), Some("order-placed-7"));
        assert_eq!(meta.timestamp.to_string(), "2026-11-24T08:00:00.5Z");
        assert_eq!(meta.actor.as_ref().map(|actor| actor.kind.as_str()), Some("user"));
        assert_eq!((&*meta.topic, meta.partition, meta.offset), ("parcels.v1", 3, 42));
        assert_eq!(meta.key_text(), Some("p-1"));
        assert_eq!(meta.record_timestamp, Time::from_unix_ms(1_795_507_200_123));
        assert_eq!(meta.lag_at_receipt, Some(Duration::from_millis(1_500)));
        assert_eq!((&*meta.group, meta.attempt, meta.first_failure), ("billing-group", 1, None));
        assert!(!attempt.is_retry() && !attempt.is_cancelled());
        assert_eq!(raw.bytes(), delivered().as_bytes());
        assert_eq!(raw.envelope.payload_bytes(), br#"{"parcel_id":"p-1","weight_g":1200}"#);
        assert!(headers.text("traceparent").is_some());
        assert_eq!((depot, &again), ("beira", &meta));
        runs.add();
    }
    let runs = Runs::default();
    let routes = Router::new().state("beira").handle(take_all).state(runs.clone()).build().expect("sound");
    assert!(matches!(dispatch(&routes, delivered()).await, Outcome::Handled(_)));
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn a_retry_is_told_and_so_is_a_cancelled_attempt() {
    async fn wait(attempt: Attempt, meta: Meta) -> Result<(), HandlerError> {
        let failed_at = Time::from_unix_ms(0);
        assert!(attempt.is_retry());
        assert_eq!((attempt.number(), meta.attempt), (4, 4));
        assert_eq!(meta.lag_at_receipt, Some(Duration::ZERO), "its producer's clock is ahead");
        assert_eq!((attempt.first_failure(), meta.first_failure), (failed_at, failed_at));
        attempt.cancelled().await;
        Err(HandlerError::transient("cancelled"))
    }
    let routes = Router::new().on("*", wait).topics(["parcels.v1"]).build().expect("sound");
    let given = RecordAttempt {
        number: 4,
        first_failure: Some(OffsetDateTime::UNIX_EPOCH),
        received_ms: Some(0),
        ..attempt(Some(delivered().as_bytes()))
    };
    let cancelled = given.cancelled.clone();
    let mut running = pin!(routes.dispatch(given));
    let mut task = TaskContext::from_waker(Waker::noop());
    assert!(running.as_mut().poll(&mut task).is_pending());
    cancelled.cancel();
    assert!(matches!(running.await, Outcome::Failed(failure) if failure.message == "cancelled"));
}

#[tokio::test]
async fn what_a_handler_answers_is_the_outcome() {
    async fn nothing() {}
    async fn own() -> Result<(), HandlerError> {
        Err(HandlerError::stop("the ledger is corrupt"))
    }
    async fn plain() -> Result<(), io::Error> {
        Err(io::Error::new(io::ErrorKind::TimedOut, "the ledger does not answer"))
    }
    let routes = |router: Router| router.topics(["parcels.v1"]).build().expect("sound");
    let (nothing, own, plain) = (
        routes(Router::new().on("*", nothing)),
        routes(Router::new().on("*", own)),
        routes(Router::new().on("*", plain).named("book")),
    );
    assert!(matches!(dispatch(&nothing, delivered()).await, Outcome::Handled(_)));
    let stopped = failure(&own, delivered()).await;
    assert_eq!((stopped.class, &*stopped.handler), (ErrorClass::Stop, "own"));
    let failed = failure(&plain, delivered()).await;
    assert_eq!((failed.class, &*failed.handler), (ErrorClass::Transient, "book"));
    assert!(failed.by.is_some(), "it is the handler's own verdict");
    assert_eq!(failed.message, "the ledger does not answer");
}

#[tokio::test]
async fn a_handler_runs_inside_the_context_of_its_event() {
    async fn look() -> Result<(), HandlerError> {
        let context = Context::current().ok_or("no context")?;
        assert_eq!(context.event().correlation_id, "order-7");
        assert_eq!(context.event().causation_id.as_deref(), Some("0198c0de-0000-7000-8000-000000000001"));
        assert_eq!(context.event().actor, None, "the service says who acts");
        let trace = context.trace().ok_or("no trace")?;
        assert_eq!(trace.traceparent(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        tokio::task::yield_now().await;
        Context::current().map(drop).ok_or_else(|| HandlerError::permanent("lost at an await"))
    }
    let routes = Router::new().on("*", look).topics(["parcels.v1"]).build().expect("sound");
    assert!(matches!(dispatch(&routes, delivered()).await, Outcome::Handled(_)));
    assert!(Context::current().is_none());
}

#[tokio::test]
async fn what_a_closure_does_before_its_future_is_inside_the_context_too() {
    let eager = || {
        let seen = Context::current().map(|context| context.event().correlation_id.clone());
        async move { if seen.as_deref() == Some("order-7") { Ok(()) } else { Err("no context") } }
    };
    let routes = Router::new().on("*", eager).topics(["parcels.v1"]).build().expect("sound");
    assert!(matches!(dispatch(&routes, delivered()).await, Outcome::Handled(_)));
}

#[tokio::test]
async fn a_panic_is_left_to_the_driver_and_nothing_runs_before_the_first_poll() {
    async fn explode() {
        panic!("the handler's own");
    }
    let routes = Router::new().on("*", explode).topics(["parcels.v1"]).build().expect("sound");
    drop(routes.dispatch(attempt(Some(delivered().as_bytes()))));
    let joined = tokio::spawn(routes.dispatch(attempt(Some(delivered().as_bytes())))).await;
    assert!(joined.expect_err("panicked").is_panic());
}

#[tokio::test]
async fn one_event_decodes_to_its_handlers_type_and_the_next_to_anothers() {
    async fn bill(Event(parcel): Event<ParcelDelivered>, State(runs): State<Runs>) {
        assert_eq!(parcel.weight_g, 1200);
        runs.add();
    }
    async fn insure(_: Event<ParcelLost>, State(runs): State<Runs>) {
        runs.add();
    }
    let runs = Runs::default();
    let routes = Router::new().handle(bill).handle(insure).state(runs.clone()).build().expect("sound");
    let lost = envelope("parcel.lost", "{}").replace("\"1.0\"", "\"2.7\"");
    assert!(matches!(dispatch(&routes, delivered()).await, Outcome::Handled(_)));
    assert!(matches!(dispatch(&routes, lost).await, Outcome::Handled(_)));
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn ready_futures_can_be_polled_by_hand() {
    async fn nothing() {}
    let routes = Router::new().on("*", nothing).topics(["parcels.v1"]).build().expect("sound");
    let mut future = pin!(routes.dispatch(attempt(Some(delivered().as_bytes()))));
    let polled = future.as_mut().poll(&mut TaskContext::from_waker(Waker::noop()));
    assert!(
        matches!(polled, Poll::Ready(Outcome::Handled(_))),
        "a handler that waits for nothing costs one poll"
    );
}

#[tokio::test]
async fn a_handler_that_is_held_back_does_not_run_and_others_do() {
    let (router, ran) = telling();
    let routes = router.build().expect("sound");
    let (held, _) = routes.handler_for(&record(Some(delivered().as_bytes())));
    let held = held.expect("there is a handler for it");
    let mut attempt = attempt(Some(delivered().as_bytes()));
    attempt.held = Some([held].into());
    assert_eq!(routes.dispatch(attempt.clone()).await, Outcome::Held(held));
    attempt.record = record(Some(envelope("parcel.lost", "{}").as_bytes()));
    assert!(matches!(routes.dispatch(attempt).await, Outcome::Handled(_)));
    assert_eq!(*ran.lock().expect("no panic"), ["parcel.*"]);
}
