//! Records that no handler can be given: each has its policy, and each says what is wrong with it.

use futures_util::FutureExt;
use proptest::prelude::*;

use super::*;

async fn bill(Event(_parcel): Event<ParcelDelivered>, State(runs): State<Runs>) {
    runs.add();
}

fn router() -> Router {
    Router::new().handle(bill).state(Runs::default()).catalogue([("truck.left", ["trucks.v1"])])
}

/// One record of each kind, with what its failure says.
fn each_kind() -> [(Unexpected, Option<String>, &'static str); 6] {
    let undecodable = envelope("parcel.delivered", r#"{"parcel_id":"p-1","weight_g":"heavy"}"#);
    [
        (Unexpected::Tombstone, None, "no value (a tombstone)"),
        (Unexpected::NoEnvelope, Some("not JSON".to_owned()), "no event envelope"),
        (Unexpected::UnknownType, Some(envelope("parcel.eaten", "{}")), "`parcel.eaten` is unknown"),
        (Unexpected::Unhandled, Some(envelope("truck.left", "{}")), "no handler here takes `truck.left`"),
        (
            Unexpected::UnsupportedVersion,
            Some(delivered().replace("\"1.0\"", "\"2.0\"")),
            "`parcel.delivered` has version \"2.0\", and the handler reads `1.0`",
        ),
        (Unexpected::Undecodable, Some(undecodable), "expected u32"),
    ]
}

async fn of(routes: &Routes, value: Option<&str>) -> Failure {
    match routes.dispatch(attempt(value.map(str::as_bytes))).await {
        Outcome::Failed(failure) => *failure,
        other => panic!("{other:?}, where a failure was expected"),
    }
}

#[tokio::test]
async fn without_settings_poison_is_dead_lettered_and_what_others_handle_is_passed_over() {
    let routes = router().build().expect("sound");
    for (kind, value, message) in each_kind() {
        let failure = of(&routes, value.as_deref()).await;
        let expected = match kind {
            Unexpected::Tombstone | Unexpected::Unhandled => ErrorClass::Skip,
            _ => ErrorClass::Permanent,
        };
        assert_eq!(failure.class, expected, "{kind}");
        assert!(failure.message.contains(message), "{kind}: {}", failure.message);
        assert_eq!(routes.unexpected(kind), 1, "{kind}");
    }
}

#[tokio::test]
async fn every_kind_follows_the_policy_it_is_given() {
    let policies = [
        (Policy::Ignore, ErrorClass::Skip),
        (Policy::DeadLetter, ErrorClass::Permanent),
        (Policy::Stop, ErrorClass::Stop),
    ];
    for (kind, value, _) in each_kind() {
        for (policy, class) in policies {
            let routes = router().unexpected(kind, policy).build().expect("sound");
            assert_eq!(of(&routes, value.as_deref()).await.class, class, "{kind} {policy:?}");
        }
    }
}

#[tokio::test]
async fn a_failure_names_the_handler_where_one_was_found() {
    let routes = router().build().expect("sound");
    for (kind, value, _) in each_kind() {
        let expected = match kind {
            Unexpected::UnsupportedVersion | Unexpected::Undecodable => "bill",
            _ => "-",
        };
        let failure = of(&routes, value.as_deref()).await;
        assert_eq!((&*failure.handler, failure.by), (expected, None), "{kind} is no handler's verdict");
        assert_eq!(&*routes.handler_for(&record(value.as_deref().map(str::as_bytes))).1, expected, "{kind}");
    }
}

#[tokio::test]
async fn the_handler_never_runs_for_what_it_cannot_read() {
    let runs = Runs::default();
    let routes = Router::new().handle(bill).state(runs.clone()).build().expect("sound");
    for (_, value, _) in each_kind() {
        of(&routes, value.as_deref()).await;
    }
    assert_eq!(runs.count(), 0);
}

#[tokio::test]
async fn a_payload_that_does_not_decode_names_the_type_and_the_field() {
    let routes = router().build().expect("sound");
    let missing = of(&routes, Some(&envelope("parcel.delivered", r#"{"parcel_id":"p-1"}"#))).await;
    assert!(
        missing.message.contains("parcel.delivered") && missing.message.contains("weight_g"),
        "{}",
        missing.message
    );
}

#[tokio::test]
async fn bytes_that_are_no_envelope_are_told_with_the_place() {
    let routes = router().build().expect("sound");
    let cut = failure(&routes, &delivered().as_bytes()[..40]).await;
    assert!(cut.message.contains("40"), "{}", cut.message);
    for bytes in [&b""[..], b"null", b"[]", b"{}", b"\xff\xfe", b"\xef\xbb\xbf{}", b"{\"type\":7}"] {
        let failure = failure(&routes, bytes).await;
        assert_eq!(failure.class, ErrorClass::Permanent, "{bytes:?}");
    }
}

#[tokio::test]
async fn an_object_without_a_type_is_no_envelope_even_where_every_type_is_handled() {
    let routes = Router::new().on("*", || async {}).topics(["parcels.v1"]).build().expect("sound");
    for bytes in [r#"{}"#, r#"{"type":""}"#, r#"{"type":null,"payload":{}}"#] {
        assert!(failure(&routes, bytes).await.message.contains("field `type` is missing"), "{bytes}");
    }
    assert_eq!(routes.unexpected(Unexpected::NoEnvelope), 3);
}

#[tokio::test]
async fn a_minor_version_is_the_handlers_to_read_and_a_missing_one_is_not() {
    let routes = router().build().expect("sound");
    assert!(matches!(
        dispatch(&routes, delivered().replace("\"1.0\"", "\"1.9\"")).await,
        Outcome::Handled(_)
    ));
    for version in ["", "10.0", "v1.0", "2"] {
        let failure = failure(&routes, delivered().replace("\"1.0\"", &format!("\"{version}\""))).await;
        let expected = format!("`parcel.delivered` has version {version:?}, and the handler reads");
        assert!(failure.message.starts_with(&expected), "{}", failure.message);
    }
}

#[tokio::test]
async fn another_extractors_error_keeps_its_own_class() {
    struct Never;
    impl crate::extract::FromEvent for Never {
        fn from_event(_: &crate::extract::Incoming<'_>) -> Result<Self, HandlerError> {
            Err(HandlerError::transient("not yet"))
        }
    }
    async fn refused(_: Never) {}
    let router = Router::new()
        .on("*", refused)
        .topics(["parcels.v1"])
        .unexpected(Unexpected::Undecodable, Policy::Stop);
    let failure = failure(&router.build().expect("sound"), delivered()).await;
    assert_eq!((failure.class, failure.message.as_str()), (ErrorClass::Transient, "not yet"));
}

proptest! {
    #[test]
    fn whatever_the_bytes_there_is_an_outcome(at in 0..400_usize, byte: u8, cut: bool, noise: Vec<u8>) {
        let routes = router().on("*", || async {}).topics(["parcels.v1"]).build().expect("sound");
        let mut mutated = delivered().into_bytes();
        let at = at % mutated.len();
        mutated[at] = byte;
        if cut {
            mutated.truncate(at);
        }
        for value in [mutated, noise] {
            let outcome = routes.dispatch(attempt(Some(&value))).now_or_never();
            prop_assert!(outcome.is_some());
        }
    }
}
