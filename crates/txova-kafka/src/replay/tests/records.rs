//! What a handler gets to see of a replayed letter.

use super::*;
use crate::extract::Raw;

#[tokio::test(start_paused = true)]
async fn a_letter_comes_back_as_the_record_it_is_about_with_the_next_attempt_number() {
    let (cluster, depot) = (cluster(), Depot::default());
    // Blanks and an unknown field: byte for byte means these, too.
    let value = envelope("one").replace(r#","type""#, r#" ,  "region":{"code" : "MZ"}, "type""#);
    async fn away(State(depot): State<Depot>, attempt: Attempt) -> Result<(), HandlerError> {
        depot.0.lock().unwrap().seen.push(attempt.number().to_string());
        Err(HandlerError::transient("the gateway is away"))
    }
    let failing = builder(&cluster, &depot).on("parcel.moved", away).build().unwrap();
    let given = OutgoingRecord {
        key: Some(b"\xffno text".to_vec().into()),
        headers: vec![("city".into(), Some("Maputo".into())), ("mark".into(), None)],
        timestamp_ms: Some(1_795_000_000_123),
        ..record(TOPIC, 1, &value)
    };
    cluster.produce(given.clone()).unwrap();
    give_up(&cluster, failing).await;
    assert_eq!(depot.seen(), ["1", "2", "3", "4"]);

    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Option<(Raw, Meta)>>>);
    async fn look(State(seen): State<Seen>, raw: Raw, meta: Meta) {
        *seen.0.lock().unwrap() = Some((raw, meta));
    }
    let seen = Seen::default();
    let app = builder(&cluster, &depot).on("parcel.moved", look).state(seen.clone()).build().unwrap();
    replay(&cluster, &app, Replay::new()).await.unwrap();
    let (raw, meta) = seen.0.lock().unwrap().take().unwrap();
    let record = cluster.records(TOPIC).remove(0).1;
    assert_eq!(raw.record, record, "offset, timestamp, key, bytes, headers");
    assert_eq!(raw.record.value, given.value);
    assert_eq!((&*meta.topic, meta.partition, meta.offset, meta.attempt), (TOPIC, 1, 0, 5));
    let letters = kafka(&cluster).dead_letters([TOPIC]).await.unwrap();
    assert_eq!(meta.first_failure, Some(letters[0].letter.as_ref().unwrap().first_failure));
}

#[tokio::test(start_paused = true)]
async fn what_a_replayed_handler_publishes_carries_the_correlation_id_on() {
    let (cluster, depot) = with_letters(&["one"]).await;
    type Cause = (String, Option<String>);
    #[derive(Clone, Default)]
    struct Ids(Arc<Mutex<Vec<Cause>>>);
    async fn note(State(ids): State<Ids>) {
        let context = crate::Context::current().unwrap();
        let event = context.event();
        ids.0.lock().unwrap().push((event.correlation_id.clone(), event.causation_id.clone()));
    }
    let ids = Ids::default();
    let app = builder(&cluster, &depot).on("parcel.moved", note).state(ids.clone()).build().unwrap();
    replay(&cluster, &app, Replay::new()).await.unwrap();
    assert_eq!(*ids.0.lock().unwrap(), [("of one".to_owned(), Some("one".to_owned()))]);
}

#[tokio::test(start_paused = true)]
async fn letters_about_what_is_no_envelope_keep_their_bytes_and_stay_open_until_that_is_settled() {
    let (cluster, depot) = (cluster(), Depot::default());
    let tombstones = |policy| {
        let builder = builder(&cluster, &depot).on("parcel.moved", store);
        builder.unexpected(Unexpected::Tombstone, policy).build().unwrap()
    };
    cluster.produce(OutgoingRecord { value: None, ..record(TOPIC, 0, "") }).unwrap();
    cluster.produce(OutgoingRecord { key: None, ..record(TOPIC, 0, "not json") }).unwrap();
    give_up(&cluster, tombstones(Policy::DeadLetter)).await;
    let entries = kafka(&cluster).dead_letters([TOPIC]).await.unwrap();
    let mut letters: Vec<_> = entries.into_iter().map(|entry| entry.letter.unwrap()).collect();
    letters.sort_by_key(|letter| letter.original_offset);
    let bodies: Vec<_> = letters.iter().map(|letter| (letter.body(), letter.envelope.is_some())).collect();
    assert_eq!(bodies, [(None, false), (Some(b"not json".to_vec()), false)]);
    assert_eq!(letters[0].original_key.as_deref(), Some(&b"p"[..]));
    assert_eq!(letters[1].original_key, None, "a null key");

    let report = replay(&cluster, &tombstones(Policy::DeadLetter), Replay::new()).await.unwrap();
    assert_eq!((report.failed.len(), report.replayed), (2, 0), "{report}");
    assert!(report.failed[0].error.contains("tombstone"), "{report}");
    assert!(report.failed[1].error.contains("no event envelope"), "{report}");
    let report = replay(&cluster, &tombstones(Policy::Ignore), Replay::new()).await.unwrap();
    assert_eq!((report.skipped, report.failed.len()), (1, 1), "{report}");
}
