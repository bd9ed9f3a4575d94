//! What is refused before anything starts.

use super::*;

async fn bill(_: Event<ParcelDelivered>) {}
async fn archive(_: Event<ParcelDelivered>, _: State<String>, _: State<u8>) {}
async fn insure(_: Event<ParcelLost>) {}
async fn audit(_: Raw) {}
async fn compare(_: Event<ParcelDelivered>, _: Event<ParcelLost>) {}

#[test]
fn a_router_without_handlers_is_refused() {
    assert_eq!(problems(Router::new()), [RouterProblem::NoHandlers]);
}

#[test]
fn two_handlers_for_one_type_are_named_both() {
    let error = Router::new()
        .handle(bill)
        .handle(insure)
        .on("parcel.delivered", audit)
        .topics(["parcels.v1"])
        .build();
    let text = error.expect_err("refused").to_string();
    assert_eq!(
        text,
        "the router cannot be built: `parcel.delivered` has two handlers, `bill` and `audit`: expected one"
    );
    let twice =
        problems(Router::new().on("*", audit).topics(["a"]).on("*", audit).topics(["a"]).named("second"));
    assert!(
        matches!(&twice[..], [RouterProblem::TwoHandlers { second, .. }] if second == "second"),
        "{twice:?}"
    );
}

#[test]
fn a_malformed_pattern_is_named_with_its_handler() {
    let found = problems(Router::new().on("parcel", audit).topics(["parcels.v1"]));
    let [problem] = &found[..] else { panic!("{found:?}") };
    assert!(
        problem
            .to_string()
            .starts_with("`.on(\"parcel\", audit)`: the pattern `parcel` is malformed: it has no dot")
    );
}

#[test]
fn a_missing_state_is_found_before_the_first_record() {
    let found = problems(Router::new().handle(archive).state(7_u8));
    let [problem] = &found[..] else { panic!("{found:?}") };
    let expected = "`.handle(archive)`: the handler takes `State<alloc::string::String>`: expected `.state(…)` of that type";
    assert_eq!(problem.to_string(), expected);
    assert!(Router::new().handle(archive).state(7_u8).state(String::new()).build().is_ok());
}

#[test]
fn two_states_of_one_type_are_refused() {
    let found = problems(Router::new().handle(bill).state(7_u8).state(8_u8));
    assert_eq!(found, [RouterProblem::TwoStates { state: "u8" }]);
}

#[test]
fn a_handler_without_an_event_needs_a_pattern() {
    let found = problems(Router::new().handle(audit));
    let [problem] = &found[..] else { panic!("{found:?}") };
    assert!(problem.to_string().ends_with("register it with `.on(\"…\", audit)`"), "{problem}");
}

#[test]
fn a_handler_of_two_events_is_refused() {
    let found = problems(Router::new().handle(compare));
    let types = vec!["parcel.delivered", "parcel.lost"];
    assert_eq!(found, [RouterProblem::SeveralEvents { setting: ".handle(compare)".into(), types }]);
}

#[test]
fn a_handler_of_one_event_is_refused_under_a_pattern_that_gives_it_others() {
    for pattern in ["parcel.*", "parcel.lost", "*"] {
        let found = problems(Router::new().on(pattern, bill).topics(["parcels.v1"]));
        assert!(matches!(&found[..], [RouterProblem::EventUnderPattern { .. }]), "{pattern}: {found:?}");
    }
    assert!(Router::new().on("parcel.delivered", bill).build().is_ok());
}

#[test]
fn a_pattern_without_topics_is_named() {
    let found = problems(Router::new().handle(bill).on("crate.*", audit));
    let expected =
        RouterProblem::NoTopics { setting: ".on(\"crate.*\", audit)".into(), pattern: "crate.*".into() };
    assert_eq!(found, [expected]);
}

#[test]
fn a_topic_that_kafka_refuses_is_named() {
    let found = problems(Router::new().handle(bill).topics(["parcels v1", "parcels.v1"]));
    let expected =
        RouterProblem::MalformedTopic { setting: ".handle(bill)".into(), topic: "parcels v1".into() };
    assert_eq!(found, [expected]);
}

#[test]
fn a_setting_of_no_handler_is_refused() {
    let found = problems(Router::new().named("first").topics(["a"]).handle(bill));
    let before = |setting| RouterProblem::NothingBefore { setting };
    assert_eq!(found, [before(".named(…)"), before(".topics(…)")]);
}

#[test]
fn all_problems_are_told_at_once() {
    let router =
        Router::new().handle(archive).handle(bill).on("no dot", audit).on("crate.*", audit).handle(audit);
    let text = router.build().expect_err("refused").to_string();
    assert!(text.starts_with("the router cannot be built, 6 problems:\n- "), "{text}");
    for part in [
        "State<u8>",
        "alloc::string::String",
        "two handlers, `archive` and `bill`",
        "no dot",
        "crate.*",
        ".handle(audit)",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn topics_come_from_events_the_catalogue_and_what_is_said() {
    let routes = Router::new()
        .catalogue([
            ("parcel.delivered", vec!["parcels.v1", "parcels.old"]),
            ("truck.left", vec!["trucks.v1"]),
        ])
        .handle(bill)
        .on("truck.*", audit)
        .on("crate.*", audit)
        .topics(["crates.v1", "parcels.v1"])
        .build()
        .expect("sound");
    assert_eq!(routes.topics(), ["parcels.v1", "parcels.old", "trucks.v1", "crates.v1"]);
}

#[test]
fn topics_that_are_said_take_the_place_of_the_events_own() {
    let routes = Router::new().handle(bill).topics(["parcels.mirror"]).build().expect("sound");
    assert_eq!(routes.topics(), ["parcels.mirror"]);
}

#[test]
fn the_platforms_events_are_listed_unless_another_catalogue_is_given() {
    async fn track(_: Event<txova_events::DriverLocationUpdated>) {}
    let routes = Router::new().handle(track).on("payout.*", audit).build().expect("sound");
    assert_eq!(routes.topics(), ["txova.locations.v1", "txova.drivers.v1", "txova.payments.v1"]);

    let found = problems(Router::new().on("payout.*", audit).catalogue([("truck.left", ["trucks.v1"])]));
    assert!(matches!(&found[..], [RouterProblem::NoTopics { .. }]), "{found:?}");
}

#[test]
fn retries_that_make_no_sense_are_told_with_their_handler_and_field() {
    use crate::RetryPolicy;

    async fn handler() {}
    let hasty = RetryPolicy { backoff_ms: Some(0), ..RetryPolicy::default() };
    let error = Router::new()
        .retry(RetryPolicy::default())
        .on("parcel.*", handler)
        .topics(["parcels.v1"])
        .retry(hasty)
        .build()
        .expect_err("both are wrong");
    let text = error.to_string();
    assert!(text.contains("`.retry(…)` stands before any handler"), "{text}");
    assert!(text.contains("parcel.*") && text.contains("`backoff_ms` is 0"), "{text}");
}
