//! Layers around handlers: their order, what they may decide, what stays as it is inside them.

use std::sync::Mutex;
use std::time::Duration;

use tower::ServiceBuilder;
use tower::util::{AndThenLayer, MapRequestLayer, ThenLayer};

use super::*;
use crate::router::HandlerRequest;

type Notes = Arc<Mutex<Vec<String>>>;

fn noting(
    notes: &Notes,
    what: &'static str,
) -> MapRequestLayer<impl Fn(HandlerRequest) -> HandlerRequest + Clone + use<>> {
    let notes = Arc::clone(notes);
    MapRequestLayer::new(move |request: HandlerRequest| {
        notes.lock().expect("no panic").push(format!("{what} → {}", request.handler()));
        request
    })
}

async fn nothing() {}

#[tokio::test]
async fn layers_for_all_stand_outside_of_a_handlers_own_and_the_first_given_is_the_outermost() {
    let notes = Notes::default();
    let routes = Router::new()
        .on("parcel.delivered", nothing)
        .topics(["parcels.v1"])
        .named("delivered")
        .layer(noting(&notes, "own 1"))
        .layer(noting(&notes, "own 2"))
        .on("parcel.lost", nothing)
        .topics(["parcels.v1"])
        .named("lost")
        .layer_all(noting(&notes, "all 1"))
        .layer_all(noting(&notes, "all 2"))
        .build()
        .expect("sound");
    assert!(matches!(dispatch(&routes, delivered()).await, Outcome::Handled(_)));
    assert!(matches!(dispatch(&routes, envelope("parcel.lost", "{}")).await, Outcome::Handled(_)));
    let expected = [
        "all 1 → delivered",
        "all 2 → delivered",
        "own 1 → delivered",
        "own 2 → delivered",
        "all 1 → lost",
        "all 2 → lost",
    ];
    assert_eq!(*notes.lock().expect("no panic"), expected);
}

#[test]
fn a_layer_before_any_handler_is_refused() {
    let router =
        Router::new().layer(noting(&Notes::default(), "whose")).on("*", nothing).topics(["parcels.v1"]);
    assert_eq!(problems(router), [RouterProblem::NothingBefore { setting: ".layer(…)" }]);
}

#[tokio::test]
async fn a_layer_sees_the_record_the_attempt_and_the_context_and_may_refuse_by_class() {
    let runs = Runs::default();
    async fn count(State(runs): State<Runs>) {
        runs.add();
    }
    let guard = tower::util::MapFutureLayer::new(|future: crate::handler::HandlerFuture| async move {
        let context = Context::current().expect("layers run inside the event's context");
        assert_eq!(context.event().correlation_id, "order-7");
        future.await
    });
    let refuse = tower::layer::layer_fn(|inner: crate::router::HandlerService| {
        tower::service_fn(move |request: HandlerRequest| {
            let mut inner = inner.clone();
            async move {
                assert_eq!(
                    (request.partition().partition, request.record().offset, request.attempt()),
                    (3, 42, 1)
                );
                let meta: Meta = request.extract()?;
                match meta.event_type.as_str() {
                    "parcel.lost" => Err(HandlerError::skip("not here")),
                    _ => tower::Service::call(&mut inner, request).await,
                }
            }
        })
    });
    let router = Router::new().on("parcel.*", count).topics(["parcels.v1"]).state(runs.clone());
    let routes = router.layer(guard).layer(refuse).build().expect("sound");
    assert!(matches!(dispatch(&routes, delivered()).await, Outcome::Handled(_)));
    let refused = failure(&routes, envelope("parcel.lost", "{}")).await;
    assert_eq!((refused.class, refused.message.as_str()), (ErrorClass::Skip, "not here"));
    assert_eq!((&*refused.handler, runs.count()), ("count", 1));
}

#[tokio::test]
async fn inside_layers_a_payload_that_cannot_be_read_has_its_policy_and_is_counted_once() {
    async fn read(Event(_): Event<ParcelDelivered>) {}
    let router = Router::new().handle(read).layer(noting(&Notes::default(), "around"));
    let routes = router.unexpected(Unexpected::Undecodable, Policy::Stop).build().expect("sound");
    let refused = failure(&routes, envelope("parcel.delivered", r#"{"parcel_id":7}"#)).await;
    assert_eq!((refused.class, routes.unexpected(Unexpected::Undecodable)), (ErrorClass::Stop, 1));
}

#[tokio::test(start_paused = true)]
async fn class_delay_and_causes_survive_layers_that_know_only_boxed_errors() {
    async fn hang_or_refuse(meta: Meta) -> Result<(), HandlerError> {
        if meta.event_type == "parcel.lost" {
            std::future::pending().await
        }
        let cause = std::io::Error::other(std::io::Error::other("the socket"));
        Err(HandlerError::permanent(cause).retry_after(Duration::from_secs(7)))
    }
    let boxed = ServiceBuilder::new().timeout(Duration::from_secs(3)).map_err(HandlerError::into_boxed);
    let router =
        Router::new().on("parcel.*", hang_or_refuse).topics(["parcels.v1"]).layer(boxed.into_inner());
    let routes = router.build().expect("sound");
    let bare = Router::new().on("parcel.*", hang_or_refuse).topics(["parcels.v1"]).build().expect("sound");
    assert_eq!(failure(&routes, delivered()).await, failure(&bare, delivered()).await);
    let late = failure(&routes, envelope("parcel.lost", "{}")).await;
    assert_eq!((late.class, late.message.as_str()), (ErrorClass::Transient, "request timed out"));
}

#[tokio::test]
async fn a_layer_may_turn_an_answer_round() {
    async fn fail() -> Result<(), HandlerError> {
        Err(HandlerError::permanent("this shop is closed"))
    }
    let forgive = ThenLayer::new(|answer: Result<(), HandlerError>| async move {
        answer.or_else(|error| if error.to_string().contains("closed") { Ok(()) } else { Err(error) })
    });
    let regret = AndThenLayer::new(|()| async { Err::<(), _>(HandlerError::stop("enough")) });
    let router = Router::new().on("parcel.lost", fail).topics(["parcels.v1"]).layer(forgive);
    let routes = router.on("*", nothing).topics(["parcels.v1"]).layer(regret).build().expect("sound");
    assert!(matches!(dispatch(&routes, envelope("parcel.lost", "{}")).await, Outcome::Handled(_)));
    assert_eq!(failure(&routes, delivered()).await.class, ErrorClass::Stop);
}
