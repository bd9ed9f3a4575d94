//! Handlers of batches: what they are given, what their answer becomes of each record, what is refused at build.

use super::*;
use crate::batch::{BatchError, Batching};
use crate::outcome::{BatchOutcome, HandlerId};
use crate::router::HandlerRequest;

const BY: HandlerId = HandlerId(0);

const HANDLED: BatchOutcome = BatchOutcome::Whole(Outcome::Handled(BY));

type Seen = Arc<std::sync::Mutex<Vec<String>>>;

/// An attempt at a parcel of this weight, or at one that cannot be read.
fn parcel(offset: i64, weight_g: i64) -> RecordAttempt {
    let value = envelope("parcel.delivered", &format!(r#"{{"parcel_id":"p","weight_g":{weight_g}}}"#));
    let mut attempt = attempt(Some(value.as_bytes()));
    attempt.record.offset = offset;
    attempt
}

const UNREADABLE: i64 = -1;

async fn run(routes: &Routes, weights: &[i64]) -> BatchOutcome {
    let attempts = weights.iter().zip(40..).map(|(weight, offset)| parcel(offset, *weight));
    routes.dispatch_batch(attempts.collect()).await
}

/// Places, classes and messages of what failed.
fn parts(outcome: BatchOutcome) -> Vec<(usize, ErrorClass, String)> {
    let BatchOutcome::Parts { failed, .. } = outcome else { panic!("expected parts: {outcome:?}") };
    failed.into_iter().map(|(place, failure)| (place, failure.class, failure.message)).collect()
}

fn whole(outcome: BatchOutcome) -> Failure {
    let BatchOutcome::Whole(Outcome::Failed(failure)) = outcome else {
        panic!("expected a failure of the whole: {outcome:?}")
    };
    *failure
}

async fn weigh(
    parcels: Vec<(Event<ParcelDelivered>, Meta)>,
    State(seen): State<Seen>,
    attempt: Attempt,
) -> Result<(), BatchError> {
    let text = parcels.iter().map(|(parcel, meta)| format!("{}@{}", parcel.weight_g, meta.offset));
    let text = format!("{} #{}", text.collect::<Vec<_>>().join(" "), attempt.number());
    seen.lock().expect("no panic").push(text);
    let mut failed = BatchError::new();
    for (at, (parcel, _)) in parcels.iter().enumerate().rev() {
        match parcel.weight_g {
            13 => failed.add(at, HandlerError::permanent("thirteen")),
            7 => failed.add(at, "seven"),
            99 => failed.add(parcels.len(), "nobody"),
            _ => {}
        }
    }
    failed.into_result()
}

fn weighing() -> (Routes, Seen) {
    let seen = Seen::default();
    (Router::new().handle(weigh).state(Arc::clone(&seen)).build().expect("sound"), seen)
}

#[tokio::test]
async fn a_batch_handler_gets_all_events_in_order_each_with_what_it_asked_for() {
    let (routes, seen) = weighing();
    assert_eq!(run(&routes, &[1, 2, 3]).await, HANDLED);
    assert_eq!(*seen.lock().expect("no panic"), ["1@40 2@41 3@42 #1"]);
    assert_eq!(routes.batch_of(&parcel(0, 1).record), Some(0));
    assert_eq!(routes.batch_of(&record(Some(envelope("parcel.lost", "{}").as_bytes()))), None);
    assert_eq!(routes.batch_of(&record(None)), None);
}

#[tokio::test]
async fn what_it_names_as_failed_fails_by_its_own_class_and_the_rest_is_handled() {
    let (routes, _) = weighing();
    let failed = parts(run(&routes, &[1, 7, 2, 13]).await);
    let expected =
        [(1, ErrorClass::Transient, "seven".to_owned()), (3, ErrorClass::Permanent, "thirteen".to_owned())];
    assert_eq!(failed, expected);
}

#[tokio::test]
async fn the_first_error_of_an_event_counts() {
    async fn twice(_: Vec<Raw>) -> Result<(), BatchError> {
        let mut failed = BatchError::new();
        failed.add(1, HandlerError::skip("first"));
        failed.add(1, "second");
        failed.add(0, "before");
        Err(failed)
    }
    let routes = Router::new().on("*", twice).topics(["parcels.v1"]).build().expect("sound");
    let failed = parts(run(&routes, &[1, 2]).await);
    assert_eq!(failed[1], (1, ErrorClass::Skip, "first".to_owned()));
    assert_eq!(failed.len(), 2);
}

#[tokio::test]
async fn records_that_cannot_be_read_are_named_before_the_handler_runs_and_have_their_policy_alone() {
    let (routes, seen) = weighing();
    assert_eq!(run(&routes, &[1, UNREADABLE, 2, UNREADABLE]).await, BatchOutcome::NotRun(vec![1, 3]));
    assert_eq!((seen.lock().expect("no panic").len(), routes.unexpected(Unexpected::Undecodable)), (0, 0));
    let alone = whole(run(&routes, &[UNREADABLE]).await);
    assert_eq!((&*alone.handler, alone.class, alone.by), ("weigh", ErrorClass::Permanent, None));
    assert_eq!((seen.lock().expect("no panic").len(), routes.unexpected(Unexpected::Undecodable)), (0, 1));
}

#[tokio::test]
async fn a_plain_error_is_a_failure_of_the_whole() {
    async fn refuse(_: Vec<Event<ParcelDelivered>>) -> std::io::Result<()> {
        Err(std::io::Error::other("the database is away"))
    }
    let routes = Router::new().handle(refuse).build().expect("sound");
    let failure = whole(run(&routes, &[1, 2]).await);
    assert_eq!((&*failure.handler, failure.class, failure.by), ("refuse", ErrorClass::Transient, Some(BY)));
    assert_eq!(failure.message, "the database is away");
}

#[tokio::test]
async fn naming_an_event_that_is_not_there_settles_nothing() {
    let (routes, _) = weighing();
    let failure = whole(run(&routes, &[1, 99]).await);
    assert!(failure.message.starts_with("the handler says that event 2 of"), "{}", failure.message);
}

#[tokio::test]
async fn a_record_alone_comes_as_a_batch_of_one() {
    let (routes, seen) = weighing();
    assert_eq!(dispatch(&routes, delivered()).await, Outcome::Handled(BY));
    assert_eq!(*seen.lock().expect("no panic"), ["1200@42 #1"]);
    let failed = dispatch(&routes, delivered().replace("1200", "13")).await;
    assert!(matches!(failed, Outcome::Failed(failure) if failure.class == ErrorClass::Permanent));
    let unreadable = dispatch(&routes, delivered().replace("1200", "-1")).await;
    assert!(matches!(unreadable, Outcome::Failed(failure) if failure.class == ErrorClass::Permanent));
    assert_eq!(routes.unexpected(Unexpected::Undecodable), 1);
}

#[tokio::test]
async fn a_batch_has_no_cause_of_its_own_and_each_event_brings_its_context() {
    async fn look(parcels: Vec<(Meta, Context)>, State(seen): State<Seen>) {
        assert!(Context::current().is_none());
        for (meta, context) in parcels {
            let inside = context.scope(async { Context::current().expect("inside") }).await;
            assert_eq!(inside.event().causation_id, Some(meta.event_id));
            seen.lock().expect("no panic").push(inside.event().correlation_id.clone());
        }
    }
    let seen = Seen::default();
    let router = Router::new().on("parcel.*", look).topics(["parcels.v1"]).state(Arc::clone(&seen));
    let routes = router.build().expect("sound");
    assert_eq!(run(&routes, &[1]).await, HANDLED);
    assert_eq!(dispatch(&routes, delivered()).await, Outcome::Handled(BY));
    assert_eq!(*seen.lock().expect("no panic"), ["order-7", "order-7"]);
}

#[tokio::test]
async fn a_layer_stands_around_the_run_and_what_was_said_of_each_record_passes_it() {
    let (seen, around) = (Seen::default(), Seen::default());
    let notes = Arc::clone(&around);
    let note = tower::util::MapRequestLayer::new(move |request: HandlerRequest| {
        let offsets: Vec<i64> = request.records().map(|record| record.offset).collect();
        notes.lock().expect("no panic").push(format!("{offsets:?} first {}", request.record().offset));
        request
    });
    let boxed = tower::ServiceBuilder::new().map_err(HandlerError::into_boxed).into_inner();
    let router = Router::new().handle(weigh).state(Arc::clone(&seen)).layer(note).layer(boxed);
    let routes = router.build().expect("sound");
    let failed = parts(run(&routes, &[1, 13, 4]).await);
    assert_eq!((failed.len(), failed[0].1), (1, ErrorClass::Permanent));
    assert_eq!(*around.lock().expect("no panic"), ["[40, 41, 42] first 40"]);
    assert_eq!(run(&routes, &[1, UNREADABLE]).await, BatchOutcome::NotRun(vec![1]));
    assert_eq!(whole(run(&routes, &[UNREADABLE]).await).class, ErrorClass::Permanent);
    assert!(matches!(dispatch(&routes, delivered().replace("1200", "-1")).await, Outcome::Failed(_)));
    assert_eq!(routes.unexpected(Unexpected::Undecodable), 2);
}

#[test]
fn settings_of_batches_are_refused_where_they_can_mean_nothing() {
    async fn one(_: Event<ParcelDelivered>) {}
    async fn many(_: Vec<Event<ParcelDelivered>>) {}
    let found = problems(Router::new().handle(one).batch(Batching::default()));
    let [problem] = &found[..] else { panic!("{found:?}") };
    let text = problem.to_string();
    assert!(
        text.starts_with("`.handle(one)`: `.batch(…)` is for handlers of batches, and `one` takes one event")
    );
    for (batching, expected) in [
        (Batching { max_size: 0, ..Batching::default() }, "`max_size` is 0"),
        (Batching { max_bytes: 0, ..Batching::default() }, "`max_bytes` is 0"),
    ] {
        let found = problems(Router::new().handle(many).batch(batching));
        assert!(found[0].to_string().contains(expected), "{found:?}");
    }
    let before = problems(Router::new().batch(Batching::default()).handle(many));
    assert_eq!(before, [RouterProblem::NothingBefore { setting: ".batch(…)" }]);
}

#[test]
fn what_a_batch_handler_needs_is_found_before_the_first_record() {
    async fn needs(_: Vec<(Event<ParcelDelivered>, State<u8>)>, _: State<u16>) {}
    let found = problems(Router::new().handle(needs));
    assert_eq!(found.len(), 2, "{found:?}");
    async fn both(_: Vec<(Event<ParcelDelivered>, Event<ParcelLost>)>) {}
    assert!(matches!(problems(Router::new().handle(both))[..], [RouterProblem::SeveralEvents { .. }]));
    async fn under(_: Vec<Event<ParcelDelivered>>) {}
    let found = problems(Router::new().on("parcel.*", under).topics(["parcels.v1"]));
    assert!(matches!(found[..], [RouterProblem::EventUnderPattern { .. }]));
}
